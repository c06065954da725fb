"""The kernel's `p_alive` and `p_buy`: published figures, and the instant at which they fall to a bound."""

from __future__ import annotations

import csv
import gzip
import math
from random import Random
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream.contract import LAST_INSTANT
from stream.engine import churn
from stream.engine.opcodes import FOREVER
from tests.effort import examples, seeds
from tests.engine.driver import Way, replay
from tests.engine.making import DAY, click, file, purchase
from tests.reference import WEEK, instant
from tests.reference import p_alive as reference_p_alive
from tests.reference import p_buy as reference_p_buy
from tests.shared_data import shared

Model = tuple[float, float, float, float, float]  # 1.0 for mbgnbd else 0.0, r, alpha, a, b
DEFAULT: Model = (0.0, 0.243, 4.414, 0.793, 2.426)


# The kernel's own functions have no way in from Python. (Not kept on disk: a copy there would outlive their changes.)


@numba.njit
def probability(model: Any, days: int, first_ms: int, last_ms: int, now_ms: int, horizon_ms: float) -> float:
    return churn.probability(model, days, first_ms, last_ms, now_ms, horizon_ms)


@numba.njit
def crossing(model: Any, days: int, first_ms: int, last_ms: int, horizon_ms: float, bound: float, strict: bool) -> int:
    return churn.crossing(model, days, first_ms, last_ms, horizon_ms, bound, strict)


def p_alive(x: int, t_x: float, now: float, model: Model = DEFAULT) -> float:
    """With times in weeks after the first purchase, as the literature has it."""
    return float(probability(np.array(model), x, 0, round(t_x * WEEK), round(now * WEEK), -1.0))


def p_buy(x: int, t_x: float, now: float, horizon: float, model: Model = DEFAULT) -> float:
    return float(probability(np.array(model), x, 0, round(t_x * WEEK), round(now * WEEK), horizon * WEEK))


# --- Values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "t_x", "now", "expected"),
    [
        (2, 30.43, 38.86, 0.726579),
        (23, 39, 39, 0.968555),
        (23, 30, 39, 0.122153),
        (1, 1.71, 38.86, 0.212101),
        (7, 29.43, 38.86, 0.641756),
        (0, 0, 38.86, 1),
    ],
)
def test_p_alive_check_values(x: int, t_x: float, now: float, expected: float) -> None:
    assert p_alive(x, t_x, now) == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize(
    ("x", "t_x", "now", "expected"), [(2, 30.43, 38.86, 0.323491), (0, 0, 38.86, 0.061837), (7, 29.43, 38.86, 0.546019)]
)
def test_p_buy_check_values(x: int, t_x: float, now: float, expected: float) -> None:
    assert p_buy(x, t_x, now, 13) == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize(("x", "t_x", "expected"), [(1, 5, 18.731), (3, 20, 37.072), (23, 30, 35.468)])
def test_crossings_of_one_half(x: int, t_x: float, expected: float) -> None:
    at = crossing(np.array(DEFAULT), x, 0, round(t_x * WEEK), -1.0, 0.5, True)
    assert at / WEEK == pytest.approx(expected, abs=5e-4)


def test_p_alive_of_every_cdnow_customer() -> None:
    model = (0.0, 0.2426, 4.4136, 0.7929, 2.4259)
    with gzip.open(shared("cdnow_bgnbd.csv.gz"), "rt", encoding="utf-8") as rows:
        customers = list(csv.DictReader(rows))
    assert len(customers) == 2_357
    for row in customers:
        got = p_alive(int(row["x"]), float(row["t_x"]), float(row["T"]), model)
        assert got == pytest.approx(float(row["p_alive"]), abs=5e-5), row["customer_id"]


def test_one_time_buyers() -> None:
    """BG/NBD believes in them for ever, MBG/NBD does not."""
    assert p_alive(0, 0, 500) == 1.0
    doubting = (1.0, *DEFAULT[1:])
    assert p_alive(0, 0, 10, doubting) == pytest.approx(
        1 / (1 + 0.793 / 2.426 * ((4.414 + 10) / 4.414) ** 0.243), rel=1e-14
    )
    assert crossing(np.array(DEFAULT), 0, 0, 0, -1.0, 0.5, True) == FOREVER


# --- Random customers ---------------------------------------------------------------------------------------------

BOUNDS = [0.5, 0.2, 0.9, 0.05, 1e-6, 0.999999, 1.0, 1e-300, 0.3]


def positive(random: Random, extreme: bool) -> float:
    return math.pow(10.0, random.uniform(-12, 12) if extreme else random.uniform(-2, 1.5))


def random_customer(random: Random, extreme: bool) -> tuple[Any, int, int, int, float]:
    """A model, days, first and last instant, and a horizon (below zero for `p_alive`)."""
    model = (float(random.random() < 0.5), *(positive(random, extreme) for _ in range(4)))
    first = random.choice([0, 1, 1_600_000_000_000, random.randint(0, 4_000_000_000_000)])
    if extreme:
        first = random.choice([first, LAST_INSTANT, LAST_INSTANT - 1, random.randint(0, LAST_INSTANT)])
    last = min(first + random.choice([0, 1, DAY, random.randint(0, 2_000 * DAY)]), LAST_INSTANT)
    days = min(random.choice([0, 1, 2, 5, 30, 3_000]), (last - first) // DAY + 1)
    horizon = random.choice([-1.0, 3_600_000.0, 90.0 * DAY, 3_660.0 * DAY])
    return np.array(model), days, first, last, horizon


@pytest.mark.parametrize("extreme", [False, True], ids=["usual", "extreme"])
def test_values_are_the_references(extreme: bool) -> None:
    for seed in seeds(0, 10_000):
        random = Random(seed)
        model, days, first, last, horizon = random_customer(random, extreme)
        now = min(last + random.choice([0, 1, DAY, random.randint(0, 5_000 * DAY)]), LAST_INSTANT)
        named = dict(
            zip(
                ("model", "r", "alpha", "a", "b"), ["mbgnbd" if model[0] else "bgnbd", *model[1:].tolist()], strict=True
            )
        )
        t_x, age = (last - first) / WEEK, (now - first) / WEEK
        if horizon < 0:
            expected = reference_p_alive(named, days, t_x, age)
        else:
            expected = reference_p_buy(named, days, t_x, age, horizon / WEEK)
        got = probability(model, days, first, last, now, horizon)
        assert 0.0 <= got <= 1.0
        assert got == pytest.approx(expected, rel=1e-9, abs=1e-300), (seed, named)


def assert_exact(model: Any, days: int, first: int, last: int, horizon: float, bound: float, strict: bool) -> int:
    """The crossing is low and the millisecond before is not; FOREVER only where it is never low."""

    def is_low(now: int) -> bool:
        p = float(probability(model, days, first, last, now, horizon))
        return p < bound if strict else p <= bound

    at = int(crossing(model, days, first, last, horizon, bound, strict))
    what = (model.tolist(), days, first, last, horizon, bound, strict, at)
    if at == FOREVER:
        assert not is_low(LAST_INSTANT), what
    else:
        assert last <= at <= LAST_INSTANT, what
        assert is_low(at), what
        assert at == last or not is_low(at - 1), what
    return at


@pytest.mark.parametrize("extreme", [False, True], ids=["usual", "extreme"])
@pytest.mark.parametrize("part", range(2))
def test_crossings_are_exact(part: int, extreme: bool) -> None:
    found = {"never": 0, "at once": 0, "later": 0}
    for seed in seeds(part, 10_000):
        random = Random(seed)
        model, days, first, last, horizon = random_customer(random, extreme)
        # Bounds from anywhere, and such as the probability really takes some time.
        bound = random.choice([*BOUNDS, random.random()])
        if random.random() < 0.5:
            some_time = min(last + random.randint(0, 3_000 * DAY), LAST_INSTANT)
            bound = probability(model, days, first, last, some_time, horizon) or 0.5
        at = assert_exact(model, days, first, last, horizon, bound, random.random() < 0.5)
        found["never" if at == FOREVER else "at once" if at == last else "later"] += 1
    assert min(found.values()) > 50, found


@examples(300)
@given(
    st.booleans(),
    st.tuples(*[st.floats(1e-9, 1e9) for _ in range(4)]),
    st.integers(0, 400),
    st.integers(0, LAST_INSTANT),
    st.integers(0, 4_000 * DAY),
    st.sampled_from([-1.0, 3_600_000.0, 90.0 * DAY]),
    st.floats(1e-12, 1.0),
    st.booleans(),
)
@example(False, (0.243, 4.414, 0.793, 2.426), 0, 0, 0, -1.0, 1.0, False)  # p is 1 for ever, and at most 1 at once
@example(False, (0.243, 4.414, 0.793, 2.426), 0, 0, 0, -1.0, 1.0, True)
@example(False, (0.243, 1e-9, 0.793, 2.426), 3, LAST_INSTANT, 0, -1.0, 0.5, True)  # no time is left
def test_crossings_are_exact_for_any_model(
    doubts: bool,
    parameters: tuple[float, ...],
    days: int,
    first: int,
    length: int,
    horizon: float,
    bound: float,
    strict: bool,
) -> None:
    last = min(first + length, LAST_INSTANT)
    assert_exact(np.array([float(doubts), *parameters]), days, first, last, horizon, bound, strict)


def test_nothing_falls_below_zero() -> None:
    for strict, bound in ((True, 0.0), (True, -1.0), (False, -1.0)):
        assert assert_exact(np.array(DEFAULT), 5, 0, 30 * DAY, -1.0, bound, strict) == FOREVER


# --- Through the engine -------------------------------------------------------------------------------------------


def test_a_comparison_turns_at_the_first_millisecond() -> None:
    """All four comparisons, either way round, of a customer of 20 weeks."""
    segments = {
        "below": "p_alive(purchase) < 0.5",
        "at_most": "p_alive(purchase) <= 0.5",
        "not_above": "not (p_alive(purchase) > 0.5) and exists(last(purchase))",
        "turned": "0.5 > p_alive(purchase)",
        "never_below": "p_alive(click) < 0.5",
    }
    events = [purchase(f"e{week}", week * WEEK) for week in (0, 4, 12, 20)]
    changes = replay(file(**segments), events, 50 * WEEK, Way(1))
    assert [change["segment"] for change in changes] == ["below", "at_most", "not_above", "turned"]
    at = crossing(np.array(DEFAULT), 3, 0, 20 * WEEK, -1.0, 0.5, True)
    assert {instant(change["at"]) for change in changes} == {at}
    assert at / WEEK == pytest.approx(37.072, abs=5e-4)
    assert changes[0]["values"]["p_alive(purchase)"] == pytest.approx(0.5, abs=1e-9)


def test_a_late_purchase_moves_the_crossing() -> None:
    """It counts by its own day: a day before the earliest is one more, and the instant of the crossing another."""
    definitions = file(s="p_buy(purchase, 90d) < 0.2")
    events = [purchase("e1", 100 * DAY), purchase("e2", 130 * DAY)]
    at = []
    for late in (None, purchase("e3", 110 * DAY), purchase("e3", 90 * DAY)):
        changes = replay(definitions, [*events, *([late] if late else [])], 900 * DAY)
        at.append(instant(changes[-1]["at"]))
        days, first = (2, 90 * DAY) if late and late["timestamp"] == 90 * DAY else (1, 100 * DAY)
        assert at[-1] == crossing(np.array(DEFAULT), days, first, 130 * DAY, 90.0 * DAY, 0.2, True)
    assert at[0] == at[1] != at[2]
    assert not math.isnan(p_buy(1, 1, 1, 1))
    assert replay(definitions, [click("e1", 0)], 900 * DAY) == []  # null compares with nothing
