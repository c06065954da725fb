"""What a replay gives: the reference's changes, records as the schemas say, and numbers that add up."""

from __future__ import annotations

import base64
import json
import statistics
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from stream.instants import parse_instant
from stream.replay.summary import Stays
from tests import reference
from tests.engine.agreement import assert_same, tolerance_ms
from tests.replay.replaying import (
    DAY,
    DEFINITIONS,
    HOUR,
    MINUTE,
    SEGMENTS,
    START,
    Dict,
    Replayed,
    click,
    few_events,
    json_lines,
    run,
    schema,
    traffic,
    write,
)


def simulated() -> list[Dict]:
    return [json.loads(line) for line in traffic().splitlines()]


@pytest.mark.parametrize("until", ["end", "middle", "beyond"])
def test_simulated_traffic_gives_what_the_reference_gives(tmp_path: Path, until: str) -> None:
    """All ready segments, with late events and duplicates."""
    definitions, events = SEGMENTS.read_text(encoding="utf-8"), simulated()
    if until != "end":
        events = events[:1_000]
    times = [reference.instant(event["timestamp"]) for event in events]
    until_ms = {"end": None, "middle": sorted(times)[700], "beyond": max(times) + 400 * DAY}[until]
    replayed = run([write(tmp_path / "e.jsonl", events)], definitions, until_ms)
    expected = reference.replay(definitions, events, until_ms)
    assert_same(replayed.by_customer(), expected, tolerance_ms=tolerance_ms(definitions))
    assert replayed.rejected == []
    assert replayed.summary.late > 0
    assert replayed.summary.duplicates > 0
    assert replayed.summary.events == sum(until_ms is None or time <= until_ms for time in times)
    assert replayed.summary.events + replayed.summary.after_until == len(events)


def test_few_events_by_hand(tmp_path: Path) -> None:
    replayed = run([write(tmp_path / "e.jsonl", few_events())])
    assert_same(replayed.by_customer(), reference.replay(DEFINITIONS, few_events()))
    found = {
        (change["customer_id"], change["segment"], change["change"], change["cause"]) for change in replayed.changes
    }
    assert ("a", "pro", "entered", "event") in found
    assert ("a", "pro", "exited", "event") in found
    assert ("b", "silent", "entered", "timer") in found
    assert ("b", "buyer", "exited", "timer") in found
    assert ("a", "busy", "exited", "timer") in found


def test_records_are_as_their_schemas_say(tmp_path: Path) -> None:
    bad = b'[]\n{"type":"sale"}\n"\xff"\n\xc3\xa4\n'
    path = write(tmp_path / "e.jsonl", traffic() + bad)
    replayed = run([path], SEGMENTS.read_text(encoding="utf-8"))
    assert len(replayed.changes) > 300
    for change in replayed.changes:
        schema("segment-change").validate(change)
        assert change["id"] == f"{change['customer_id']}:{change['sequence']}"
        parse_instant(change["at"])
    for report in replayed.rejected:
        schema("rejected-line").validate(report)
    first = traffic().count(b"\n") + 1
    assert [
        (report["source"], report["line"], report.get("original"), report.get("original_base64"))
        for report in replayed.rejected
    ] == [
        (str(path), first, "[]", None),
        (str(path), first + 1, '{"type":"sale"}', None),
        (str(path), first + 2, None, base64.b64encode(b'"\xff"').decode()),
        (str(path), first + 3, "ä", None),
    ]
    assert "click, purchase or email" in replayed.rejected[1]["reason"]


def test_changes_of_a_customer_come_in_order(tmp_path: Path) -> None:
    replayed = run([write(tmp_path / "e.jsonl", traffic())], SEGMENTS.read_text(encoding="utf-8"))
    sequences: dict[str, list[int]] = defaultdict(list)
    instants: dict[str, list[str]] = defaultdict(list)
    for change in replayed.changes:
        sequences[change["customer_id"]].append(change["sequence"])
        instants[change["customer_id"]].append(change["at"])
    assert len(sequences) > 30
    for customer, found in sequences.items():
        assert found == list(range(1, len(found) + 1))
        assert instants[customer] == sorted(instants[customer])


def counted(replayed: Replayed) -> dict[str, Any]:
    """The closing table by plain counting of the changes."""
    entered: Counter[str] = Counter()
    exited: Counter[str] = Counter()
    since: dict[tuple[str, str], int] = {}
    stays: dict[str, list[int]] = defaultdict(list)
    for change in replayed.changes:
        key, at = (change["segment"], change["customer_id"]), parse_instant(change["at"])
        if change["change"] == "entered":
            assert key not in since
            entered[key[0]] += 1
            since[key] = at
        else:
            exited[key[0]] += 1
            stays[key[0]].append(at - since.pop(key))
    members = Counter(segment for segment, _ in since)
    return {"entered": entered, "exited": exited, "members": members, "stays": stays}


@pytest.mark.parametrize("definitions", [DEFINITIONS, SEGMENTS.read_text(encoding="utf-8")], ids=["few", "ready"])
def test_the_summary_is_what_counting_gives(tmp_path: Path, definitions: str) -> None:
    bad = b"[]\n{}\n{\n[1]\n\n"
    replayed = run([write(tmp_path / "e.jsonl", traffic() + bad)], definitions)
    summary, by_hand = replayed.summary, counted(replayed)
    medians = 0
    for segment in summary.segments:
        assert segment.entered == by_hand["entered"][segment.name]
        assert segment.exited == by_hand["exited"][segment.name]
        assert segment.members == by_hand["members"][segment.name] == segment.entered - segment.exited
        stays = by_hand["stays"][segment.name]
        if stays:
            medians += 1
            assert segment.stays.median_ms() == pytest.approx(statistics.median(stays), rel=0.01)
        else:
            assert segment.stays.median_ms() is None
    assert medians >= 3
    events = simulated()
    assert summary.customers == len({event["customer_id"] for event in events})
    assert summary.events == len(events)
    times = [reference.instant(event["timestamp"]) for event in events]
    assert (summary.first_ms, summary.last_ms) == (min(times), max(times))
    assert summary.rejected_lines == 4
    assert {code: rejected.count for code, rejected in summary.rejected.items()} == {
        "not_an_object": 2,
        "missing_field": 1,
        "not_json": 1,
    }
    assert summary.rejected["not_an_object"].first.endswith(
        f"e.jsonl, line {len(events) + 1:,}: expected a JSON object, got an array"
    )


@pytest.mark.parametrize("count", [1, 2, 3, 10, 101, 1_000])
@pytest.mark.parametrize("scale", [1, 1_000, HOUR, 400 * DAY])
def test_medians_are_exact_to_a_percent(count: int, scale: int) -> None:
    stays, exact = Stays(), [(i * i * 7_919) % 1_000 * scale + scale for i in range(count)]
    stays.add(exact)
    assert stays.median_ms() == pytest.approx(statistics.median(exact), rel=0.01)


def test_medians_of_nothing_and_of_no_time() -> None:
    stays = Stays()
    assert stays.median_ms() is None
    stays.add([0, 0, 0])
    assert stays.median_ms() == 0


def test_until_is_the_end_of_time(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", few_events())
    until = START + 50 * MINUTE
    replayed = run([path], until_ms=until)
    assert_same(replayed.by_customer(), reference.replay(DEFINITIONS, few_events(), until))
    assert max(parse_instant(change["at"]) for change in replayed.changes) <= until
    assert "e7" in {change["event_id"] for change in replayed.changes}  # at that very millisecond
    assert run([path], until_ms=until - 1).summary.after_until == 3
    # All that is due by then fires, and not a millisecond later.
    due = max(parse_instant(change["at"]) for change in run([path], until_ms=START + 3_650 * DAY).changes)
    assert due > START + 4 * HOUR
    at_last = run([path], until_ms=due)
    assert sum(parse_instant(change["at"]) == due for change in at_last.changes) > 0
    before = run([path], until_ms=due - 1)
    assert len(before.changes) < len(at_last.changes)
    assert at_last.changes == run([path], until_ms=START + 3_650 * DAY).changes


def test_until_before_everything(tmp_path: Path) -> None:
    replayed = run([write(tmp_path / "e.jsonl", few_events())], until_ms=0)
    assert replayed.changes == []
    assert replayed.summary.events == replayed.summary.customers == 0
    assert replayed.summary.after_until == len(few_events())


def test_nothing_depends_on_how_the_input_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = traffic()[:200_000]
    path = write(tmp_path / "e.jsonl", data[: data.rindex(b"\n")] + b"\nbad\n" + json_lines([click("last", 0)]))
    whole = run([path])
    for block_bytes in (100, 5_000):
        monkeypatch.setattr("stream.replay.lines.BLOCK_BYTES", block_bytes)
        cut = run([path])
        assert cut.by_customer() == whole.by_customer()
        assert cut.rejected == whole.rejected
        assert cut.summary == whole.summary
