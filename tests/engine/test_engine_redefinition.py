"""Going on under other definitions: the engine restored from a snapshot and the slow reference say the same."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.partition import Clock, Partition
from tests import strategies
from tests.effort import examples, seeds
from tests.engine.agreement import about, assert_same, tolerance_ms
from tests.engine.driver import WAYS, Driver, Way, by_customer, plan_of, through_bytes
from tests.engine.making import DAY, HOUR, brief, click, file
from tests.engine.redefinitions import random_redefinition, redefinitions, suited
from tests.reference import Aggregate, Definitions, Reference, Trait, instant

Dict = dict[str, Any]


class Step(NamedTuple):
    """A definitions file, and the events that come under it. Then, perhaps, time alone passes."""

    definitions: Dict
    events: list[Dict]
    advance_ms: int | None = None
    allow_empty: bool = False
    quiet: bool = False


def assert_agrees(steps: list[Step], way: Way, clock: Clock = Clock.HELD, lateness_ms: int | None = None) -> list[Dict]:
    """Takes the engine and the reference through all steps; returns the changes."""
    files = [step.definitions for step in steps]
    reference_clock = "event" if clock is Clock.EVENTS else "replay"
    with about(way=str(way), clock=clock.name, steps=[step._asdict() for step in steps]):
        reference = Reference(files[0], clock=reference_clock, lateness_ms=lateness_ms)
        driver = Driver(files[0], way, clock=clock, lateness_ms=lateness_ms)
        expected: list[Dict] = []
        for number, step in enumerate(steps):
            if number:
                flags = {"allow_empty": step.allow_empty, "quiet": step.quiet}
                expected += reference.redefine(step.definitions, **flags)
                driver.redefine(step.definitions, **flags)
            for event in step.events:
                expected += reference.apply(event)
            driver.apply(step.events)
            if step.advance_ms is not None:
                expected += reference.advance(step.advance_ms)
                driver.advance(step.advance_ms)
            members = {name: len(reference.members(name)) for name in step.definitions["segments"]}
            assert driver.members() == members
        expected.sort(key=lambda change: (change["customer_id"], change["sequence"]))
        assert_same(by_customer(driver.changes), expected, tolerance_ms=tolerance_ms(*files))
    return expected


# --- Random changes -----------------------------------------------------------------------------------------------


@st.composite
def histories(draw: Any) -> list[Step]:
    """One to three changes of a definitions file in the midst of a stream."""
    first, events, until_ms = draw(strategies.cases(most=16))
    files = [first]
    for _ in range(draw(st.integers(1, 3))):
        files.append(draw(redefinitions(draw(st.sampled_from(files)))) if draw(st.integers(0, 4)) else first)
    steps = []
    for definitions in files:
        count = len(events) if definitions is files[-1] else draw(st.integers(0, len(events)))
        advance_ms = draw(st.sampled_from([None, until_ms]))
        steps.append(
            Step(definitions, suited(events[:count], definitions), advance_ms, draw(st.booleans()), draw(st.booleans()))
        )
        events = events[count:]
    steps[-1] = steps[-1]._replace(advance_ms=_end(steps, until_ms))
    return steps


def random_history(random: Random) -> list[Step]:
    """As ``histories``, from a seeded generator."""
    first, events, until_ms = strategies.random_case(random)
    files = [first]
    for _ in range(random.randint(1, 3)):
        files.append(random_redefinition(random, random.choice(files)) if random.random() < 0.8 else first)
    steps = []
    for number, definitions in enumerate(files):
        count = len(events) if number == len(files) - 1 else random.randint(0, len(events))
        advance_ms = random.choice([None, None, until_ms])
        steps.append(
            Step(
                definitions,
                suited(events[:count], definitions),
                advance_ms,
                random.random() < 0.3,
                random.random() < 0.5,
            )
        )
        events = events[count:]
    steps[-1] = steps[-1]._replace(advance_ms=_end(steps, until_ms))
    return steps


def _end(steps: list[Step], until_ms: int | None) -> int:
    """The end of a replay of all steps' events."""
    latest = max((instant(event["timestamp"]) for step in steps for event in step.events), default=0)
    return latest if until_ms is None else until_ms


@examples(80)
@given(histories(), st.sampled_from(WAYS), st.sampled_from(Clock), st.integers(0, 999))
def test_changed_definitions_give_what_the_reference_says(steps: list[Step], way: Way, clock: Clock, seed: int) -> None:
    partitions = 1 if clock is Clock.EVENTS else way.partitions
    assert_agrees(steps, dataclasses.replace(way, seed=seed, partitions=partitions), clock)


@pytest.mark.parametrize("part", range(6))
def test_seeded_changes_of_definitions(part: int) -> None:
    causes = set()
    for seed in seeds(part, 80):
        random = Random(seed)
        steps = random_history(random)
        clock = random.choice(list(Clock))
        way = dataclasses.replace(random.choice(WAYS), seed=seed)
        if clock is Clock.EVENTS:
            way = dataclasses.replace(way, partitions=1)
        changes = assert_agrees(steps, way, clock, random.choice([0, None, 1_000, HOUR, 3 * DAY]))
        causes |= {change["cause"] for change in changes}
    assert causes == {"event", "timer", "definitions"}


@pytest.mark.parametrize("part", range(2))
def test_segments_without_history_are_named(part: int) -> None:
    some = False
    for seed in seeds(part, 60):
        random = Random(seed)
        old, events, _ = strategies.random_case(random)
        new = random_redefinition(random, old)
        driver = Driver(old)
        driver.apply(events)
        snapshot = driver.lanes[0].partition.snapshot()
        before, after = Definitions(old), Definitions(new)
        fresh = {node for node in after.named - before.named if isinstance(node, Aggregate | Trait)}
        expected = [segment.name for segment in after.segments if fresh.intersection(segment.named)]
        assert Partition(plan_of(new)).segments_without_history(snapshot) == expected, seed
        some = some or bool(expected)
    assert some


@pytest.mark.parametrize("seed", range(40))
def test_rows_of_several_layouts_are_read_together(seed: int) -> None:
    """Rows that were last written under different files, in one snapshot: each goes on from its own history."""
    random = Random(seed)
    first, events, until_ms = strategies.random_case(random)
    second = random_redefinition(random, first)
    third = random_redefinition(random, second)
    later = [{**event, "event_id": f"later {event['event_id']}"} for event in suited(events, third)]
    for event in later:
        if event["type"] == "purchase":
            event["order_id"] = f"later {event['order_id']}"
    snapshots = []
    expected: list[Dict] = []
    for definitions, prefix in ((first, "first "), (second, "second ")):
        renamed = [{**event, "customer_id": prefix + event["customer_id"]} for event in suited(events, definitions)]
        driver, reference = Driver(definitions), Reference(definitions)
        driver.apply(renamed)
        snapshots.append(through_bytes(driver.lanes[0].partition.snapshot()))
        for event in renamed:
            reference.apply(event)
        changes = reference.redefine(third)
        for event in later:
            changes += reference.apply({**event, "customer_id": prefix + event["customer_id"]})
        expected += changes + reference.advance(until_ms)
    a, b = snapshots
    both = dataclasses.replace(a, layouts={**a.layouts, **b.layouts}, rows=[*a.rows, *b.rows])
    driver = Driver(third)
    (lane,) = driver.lanes
    lane.partition.restore(both)
    got: list[Dict] = [dict(record) for record in lane.partition.redefine().records]
    last = until_ms if until_ms is not None else max(instant(event["timestamp"]) for event in later)
    prefixed = [{**e, "customer_id": prefix + e["customer_id"]} for prefix in ("first ", "second ") for e in later]
    applied = lane.partition.apply(lane.columns(prefixed))
    got += [dict(record) for record in (*applied.changes.records, *lane.partition.advance(last).records)]
    expected.sort(key=lambda change: (change["customer_id"], change["sequence"]))
    with about(first=first, second=second, third=third, events=events):
        assert_same(by_customer(got), expected, tolerance_ms=tolerance_ms(third))


# --- By hand ------------------------------------------------------------------------------------------------------


def test_a_pass_that_changes_nothing_leaves_the_clock() -> None:
    """The stream clock is at 1 h. A click of 30 m is late for nobody, unless the pass changed something for them."""
    old, same = file(s={"enter": "count(click) >= 2"}), file(s={"enter": "count(click) >= 2"}, t={"enter": "false"})
    other = file(s={"enter": "count(click) >= 2"}, t={"enter": "count(click) >= 1"})
    for new, at_ms in ((same, HOUR // 2), (other, HOUR)):
        driver = Driver(old, clock=Clock.EVENTS, lateness_ms=0)
        driver.apply([click("e1", 0), click("e2", HOUR, "b")])
        driver.redefine(new)
        (change,) = driver.apply([click("e3", HOUR // 2)])
        assert brief([change]) == [("s", "entered", at_ms)]


def test_a_pass_that_changes_nothing_decides_what_lies_before_it() -> None:
    """Under the new file the customer would have been a member in between; nobody asked it then."""
    old = file(s={"enter": "since(last(click)) > 9d"})
    new = file(s={"enter": "since(last(click)) > 1h and since(last(click)) < 2h"})
    driver = Driver(old, clock=Clock.EVENTS, lateness_ms=0)
    driver.apply([click("e1", 0), click("e2", 3 * HOUR, "b")])
    assert driver.redefine(new) == []
    assert brief(driver.advance(DAY)) == [("s", "entered", 4 * HOUR + 1), ("s", "exited", 5 * HOUR)]


def test_an_event_from_before_the_pass_is_evaluated_at_its_own_time() -> None:
    """The pass left the clock of `a` at 0. An e-mail of 1 h is not late, and at 1 h the new condition holds."""
    driver = Driver(file(s="since(last(click)) > 90d"), clock=Clock.EVENTS, lateness_ms=0)
    driver.apply([click("e1", 0), click("e2", 3 * HOUR, "b")])
    changes = driver.redefine(file(s="since(last(click)) < 2h"))
    assert [(change["customer_id"], change["change"]) for change in changes] == [("b", "entered")]
    email = {"type": "email", "event_id": "e3", "customer_id": "a", "timestamp": HOUR, "action": "opened"}
    assert brief(driver.apply([email])) == [("s", "entered", HOUR), ("s", "exited", 2 * HOUR)]


def test_a_member_who_leaves_a_segment_without_history_is_barred_like_all_others() -> None:
    """They leave in the pass, and an hour later time alone does not let them in again; the next event does."""
    driver = Driver(file(s={"enter": "exists(last(click))", "exit": "false"}))
    driver.apply([click("e1", 0)])
    new = file(s={"enter": "since(last(click)) >= 1h", "exit": "never(email) and since(last(click)) < 30m"})
    assert brief(driver.redefine(new)) == [("s", "exited", 0)]
    assert driver.advance(2 * HOUR) == []
    email = {"type": "email", "event_id": "e2", "customer_id": "a", "timestamp": 3 * HOUR, "action": "opened"}
    assert brief(driver.apply([email])) == [("s", "entered", 3 * HOUR)]


def test_a_member_who_stays_in_the_pass_is_not_barred() -> None:
    """They were in already: who leaves an hour later comes in again as soon as the conditions say so."""
    driver = Driver(file(s={"enter": "exists(last(click))", "exit": "false"}))
    driver.apply([click("e1", 0)])
    later = "exists(last(click)) and since(last(click)) >= 1h and since(last(click)) < 2h"
    assert driver.redefine(file(s={"enter": "never(email)", "exit": later})) == []
    assert brief(driver.advance(3 * HOUR)) == [("s", "exited", HOUR), ("s", "entered", 2 * HOUR)]


def test_once_ends_an_eligibility() -> None:
    """Whoever was in before is not eligible under `once`; where that is taken back, eligibility begins anew."""
    segment = {"enter": "count(click) != 2", "for": "1h"}
    driver = Driver(file(s=segment))
    driver.apply([click("e1", 0), click("e2", 2 * HOUR), click("e3", 3 * HOUR)])
    assert brief(driver.changes) == [("s", "entered", HOUR), ("s", "exited", 2 * HOUR)]
    assert driver.redefine(file(s={**segment, "once": True})) == []
    driver.advance(3 * HOUR + HOUR // 2)
    assert driver.redefine(file(s=segment)) == []
    assert brief(driver.advance(DAY)) == [("s", "entered", 4 * HOUR + HOUR // 2)]


def test_a_segment_left_out_stays_barred_until_the_next_event() -> None:
    new = file(n={"enter": "never(email)"}, s={"enter": "since(last(click)) >= 1h"})
    driver = Driver(file(s={"enter": "since(last(click)) >= 1h"}))
    driver.apply([click("e1", 0)])
    assert driver.redefine(new) == []
    assert driver.redefine(new) == []  # and a second change does not let them in either
    assert brief(driver.advance(DAY)) == [("s", "entered", HOUR)]
    assert brief(driver.apply([click("e2", DAY)])) == [("n", "entered", DAY), ("s", "exited", DAY)]


def test_a_segment_left_out_lets_in_when_asked_to() -> None:
    old, new = file(s={"enter": "count(click) >= 1"}), file(n={"enter": "never(email)"})
    driver = Driver(old)
    driver.apply([click("e1", 0)])
    changes = driver.redefine(new, allow_empty=True, quiet=True)
    assert brief(changes) == [("s", "exited", 0), ("n", "entered", 0)]
    assert all(change["quiet"] and change["cause"] == "definitions" for change in changes)


@pytest.mark.parametrize(("before", "after"), [(16, 4), (4, 16), (3, 3), (1, 64), (64, 1), (5, 0), (0, 5)])
def test_remembered_ids_survive_another_size(before: int, after: int) -> None:
    """Of the ids that the old file remembered, the latest ones stay, as many as the new file wants."""
    segments = {"s": {"enter": "count(click) >= 1000"}}
    old = {"version": 1, "dedupe": {"events": before, "orders": 0}, "segments": segments}
    new = {"version": 1, "dedupe": {"events": after, "orders": 0}, "segments": segments}
    for filled in (0, 1, 2, 5, 7, 16, 40, 64, 70):
        for again in range(filled):
            driver = Driver(old)
            driver.apply([click(f"e{number}", number) for number in range(filled)])
            driver.redefine(new)
            driver.apply([click(f"e{again}", 100)])
            is_known = filled - again <= min(before, after)
            assert (driver.statuses()[-1] == 1) == is_known, (filled, again)


@pytest.mark.parametrize(("old_type", "value"), [("number", 1.5), ("boolean", True), ("text", "abc")])
@pytest.mark.parametrize("new_type", ["number", "boolean", "text"])
def test_a_field_of_another_type_starts_empty(old_type: str, value: Any, new_type: str) -> None:
    """A declared field that was a number and is text now: what was remembered of it is no value of the new type."""
    enter = "count(click) >= 5 or exists(last(click.score)) or distinct(click.score) >= 2"
    old, new = (
        {"version": 1, "fields": {"click": {"score": type_}}, "segments": {"s": {"enter": enter}}}
        for type_ in (old_type, new_type)
    )
    driver = Driver(old)
    driver.apply([click("e1", 0, score=value)])
    changes = driver.redefine(new)
    if old_type == new_type:
        assert changes == []
    else:
        # Nobody is a member without the value, and a segment without history lets nobody in.
        assert brief(changes) == [("s", "exited", 0)]
        assert changes[0]["values"] == {"count(click)": 1, "last(click.score)": None, "distinct(click.score)": 0}
