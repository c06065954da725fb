"""However messages are cut into batches, and whatever was read before: the same events, the same refusals."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.contract import Kind
from stream.events.columns import Columns, Rejection, concatenate
from stream.events.decoder import Decoder
from stream.events.verdict import Valid, judge
from tests.events.making import everything, message, same, shop_events, some, write
from tests.events.strategies import events


def singly(decoder: Decoder, lines: list[bytes]) -> tuple[Columns, list[Rejection]]:
    """Each message in a batch of its own."""
    columns, rejections = [], []
    for i, line in enumerate(lines):
        one, refused = decoder.decode_mixed([line])
        one.source = one.source + i
        columns.append(one)
        rejections += [Rejection(i, r.reason, r.code) for r in refused]
    return concatenate(columns), rejections


raw_events = events().map(lambda event: write(event[1]))
broken = st.one_of(
    st.sampled_from([b"", b" ", b"{", b"}", b"{}", b"[]", b"null", b'{"a":', b'"b":1}', b"\xff", b"{A} {B}"]),
    st.binary(max_size=40),
    st.builds(lambda text, cut: text[:cut], raw_events, st.integers(0, 200)),
    st.builds(lambda a, b: a + b, raw_events, raw_events),
)
good = st.builds(message, st.sampled_from(Kind))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(good, raw_events, broken), min_size=1, max_size=80))
def test_a_batch_is_as_its_messages(lines: list[bytes]) -> None:
    decoder = Decoder(everything())
    expected, refused = singly(Decoder(everything()), lines)
    for _ in range(2):  # the second time with what the first has taught
        columns, rejections = decoder.decode_mixed(lines)
        assert same(columns, expected)
        assert rejections == refused
    assert sorted([*columns.source.tolist(), *(r.index for r in rejections)]) == list(range(len(lines)))


@pytest.mark.parametrize("size", [1, 7, 64, 65, 1000, 1024, 1025, 2048, 2049, 5000])
def test_any_size_of_batch(size: int) -> None:
    lines = shop_events(5000, seed=11)
    draw = random.Random(11)
    for i in draw.sample(range(5000), 40):
        lines[i] = lines[i][: draw.randrange(len(lines[i]))]
    expected, refused = Decoder(some()).decode_mixed(lines)
    assert len(refused) == 40
    decoder = Decoder(some())
    columns: list[Columns] = []
    rejections: list[Rejection] = []
    for start in range(0, 5000, size):
        part, bad = decoder.decode_mixed(lines[start : start + size])
        part.source = part.source + start
        columns.append(part)
        rejections += [Rejection(start + r.index, r.reason, r.code) for r in bad]
    assert same(concatenate(columns), expected)
    assert rejections == refused


def _spoiled(draw: random.Random, line: bytes) -> bytes:
    """A line with something done to it."""
    at = draw.randrange(len(line))
    match draw.randrange(18):
        case 0:
            return line[:at]
        case 1:
            return line[at:]
        case 2:
            return line[:at] + bytes([draw.randrange(256)]) + line[at + 1 :]
        case 3:
            return line[:at] + bytes([draw.randrange(256)]) + line[at:]
        case 4:
            return line[:at] + line[at + 1 :]
        case 5:
            return line.replace(b":", b":NaN,", 1) if draw.random() < 0.5 else line.replace(b"1", b"NaN")
        case 6:
            return (
                line[:-1] + b',"price":' + draw.choice([b"1e400", b"9" * 400, b"-1e11", b"1e12", b"-0", b"01"]) + b"}"
            )
        case 7:
            depth = draw.choice([10, 98, 99, 100, 101, 2000, 100_000])
            return line[:-1] + b',"x":' + b"[" * depth + b"]" * (depth - draw.randrange(2)) + b"}"
        case 8:
            line = line.replace(b'":"', b'":"\\u0000', draw.randrange(3))
            return line[:-1] + draw.choice([b',"x":"\\ud800"}', b',"\\udc00":1}', b',"x":"\\ud83d\\ude00"}', b"\\"])
        case 9:
            return draw.choice([b"", b" ", b"\n", b"{}", b"[]", b"0", b"null", b"\xef\xbb\xbf" + line, b"\x00"])
        case 10:
            return line.replace(b'"click"', draw.choice([b'"sale"', b"null", b"1", b'"purchase"', b'"Click"']))
        case 11:
            return line + draw.choice([line, b" " + line, b"\n" + line, b",", b" \r\n"])
        case 12:
            event = json.loads(line)
            event[draw.choice(list(event))] = draw.choice([None, True, 1, -1, 1.5, "", "x", [], {}, 10**30, "x" * 5000])
            return json.dumps(event).encode()
        case 13:
            event = json.loads(line)
            del event[draw.choice(list(event))]
            return json.dumps(event, indent=draw.choice([None, 1])).encode()
        case 14:
            event = json.loads(line)
            key = draw.choice(list(event))
            value = draw.choice(["null", "1", '"a"', json.dumps(event[key])])
            return line[:-1] + f',"{key}":{value}}}'.encode()
        case 15:
            return bytes(draw.choices(b'{}[]",:\\0123456789.eE+-truefalsn \n\t\xff', k=draw.randrange(60)))
        case 16:
            return line.replace(b'"', draw.choice([b"'", b'\\"', b"\xff"]), draw.randrange(1, 4))
    return (
        line[:-1] + b',"traits":' + draw.choice([b'{"plan":1e999}', b'{"plan":"' + b"x" * 4097 + b'"}', b"[]"]) + b"}"
    )


def _fuzzed(n: int, seed: int) -> Iterator[bytes]:
    draw = random.Random(seed)
    for i, line in enumerate(shop_events(n, seed)):
        if i % 20_000 == 77:  # a few are very large
            large = b'"' + draw.choice([b"x", b"\\u00e9", "é".encode()]) * 200_000 + b'"'
            yield line[:-1] + b',"x":' + large + draw.choice([b"}", b""])
        elif i // 1000 % 2:  # by turns nearly all good and nearly all bad
            yield _spoiled(draw, line) if draw.random() < 0.01 else line
        else:
            yield _spoiled(draw, line) if draw.random() < 0.8 else line


def test_a_hundred_thousand_fuzzed_lines() -> None:
    lines = list(_fuzzed(100_000, seed=2026))
    decoder = Decoder(some())
    draw = random.Random(1)
    start = refused = 0
    while start < len(lines):
        batch = lines[start : start + draw.choice([1, 7, 100, 1000, 3000])]
        columns, rejections = decoder.decode_mixed(batch)
        accepted, bad = columns.source.tolist(), [r.index for r in rejections]
        assert sorted(accepted + bad) == list(range(len(batch)))
        assert accepted == sorted(accepted)
        assert bad == sorted(bad)
        assert all(r.reason and r.code for r in rejections)
        # The careful reader, which shares no code with the scanner, must say the same of each.
        verdicts = [judge(some(), tuple(Kind), line) for line in batch]
        assert [i for i, verdict in enumerate(verdicts) if isinstance(verdict, Valid)] == accepted
        valid = [verdict for verdict in verdicts if isinstance(verdict, Valid)]
        assert columns.kind.tolist() == [verdict.kind for verdict in valid]
        assert columns.time_ms.tolist() == [verdict.fields["timestamp"] for verdict in valid]
        assert columns.customers() == [verdict.fields["customer_id"] for verdict in valid]
        prices = [
            verdict.fields.get({Kind.CLICK: "price", Kind.PURCHASE: "total"}.get(verdict.kind, ""), np.nan)
            for verdict in valid
        ]
        assert np.array_equal(columns.numbers[0], prices, equal_nan=True)
        traits = [
            (i, some().traits.index(name), value)
            for i, verdict in enumerate(valid)
            for name, value in verdict.fields.get("traits", {}).items()
        ]
        assert columns.trait_values() == sorted(traits, key=lambda trait: trait[:2])
        start += len(batch)
        refused += len(bad)
    assert 20_000 < refused < 60_000


@pytest.mark.parametrize("size", [1, 40, 2000])
def test_topics_have_no_kind_to_name_and_keys_to_match(size: int) -> None:
    lines = [message(Kind.CLICK, type=..., customer_id=f"ç{i}", timestamp=10**12 + i) for i in range(size)]
    keys: list[bytes | None] = [f"ç{i}".encode() for i in range(size)]
    decoder = Decoder(some())
    columns, rejections = decoder.decode(Kind.CLICK, lines, np.full(size, 10**12), keys)
    assert not rejections
    assert len(columns) == size
    if size < 40:
        return
    lines[3] = b"{}"
    keys[5] = None
    keys[6] = b"\xff"
    keys[7] = "ç8".encode()
    records = [10**12] * size
    records[8] -= 3_600_000 - 8
    records[9] -= 3_600_001 - 9
    records[10] = -1
    records[7] = 0
    columns, rejections = decoder.decode(Kind.CLICK, lines, records, keys)
    assert [(r.index, r.code) for r in rejections] == [
        (3, "missing_field"),
        (5, "missing_key"),
        (6, "wrong_key"),
        (7, "wrong_key"),
        (9, "too_far_ahead"),
    ]
    assert columns.source.tolist() == [i for i in range(size) if i not in (3, 5, 6, 7, 9)]
    columns, rejections = decoder.decode(Kind.CLICK, lines[8:10], records[8:10], max_ahead_ms=3_600_001)
    assert not rejections
