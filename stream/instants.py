"""Instants as people write them (RFC 3339) and as the engine keeps them: milliseconds since the Unix epoch, UTC."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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

#: The same contract as one pattern without groups, for a validator in C that knows only patterns: what matches is a
#: valid instant. Not all of them match: the first and the last day need arithmetic (an offset may lead out of the
#: range), so they are left to `parse_instant`.
PLAIN_INSTANT_PATTERN = (
    r"\A(?!1970-01-01|9999-12-31)(?:19[7-9][0-9]|[2-9][0-9]{3})-"
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?<=[0-9][0-9](?:0[48]|[2468][048]|[13579][26])-)02-29|(?<=(?:[2468][048]|[3579][26])00-)02-29)"
    r"[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])\Z"
)

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


def parse_instants(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """`parse_instant` of each of the ``n`` texts, (n,) in milliseconds.

    Much faster than one by one where all texts have the form of the first, in UTC. Raises `ValueError` at the first
    that is no instant.
    """
    plain = _parse_alike(texts) if len(texts) >= _WORTH_VECTORS else None
    return np.fromiter(map(parse_instant, texts), np.int64, len(texts)) if plain is None else plain


_WORTH_VECTORS = 32

#: ``YYYY-MM-DDThh:mm:ss`` by position: where digits stand, and what else stands where.
_DIGITS = np.array([0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18])
_MARKS = np.array([4, 7, 10, 13, 16])
_MARK_BYTES = np.frombuffer(b"--T::", np.uint8)
_MONTH_LENGTHS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def _parse_alike(texts: Sequence[str]) -> npt.NDArray[np.int64] | None:
    """(n,) milliseconds of texts that all look like ``2019-10-01T00:31:07.000Z``, with any number of decimals or none.

    None when one does not, or is no instant: then the caller looks at each.
    """
    length = len(texts[0])
    if not (length == 20 or length >= 22) or set(map(len, texts)) != {length}:
        return None
    joined = "".join(texts)
    if not joined.isascii():
        return None
    table = np.frombuffer(joined.encode(), np.uint8).reshape(-1, length)
    digits = np.concatenate([_DIGITS, np.arange(20, length - 1)])
    # Unsigned, so that what lies below "0" becomes large.
    values = table[:, digits] - np.uint8(48)
    if (values > 9).any() or (table[:, _MARKS] != _MARK_BYTES).any() or (table[:, length - 1] != 90).any():
        return None
    if length > 20 and (table[:, 19] != 46).any():
        return None
    v = values.astype(np.int64).T
    year, month, day = v[0] * 1000 + v[1] * 100 + v[2] * 10 + v[3], v[4] * 10 + v[5], v[6] * 10 + v[7]
    hour, minute, second = v[8] * 10 + v[9], v[10] * 10 + v[11], v[12] * 10 + v[13]
    if ((month < 1) | (month > 12) | (hour > 23) | (minute > 59) | (second > 59) | (year < 1970)).any():
        return None
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    if ((day < 1) | (day > _MONTH_LENGTHS[month] + (leap & (month == 2)))).any():
        return None
    months = (year - 1970) * 12 + (month - 1)
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + (day - 1)
    ms: npt.NDArray[np.int64] = days * _DAY_MS + hour * _HOUR_MS + minute * _MINUTE_MS + second * _SECOND_MS
    for scale, decimal in zip((100, 10, 1), v[14:17], strict=False):  # there may be fewer than three decimals
        ms += decimal * scale
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


def format_instants(instants_ms: npt.NDArray[np.int64]) -> list[str]:
    """`format_instant` of each of ``n`` instants, (n,) in milliseconds. Raises `ValueError` if any is out of range."""
    n = len(instants_ms)
    if n and not 0 <= int(instants_ms.min()) <= int(instants_ms.max()) <= LAST_INSTANT:
        raise ValueError("an instant lies outside the years 1970 to 9999")
    days, rest = np.divmod(instants_ms, _DAY_MS)
    minutes, rest = np.divmod(rest, _MINUTE_MS)
    seconds, milliseconds = np.divmod(rest, _SECOND_MS)
    different, which = np.unique(days, return_inverse=True)
    dates = np.datetime_as_string(different.astype("datetime64[D]")).astype("S10")
    # Written piece by piece into one table of bytes, from tables of what each piece can be.
    table = np.empty((n, _FORMATTED), np.uint8)
    table[:] = np.frombuffer(b"YYYY-MM-DDThh:mm:ss.mmmZ", np.uint8)
    table[:, 0:10] = dates.view(np.uint8).reshape(-1, 10)[which]
    table[:, 11:16] = _MINUTES[minutes]
    table[:, 17:19] = _SECONDS[seconds]
    table[:, 20:23] = _MILLISECONDS[milliseconds]
    text = table.tobytes().decode()
    return [text[start : start + _FORMATTED] for start in range(0, len(text), _FORMATTED)]


def _table(texts: list[str]) -> npt.NDArray[np.uint8]:
    """Texts of one length as rows of bytes."""
    return np.frombuffer("".join(texts).encode(), np.uint8).reshape(len(texts), -1)


_FORMATTED = len("YYYY-MM-DDThh:mm:ss.mmmZ")
_MINUTES = _table([f"{minute // 60:02}:{minute % 60:02}" for minute in range(1440)])
_SECONDS = _table([f"{second:02}" for second in range(60)])
_MILLISECONDS = _table([f"{millisecond:03}" for millisecond in range(1000)])
