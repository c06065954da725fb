"""Lines that are no events: each is reported once, with its place and a reason, and nothing else changes."""

from __future__ import annotations

import base64
import codecs
import random
from pathlib import Path

import pytest

from stream.contract import Kind
from stream.events.decoder import Decoder
from stream.events.verdict import Valid, judge
from stream.replay.lines import is_blank
from tests.events.test_events_batches import _fuzzed
from tests.replay.replaying import Dict, json_lines, plan_of, run, schema, traffic, write

#: Names fields of all types and of all kinds, so that they are looked at.
DEFINITIONS = """\
version: 1
fields: {click: {score: number}}
segments:
  busy: {enter: 'count(click where device exists, 1h) >= 3 or sum(click.price, 1d) > 50'}
  buyer: {enter: 'sum(purchase.total) >= 100 and since(last(purchase)) < 2h'}
  reader: {enter: 'count(email where campaign_id exists) >= 1 or trait("plan") == "pro"'}
  scorer: {enter: 'avg(click.score) > 3 or distinct(click.category) >= 2'}
"""


def fuzzed_lines(count: int) -> list[bytes]:
    """Fuzzed messages as a file has them: a raw newline in one makes it two lines. Random bytes are among them."""
    draw = random.Random(11)
    messages = list(_fuzzed(count * 9 // 10, seed=2027))
    messages += [draw.randbytes(draw.randrange(200)) for _ in range(count // 10)]
    messages += [b'{"x":"' + b"y" * (1 << 20) + b'"}', b"[" * (1 << 20), b"\x00" * (1 << 20), b"9" * (1 << 20)]
    draw.shuffle(messages)
    return b"\n".join(messages).split(b"\n")


def test_a_hundred_thousand_fuzzed_lines_among_good_ones(tmp_path: Path) -> None:
    good = traffic().splitlines()
    lines = fuzzed_lines(100_000)
    draw = random.Random(5)
    places = sorted(draw.sample(range(len(lines)), len(good)))
    for place, line in zip(reversed(places), reversed(good), strict=True):
        lines.insert(place, line)
    assert len(lines) > 100_000
    path = write(tmp_path / "fuzzed.jsonl", b"\n".join(lines))
    replayed = run([path], DEFINITIONS)

    # The careful reader, one line at a time, decides what is bad.
    plan = plan_of(DEFINITIONS)
    lines = [line.removesuffix(b"\r") for line in lines]
    filled = [number for number, line in enumerate(lines, 1) if not is_blank(line)]
    valid = [number for number in filled if isinstance(judge(plan.wanted, tuple(Kind), lines[number - 1]), Valid)]
    assert len(valid) > 40_000
    assert replayed.bad_lines == sorted(set(filled) - set(valid))
    assert len(replayed.bad_lines) > 30_000
    assert replayed.summary.rejected_lines == len(replayed.bad_lines)
    for report in replayed.rejected:
        line = lines[report["line"] - 1]
        assert report["source"] == str(path)
        assert 0 < len(report["reason"]) < 700
        assert len(report["reason"].splitlines()) == 1
        if "original" in report:
            assert report["original"].encode() == line
        else:
            assert base64.b64decode(report["original_base64"]) == line
            with pytest.raises(UnicodeDecodeError):
                line.decode()
    for report in replayed.rejected[::97]:
        schema("rejected-line").validate(report)

    # Only the good lines, and nothing but them, change anything.
    alone = run([write(tmp_path / "good.jsonl", b"\n".join(lines[number - 1] for number in valid))], DEFINITIONS)
    assert alone.rejected == []
    assert alone.by_customer() == replayed.by_customer()
    assert len(replayed.changes) > 100
    alone.summary.rejected = replayed.summary.rejected
    assert alone.summary == replayed.summary

    # Sorted on the way the same ones are bad.
    path = write(tmp_path / "some.jsonl", b"\n".join(lines[:20_000]))
    again = run([path], DEFINITIONS, sort=True)
    assert again.bad_lines == [number for number in replayed.bad_lines if number <= 20_000]


def test_every_single_bad_line_alone(tmp_path: Path) -> None:
    """Files of one line: nothing hides behind its neighbours."""
    wanted = plan_of(DEFINITIONS).wanted
    for line in fuzzed_lines(1_500)[::5]:
        if line.startswith(codecs.BOM_UTF8):
            continue  # with which a file may begin, but no message
        columns, rejections = Decoder(wanted).decode_mixed([line])
        replayed = run([write(tmp_path / "e", line)], DEFINITIONS)
        blank = is_blank(line)
        assert replayed.bad_lines == ([1] if rejections and not blank else [])
        assert replayed.summary.events == len(columns)


def test_bad_lines_leave_no_trace(tmp_path: Path) -> None:
    """A customer whom only bad lines name does not exist."""
    bad: list[Dict] = [
        {"type": "click", "event_id": "e1", "customer_id": "ghost", "timestamp": 1, "action": "NOT A WORD"},
        {"type": "click", "event_id": "e1", "customer_id": "ghost", "timestamp": "tomorrow", "action": "search"},
        {"type": "purchase", "event_id": "e1", "customer_id": "ghost", "timestamp": 253_402_300_799_999, "total": 1},
    ]
    replayed = run([write(tmp_path / "e", bad)], DEFINITIONS)
    assert replayed.bad_lines == [1, 2, 3]
    assert replayed.summary.customers == 0
    # Nor do their timestamps move the end of time.
    both = run([write(tmp_path / "e", traffic() + json_lines(bad))], DEFINITIONS)
    assert both.changes == run([write(tmp_path / "e", traffic())], DEFINITIONS).changes
