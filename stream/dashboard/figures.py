"""What is reckoned from a segment's present size and its flows: curves, changes against earlier, alerts. No I/O."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from stream.dashboard.words.amounts import number
from stream.instants import format_instant
from stream.language.tree import Segment
from stream.sinks.redis.keys import CAUSES, HOUR_MS
from stream.sinks.redis.reading import Flow

#: Below that many members a share of change says nothing.
_MOVED_MIN = 20


@dataclass(frozen=True, slots=True)
class Point:
    """A segment's size at an instant, and who entered and left since the point before."""

    at_ms: int
    members: int
    entered: int
    exited: int


def told(point: Point) -> dict[str, str | int]:
    """A point as it is answered."""
    return {
        "at": format_instant(point.at_ms),
        "members": point.members,
        "entered": point.entered,
        "exited": point.exited,
    }


def curve(members: int, clock_ms: int, flows: Iterable[Flow], step_ms: int, count: int) -> list[Point]:
    """The last ``count`` steps up to the clock, the oldest first.

    Steps lie on multiples of ``step_ms``; the last one is not over, and ends at the clock. From the present size one
    goes backwards: whoever entered was not there before.
    """
    entered, exited = _by_step(flows, step_ms)
    last = clock_ms // step_ms
    points = []
    size = members
    for step in range(last, last - count, -1):
        at_ms = clock_ms if step == last else (step + 1) * step_ms
        points.append(Point(at_ms, size, entered[step], exited[step]))
        # A Redis that was filled anew does not know all that flowed before.
        size = max(0, size - entered[step] + exited[step])
    return points[::-1]


def _by_step(flows: Iterable[Flow], step_ms: int) -> tuple[dict[int, int], dict[int, int]]:
    entered: dict[int, int] = defaultdict(int)
    exited: dict[int, int] = defaultdict(int)
    for flow in flows:
        (entered if flow.direction == "in" else exited)[flow.start_ms // step_ms] += flow.number
    return entered, exited


def size_before(members: int, clock_ms: int, hours: Iterable[Flow], span_ms: int) -> int:
    """The size so long before the clock, to the hour."""
    since = (clock_ms - span_ms) // HOUR_MS * HOUR_MS
    net = sum(flow.number if flow.direction == "in" else -flow.number for flow in hours if flow.start_ms > since)
    return max(0, members - net)


def total(flows: Iterable[Flow], direction: str, after_ms: int) -> int:
    """How many flowed in that direction in the minutes or hours that begin after an instant."""
    return sum(flow.number for flow in flows if flow.direction == direction and flow.start_ms > after_ms)


def by_cause(flows: Iterable[Flow], after_ms: int) -> dict[str, dict[str, int]]:
    """How many flowed in and out, by what brought it about."""
    found = {"in": dict.fromkeys(CAUSES, 0), "out": dict.fromkeys(CAUSES, 0)}
    for flow in flows:
        if flow.start_ms > after_ms:
            found[flow.direction][flow.cause] = found[flow.direction].get(flow.cause, 0) + flow.number
    return found


def knows(history_from_ms: int | None, at_ms: int) -> bool:
    """Whether flows are complete from an instant on."""
    return history_from_ms is not None and history_from_ms <= at_ms


def alerts(
    segment: Segment, members: int, day_ago: int | None, moved_share: float, today: datetime.date
) -> list[dict[str, str]]:
    """What somebody should look at: a size that moved or is small, and a date that is over."""
    found = []
    if day_ago and max(day_ago, members) >= _MOVED_MIN and abs(members - day_ago) > moved_share * day_ago:
        share = abs(members - day_ago) / day_ago
        verb = "grew" if members > day_ago else "shrank"
        found.append(("moved", f"{verb} by {share:,.0%} within 24 hours: from {day_ago:,} to {members:,}"))
    if segment.min_size is not None and members < segment.min_size:
        found.append(("below_min_size", f"{members:,} members; it is to have {number(segment.min_size)} at least"))
    if segment.review_by is not None and today > datetime.date.fromisoformat(segment.review_by):
        found.append(("review_due", f"it was to be reviewed by {segment.review_by}"))
    return [{"kind": kind, "message": message.replace("%", " %")} for kind, message in found]
