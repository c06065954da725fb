"""Real events: an hour of a clickstream and 18 months of orders, under the ready definitions and random ones.

The reference takes half a minute for all of it, so it looks at a sample of the customers, always the same. In a
campaign it looks at all of them.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from stream.contract import hash64
from tests.effort import STRESS
from tests.engine.agreement import about, assert_same, tolerance_ms
from tests.engine.driver import Driver, Way, by_customer
from tests.reference import replay as reference_replay
from tests.shared_data import PROJECT, shared_events
from tests.strategies import Definer, Seeded

Dict = dict[str, Any]
DAY = 86_400_000
FILES = {"rees46.jsonl.gz": 17_434, "cdnow_sample.jsonl.gz": 6_919}
READY = (PROJECT / "stream" / "segments.yaml").read_text(encoding="utf-8")


def sampled(customer: str, one_in: int) -> bool:
    return hash64(f"sample/{customer}") % one_in == 0


def assert_agrees(definitions: Dict | str, events: list[Dict], after: int, one_in: int, way: Way) -> int:
    """The engine gets all events, the reference those of a sample of the customers; how many changes it expects."""
    until_ms = max(event["timestamp"] for event in events) + after
    driver = Driver(definitions, way)
    driver.apply(events)
    assert set().union(*(lane.statuses for lane in driver.lanes)) == {0}  # all are applied, and none is late
    driver.advance(until_ms)
    customers = {event["customer_id"] for event in events if sampled(event["customer_id"], one_in)}
    got = [change for change in by_customer(driver.changes) if change["customer_id"] in customers]
    expected = reference_replay(definitions, [e for e in events if e["customer_id"] in customers], until_ms)
    with about(way=str(way), definitions=definitions):
        assert_same(got, expected, tolerance_ms=tolerance_ms(definitions))
    return len(expected)


@pytest.mark.parametrize("name", FILES)
def test_the_ready_definitions(name: str) -> None:
    """No event is rejected, and to the end of the file and beyond the changes are the reference's."""
    events = shared_events(name)
    assert len(events) == FILES[name]
    changes = assert_agrees(READY, events, 400 * DAY, 1, Way(5_000))
    assert changes > 500


@pytest.mark.parametrize("seed", range(6 if not STRESS else 60))
@pytest.mark.parametrize("name", FILES)
def test_random_definitions(name: str, seed: int) -> None:
    random = Random(seed)
    definitions = Definer(Seeded(random)).file()
    way = random.choice([Way(1_000, partitions=8), Way(977, restore="always"), Way(977, crashes=True, seed=seed)])
    assert_agrees(definitions, shared_events(name), random.choice([0, 30 * DAY]), 2 if STRESS else 60, way)


def test_the_sample_is_neither_empty_nor_everybody() -> None:
    customers = {event["customer_id"] for event in shared_events("rees46.jsonl.gz")}
    assert 0.05 < sum(sampled(customer, 10) for customer in customers) / len(customers) < 0.2
