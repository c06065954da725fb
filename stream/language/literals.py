"""Numbers and durations: reading what was written, writing what is canonical."""

from __future__ import annotations

import math
import re

from stream.contract import MAX_DURATION_MS
from stream.language.words import UNITS, unit_of

_NUMBER = re.compile(r"\d+(\.\d+)?([eE][+-]?\d+)?")
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdw]))+")
_DURATION_PART = re.compile(r"(\d+)(ms|[smhdw])")
_FRACTION_OF_UNIT = re.compile(r"(\d*\.\d+|\d+\.)([A-Za-z]+)")
_DIGITS_AND_WORD = re.compile(r"(\d+)([A-Za-z_]+)")
_WRITTEN_UNITS = (("d", UNITS["d"]), ("h", UNITS["h"]), ("m", UNITS["m"]), ("s", UNITS["s"]))
_UNIT_LIST = "`ms`, `s`, `m`, `h`, `d` or `w`"


class LiteralError(ValueError):
    """A number or duration that cannot be read; ``str()`` says why. Caught by the checker."""


def read_duration(text: str) -> int | None:
    """Milliseconds of a duration such as ``1d12h``; None when ``text`` does not look like one.

    Raises:
        LiteralError: it is longer than 3,660 days.
    """
    if not _DURATION.fullmatch(text):
        return None
    # The limit on digits keeps a line of a million nines from being multiplied out.
    if len(text) > 200:
        raise LiteralError("a duration is at most 3660 days")
    total = sum(int(digits) * UNITS[unit] for digits, unit in _DURATION_PART.findall(text))
    if total > MAX_DURATION_MS:
        raise LiteralError(f"a duration is at most 3660 days, and `{text}` is longer")
    return total


def read_number(text: str) -> float | None:
    """The double that ``text`` stands for; None when it does not look like a number.

    Raises:
        LiteralError: no double is that large.
    """
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    if math.isinf(value):
        raise LiteralError(f"`{text}` is too large for a number")
    return value


def complaint(text: str) -> str:
    """Why ``text``, which begins like a number, is neither number nor duration."""
    fraction = _FRACTION_OF_UNIT.fullmatch(text)
    if fraction is not None and (unit := unit_of(fraction[2])) is not None:
        whole = float(fraction[1]) * UNITS[unit]
        hint = f": write `{write_duration(int(whole))}`" if whole.is_integer() and 0 < whole <= MAX_DURATION_MS else ""
        return f"durations are whole numbers{hint}"
    plain = text.replace("_", "")
    if "_" in text and _NUMBER.fullmatch(plain):
        return f"a number has no `_`: write `{plain}`"
    if text.startswith(".") and _NUMBER.fullmatch("0" + text):
        return f"write `0{text}`"
    if text.endswith(".") and _NUMBER.fullmatch(text[:-1]):
        return f"write `{text[:-1]}`"
    if _DURATION_PART.match(text) and re.fullmatch(r"(\d+(ms|[smhdw]))+\d+", text):
        return f"the last part of `{text}` has no unit: {_UNIT_LIST}"
    worded = _DIGITS_AND_WORD.fullmatch(text)
    if worded is not None:
        return _unit_complaint(worded[1], worded[2])
    return f"`{text}` is neither a number nor a duration (such as `12.5` and `7d`)"


def _unit_complaint(digits: str, word: str) -> str:
    unit = unit_of(word)
    lower = word.lower()
    if unit is not None:
        hint = f"did you mean `{digits}{unit}`?"
    elif lower in ("mo", "mon", "month", "months") and len(digits) < 4:
        hint = f"months differ in length; 30 days each are `{int(digits) * 30}d`"
    elif lower in ("y", "yr", "year", "years") and len(digits) < 3:
        hint = f"years differ in length; 365 days each are `{int(digits) * 365}d`"
    elif lower in ("k", "mio", "bn"):
        hint = "write the number out"
    else:
        hint = f"the units are {_UNIT_LIST}"
    return f"unknown unit `{word}` ({hint})" if unit is not None else f"unknown unit `{word}`: {hint}"


def write_duration(milliseconds: int) -> str:
    """The canonical text: one number, in the largest of d, h, m, s, ms that divides it.

    >>> write_duration(604_800_000), write_duration(129_600_000), write_duration(0)
    ('7d', '36h', '0d')
    """
    for unit, size in _WRITTEN_UNITS:
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def write_number(value: float) -> str:
    """The shortest text that JSON has for the double; whole numbers below 2**53 without a fraction.

    >>> write_number(500.0), write_number(0.1), write_number(-2.5e-7), write_number(1e22)
    ('500', '0.1', '-2.5e-7', '1e22')
    """
    if value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa
