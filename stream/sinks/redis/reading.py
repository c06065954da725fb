"""What lies in Redis, for whoever shows it: docs/redis.md's layout as typed answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec
import redis.asyncio

from stream.sinks.redis.keys import DEFAULT_PREFIX, HOUR_MS, MINUTE_MS, Keys, membership_field, stay_seconds

#: A client whose answers are texts.
Client = redis.asyncio.Redis
Unit = Literal["minutes", "hours"]
_UNIT_MS: Mapping[Unit, int] = {"minutes": MINUTE_MS, "hours": HOUR_MS}
_HELD_OUT = "|h"
#: Of so many hours the moves are asked for at once.
_HOURS_AT_ONCE = 200
#: An answer to whom somebody waits for comes within so long, or not.
_ANSWERED_WITHIN_S = 5.0


@dataclass(frozen=True)
class Membership:
    """Since when somebody is in a segment, and whether in its control group."""

    since_ms: int
    holdout: bool

    @classmethod
    def parse(cls, text: str) -> Membership:
        """What the field of a membership holds.

        >>> Membership.parse("1735787045000|h")
        Membership(since_ms=1735787045000, holdout=True)
        """
        return cls(int(text.removesuffix(_HELD_OUT)), text.endswith(_HELD_OUT))


@dataclass(frozen=True)
class Member:
    """One member of a segment; ``membership`` is None when it ended between two looks."""

    customer_id: str
    membership: Membership | None


@dataclass(frozen=True)
class Customer:
    """A customer's memberships by segment, and the number of the last change."""

    customer_id: str
    sequence: int
    segments: Mapping[str, Membership]


@dataclass(frozen=True)
class Count:
    """How many members a segment has, and how many of these are held out."""

    members: int
    held_out: int


@dataclass(frozen=True)
class Flow:
    """So many entered (``in``) or left (``out``) in the minute or hour that begins at ``start_ms``."""

    start_ms: int
    cause: str
    direction: str
    number: int


@dataclass(frozen=True)
class Move:
    """So many customers went from one persona to another; None: they had none before, or have none any more."""

    left: str | None
    entered: str | None
    number: int


@dataclass(frozen=True)
class Meta:
    """The state as a whole.

    ``at_ms`` is the latest ``at`` applied, the stream clock as far as Redis knows; None before the first change. Flows
    are complete from ``history_from_ms`` on; 0: there was nothing before.
    """

    at_ms: int | None
    is_filled: bool
    history_from_ms: int | None
    topic: str | None
    definitions: str | None


@dataclass(frozen=True)
class Gaps:
    """Changes that never came: how often a customer's numbers jumped, and the last time.

    ``unknown`` counts customers who came with a number above 1 and were not known: those who come back after an
    erasure, as a rule.
    """

    count: int
    unknown: int
    last: Mapping[str, Any] | None


@dataclass(frozen=True)
class FeedEntry:
    """A change in the feed: its id there, and its JSON as on the topic."""

    id: str
    change: str


def connect(url: str) -> Client:
    """A client for a reader. It connects when it is first used; ``aclose`` ends it."""
    return redis.asyncio.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=_ANSWERED_WITHIN_S,
        socket_connect_timeout=_ANSWERED_WITHIN_S,
        health_check_interval=30,
    )


class RedisReader:
    """Reads what the sink has written. All raise ``redis.RedisError`` where Redis does not answer."""

    def __init__(self, client: Client, prefix: str = DEFAULT_PREFIX) -> None:
        self.client = client
        self.keys = Keys(prefix)

    async def meta(self) -> Meta:
        found = await self._hash(self.keys.meta)
        return Meta(
            _int(found.get("at_ms")),
            found.get("filled") == "1",
            _int(found.get("history_from_ms")),
            found.get("topic"),
            found.get("definitions"),
        )

    async def segments(self) -> list[str]:
        """The names of all segments that were ever seen, in order."""
        return sorted(await cast("Any", self.client.smembers(self.keys.segments)))

    async def counts(self, segments: Iterable[str]) -> dict[str, Count]:
        """The sizes of these segments, all of one moment."""
        names = list(segments)
        async with self.client.pipeline(transaction=True) as pipe:
            for name in names:
                pipe.scard(self.keys.members(name))
                pipe.scard(self.keys.holdout(name))
            found = await pipe.execute() if names else []
        return {name: Count(found[2 * i], found[2 * i + 1]) for i, name in enumerate(names)}

    async def members(self, segment: str, cursor: int = 0, limit: int = 50) -> tuple[list[Member], int]:
        """Some members and where to go on; 0: that was all. A page has about ``limit``, sometimes none or twice.

        Who is a member from the first page to the last is among them, maybe more than once.
        """
        answer: Any = await cast("Any", self.client.sscan(self.keys.members(segment), cursor, count=limit))
        following, ids = answer
        if not ids:
            return [], int(following)
        async with self.client.pipeline(transaction=False) as pipe:
            for customer_id in ids:
                pipe.hget(self.keys.customer(customer_id), membership_field(segment))
            found = await pipe.execute()
        members = [
            Member(customer_id, None if text is None else Membership.parse(text))
            for customer_id, text in zip(ids, found, strict=True)
        ]
        return members, int(following)

    async def all_members(self, segment: str, at_once: int = 1_000) -> AsyncIterator[Sequence[Member]]:
        """All members in pages, nobody twice within a page."""
        cursor = 0
        while True:
            page, cursor = await self.members(segment, cursor, at_once)
            if page:
                yield page
            if not cursor:
                return

    async def customer(self, customer_id: str) -> Customer | None:
        """None for one of whom nothing is known, or who was erased."""
        found = await self._hash(self.keys.customer(customer_id))
        if not found or "erased" in found:
            return None
        segments = {name[1:]: Membership.parse(text) for name, text in found.items() if name.startswith("@")}
        return Customer(customer_id, int(found["sequence"]), dict(sorted(segments.items())))

    async def changes(self, customer_id: str) -> list[str]:
        """The customer's latest changes as JSON, newest first."""
        found: Any = await cast("Any", self.client.lrange(self.keys.changes(customer_id), 0, -1))
        return list(found)

    async def flows(self, segment: str, unit: Unit) -> list[Flow]:
        """What flowed in and out, in the order of time: at least 24 hours back by the minute, 90 days by the hour.

        Up to 24 hours more may be there, or not: leave out what you do not want.
        """
        key = self.keys.minutes(segment) if unit == "minutes" else self.keys.hours(segment)
        flows = []
        for field, number in (await self._hash(key)).items():
            start, cause, direction = field.split(":")
            flows.append(Flow(int(start) * _UNIT_MS[unit], cause, direction, int(number)))
        return sorted(flows, key=lambda one: (one.start_ms, one.cause, one.direction))

    async def moves(self, first_hour: int, last_hour: int) -> list[Move]:
        """Who went from which persona to which in these hours since the epoch, all together; most first.

        Hours are known as long as flows by the hour are.
        """
        total: Counter[str] = Counter()
        for first in range(first_hour, last_hour + 1, _HOURS_AT_ONCE):
            async with self.client.pipeline(transaction=False) as pipe:
                for hour in range(first, min(last_hour + 1, first + _HOURS_AT_ONCE)):
                    pipe.hgetall(self.keys.moves(hour))
                for found in await pipe.execute():
                    for field, number in found.items():
                        total[field] += int(number)
        moves = []
        for field, number in sorted(total.items(), key=lambda pair: (-pair[1], pair[0])):
            left, _, entered = field.partition(">")
            moves.append(Move(left or None, entered or None, number))
        return moves

    async def stays(self, segment: str) -> dict[int, int]:
        """How many stays ended, by the bucket of their length; see `median_stay`."""
        return {
            int(bucket): int(count) for bucket, count in sorted((await self._hash(self.keys.stay(segment))).items())
        }

    async def overlap(self) -> dict[tuple[str, str], int]:
        """How many customers are in both of two segments, the names in order. Pairs that nobody is in are left out."""
        found = await self._hash(self.keys.overlap)
        pairs = {field.partition("|")[::2]: int(count) for field, count in found.items()}
        return {(one, other): pairs[one, other] for one, other in sorted(pairs)}

    async def feed(self, limit: int = 50) -> list[FeedEntry]:
        """The latest changes of all, newest first."""
        found: Any = await cast("Any", self.client.xrevrange(self.keys.feed, count=limit))
        return [FeedEntry(id_, fields["change"]) for id_, fields in found]

    async def feed_after(self, last_id: str, limit: int = 1_000) -> list[FeedEntry]:
        """The changes that came after the entry ``last_id``, oldest first; ``0`` is before all."""
        found: Any = await cast("Any", self.client.xrange(self.keys.feed, min=f"({last_id}", count=limit))
        return [FeedEntry(id_, fields["change"]) for id_, fields in found]

    async def offsets(self) -> dict[int, int]:
        """The offset of ``segment-changes`` up to which all has been applied, by partition."""
        return {int(partition): int(offset) for partition, offset in (await self._hash(self.keys.offsets)).items()}

    async def gaps(self) -> Gaps:
        found = await self._hash(self.keys.gaps)
        last = found.get("last")
        return Gaps(
            int(found.get("count", 0)), int(found.get("unknown", 0)), msgspec.json.decode(last) if last else None
        )

    async def _hash(self, key: str) -> dict[str, str]:
        found: Any = await cast("Any", self.client.hgetall(key))
        return dict(found)


def median_stay(stays: Mapping[int, int]) -> float | None:
    """The median length in seconds of stays that have ended, to about 10 %; None where there was none.

    >>> round(median_stay({0: 1, 23: 5, 65: 1}) or 0)
    58
    """
    total = sum(stays.values())
    seen = 0
    for bucket, count in sorted(stays.items()):
        seen += count
        if 2 * seen >= total and total:
            return stay_seconds(bucket)
    return None


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)
