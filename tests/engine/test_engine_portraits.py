"""A customer's portrait says what the slow reference says of the same events at the same instant."""

from __future__ import annotations

import copy
import dataclasses
import json
from random import Random
from typing import Any

import pytest

from stream.contract import KINDS, Kind
from stream.engine.partition import Clock
from stream.engine.portrait import Portrait
from tests import strategies
from tests.effort import seeds
from tests.engine.agreement import about, same_value, tolerance_ms
from tests.engine.driver import Driver, Lane, Way, partition_of
from tests.engine.making import DAY, HOUR, click, file
from tests.reference import Customer, Reference, View, instant

Dict = dict[str, Any]
START = 20_000 * DAY
LATENESS = [0, None, 1_000, HOUR, 3 * DAY]
WAYS = [Way(0), Way(0, partitions=3, restore="always"), Way(0, partitions=3, crashes=True)]


def assert_same_value(mine: Any, theirs: Any, tolerance_ms: int) -> None:
    """What moves at every instant may be asked at one that is 1 ms away."""
    if tolerance_ms and isinstance(mine, float) and isinstance(theirs, float):
        assert mine == pytest.approx(theirs, rel=1e-6)
    else:
        assert same_value(mine, theirs), (mine, theirs)


def assert_same(portrait: Portrait, reference: Reference, customer: Customer, tolerance_ms: int) -> None:
    at_ms = max(customer.clock, reference.stream_clock)
    assert abs(portrait.clock_ms - customer.clock) <= tolerance_ms
    assert abs(portrait.at_ms - at_ms) <= tolerance_ms
    assert portrait.sequence == customer.sequence
    segments = reference.definitions.segments
    standings = {segment.name: customer.standings[segment.name].entered for segment in segments}
    members = {name: since for name, since in standings.items() if since is not None}
    assert portrait.memberships.keys() == members.keys()
    for segment in segments:
        if segment.name in members:
            found = portrait.memberships[segment.name]
            assert abs(found.since_ms - members[segment.name]) <= tolerance_ms
            assert found.holdout == segment.held_out(customer.id)
    view = View(customer, portrait.at_ms, reference.definitions)
    values = {text: value for segment in segments for text, value in view.evidence(segment).items()}
    assert portrait.features.keys() == values.keys()
    for text, value in values.items():
        with about(value=text):
            assert_same_value(portrait.features[text], value, tolerance_ms)


def seen(lane: Lane, customer: str) -> dict[Kind, int | None]:
    """The last offset of each topic at which there was something of the customer."""
    found: dict[Kind, int | None] = dict.fromkeys(Kind)
    for message, offset in zip(lane.messages[: lane.position], lane.offsets, strict=False):
        event = json.loads(message)
        if event["customer_id"] == customer:
            found[KINDS[event["type"]]] = offset
    return found


def assert_nothing_before(portraits: dict[str, Portrait], reference: Reference, tolerance_ms: int) -> None:
    """Time alone changes nothing before a customer's next timer."""
    later = copy.deepcopy(reference)
    for change in later.advance(max(portrait.at_ms for portrait in portraits.values()) + 40 * DAY):
        due_ms = portraits[change["customer_id"]].next_timer_ms
        assert due_ms is not None, change
        assert instant(change["at"]) >= due_ms - tolerance_ms, change


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("clock", [Clock.EVENTS, Clock.HELD], ids=lambda clock: clock.value)
def test_portraits_are_the_references(way: Way, clock: Clock) -> None:
    portrayed = members = 0
    for seed in seeds(WAYS.index(way), 30):
        random = Random(seed)
        case, events, _ = strategies.random_case(random)
        lateness_ms = random.choice(LATENESS)
        by = "event" if clock is Clock.EVENTS else "replay"
        references = [Reference(case, clock=by, lateness_ms=lateness_ms) for _ in range(way.partitions)]
        driver = Driver(case, dataclasses.replace(way, seed=seed), clock=clock, lateness_ms=lateness_ms)
        tolerance = tolerance_ms(case)
        for start in range(0, len(events), 10):
            some = events[start : start + 10]
            for event in some:
                references[partition_of(event["customer_id"], way.partitions)].apply(event)
            driver.apply(some)
            to_ms = max(reference.newest for reference in references)
            if clock is Clock.HELD and random.random() < 0.5:
                driver.advance(to_ms)
                for reference in references:
                    reference.advance(to_ms)
            for reference, lane in zip(references, driver.lanes, strict=True):
                with about(seed=str(seed), definitions=case, events=events[: start + 10]):
                    found = assert_portraits(reference, lane, tolerance)
                portrayed += len(found)
                members += sum(len(portrait.memberships) for portrait in found.values())
    assert portrayed > 100
    assert members > 20


def assert_portraits(reference: Reference, lane: Lane, tolerance: int) -> dict[str, Portrait]:
    partition = lane.partition
    before = partition.snapshot()
    portraits = {}
    for customer in reference.customers.values():
        portrait = partition.portrait(customer.id)
        assert portrait is not None
        assert portrait.customer == customer.id
        with about(customer=customer.id, portrait=str(portrait)):
            assert_same(portrait, reference, customer, tolerance)
            assert portrait.offsets == seen(lane, customer.id)
        portraits[customer.id] = portrait
    assert partition.snapshot() == before, "looking changes nothing"
    if portraits:
        assert_nothing_before(portraits, reference, tolerance)
    return portraits


def test_windows_are_at_the_later_of_both_clocks() -> None:
    driver = Driver(file(busy="count(click, 1d) >= 1"), clock=Clock.EVENTS, lateness_ms=HOUR)
    driver.apply([click("e1", START, "ada"), click("e2", START + 2 * HOUR, "bob")])
    (lane,) = driver.lanes
    ada, bob = lane.partition.portrait("ada"), lane.partition.portrait("bob")
    assert ada is not None
    assert bob is not None
    assert (ada.clock_ms, ada.at_ms) == (START, START + HOUR)  # the stream clock
    assert (bob.clock_ms, bob.at_ms) == (START + 2 * HOUR, START + 2 * HOUR)  # her own
    assert ada.features == {"count(click, 1d)": 1}
    driver.advance(START + 2 * DAY)
    ada = lane.partition.portrait("ada")
    assert ada is not None
    assert (ada.at_ms, ada.features, ada.memberships, ada.next_timer_ms) == (
        START + 2 * DAY,
        {"count(click, 1d)": 0},
        {},
        None,
    )


def test_who_is_not_known_has_no_portrait() -> None:
    driver = Driver(file(busy="count(click) >= 1"))
    driver.apply([click("e1", START, "ada")])
    (lane,) = driver.lanes
    assert lane.partition.portrait("bob") is None
    assert "bob" not in lane.partition.profiles
    driver.remove("ada")
    assert lane.partition.portrait("ada") is None
