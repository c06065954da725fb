"""The rows of customers: removed and given to others, more and more of them, and their timers."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any

import numpy as np
import pytest

from stream.engine import opcodes as op
from stream.engine import partition as partition_module
from stream.engine.kernel import FIRST_BLOCK, place_of
from stream.engine.partition import Clock, Partition
from tests import strategies
from tests.effort import seeds
from tests.engine.agreement import about, assert_same, tolerance_ms
from tests.engine.driver import WAYS, Driver, Way, by_customer, plan_of
from tests.engine.making import DAY, HOUR, MINUTE, brief, click, file
from tests.reference import Reference

Dict = dict[str, Any]

#: More than fit into four blocks.
MANY = FIRST_BLOCK * 15 + 10


# --- Removing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(4))
def test_removed_customers_come_back_as_new_ones(part: int) -> None:
    """Customers are removed in the midst of random streams; their rows go to whoever comes next.

    Nothing is read again here: a source would bring them back, and to see to that is not the engine's part.
    """
    ways = [way for way in WAYS if not way.crashes]
    removed = 0
    for seed in seeds(part, 60):
        random = Random(seed)
        definitions, events, until_ms = strategies.random_case(random)
        clock = random.choice(list(Clock))
        way = dataclasses.replace(random.choice(ways), seed=seed, partitions=1)
        reference = Reference(definitions, clock="event" if clock is Clock.EVENTS else "replay")
        driver = Driver(definitions, way, clock=clock)
        expected: list[Dict] = []
        place = 0
        with about(way=str(way), clock=clock.name, definitions=definitions, events=events, seed=str(seed)):
            while place < len(events):
                some = events[place : place + random.randint(1, 8)]
                place += len(some)
                for event in some:
                    expected += reference.apply(event)
                driver.apply(some)
                customer = random.choice(strategies.CUSTOMERS)
                is_known = customer in reference.customers
                if random.random() < 0.6:
                    assert driver.remove(customer) == is_known
                    reference.customers.pop(customer, None)
                    expected = [change for change in expected if change["customer_id"] != customer]
                    removed += is_known
                members = {name: len(reference.members(name)) for name in definitions["segments"]}
                assert driver.members() == members
            end_ms = max(reference.newest, until_ms or 0)
            expected += reference.advance(end_ms)
            driver.advance(end_ms)
            expected.sort(key=lambda change: (change["customer_id"], change["sequence"]))
            assert_same(by_customer(driver.changes), expected, tolerance_ms=tolerance_ms(definitions))
    assert removed > 60


def test_a_row_is_used_again_and_remembers_nothing() -> None:
    definitions = file(
        many="count(click, 1d) >= 2",
        price="sum(click.price) > 50",
        text='last(click.category) == "shoes" or trait("plan") == "pro"',
        later="since(last(click)) >= 1h",
    )
    lane = Driver(definitions).lanes[0]
    profiles = lane.partition.profiles

    def apply(*events: Dict) -> list[Any]:
        return [(r["customer_id"], r["segment"]) for r in lane.partition.apply(lane.columns(events)).changes.records]

    assert apply(click("e1", 0, "a", price=99, category="shoes", traits={"plan": "pro"}), click("e2", 0, "b")) != []
    row = profiles.find("a")
    assert row is not None
    assert lane.partition.remove("a")
    assert not lane.partition.remove("a")
    assert "a" not in profiles
    assert list(profiles) == ["b"]
    assert lane.partition.members() == {"many": 0, "price": 0, "text": 0, "later": 0}
    # The timer went with the row.
    assert [record["customer_id"] for record in lane.partition.advance(2 * HOUR).records] == ["b"]
    assert apply(click("e1", 3 * HOUR, "c")) == []  # the same event id, and nothing of what `a` did
    assert profiles.find("c") == row
    assert profiles.customer(row) == "c"
    assert brief(list(lane.partition.advance(DAY).records)) == [("later", "entered", 4 * HOUR)]


def test_a_removed_customer_is_in_no_snapshot() -> None:
    lane = Driver(file(s="count(click) >= 1")).lanes[0]
    lane.partition.apply(lane.columns([click("e1", 0, "a"), click("e1", 0, "b")]))
    lane.partition.remove("a")
    assert [customer for customer, _ in lane.partition.snapshot().rows] == ["b"]
    with pytest.raises(KeyError, match="a"):
        lane.partition.snapshot(["a", "b"])


# --- Growing ------------------------------------------------------------------------------------------------------


def test_places_of_rows() -> None:
    """Blocks double, and every row has a place of its own."""
    seen = 0
    for block in range(6):
        for place in (0, 1, (FIRST_BLOCK << block) - 1):
            assert place_of(seen + place) == (block, place)
        seen += FIRST_BLOCK << block


@pytest.mark.parametrize("batch", [500, 5_000, MANY])
def test_old_rows_survive_growing(batch: int) -> None:
    """Customers beyond four blocks, each with something of their own, which is there when they come again."""
    definitions = file(
        twice={
            "enter": "count(click) == 2 and sum(click.price, 30d) >= 0 and exists(first(click.category))",
            "exit": "since(last(click)) >= 1d",
        },
    )
    driver = Driver(definitions, Way(batch))
    profiles = driver.lanes[0].partition.profiles
    first = [click("e1", n, f"customer {n}", price=n, category=f"c{n}", traits={"n": n}) for n in range(MANY)]
    assert driver.apply(first[:900]) == []
    early = profiles.row(0)
    assert driver.apply(first[900:]) == []
    assert len(profiles) == MANY
    assert sum(len(block) for block in profiles.blocks) == FIRST_BLOCK * 31  # five blocks
    assert early.base is profiles.row(0).base  # what was there has not been moved
    assert list(profiles) == [f"customer {n}" for n in range(MANY)]

    order = list(range(MANY))
    Random(1).shuffle(order)
    driver.apply(click("e2", MANY + n, f"customer {n}", price=0.5) for n in order)
    assert driver.members() == {"twice": MANY}
    assert [change["customer_id"] for change in driver.changes] == [f"customer {n}" for n in order]
    for change in driver.changes:
        n = int(change["customer_id"].split()[1])
        assert change["values"] == {
            "count(click)": 2,
            "sum(click.price, 30d)": n + 0.5,
            "first(click.category)": f"c{n}",
            "last(click)": change["at"],
        }
    gone = driver.advance(MANY + DAY + MANY // 2)
    assert {change["customer_id"] for change in gone} == {f"customer {n}" for n in range(MANY // 2 + 1)}
    assert driver.members() == {"twice": MANY - len(gone)}


# --- Timers -------------------------------------------------------------------------------------------------------


def test_the_scan_finds_the_timers_that_are_due() -> None:
    definitions = file(s="since(last(click)) >= 1h", t="count(click) >= 99")
    partition = Partition(plan_of(definitions))
    lane = Driver(definitions).lanes[0]
    count = FIRST_BLOCK + 5
    columns = lane.columns([click("e1", n * MINUTE, f"customer {n}") for n in range(count)])
    partition.apply(columns)
    profiles = partition.profiles
    rows = np.array([profiles.find(f"customer {n}") for n in range(count)])
    assert (profiles.due[rows] == np.arange(count) * MINUTE + HOUR).all()
    assert (profiles.due[count:] == op.FOREVER).all()  # rows that nobody has yet
    partition.remove("customer 3")
    for to in (-1, 0, HOUR - 1, HOUR, HOUR + 10 * MINUTE, HOUR + count * MINUTE):
        due = {profiles.customer(row) for row in profiles.due_by(to).tolist()}
        assert due == {f"customer {n}" for n in range(count) if n * MINUTE + HOUR <= to and n != 3}
    fired = partition.advance(HOUR + 10 * MINUTE)
    assert [record["customer_id"] for record in fired.records] == [f"customer {n}" for n in range(11) if n != 3]
    assert len(profiles.due_by(HOUR + 10 * MINUTE)) == 0  # what has fired is not due any more
    assert len(partition.advance(HOUR + 10 * MINUTE)) == 0


def test_timers_fire_in_groups_as_these_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_module, "_ROWS_AT_ONCE", 4)
    definitions = file(s="since(last(click)) >= 1h")
    partition = Partition(plan_of(definitions))
    lane = Driver(definitions).lanes[0]
    partition.apply(lane.columns([click(f"e{n}", n, f"customer {n}") for n in range(10)]))
    groups = partition.advance_in_groups(DAY)
    assert partition.stream_ms == DAY
    assert [change["customer_id"] for change in next(groups).records] == [f"customer {n}" for n in range(4)]
    assert len(partition.profiles.due_by(DAY)) == 6  # what was not asked for stays due
    assert [len(group) for group in groups] == [4, 2]
    assert len(partition.profiles.due_by(DAY)) == 0


def test_members_of_every_segment() -> None:
    driver = Driver(
        file(some="count(click) >= 2", all="count(click) >= 1", nobody="count(click) >= 9"), Way(7, partitions=3)
    )
    driver.apply(click(f"e{n}", n, f"customer {n % 40}") for n in range(60))
    assert driver.members() == {"some": 20, "all": 40, "nobody": 0}
    assert Driver(file(s="false")).members() == {"s": 0}
