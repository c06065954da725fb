"""However little room the kernel has for what it writes, the same comes out."""

from __future__ import annotations

import dataclasses
from random import Random

import pytest

from stream.engine import partition
from stream.engine.partition import Clock
from tests import strategies
from tests.effort import seeds
from tests.engine.agreement import about, assert_same, tolerance_ms
from tests.engine.driver import WAYS, Driver, Way, by_customer, replay
from tests.engine.making import DAY, MINUTE, click, file
from tests.engine.test_engine_redefinition import assert_agrees, random_history
from tests.reference import replay as reference_replay


@pytest.fixture(params=[(0, 0), (1, 1), (3, 0), (0, 5)], ids=str)
def little_room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for so many changes and pieces of evidence beyond those of one evaluation."""
    changes, evidence = request.param
    monkeypatch.setattr(partition, "_OUTPUT_CHANGES", changes)
    monkeypatch.setattr(partition, "_OUTPUT_EVIDENCE", evidence)


def test_replays_with_little_room(little_room: None) -> None:
    for seed in seeds(0, 100):
        random = Random(seed)
        definitions, events, until_ms = strategies.random_case(random)
        way = dataclasses.replace(random.choice(WAYS), seed=seed)
        with about(way=str(way), definitions=definitions, events=events, until=until_ms):
            expected = reference_replay(definitions, events, until_ms)
            got = replay(definitions, events, until_ms, way)
            assert_same(got, expected, tolerance_ms=tolerance_ms(definitions))


def test_changed_definitions_with_little_room(little_room: None) -> None:
    for seed in seeds(1, 50):
        random = Random(seed)
        steps, clock = random_history(random), random.choice(list(Clock))
        assert_agrees(steps, Way(random.choice([1, 7, 1_000]), seed=seed), clock)


def test_many_changes_at_once(little_room: None) -> None:
    """500 customers enter with one batch, leave by timers at one instant, and enter again under other definitions."""
    enter = 'count(click, 1d) >= 1 and trait("n") >= 0'
    events = [click("e1", 0, f"customer {n}", traits={"n": n}) for n in range(500)]
    driver = Driver(file(s=enter, t="since(last(click)) < 1m"))
    driver.apply(events)
    driver.advance(2 * DAY)
    driver.redefine(file(s=enter, t="since(last(click)) >= 1m"))
    changes = by_customer(driver.changes)
    assert len(changes) == 5 * 500
    for at in range(0, len(changes), 5):
        mine = changes[at : at + 5]
        assert [change["sequence"] for change in mine] == [1, 2, 3, 4, 5]
        assert [(c["segment"], c["change"], c["cause"]) for c in mine] == [
            ("s", "entered", "event"),
            ("t", "entered", "event"),
            ("t", "exited", "timer"),
            ("s", "exited", "timer"),
            ("t", "entered", "definitions"),
        ]
        assert mine[0]["values"]['trait("n")'] == int(mine[0]["customer_id"].split()[1])
        assert mine[2]["at"] == f"1970-01-01T00:0{MINUTE // 60_000}:00.000Z"
