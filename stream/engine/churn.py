"""``p_alive`` and ``p_buy``, and the instant at which they fall to a bound. Compiled; times in milliseconds.

Sources: Fader, Hardie and Lee (2005), "Counting Your Customers the Easy Way: An Alternative to the Pareto/NBD Model",
Marketing Science 24(2), for BG/NBD; Batislam, Denizel and Filiztekin (2007), "Empirical validation and comparison of
models for customer base analysis", International Journal of Research in Marketing 24(3), for MBG/NBD.

``churn`` is a float64 array that starts with 1.0 for MBG/NBD else 0.0, then r, alpha, a and b (weeks).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stream.compiled import inner, power
from stream.contract import LAST_INSTANT
from stream.engine.opcodes import FOREVER, K_MODEL

WEEK_MS = 604_800_000.0
DAY_MS = 86_400_000

Floats = npt.NDArray[np.float64]


@inner
def p_alive(churn: Floats, days: int, first_ms: int, last_ms: int, now_ms: int) -> float:
    """Probability that a customer with ``days`` purchase days after the first has not left at ``now_ms``."""
    r, alpha, a, b = float(churn[1]), float(churn[2]), float(churn[3]), float(churn[4])
    x = float(days)
    weight = b + x
    if churn[K_MODEL] == 0.0:
        if days == 0:
            return 1.0
        weight = b + x - 1.0
    t_x = (last_ms - first_ms) / WEEK_MS
    age = (now_ms - first_ms) / WEEK_MS
    return 1.0 / (1.0 + a / weight * power((alpha + age) / (alpha + t_x), r + x))


@inner
def p_buy(churn: Floats, days: int, first_ms: int, last_ms: int, now_ms: int, horizon_ms: float) -> float:
    """Probability of at least one more purchase within ``horizon_ms`` after ``now_ms``."""
    r, alpha = float(churn[1]), float(churn[2])
    age = (now_ms - first_ms) / WEEK_MS
    buys = -math.expm1(-(r + days) * math.log1p(horizon_ms / WEEK_MS / (alpha + age)))
    return p_alive(churn, days, first_ms, last_ms, now_ms) * buys


@inner
def probability(churn: Floats, days: int, first_ms: int, last_ms: int, now_ms: int, horizon_ms: float) -> float:
    """``p_buy``, or ``p_alive`` for a horizon below zero."""
    if horizon_ms < 0.0:
        return p_alive(churn, days, first_ms, last_ms, now_ms)
    return p_buy(churn, days, first_ms, last_ms, now_ms, horizon_ms)


@inner
def is_low(p: float, bound: float, strict: bool) -> bool:
    """Whether ``p`` has fallen to ``bound``: below it, or, not strict, at most it."""
    return p < bound if strict else p <= bound


@inner
def crossing(
    churn: Floats, days: int, first_ms: int, last_ms: int, horizon_ms: float, bound: float, strict: bool
) -> int:
    """The first millisecond from ``last_ms`` on at which the probability is low; FOREVER when none before 10000.

    The probability only falls while nothing is bought. A bracket of milliseconds is narrowed by the secant of its
    logarithm over the logarithm of time, in which it is nearly straight, and by halving where that does not help.
    """
    low, high = last_ms, LAST_INSTANT
    p_low = probability(churn, days, first_ms, low, low, horizon_ms)
    if is_low(p_low, bound, strict):
        return low
    if bound <= 0.0:
        return FOREVER  # a probability only nears zero
    p_high = probability(churn, days, first_ms, last_ms, high, horizon_ms)
    if not is_low(p_high, bound, strict):
        return FOREVER
    step = DAY_MS * 16
    while low + step < high:
        p = probability(churn, days, first_ms, last_ms, low + step, horizon_ms)
        if is_low(p, bound, strict):
            high, p_high = low + step, p
            break
        low, p_low = low + step, p
        step *= 4
    alpha_ms = float(churn[2]) * WEEK_MS
    target = math.log(bound)
    rounds = 0
    while high - low > 1:
        middle = low + (high - low) // 2
        rounds += 1
        if p_high > 0.0 and rounds % 4 != 0:
            slope = math.log(p_low) - math.log(p_high)
            if slope > 0.0:
                left, right = math.log(alpha_ms + (low - first_ms)), math.log(alpha_ms + (high - first_ms))
                share = (math.log(p_low) - target) / slope
                guess = math.exp(left + share * (right - left)) - alpha_ms + first_ms
                middle = min(max(int(math.ceil(guess)), low + 1), high - 1)
        p = probability(churn, days, first_ms, last_ms, middle, horizon_ms)
        if is_low(p, bound, strict):
            high, p_high = middle, p
        else:
            low, p_low = middle, p
    return high
