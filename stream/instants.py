"""Instants as people write them (RFC 3339) and as the engine keeps them: milliseconds since the Unix epoch, UTC."""

from __future__ import annotations

import datetime
import re

from stream.contract import LAST_INSTANT

_SECOND_MS = 1_000
_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000

#: The ordinal of 1970-01-01, as `datetime.date` counts days.
_EPOCH_ORDINAL = 719_163

#: Only ASCII digits: ``\d`` would let Arabic ones pass.
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_INTEGER = re.compile(r"-?[0-9]+")

#: Midnight of days met so far; events crowd on few days. Emptied when it has grown to `_DAYS_KEPT`.
_days: dict[str, int] = {}
_DAYS_KEPT = 4_096


def _day_ms(day: str) -> int:
    """Midnight of ``YYYY-MM-DD`` in milliseconds (negative before 1970)."""
    try:
        ordinal = datetime.date.fromisoformat(day).toordinal()
    except ValueError:
        raise ValueError(f"{day} is no day of the calendar") from None
    if len(_days) >= _DAYS_KEPT:
        _days.clear()
    _days[day] = midnight = (ordinal - _EPOCH_ORDINAL) * _DAY_MS
    return midnight


def parse_instant(text: str) -> int:
    """Milliseconds since the epoch of RFC 3339 ``text``; digits finer than a millisecond are cut off.

    ``T`` and ``Z`` may be small. Raises `ValueError`, whose text is a reason for people, for anything else: another
    form, no zone, a day that is not in the calendar, a 60th second, an instant before 1970 or after 9999 (in UTC).

    >>> parse_instant("2019-10-01T02:31:07.0009+02:00")
    1569889867000
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError("expected RFC 3339 with a zone, such as 2019-10-01T00:31:07.000Z")
    day, hour, minute, second, fraction, sign, offset_hour, offset_minute = match.groups()
    ms = _days.get(day)
    if ms is None:
        ms = _day_ms(day)
    if hour > "23" or minute > "59":
        raise ValueError(f"{hour}:{minute} is no time of day")
    if second > "59":
        raise ValueError(f"second {second} does not exist (leap seconds are not known here)")
    ms += int(hour) * _HOUR_MS + int(minute) * _MINUTE_MS + int(second) * _SECOND_MS
    if fraction is not None:
        ms += int(fraction[:3].ljust(3, "0"))
    if sign is not None:
        if offset_hour > "23" or offset_minute > "59":
            raise ValueError(f"{sign}{offset_hour}:{offset_minute} is no offset from UTC")
        offset = int(offset_hour) * _HOUR_MS + int(offset_minute) * _MINUTE_MS
        ms += -offset if sign == "+" else offset
    if not 0 <= ms <= LAST_INSTANT:
        raise ValueError("expected an instant from 1970 to 9999 (UTC)")
    return ms


def parse_time(text: str) -> int:
    """Milliseconds since the epoch of what a user typed: RFC 3339 text, or such milliseconds.

    Raises `ValueError` with a reason for people.

    >>> parse_time("1569889867000") == parse_time("2019-10-01T00:31:07Z")
    True
    """
    text = text.strip()
    if _INTEGER.fullmatch(text) is None:
        try:
            return parse_instant(text)
        except ValueError as error:
            raise ValueError(f"{error}, or milliseconds since 1970") from None
    # No more digits than an instant has are worth converting: int() refuses very many in another way.
    if len(text) > 20 or not 0 <= int(text) <= LAST_INSTANT:
        raise ValueError(f"expected milliseconds from 0 to {LAST_INSTANT} (the end of 9999)")
    return int(text)


def format_instant(ms: int) -> str:
    """RFC 3339 text of an instant, always with milliseconds and ``Z``. Raises `ValueError` outside 1970 to 9999.

    >>> format_instant(1569889867000)
    '2019-10-01T00:31:07.000Z'
    """
    if not 0 <= ms <= LAST_INSTANT:
        raise ValueError(f"{ms} ms lies outside the years 1970 to 9999")
    days, rest = divmod(ms, _DAY_MS)
    seconds, milliseconds = divmod(rest, _SECOND_MS)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    day = datetime.date.fromordinal(_EPOCH_ORDINAL + days)
    return f"{day.isoformat()}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z"
