"""Numbers, durations, instants and texts as people write them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from stream.language.literals import write_number

_UNITS = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000), ("millisecond", 1))
#: What lies longer back is told by its date.
_AGO_MAX_MS = 100 * 86_400_000
_TEXT_MAX = 80


def number(value: float) -> str:
    """A number with two decimals at most, unless it is smaller than that.

    >>> number(1234.5), number(3.0), number(0.0004)
    ('1,234.5', '3', '0.0004')
    """
    if value and abs(value) < 0.005:
        return write_number(value)
    if abs(value) >= 1e15:
        return write_number(value)
    text = f"{value:,.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def percent(share: float) -> str:
    """A share as it was written.

    >>> percent(0.2), percent(0.125)
    ('20 %', '12.5 %')
    """
    return f"{number(100 * share)} %"


def likelihood(share: float) -> str:
    """A probability, as exact as it is worth.

    >>> likelihood(0.8374), likelihood(0.003), likelihood(0.9991)
    ('84 %', 'less than 1 %', 'more than 99 %')
    """
    if 0 < share < 0.01:
        return "less than 1 %"
    if 0.99 < share < 1:
        return "more than 99 %"
    return f"{share:.0%}".replace("%", " %")


def counted(count: float, one: str, many: str) -> str:
    """How many of something.

    >>> counted(1, "order", "orders"), counted(1200, "order", "orders")
    ('1 order', '1,200 orders')
    """
    return f"{number(count)} {one if count == 1 else many}"


def duration(ms: float) -> str:
    """A duration, exactly.

    >>> duration(129_600_000), duration(1_800_000), duration(0), duration(-60_000)
    ('1 day 12 hours', '30 minutes', '0 seconds', '-1 minute')
    """
    parts, rest = [], abs(round(ms))
    for name, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:,} {name if count == 1 else name + 's'}")
    return ("-" if ms < 0 else "") + " ".join(parts) if parts else "0 seconds"


def about(ms: float) -> str:
    """A duration in the largest unit of which there are two or more, cut off.

    >>> about(1_040_000_000), about(5_400_000), about(999)
    ('12 days', '90 minutes', 'less than a second')
    """
    sign, ms = ("-" if ms < 0 else ""), abs(ms)
    for name, size in _UNITS[:3]:
        if ms >= 2 * size:
            return f"{sign}{int(ms // size):,} {name}s"
    seconds = int(ms // 1_000)
    return f"{sign}{counted(seconds, 'second', 'seconds')}" if seconds else "less than a second"


def date(instant_ms: int, zone: datetime.tzinfo) -> str:
    """The day of an instant.

    >>> date(1_760_002_575_913, ZoneInfo("Europe/Berlin"))
    '9 October 2025'
    """
    try:
        day = datetime.datetime.fromtimestamp(instant_ms / 1_000, zone)
    except (ValueError, OverflowError):  # at the end of 9999, east of Greenwich
        return "at the end of time"
    return f"{day.day} {day:%B} {day.year}"


def ago(instant_ms: int, at_ms: int, zone: datetime.tzinfo) -> str:
    """How long before ``at_ms`` an instant was.

    >>> ago(0, 1_800_000, datetime.UTC), ago(1_800_000, 0, datetime.UTC)
    ('30 minutes ago', 'in 30 minutes')
    """
    elapsed_ms = at_ms - instant_ms
    if elapsed_ms > _AGO_MAX_MS:
        return f"on {date(instant_ms, zone)}"
    if elapsed_ms < 0:
        return f"in {about(-elapsed_ms)}"
    return f"{about(elapsed_ms)} ago" if elapsed_ms >= 1_000 else "just now"


def quoted(text: str) -> str:
    """A text within quotes; a long one is cut.

    >>> quoted("mobile")
    '“mobile”'
    """
    return f"“{text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + '…'}”"


def literal(value: float | str | bool) -> str:
    """Any value that has no unit."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return quoted(value) if isinstance(value, str) else number(value)


def listed(texts: Sequence[str], conjunction: str) -> str:
    """Some texts as a list.

    >>> listed(["a", "b", "c"], "or")
    'a, b or c'
    """
    return f"{', '.join(texts[:-1])} {conjunction} {texts[-1]}" if len(texts) > 1 else "".join(texts)


def plural(noun: str) -> str:
    """The plural of a noun.

    >>> plural("category"), plural("product"), plural("address")
    ('categories', 'products', 'addresses')
    """
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
