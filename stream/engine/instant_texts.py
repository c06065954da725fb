"""Instants as text by the thousand: `stream.instants.format_instant`, compiled."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from stream.compiled import compiled, pasted
from stream.contract import LAST_INSTANT
from stream.events.bytewise import Bytes

Ints = npt.NDArray[np.int64]

_FORM: Final = np.frombuffer(b"0000-00-00T00:00:00.000Z", np.uint8)
_SIZE: Final = len(_FORM)
_DAY_MS: Final = 86_400_000
#: Days from 0000-03-01 to 1970-01-01; days of 400 years, of 100, of 4 and of one.
_BEFORE_1970, _DAYS_400, _DAYS_100, _DAYS_4, _DAYS_1 = 719_468, 146_097, 36_524, 1_461, 365


def format_instants(instants_ms: Ints) -> list[str]:
    """`format_instant` of each of ``n`` instants, (n,) in milliseconds. Raises `ValueError` if any is out of range."""
    if instants_ms.size and not 0 <= int(instants_ms.min()) <= int(instants_ms.max()) <= LAST_INSTANT:
        raise ValueError("an instant lies outside the years 1970 to 9999")
    out = np.empty((len(instants_ms), _SIZE), np.uint8)
    out[:] = _FORM
    _write(np.ascontiguousarray(instants_ms), out)
    text = out.tobytes().decode()
    return [text[start : start + _SIZE] for start in range(0, len(text), _SIZE)]


@pasted
def _put(number: int, digits: int, out: Bytes, row: int, at: int) -> None:
    """Adds a number's last digits to the noughts from ``at`` on."""
    for place in range(at + digits - 1, at - 1, -1):
        out[row, place] += number % 10
        number //= 10


@compiled
def _write(instants_ms: Ints, out: Bytes) -> None:
    """Writes the date by the Gregorian calendar, of which a year begins with March, so that a leap day ends it."""
    for i in range(len(instants_ms)):
        days = instants_ms[i] // _DAY_MS
        rest = instants_ms[i] - days * _DAY_MS
        days += _BEFORE_1970
        centuries_4 = days // _DAYS_400
        days -= centuries_4 * _DAYS_400
        years = (days - days // (_DAYS_4 - 1) + days // _DAYS_100 - days // (_DAYS_400 - 1)) // _DAYS_1
        days -= years * _DAYS_1 + years // 4 - years // 100
        # Five months from March on, and from August on, have 153 days.
        month = (5 * days + 2) // 153
        day = days - (153 * month + 2) // 5 + 1
        month += 3 if month < 10 else -9
        year = 400 * centuries_4 + years + (1 if month <= 2 else 0)
        _put(year, 4, out, i, 0)
        _put(month, 2, out, i, 5)
        _put(day, 2, out, i, 8)
        _put(rest // 3_600_000, 2, out, i, 11)
        _put(rest // 60_000 % 60, 2, out, i, 14)
        _put(rest // 1_000 % 60, 2, out, i, 17)
        _put(rest % 1_000, 3, out, i, 20)
