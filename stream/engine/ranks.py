"""What a value counts as, by itself and beside those of all customers, whose quantiles are constants. Compiled."""

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
def placed(type_: int, value: float, is_instant: bool) -> tuple[bool, float]:
    """By what a number or an instant is looked up in a table, and whether it is there at all.

    A number by itself, an instant turned round: whoever's is later has less. What is beyond doubles or instants is not
    there.
    """
    if type_ != op.T_NUMBER or not math.isfinite(value):
        return False, 0.0
    if not is_instant:
        return True, value
    return 0.0 <= value <= LAST_INSTANT, -value


@inner
def measure(type_: int, value: float, is_instant: bool, border: int) -> tuple[bool, float]:
    """What a feature of personas counts as, and whether it is there at all; 0 where it is not.

    A number counts as it is, an instant by its age in days at a ``border``.
    """
    is_there, x = placed(type_, value, is_instant)
    if not is_there:
        return False, 0.0
    return True, max(0.0, border + x) / _DAY_MS if is_instant else x


@inner
def border_before(plan: Ints, now_ms: int) -> int:
    """The last border at which ages are taken."""
    width = plan[plan[op.P_PERSONA] + op.PE_WIDTH]
    return now_ms // width * width


@inner
def days_ago(type_: int, value: float, is_instant: bool, now_ms: int) -> float:
    """A number as it is, an instant by how many days ago it is; NaN for what has no place in a table."""
    is_there, x = placed(type_, value, is_instant)
    if not is_there:
        return math.nan
    return (now_ms + x) / _DAY_MS if is_instant else x


@inner
def rank(constants: Floats, table: int, is_instant: bool, type_: int, value: float) -> tuple[int, float]:
    """The rank of a value: its type (null or a number), and the share of customers with less.

    The table's place ``k`` has the least number that ``k`` steps of the customers are not above, so that whoever is
    above it is above ``k`` steps, and not above one more.
    """
    is_there, x = placed(type_, value, is_instant)
    if not is_there or math.isnan(constants[table]):
        return op.T_NULL, 0.0
    low, high = 0, op.RANK_PLACES  # so many places of the table are surely below x, and at most so many
    while low < high:
        middle = (low + high) // 2
        if constants[table + middle] < x:
            low = middle + 1
        else:
            high = middle
    return op.T_NUMBER, max(0, low - 1) / op.RANK_STEPS


@inner
def rfm(constants: Floats, table: int, last_type: int, last: float, count: float, total: float) -> tuple[int, float]:
    """The digits of a buyer: their type (null or a text) and the code.

    A customer who has bought nothing within the window, so that the ``count`` is 0, has none.
    """
    if last_type == op.T_NULL or count < 1.0:
        return op.T_NULL, 0.0
    frequencies, moneys = table + op.RANK_PLACES, table + 2 * op.RANK_PLACES
    if math.isnan(constants[table]) or math.isnan(constants[frequencies]) or math.isnan(constants[moneys]):
        return op.T_NULL, 0.0
    # Those whose last order is latest have the most recency.
    code = op.RFM_DIGITS - 1 - _fifth(constants, table, -last)
    code = code * op.RFM_DIGITS + _fifth(constants, frequencies, count)
    code = code * op.RFM_DIGITS + _fifth(constants, moneys, total)
    return op.T_TEXT, float(code)


@inner
def _fifth(constants: Floats, table: int, x: float) -> int:
    """In which fifth of the customers, 0 to 4, a value lies: five times its rank, rounded down."""
    fifth = 0
    while fifth < op.RFM_DIGITS - 1 and constants[table + (fifth + 1) * op.RFM_STEPS] < x:
        fifth += 1
    return fifth
