"""Why a customer is in a segment or not: said as the engine acts, and as the slow reference says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.explanation import Condition
from stream.engine.partition import Clock, Partition
from stream.engine.standing import Standing
from stream.instants import format_instant
from tests import strategies
from tests.effort import examples, seeds
from tests.engine.agreement import about, same_value, tolerance_ms
from tests.engine.driver import Driver, Way
from tests.engine.making import DAY, HOUR, click, file, purchase
from tests.engine.redefinitions import redefinitions
from tests.reference import Reference, View

Dict = dict[str, Any]
START = 20_000 * DAY


def comparisons(parts: Sequence[Condition]) -> Iterator[Condition]:
    for part in parts:
        if part.parts is None:
            yield part
        else:
            yield from comparisons(part.parts)


def assert_sound(parts: Sequence[Condition]) -> None:
    """A joined condition is what its parts make of it; a comparison has a text and what it compares."""
    for part in parts:
        if part.op is None:
            assert part.parts is None
            assert part.text
            assert part.values is not None
            assert set(part.durations) <= part.values.keys()
            continue
        assert part.parts
        assert (part.text, part.values) == (None, None)
        truths = [one.truth is True for one in part.parts]
        expected = {"and": all(truths), "or": any(truths), "not": not truths[0]}
        assert part.truth is expected[part.op]
        assert_sound(part.parts)


def assert_as_the_reference(partition: Partition, reference: Reference) -> int:
    """How many truths were compared."""
    compared = 0
    for customer in reference.customers.values():
        standings = partition.standings(customer.id)
        portrait = partition.portrait(customer.id)
        assert standings is not None
        assert portrait is not None
        view = View(customer, max(customer.clock, reference.stream_clock), reference.definitions, reference.model)
        assert view.now == portrait.at_ms
        assert [one.segment for one in standings] == [segment.name for segment in reference.definitions.segments]
        for standing, segment in zip(standings, reference.definitions.segments, strict=True):
            with about(customer=customer.id, standing=str(standing)):
                assert standing.enters is view.holds(segment.enter)
                assert standing.exits is view.holds(segment.exit)
                theirs = customer.standings[segment.name]
                assert standing.since_ms == theirs.entered
                assert standing.holdout is segment.held_out(customer.id)
                assert_sound(standing.enter)
                assert_sound(standing.exit)
                assert standing.enters is all(part.truth is True for part in standing.enter)
                assert standing.exits is all(part.truth is True for part in standing.exit)
                evidence = view.evidence(segment)
                for part in comparisons([*standing.enter, *standing.exit]):
                    for text, value in (part.values or {}).items():
                        assert text not in evidence or same_value(value, evidence[text]), text
                assert_held(standing, theirs, segment, view)
                compared += 2
    return compared


def assert_held(standing: Standing, theirs: Any, segment: Any, view: View) -> None:
    """Something holds against the conditions just when the reference would otherwise have changed the membership."""
    held, now = standing.held, view.now
    if standing.since_ms is not None:
        assert (held is not None) == standing.exits, "a member whom nothing keeps leaves"
        assert held is None or (held.by, held.until_ms) == ("min_stay", theirs.entered + segment.min_stay)
        return
    if held is None:
        assert not standing.enters, "whom nothing keeps out enters"
        return
    expected: tuple[str, int | None]
    if segment.once and theirs.ever:
        expected = ("once", None)
    elif theirs.barred:
        expected = ("barred", None)
    elif standing.exits:
        expected = ("exit", None)
    else:
        waits = [("for", theirs.eligible + segment.wait)]
        if theirs.exited is not None:
            waits.append(("cooldown", theirs.exited + segment.cooldown))
        expected = by, until_ms = max(waits, key=lambda wait: wait[1])
        assert until_ms > now, by
    assert (held.by, held.until_ms) == expected


def assert_explains(case: tuple[Dict, list[Dict], int | None], seed: int, new: Dict | None = None) -> int:
    """Explains all customers after each few events; then, with ``new`` definitions, once more."""
    definitions, events, until_ms = case
    compared = 0
    with about(seed=str(seed), definitions=definitions, events=events, until=until_ms, new=new):
        reference = Reference(definitions, clock="event", lateness_ms=HOUR)
        driver = Driver(definitions, Way(0, seed=seed), clock=Clock.EVENTS, lateness_ms=HOUR)
        (lane,) = driver.lanes
        for start in range(0, len(events), 5):
            for event in events[start : start + 5]:
                reference.apply(event)
            driver.apply(events[start : start + 5])
            before = lane.partition.snapshot()
            compared += assert_as_the_reference(lane.partition, reference)
            assert lane.partition.snapshot() == before, "looking changes nothing"
        if new is not None:
            driver.redefine(new)
            reference.redefine(new)
            compared += assert_as_the_reference(lane.partition, reference)
        to_ms = (until_ms or reference.newest) + DAY
        reference.advance(to_ms)
        driver.advance(to_ms)
        compared += assert_as_the_reference(lane.partition, reference)
    return compared


def without_probabilities(case: Dict) -> bool:
    """The reference finds their instants to 1 ms, so they are not compared at any instant."""
    return not tolerance_ms(case)


@examples(60)
@given(strategies.cases().filter(lambda case: without_probabilities(case[0])), st.integers(0, 999), st.data())
def test_explanations_are_the_references(
    case: tuple[Dict, list[Dict], int | None], seed: int, data: st.DataObject
) -> None:
    new = data.draw(st.none() | redefinitions(case[0]))
    assert_explains(case, seed, new if new is None or without_probabilities(new) else None)


@pytest.mark.parametrize("part", range(4))
def test_seeded_explanations(part: int) -> None:
    compared = 0
    for seed in seeds(part, 60):
        case = strategies.random_case(Random(seed))
        if without_probabilities(case[0]):
            compared += assert_explains(case, seed)
    assert compared > 500


# --- by hand ----------------------------------------------------------------------------------------------------------


def standing_of(definitions: Dict, events: list[Dict], to_ms: int | None = None) -> dict[str, Standing]:
    driver = Driver(definitions, clock=Clock.EVENTS, lateness_ms=0)
    driver.apply(events)
    if to_ms is not None:
        driver.advance(to_ms)
    found = driver.lanes[0].partition.standings("a")
    assert found is not None
    return {one.segment: one for one in found}


def test_each_comparison_with_its_value_and_truth() -> None:
    condition = (
        'sum(purchase.total, 90d) >= 500 and (last(click) after last(purchase) or trait("plan") == "pro") '
        "and not since(last(purchase)) > 30d and sum(purchase.total) / count(purchase) > 100"
    )
    events = [purchase("e1", START, total=250), click("e2", START + HOUR), purchase("e3", START + 2 * HOUR, total=260)]
    one = standing_of(file(x=condition), events, START + 3 * HOUR)["x"]
    assert (one.enters, one.exits, one.since_ms) == (False, True, None)
    money, either, recent, average = one.enter
    assert money == Condition(True, text="sum(purchase.total, 90d) >= 500", values={"sum(purchase.total, 90d)": 510})
    last, clicked = format_instant(START + 2 * HOUR), format_instant(START + HOUR)
    assert either == Condition(
        False,
        op="or",
        parts=(
            Condition(
                False,
                text="last(click) after last(purchase)",
                values={"last(click)": clicked, "last(purchase)": last},
            ),
            Condition(None, text='trait("plan") == "pro"', values={'trait("plan")': None}),
        ),
    )
    age = Condition(
        False,
        text="since(last(purchase)) > 30d",
        values={"since(last(purchase))": HOUR, "last(purchase)": last},
        durations=("since(last(purchase))",),
    )
    assert recent == Condition(True, op="not", parts=(age,))
    assert average.values == {
        "sum(purchase.total) / count(purchase)": 255,
        "sum(purchase.total)": 510,
        "count(purchase)": 2,
    }
    assert msgspec.to_builtins(money) == {
        "truth": True,
        "text": "sum(purchase.total, 90d) >= 500",
        "values": {"sum(purchase.total, 90d)": 510},
    }
    (turned,) = one.exit
    assert turned.op == "not"


def test_a_comparison_that_is_not_known_counts_as_false() -> None:
    one = standing_of(file(x="not avg(purchase.total) > 5"), [click("e1", START)])["x"]
    (turned,) = one.enter
    assert turned.parts is not None
    assert (turned.truth, turned.parts[0].truth, one.enters) == (True, None, True)
    assert one.since_ms == START


HELD = [
    ({"enter": "count(click) >= 1", "for": "2h"}, HOUR, "for", 2 * HOUR),
    ({"enter": "count(click) >= 1", "exit": "count(click) >= 1"}, HOUR, "exit", None),
    ({"enter": "count(click) >= 1 and since(last(click)) < 1h", "min_stay": "1d"}, 2 * HOUR, "min_stay", DAY),
]


@pytest.mark.parametrize(("body", "after_ms", "by", "until_ms"), HELD)
def test_what_holds_against_the_conditions(body: Dict, after_ms: int, by: str, until_ms: int | None) -> None:
    held = standing_of(file(x=body), [click("e1", START)], START + after_ms)["x"].held
    assert held is not None
    assert (held.by, held.until_ms) == (by, None if until_ms is None else START + until_ms)
    assert held.reason


def test_cooldown_and_once() -> None:
    body = {"enter": "count(click, 1h) >= 2", "exit": "count(click, 1h) < 2", "cooldown": "1d"}
    definitions = file(cooling=body, spent={**body, "once": True})
    events = [click(f"e{at}", START + at) for at in (0, 1, 5 * HOUR, 5 * HOUR + 1)]
    found = standing_of(definitions, events)
    (cooling, spent) = found["cooling"].held, found["spent"].held
    assert cooling is not None
    assert spent is not None
    left_ms = START + HOUR  # the window ends with its last bucket
    assert cooling.by == "cooldown"
    assert cooling.until_ms == left_ms + DAY
    assert (spent.by, spent.until_ms) == ("once", None)
    assert "once in a customer's life" in spent.reason


@pytest.mark.parametrize("bound", [0.2, 0.3, 0.6])
@pytest.mark.parametrize("comparison", ["<", "<=", ">", ">="])
def test_a_probability_is_compared_as_the_engine_does(comparison: str, bound: float) -> None:
    """To the millisecond: membership without a wait is the truth of the condition at every instant."""
    text = f"p_buy(purchase, 90d) {comparison} {bound}"
    driver = Driver(file(x=text, y=f"{bound} {comparison} p_alive(purchase)"), clock=Clock.EVENTS, lateness_ms=0)
    driver.apply([purchase(f"e{day}", START + day * DAY) for day in (0, 3, 9)])
    (lane,) = driver.lanes
    seen = set()
    while True:
        for standing in lane.partition.standings("a") or []:
            assert standing.enters is (standing.since_ms is not None)
            seen.add((standing.segment, standing.enters))
            (part,) = standing.enter
            assert part.truth is standing.enters
            assert part.values
        portrait = lane.partition.portrait("a")
        assert portrait is not None
        if portrait.next_timer_ms is None:
            break
        if lane.partition.stream_ms < portrait.next_timer_ms - 1:
            driver.advance(portrait.next_timer_ms - 1)
        else:
            driver.advance(portrait.next_timer_ms)
    assert {segment for segment, _ in seen} == {"x", "y"}
    assert len(seen) > 2


def test_who_is_not_known_has_no_standing() -> None:
    driver = Driver(file(busy="count(click) >= 1"))
    assert driver.lanes[0].partition.standings("a") is None
