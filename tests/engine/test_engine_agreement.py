"""The engine and the slow reference say the same, change for change, however the events are handed to the engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.partition import Clock
from tests import strategies
from tests.effort import examples, seeds
from tests.engine.agreement import about, assert_same, tolerance_ms
from tests.engine.driver import WAYS, Driver, Way, by_customer, partition_of, replay
from tests.engine.making import DAY, HOUR
from tests.reference import Reference, instant
from tests.reference import replay as reference_replay
from tests.shared_data import shared_events

Dict = dict[str, Any]
Case = tuple[Dict, list[Dict], int | None]
LATENESS = [0, None, 1_000, HOUR, 3 * DAY]  # None: what the file says


def assert_agrees(case: Case, ways: Sequence[Way], seed: int = 0) -> int:
    """Replays a case in all ways; how many changes came out."""
    definitions, events, until_ms = case
    expected = reference_replay(definitions, events, until_ms)
    for way in ways:
        with about(way=str(way), seed=str(seed), definitions=definitions, events=events, until=until_ms):
            got = replay(definitions, events, until_ms, dataclasses.replace(way, seed=seed))
            assert_same(got, expected, tolerance_ms=tolerance_ms(definitions))
    return len(expected)


# --- A replay -----------------------------------------------------------------------------------------------------


@examples(60)
@given(strategies.cases(), st.integers(0, 999))
def test_a_replay_in_any_way_is_the_references(case: Case, seed: int) -> None:
    assert_agrees(case, WAYS, seed)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_seeded_replays(way: Way) -> None:
    """Many more cases, each in one way: breadth."""
    place = WAYS.index(way)
    changes = sum(assert_agrees(strategies.random_case(Random(seed)), [way], seed) for seed in seeds(place, 120))
    assert changes > 120


@pytest.mark.parametrize("batch", [1, 7, 1_000])
def test_the_shared_cases(batch: int) -> None:
    cases = shared_events("cases.jsonl")
    assert len(cases) == 60
    for case in cases:
        definitions = case["definitions"]
        with about(definitions=definitions):
            got = replay(definitions, case["events"], case["until"], Way(batch))
            assert_same(got, case["changes"], tolerance_ms=tolerance_ms(definitions))


@pytest.mark.parametrize("seed", range(20))
def test_sorted_events_need_no_replay(seed: int) -> None:
    """For sorted events it is of no matter when timers fire: a stream clock that follows gives what a replay does."""
    definitions, events, until_ms = strategies.random_case(Random(seed))
    events = sorted(events, key=lambda event: instant(event["timestamp"]))
    events = [event for event in events if until_ms is None or instant(event["timestamp"]) <= until_ms]
    driver = Driver(definitions, Way(0, seed=seed), clock=Clock.EVENTS, lateness_ms=0)
    driver.apply(events)
    driver.advance(until_ms)
    expected = reference_replay(definitions, events, until_ms)
    assert_same(by_customer(driver.changes), expected, tolerance_ms=tolerance_ms(definitions))


# --- A stream clock that the events move ---------------------------------------------------------------------------


def reference_by_event(case: Case, partitions: int, lateness_ms: int | None) -> list[Dict]:
    """What the reference says, partition by partition, each with its own stream clock."""
    definitions, events, until_ms = case
    changes: list[Dict] = []
    for partition in range(partitions):
        reference = Reference(definitions, clock="event", lateness_ms=lateness_ms)
        for event in events:
            if partition_of(event["customer_id"], partitions) == partition:
                changes += reference.apply(event)
        changes += reference.advance(until_ms)
    return sorted(changes, key=lambda change: (change["customer_id"], change["sequence"]))


def assert_agrees_by_event(case: Case, ways: Sequence[Way], seed: int, lateness_ms: int | None) -> None:
    definitions, events, until_ms = case
    if until_ms is not None:
        events = [event for event in events if instant(event["timestamp"]) <= until_ms]
    for way in ways:
        with about(way=str(way), lateness=lateness_ms, definitions=definitions, events=events, until=until_ms):
            expected = reference_by_event((definitions, events, until_ms), way.partitions, lateness_ms)
            seeded = dataclasses.replace(way, seed=seed)
            driver = Driver(definitions, seeded, clock=Clock.EVENTS, lateness_ms=lateness_ms)
            driver.apply(events)
            if until_ms is not None:
                driver.advance(until_ms)
            assert_same(by_customer(driver.changes), expected, tolerance_ms=tolerance_ms(definitions))


@examples(40)
@given(strategies.cases(most=16), st.sampled_from(LATENESS), st.integers(0, 999))
def test_the_event_clock_in_any_way_is_the_references(case: Case, lateness_ms: int | None, seed: int) -> None:
    assert_agrees_by_event(case, WAYS, seed, lateness_ms)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_seeded_event_clocks(way: Way) -> None:
    for seed in seeds(WAYS.index(way), 50):
        random = Random(seed)
        assert_agrees_by_event(strategies.random_case(random), [way], seed, random.choice(LATENESS))


# --- Members ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(2))
def test_members_are_counted(part: int) -> None:
    for seed in seeds(part, 50):
        definitions, events, until_ms = strategies.random_case(Random(seed))
        reference, driver = Reference(definitions), Driver(definitions, Way(0, partitions=3, seed=seed))
        middle = len(events) // 2
        for some in (events[:middle], events[middle:]):
            for event in some:
                reference.apply(event)
            driver.apply(some)
            assert driver.members() == {name: len(reference.members(name)) for name in definitions["segments"]}
        reference.advance(until_ms)
        driver.advance(until_ms)
        assert driver.members() == {name: len(reference.members(name)) for name in definitions["segments"]}
