"""What a draft would make of the present customers is what a restart with it makes of them."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contract import hash64
from stream.engine import opcodes as op
from stream.engine.partition import Clock, Partition
from stream.engine.plan import Plan
from stream.engine.preview import SAMPLE, Preview, Size, without_history
from tests import strategies
from tests.effort import examples, seeds
from tests.engine.agreement import about
from tests.engine.driver import Driver, Way, plan_of
from tests.engine.making import DAY, HOUR, click, file, purchase
from tests.engine.redefinitions import random_redefinition, redefinitions, suited

Dict = dict[str, Any]
START = 20_000 * DAY


def driven(definitions: Dict, events: list[Dict], seed: int = 0) -> Partition:
    driver = Driver(definitions, Way(0, seed=seed), clock=Clock.EVENTS, lateness_ms=0)
    driver.apply(events)
    return driver.lanes[0].partition


def looked(partition: Partition, plan: Plan, random: Random) -> Preview:
    preview = Preview(plan, partition.plan, [segment.name for segment in plan.definitions.segments])
    while preview.look(partition, random.choice([1, 2, 5, 1_000])):
        pass
    return preview


def restarted(partition: Partition, plan: Plan) -> tuple[dict[str, Size], Partition]:
    """The same from a real restart."""
    fresh = Partition(plan, partition.clock, partition.lateness_ms)
    fresh.restore(partition.snapshot())
    fresh.redefine()
    before = partition.members()
    found = {}
    for number, (segment, entry) in enumerate(zip(plan.definitions.segments, plan.segments, strict=True)):
        customers = list(fresh.profiles)
        portraits = {customer: fresh.portrait(customer) for customer in customers}
        members = [c for c, portrait in portraits.items() if portrait and segment.name in portrait.memberships]
        states = fresh.profiles.column(int(entry[op.S_STATE]), fresh.profiles.rows(customers))
        found[segment.name] = Size(
            segment.name,
            members=len(members),
            held_out=sum(hash64(f"{segment.name}/{customer}") / 2**64 < segment.holdout for customer in members),
            eligible=int(np.count_nonzero((states >= 0) & (states & 1 == 0))),
            before=before.get(segment.name),
            sample=sorted((hash64(f"{segment.name}/{customer}"), customer) for customer in members)[:SAMPLE],
        )
        assert plan.definitions.segments[number] == segment
    return found, fresh


def assert_as_a_restart(definitions: Dict, events: list[Dict], new: Dict, seed: int) -> int:
    """How many members there would be."""
    with about(seed=str(seed), definitions=definitions, events=events, new=new):
        partition = driven(definitions, events, seed)
        plan = plan_of(new)
        before = partition.snapshot()
        preview = looked(partition, plan, Random(seed))
        assert partition.snapshot() == before, "looking changes nothing"
        expected, _ = restarted(partition, plan)
        assert preview.sizes == expected
        assert preview.customers == len(partition.profiles)
        names = list(preview.sizes)
        unknown = without_history(plan, partition.plan, names)
        fresh = Partition(plan)
        assert [name for name in names if unknown[name]] == [
            name for name in fresh.segments_without_history(partition.snapshot()) if len(partition.profiles)
        ] or not len(partition.profiles)
        for name, texts in unknown.items():
            size = preview.sizes[name]
            assert not texts or size.members <= (size.before or 0), "nobody enters without history"
    return sum(size.members for size in preview.sizes.values())


@examples(60)
@given(strategies.cases(), st.integers(0, 999), st.data())
def test_a_preview_is_what_a_restart_makes(
    case: tuple[Dict, list[Dict], int | None], seed: int, data: st.DataObject
) -> None:
    definitions, events, _ = case
    assert_as_a_restart(definitions, events, data.draw(redefinitions(definitions)), seed)


@pytest.mark.parametrize("part", range(4))
def test_seeded_previews(part: int) -> None:
    members = 0
    for seed in seeds(part, 60):
        random = Random(seed)
        definitions, events, _ = strategies.random_case(random)
        new = random_redefinition(random, json.loads(json.dumps(definitions)))
        members += assert_as_a_restart(definitions, suited(events, definitions), new, seed)
    assert members > 30


def test_the_customers_of_many_slices() -> None:
    events = [click(f"e{number}", START + number, f"c{number % 3_000}") for number in range(4_000)]
    partition = driven(file(once="count(click) >= 1"), events)
    plan = plan_of(file(once="count(click) >= 1", twice={"enter": "count(click) >= 2", "holdout": 0.5}))
    preview = Preview(plan, partition.plan, ["twice"])
    slices = 1
    while preview.look(partition, 700):
        slices += 1
    assert slices == 5
    size = preview.sizes["twice"]
    assert (preview.customers, size.members, size.before, size.eligible) == (3_000, 1_000, None, 0)
    assert 400 < size.held_out < 600
    assert len(size.sample) == SAMPLE
    assert {customer for _, customer in size.sample} <= {f"c{number}" for number in range(1_000)}


def test_customers_that_come_and_go_meanwhile() -> None:
    definitions = file(busy="count(click) >= 1")
    driver = Driver(definitions, clock=Clock.EVENTS, lateness_ms=0)
    driver.apply([click(f"e{number}", START + number, f"c{number}") for number in range(10)])
    partition = driver.lanes[0].partition
    preview = Preview(plan_of(definitions), partition.plan, ["busy"])
    assert preview.look(partition, 5)
    for customer in ("c1", "c7"):
        assert partition.remove(customer)
    driver.apply([click("new", START + HOUR, "new")])
    while preview.look(partition, 5):
        pass
    assert 9 <= preview.sizes["busy"].members <= 10
    assert preview.customers == preview.sizes["busy"].members


def test_nobody() -> None:
    partition = driven(file(busy="count(click) >= 1"), [])
    preview = Preview(plan_of(file(busy="count(click) >= 1", new="count(click) >= 2")), partition.plan, ["busy", "new"])
    assert not preview.look(partition, 10)
    assert [(size.members, size.before) for size in preview.sizes.values()] == [(0, 0), (0, None)]


def test_who_waits_is_told_apart() -> None:
    partition = driven(file(busy="count(click) >= 1"), [click("e1", START)])
    plan = plan_of(file(busy="count(click) >= 1", slow={"enter": "count(click) >= 1", "for": "1h"}))
    preview = Preview(plan, partition.plan, ["slow"])
    preview.look(partition, 10)
    assert (preview.sizes["slow"].members, preview.sizes["slow"].eligible) == (0, 1)


def test_what_has_no_history_is_named() -> None:
    partition = driven(file(busy="count(click) >= 1"), [click("e1", START), purchase("e2", START)])
    plan = plan_of(file(known="count(click) >= 1", unknown="never(purchase) and count(click) >= 1"))
    preview = Preview(plan, partition.plan, ["known", "unknown"])
    preview.look(partition, 10)
    assert [size.members for size in preview.sizes.values()] == [1, 0]
    assert without_history(plan, partition.plan, ["known", "unknown"]) == {"known": [], "unknown": ["count(purchase)"]}


def test_sizes_of_partitions_add_up() -> None:
    one = Size("x", 2, 1, 3, 4, [(5, "a"), (9, "b")])
    one.add(Size("x", 10, 5, 7, 1, [(6, "c")]))
    assert one == Size("x", 12, 6, 10, 5, [(5, "a"), (6, "c"), (9, "b")])
    new = Size("y", 1)
    new.add(Size("y", 2))
    assert (new.members, new.before) == (3, None)
