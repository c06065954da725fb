"""What a value is beside those of all customers, whose quantiles lie among the constants. Compiled."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stream.compiled import inner
from stream.contract import LAST_INSTANT
from stream.engine import opcodes as op

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_DAY_MS = 86_400_000.0


@inner
def measure(type_: int, value: float, is_instant: bool, border: int) -> tuple[bool, float]:
    """What a number or an instant counts as beside those of other customers, and whether it is there at all.

    A number counts as it is, an instant by its age in days at a ``border``. What is beyond doubles or instants is not
    there.
    """
    if type_ != op.T_NUMBER or not math.isfinite(value):
        return False, 0.0
    if not is_instant:
        return True, value
    if not 0.0 <= value <= LAST_INSTANT:
        return False, 0.0
    return True, _age(border, value)


@inner
def border_before(plan: Ints, now_ms: int) -> int:
    """The last border at which ages are taken."""
    width = plan[plan[op.P_PERSONA] + op.PE_WIDTH]
    return now_ms // width * width


@inner
def rank(
    plan: Ints, constants: Floats, table: int, is_instant: bool, type_: int, value: float, now_ms: int
) -> tuple[int, float, int]:
    """The rank of a value: its type (null or a number), the share of customers with less, and until when it stays.

    The table's place ``k`` has the least number that ``k`` steps of the customers are not above, so that whoever is
    above it is above ``k`` steps, and not above one more.
    """
    border = border_before(plan, now_ms)
    is_there, x = measure(type_, value, is_instant, border)
    if not is_there or math.isnan(constants[table]):
        return op.T_NULL, 0.0, op.FOREVER
    low, high = 0, op.RANK_PLACES  # so many places of the table are surely below x, and at most so many
    while low < high:
        middle = (low + high) // 2
        if constants[table + middle] < x:
            low = middle + 1
        else:
            high = middle
    until = op.FOREVER
    if is_instant and low < op.RANK_PLACES:
        until = _outgrown(plan, value, constants[table + low], border)
    return op.T_NUMBER, max(0, low - 1) / op.RANK_STEPS, until


@inner
def _outgrown(plan: Ints, instant: float, days: float, border: int) -> int:
    """The first border after this one at which an instant's age is above so many ``days``."""
    reached = instant + days * _DAY_MS
    if not reached < LAST_INSTANT + 2.0:
        return op.FOREVER
    width = plan[plan[op.P_PERSONA] + op.PE_WIDTH]
    # The sum may be rounded, so it is asked as the age is. A border too early would only be looked at in vain.
    first = max(border + width, np.int64(math.floor(reached)) // width * width)
    return first if _age(first, instant) > days else first + width


@inner
def _age(border: int, instant: float) -> float:
    """In days."""
    return max(0.0, border - instant) / _DAY_MS


@inner
def rfm(
    plan: Ints,
    constants: Floats,
    table: int,
    last_type: int,
    last: float,
    count: float,
    total: float,
    now_ms: int,
) -> tuple[int, float, int]:
    """The digits of a buyer: their type (null or a text), the code, and until when the last order's age keeps them.

    A customer who has bought nothing within the window, so that the ``count`` is 0, has none.
    """
    if last_type == op.T_NULL or count < 1.0:
        return op.T_NULL, 0.0, op.FOREVER
    frequencies, moneys = table + op.RANK_PLACES, table + 2 * op.RANK_PLACES
    if math.isnan(constants[table]) or math.isnan(constants[frequencies]) or math.isnan(constants[moneys]):
        return op.T_NULL, 0.0, op.FOREVER
    border = border_before(plan, now_ms)
    age = _fifth(constants, table, _age(border, last))
    until = op.FOREVER
    if age < op.RFM_DIGITS - 1:
        until = _outgrown(plan, last, constants[table + (age + 1) * op.RFM_STEPS], border)
    # The youngest have the most recency.
    code = op.RFM_DIGITS - 1 - age
    code = code * op.RFM_DIGITS + _fifth(constants, frequencies, count)
    code = code * op.RFM_DIGITS + _fifth(constants, moneys, total)
    return op.T_TEXT, float(code), until


@inner
def _fifth(constants: Floats, table: int, x: float) -> int:
    """In which fifth of the customers, 0 to 4, a value lies: five times its rank, rounded down."""
    fifth = 0
    while fifth < op.RFM_DIGITS - 1 and constants[table + (fifth + 1) * op.RFM_STEPS] < x:
        fifth += 1
    return fifth
