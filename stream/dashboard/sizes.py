"""The segments' sizes now, and how they came to be: counts, curves, flows, overlap and members, out of Redis."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass

from stream.dashboard import figures
from stream.dashboard.answers import Json, Member
from stream.dashboard.catalogue import Catalogue
from stream.dashboard.kept import Kept
from stream.dashboard.memory import Memory
from stream.dashboard.refusals import RefusedError
from stream.instants import format_instant
from stream.language.persona_names import persona_of
from stream.sinks.redis.keys import DAY_MS, HOUR_MS, MINUTE_MS
from stream.sinks.redis.reading import Count, Flow, Meta, median_stay
from stream.sinks.redis.reading import Member as StoredMember

#: So old may be: the counts; what flowed by the minute; what flowed in past hours, which hardly changes.
_COUNTS_S, _MINUTES_S, _HOURS_S = 0.4, 5.0, 60.0
#: The overlap is one key for all pairs of segments.
_OVERLAP_S = 5.0
WEEK_HOURS = 168
_WEEK_MS = WEEK_HOURS * HOUR_MS
_SPARKLINE_HOURS = 24
#: The steps of the curves that are drawn, by the hours they show.
_STEPS_MS = {24: 15 * MINUTE_MS, 168: HOUR_MS, 2_160: 6 * HOUR_MS}


@dataclass(frozen=True)
class Now:
    """All sizes of one moment."""

    at_ms: int
    meta: Meta
    counts: dict[str, Count]
    #: The stream clock; None before the first change.
    clock_ms: int | None

    def count(self, name: str) -> Count:
        """Of a segment that came up since, nothing is counted yet."""
        return self.counts.get(name, Count(0, 0))


class Sizes:
    """``stream_ms`` and ``customers`` are what the workers tell: the newest stream clock, and all profiles.

    ``personas`` gives the segments that those of the newest versions are in, whether or not anybody is.
    """

    def __init__(
        self,
        memory: Memory,
        catalogue: Catalogue,
        moved_share: float,
        stream_ms: Callable[[], int | None],
        customers: Callable[[], int | None],
        personas: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._memory = memory
        self._catalogue = catalogue
        self._moved_share = moved_share
        self._stream_ms = stream_ms
        self._customers = customers
        self._personas = personas
        self._now: Kept[str, Now] = Kept(self._ask_now, _COUNTS_S)
        self._recent: Kept[tuple[str, int, int, int], list[Flow]] = Kept(self._ask_flows, _MINUTES_S, 3_000)
        self._past: Kept[tuple[str, int, int, int], list[Flow]] = Kept(self._ask_flows, _HOURS_S, 3_000)
        self._overlap: Kept[str, dict[tuple[str, str], int]] = Kept(self._ask_overlap, _OVERLAP_S)

    # --- what is asked of Redis ---

    async def now(self) -> Now:
        """Raises ``RefusedError``, as all of these do."""
        return await self._now.get("")

    async def _ask_now(self, _: str) -> Now:
        reader = self._memory.reader
        with self._memory.refusing():
            meta = await reader.meta()
            known = dict.fromkeys([*self._catalogue.segments, *self._personas()])
            others = [name for name in await reader.segments() if name not in known]
            counts = await reader.counts([*known, *others])
        # Of a segment that is not in the file any more nothing is left once all have gone.
        counts = {name: count for name, count in counts.items() if count.members or name in known}
        clocks = [clock for clock in (meta.at_ms, self._stream_ms()) if clock is not None]
        return Now(int(time.time() * 1_000), meta, counts, max(clocks, default=None))

    async def _ask_flows(self, asked: tuple[str, int, int, int]) -> list[Flow]:
        return await self._memory.flows(*asked)

    async def _last_hour(self, name: str, clock_ms: int) -> list[Flow]:
        """By the minute, the one that the clock is in among them."""
        minute = clock_ms // MINUTE_MS
        return await self._recent.get((name, MINUTE_MS, minute - 59, minute))

    async def last_hours(self, name: str, clock_ms: int) -> list[Flow]:
        """What flowed by the hour, a week back.

        Past hours may be a minute old; the present one is made of its minutes.
        """
        hour = clock_ms // HOUR_MS
        past = await self._past.get((name, HOUR_MS, hour - WEEK_HOURS, hour - 1))
        recent = await self._last_hour(name, clock_ms)
        return [*past, *(flow for flow in recent if flow.start_ms >= hour * HOUR_MS)]

    async def _ask_overlap(self, _: str) -> dict[tuple[str, str], int]:
        with self._memory.refusing():
            return await self._memory.reader.overlap()

    # --- what is answered ---

    async def counts(self) -> Json:
        """What the stream's event ``counts`` says."""
        now = await self.now()
        counts = {name: [count.members, count.held_out] for name, count in now.counts.items()}
        return {**clock(now), "counts": counts}

    async def all(self) -> Json:
        """``GET /v1/segments``."""
        now = await self.now()
        return {
            "at": format_instant(now.at_ms),
            **clock(now),
            "customers": self._customers(),
            # Those of personas have a page of their own.
            "segments": [await self.summary(name, now) for name in now.counts if persona_of(name) is None],
        }

    async def one(self, name: str) -> Json:
        """``GET /v1/segments/NAME``."""
        now = await self._found(name)
        summary = await self.summary(name, now)
        clock_ms = now.clock_ms or 0
        day = await self.last_hours(name, clock_ms)
        with self._memory.refusing():
            stays = await self._memory.reader.stays(name)
        stay_s = median_stay(stays)
        return {
            **summary,
            **self._catalogue.conditions(name),
            "causes": figures.by_cause(day, clock_ms - DAY_MS),
            "median_stay_s": None if stay_s is None else round(stay_s),
            "overlap": await self._overlaps(name, now),
        }

    async def history(self, name: str, hours: int) -> Json:
        """``GET /v1/segments/NAME/history``."""
        return {"points": [figures.told(point) for point in await self.curve(name, hours, await self._found(name))]}

    async def curve(self, name: str, hours: int, now: Now) -> list[figures.Point]:
        """The size of a segment that there is now over the last hours, as far back as it is known."""
        if now.clock_ms is None:
            return []
        step_ms = _STEPS_MS[hours]
        unit_ms = HOUR_MS if step_ms >= HOUR_MS else MINUTE_MS
        count = hours * HOUR_MS // step_ms
        first = (now.clock_ms // step_ms - count + 1) * step_ms // unit_ms
        flows = await self._recent.get((name, unit_ms, first, now.clock_ms // unit_ms))
        points = figures.curve(now.counts[name].members, now.clock_ms, flows, step_ms, count)
        known_from = now.meta.history_from_ms or 0
        return [point for point in points if point.at_ms >= known_from]

    async def members(self, name: str, limit: int, cursor: str) -> Json:
        """``GET /v1/segments/NAME/members``. A page may hold some more than ``limit``, or fewer."""
        await self._found(name)
        if not (cursor or "0").isascii() or not (cursor or "0").isdigit() or len(cursor) > 20:
            raise RefusedError(400, "bad_cursor", "`cursor` is what an earlier answer gave")
        with self._memory.refusing():
            found, following = await self._memory.reader.members(name, int(cursor or 0), limit)
        shown = [
            {"customer_id": one.customer_id, "since": one.since, "holdout": one.holdout} for one in map(_member, found)
        ]
        return {"members": shown, "cursor": str(following) if following else None}

    async def all_members(self, name: str) -> AsyncIterator[Sequence[Member]]:
        """All members in pieces; each once, but for those who leave and come back meanwhile."""
        await self._found(name)
        seen: set[str] = set()
        with self._memory.refusing():
            async for page in self._memory.reader.all_members(name):
                fresh = [one for one in page if one.customer_id not in seen and one.membership is not None]
                seen.update(one.customer_id for one in fresh)
                yield [_member(one) for one in fresh]

    async def _found(self, name: str) -> Now:
        now = await self.now()
        if name not in now.counts:
            raise RefusedError(404, "unknown_segment", f"there is no segment {name}")
        return now

    async def summary(self, name: str, now: Now) -> Json:
        """A segment's short answer."""
        segment, count, customers = self._catalogue.segment(name), now.count(name), self._customers()
        clock_ms, members = now.clock_ms or 0, count.members
        minutes = await self._last_hour(name, clock_ms)
        hours = await self.last_hours(name, clock_ms)
        points = figures.curve(members, clock_ms, hours, HOUR_MS, _SPARKLINE_HOURS)
        is_known = figures.knows(now.meta.history_from_ms, clock_ms - DAY_MS)
        day_ago = figures.size_before(members, clock_ms, hours, DAY_MS) if is_known else None
        is_known = figures.knows(now.meta.history_from_ms, clock_ms - _WEEK_MS)
        return {
            **self._catalogue.about(name),
            "members": members,
            "held_out": count.held_out,
            "share": round(min(1.0, members / customers), 6) if customers else None,
            "entered_last_hour": figures.total(minutes, "in", clock_ms - HOUR_MS),
            "exited_last_hour": figures.total(minutes, "out", clock_ms - HOUR_MS),
            "week_ago": figures.size_before(members, clock_ms, hours, _WEEK_MS) if is_known else None,
            "sparkline": [point.members for point in points],
            "alerts": figures.alerts(
                segment, members, day_ago, self._moved_share, self._catalogue.today(max(clock_ms, 0))
            ),
        }

    async def _overlaps(self, name: str, now: Now) -> list[Json]:
        members = now.counts[name].members
        shared = {
            (other if one == name else one): count
            for (one, other), count in (await self._overlap.get("")).items()
            if name in (one, other) and count > 0
        }
        return [
            {"name": other, "members": count, "share": round(min(1.0, count / members), 6) if members else 0.0}
            for other, count in sorted(shared.items(), key=lambda pair: (-pair[1], pair[0]))
        ]


def _member(one: StoredMember) -> Member:
    membership = one.membership
    if membership is None:
        return Member(one.customer_id, None, holdout=False)
    return Member(one.customer_id, format_instant(membership.since_ms), membership.holdout)


def clock(now: Now) -> Json:
    """How far events have come, as all answers say it."""
    if now.clock_ms is None:
        return {"stream_clock": None, "behind_s": None}
    behind_s = max(0.0, (now.at_ms - now.clock_ms) / 1_000)
    return {"stream_clock": format_instant(now.clock_ms), "behind_s": round(behind_s, 1)}
