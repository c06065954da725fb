"""Sets of habits, and what scenarios do to one of them: in the events, and in the truth."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from typing import Any

import orjson
import pytest

from stream.simulate import Simulation
from stream.simulate.habits import HABIT_SETS
from stream.simulate.scenarios import SCENARIOS
from tests.simulate.simulated import Event, Traffic

DAY_MS = 86_400_000
DAYS, DAY = 20, 8
SETS = tuple(HABIT_SETS)


@functools.cache
def traffic(habits: str, scenario: str) -> Traffic:
    """Twenty days of 1,500 customers, with something happening as the ninth begins."""
    day = None if scenario == "none" else DAY
    simulation = Simulation(customers=1_500, days=DAYS, seed=5, habits=habits, scenario=scenario, scenario_day=day)
    events = [orjson.loads(line) for chunk in simulation.chunks() for line in chunk.splitlines()]
    truth = {record["customer_id"]: record for record in map(orjson.loads, simulation.truth())}
    return Traffic(simulation, events, truth)


def instant(made: Traffic) -> int:
    return made.simulation.start_ms + DAY * DAY_MS


def of_habit(made: Traffic, habit: str) -> set[str]:
    return {customer for customer, record in made.truth.items() if record["habit"] == habit}


def acts(event: Event) -> bool:
    """Whether an event is something that a customer did."""
    return event["type"] != "email" or event["action"] in ("opened", "clicked")


def acts_a_day(made: Traffic, customers: set[str], *, later: bool) -> float:
    """How much the customers do a day and customer, before the scenario's instant or from a day after it on."""
    days = DAYS - DAY - 1.0 if later else float(DAY)
    first, last = (instant(made) + DAY_MS, made.simulation.end_ms) if later else (0, instant(made))
    count: int = sum(
        acts(event) and event["customer_id"] in customers and first <= event["timestamp"] < last
        for event in made.events
    )
    return count / days / len(customers)


@pytest.mark.parametrize("habits", SETS)
def test_the_habits_of_a_set(habits: str) -> None:
    known = HABIT_SETS[habits].habits
    assert sum(habit.share for habit in known) == pytest.approx(1)
    made = traffic(habits, "none")
    counts = Counter(record["habit"] for record in made.truth.values())
    assert set(counts) == {habit.name for habit in known}
    for habit in known:
        assert counts[habit.name] == pytest.approx(1_500 * habit.share, rel=0.35)
    per_customer_day = len(made.events) / len(made.truth) / DAYS
    assert per_customer_day == pytest.approx(HABIT_SETS[habits].lines_per_customer_day, rel=0.15)


def test_there_are_enough_personas_to_find_and_none_is_rare() -> None:
    personas = HABIT_SETS["personas"].habits
    assert len(personas) >= 6
    assert min(habit.share for habit in personas) > 0.5 / len(personas)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_same_arguments_same_bytes(scenario: str) -> None:
    arguments: dict[str, Any] = {"customers": 150, "days": 6, "habits": "personas", "scenario": scenario, "late": 0.05}
    simulation = Simulation(**arguments)
    first = b"".join(simulation.chunks())
    assert b"".join(simulation.chunks()) == first  # a second reading starts anew
    assert b"".join(Simulation(**arguments).chunks()) == first
    assert list(Simulation(**arguments).truth()) == list(simulation.truth())


def test_without_options_it_is_the_shop_and_nothing_happens() -> None:
    plain = Simulation(customers=100, days=5)
    named = Simulation(customers=100, days=5, habits="shop", scenario="none")
    assert b"".join(plain.chunks()) == b"".join(named.chunks())
    assert list(plain.truth()) == list(named.truth())
    assert b"later_habit" not in b"".join(plain.truth())


@pytest.mark.parametrize("habits", SETS)
def test_half_of_a_habit_switches(habits: str) -> None:
    made = traffic(habits, "switch")
    habit, other = HABIT_SETS[habits].switching
    switched = {customer for customer, record in made.truth.items() if record["later_habit"] is not None}
    for customer in switched:
        record = made.truth[customer]
        assert (record["habit"], record["later_habit"], record["later_from"]) == (habit, other, instant(made))
        assert (record["arrived_at"] or 0) < instant(made)
        assert record["alive_until"] is None or record["alive_until"] > instant(made)
    assert 0.3 < len(switched) / len(of_habit(made, habit)) < 0.6
    assert all(made.truth[customer]["later_from"] is None for customer in made.truth.keys() - switched)

    def orders_a_day(customers: set[str], *, later: bool) -> float:
        count: int = sum(
            event["type"] == "purchase"
            and event["customer_id"] in customers
            and (event["timestamp"] >= instant(made)) is later
            for event in made.events
        )
        return count / (DAYS - DAY if later else DAY) / len(customers)

    stayed = of_habit(made, habit) - switched
    assert orders_a_day(switched, later=False) < 0.01
    assert orders_a_day(switched, later=True) > 3 * orders_a_day(stayed, later=True) + 0.02
    # They are like those who always had that habit.
    usual = orders_a_day(of_habit(made, other), later=True)
    assert orders_a_day(switched, later=True) == pytest.approx(usual, rel=0.4)


@pytest.mark.parametrize("habits", SETS)
def test_a_habit_is_born(habits: str) -> None:
    made = traffic(habits, "birth")
    born = of_habit(made, HABIT_SETS[habits].born)
    assert len(born) > 100
    for customer in born:
        assert instant(made) <= made.truth[customer]["arrived_at"] < instant(made) + 10 * DAY_MS
    firsts = [event["timestamp"] for event in made.events if event["customer_id"] in born]
    assert instant(made) <= min(firsts) < instant(made) + DAY_MS
    others = made.truth.keys() - born
    assert acts_a_day(made, set(others), later=False) > 0.3


@pytest.mark.parametrize("habits", SETS)
def test_a_habit_dies(habits: str) -> None:
    made = traffic(habits, "death")
    dead = of_habit(made, HABIT_SETS[habits].dying)
    assert len(dead) > 100
    assert all(made.truth[customer]["alive_until"] <= instant(made) for customer in dead)
    assert acts_a_day(made, dead, later=False) > 0.5
    assert acts_a_day(made, dead, later=True) == 0
    # Visits that began before it are brought to their end.
    last = max(event["timestamp"] for event in made.events if event["customer_id"] in dead and acts(event))
    assert last < instant(made) + DAY_MS / 12
    others = set(made.truth.keys() - dead)
    assert acts_a_day(made, others, later=True) == pytest.approx(acts_a_day(made, others, later=False), rel=0.25)


@pytest.mark.parametrize("habits", SETS)
def test_a_habit_spends_twice_as_much(habits: str) -> None:
    made, plain = traffic(habits, "doubling"), traffic(habits, "none")
    habit = HABIT_SETS[habits].doubling
    doubling = of_habit(made, habit)
    for customer, record in made.truth.items():
        assert record["spending_doubles_from"] == (instant(made) if customer in doubling else None)

    def spent(some: Traffic, *, of: bool, later: bool) -> tuple[int, int]:
        """Pieces and items in orders."""
        pieces, items = 0, 0
        for event in some.events:
            if event["type"] == "purchase" and (event["customer_id"] in doubling) is of:
                # A visit that began before the instant may end with its order after it.
                after = event["timestamp"] >= instant(some) + DAY_MS / 12
                if after is later:
                    pieces += sum(item["quantity"] for item in event["items"])
                    items += len(event["items"])
        return pieces, items

    for of, later, times in ((True, True, 2), (True, False, 1), (False, True, 1), (False, False, 1)):
        pieces, items = spent(made, of=of, later=later)
        usual_pieces, usual_items = spent(plain, of=of, later=later)
        assert items > 20
        assert pieces / items == pytest.approx(times * usual_pieces / usual_items, rel=0.08), (of, later)


def test_it_happens_at_the_instant_however_the_period_is_cut() -> None:
    """Traffic is drawn in windows of hours where there is much of it: visits of that very minute are as they should."""
    simulation = Simulation(customers=12_000, days=2, habits="personas", scenario="doubling", seed=2)
    truth = [orjson.loads(line)["spending_doubles_from"] for line in simulation.truth()]
    began: dict[str, int] = {}
    odd: Counter[bool] = Counter()
    for event in (orjson.loads(line) for chunk in simulation.chunks() for line in chunk.splitlines()):
        if "session_id" not in event or truth[int(event["customer_id"][1:]) - 1] is None:
            continue
        start_ms = began.setdefault(event["session_id"], event["timestamp"])
        if event["type"] == "purchase":
            # The first event comes up to some minutes after the instant that is drawn for the visit.
            later = start_ms >= simulation.scenario.at_ms + DAY_MS / 288
            if later or start_ms < simulation.scenario.at_ms:
                odd[later] += sum(item["quantity"] % 2 for item in event["items"])
    assert odd[True] == 0
    assert odd[False] > 300


@pytest.mark.parametrize("scenario", ["birth", "death", "doubling", "switch"])
def test_before_it_happens_nobody_else_is_different(scenario: str) -> None:
    plain, made = traffic("personas", "none"), traffic("personas", scenario)
    assert {c: r["habit"] for c, r in made.truth.items()} == {c: r["habit"] for c, r in plain.truth.items()}
    if scenario in ("doubling", "switch"):
        common = [[e for e in t.events if e["timestamp"] < instant(t) - DAY_MS] for t in (plain, made)]
        assert common[0] == common[1] != []


@pytest.mark.parametrize("scenario", SCENARIOS[1:])
def test_items_in_carts_and_orders_agree(scenario: str) -> None:
    carts: dict[str, Counter[str]] = defaultdict(Counter)
    for event in traffic("personas", scenario).events:
        if event["type"] == "purchase":
            cart = carts[event["session_id"]]
            for item in event["items"]:
                cart[item["product_id"]] -= item["quantity"]
            assert all(left >= 0 for left in cart.values())
            assert round(event["total"] * 100) == sum(
                round(item["price"] * 100) * item["quantity"] for item in event["items"]
            )
        elif event.get("action") == "add_to_cart":
            carts[event["session_id"]][event["product_id"]] += event["quantity"]


def test_by_default_it_happens_in_the_middle() -> None:
    simulation = Simulation(days=9, scenario="death")
    assert simulation.scenario.at_ms == simulation.start_ms + 4 * DAY_MS
    by_events = Simulation(events=20_000, customers=300, scenario="birth")
    lines = b"".join(by_events.chunks())
    assert lines.count(b"\n") == 20_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"habits": "nobodys"}, "habits must be one of shop, personas, not nobodys"),
        ({"scenario": "flood"}, "scenario must be one of none, switch, birth, death, doubling, not flood"),
        ({"scenario": "birth", "days": 1}, "scenario needs 2 days or more, not 1"),
        ({"scenario_day": 3}, "scenario_day needs a scenario"),
        ({"scenario": "death", "days": 5, "scenario_day": 5}, "scenario_day must be from 1 to 4 for 5 days, not 5"),
        ({"scenario": "death", "days": 5, "scenario_day": 0}, "scenario_day must be from 1 to 4 for 5 days, not 0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Simulation(**arguments)
