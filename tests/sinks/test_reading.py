"""The reader of what lies in Redis."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

from stream.brokers.redis_server import RedisServer
from stream.sinks.redis.reading import Count, Member, Membership, Move, RedisReader, connect, median_stay
from tests.sinks.test_script import START_MS, Session, line

HOUR_MS = 3_600_000


def test_all_that_can_be_read(redis_server: RedisServer) -> None:
    lines = [
        line("a", 1, "entered", "buyers", START_MS, holdout=True),
        line("a", 2, "entered", "new", START_MS + 1, cause="timer"),
        line("b:|@*", 1, "entered", "buyers", START_MS + 2),
        line("b:|@*", 2, "exited", "buyers", START_MS + 2 + HOUR_MS),
        line("gone", 4, "entered", "new", START_MS + HOUR_MS),
        line("gone", 5, "erased", None, START_MS + HOUR_MS),
        line("c", 1, "entered", "new", START_MS + HOUR_MS),
        line("c", 3, "entered", "buyers", START_MS + HOUR_MS),
    ]

    async def read() -> None:
        async with Session(redis_server) as session, connect(redis_server.url) as client:
            reader = RedisReader(client)
            assert await reader.counts([]) == {}
            before = await reader.meta()
            assert (before.at_ms, before.is_filled, before.history_from_ms) == (None, True, None)
            await session.apply(lines)
            meta = await reader.meta()
            assert meta.at_ms == START_MS + 2 + HOUR_MS
            assert meta.definitions == "9f86d081884c7d65"
            assert meta.history_from_ms == START_MS
            assert await reader.segments() == ["buyers", "new"]
            counts = await reader.counts(["buyers", "new", "none"])
            assert counts == {"buyers": Count(2, 1), "new": Count(2, 0), "none": Count(0, 0)}
            found = [member async for page in reader.all_members("buyers") for member in page]
            assert sorted(found, key=lambda one: one.customer_id) == [
                Member("a", Membership(START_MS, holdout=True)),
                Member("c", Membership(START_MS + HOUR_MS, holdout=False)),
            ]
            assert await reader.members("none") == ([], 0)
            customer = await reader.customer("a")
            assert customer is not None
            assert (customer.sequence, list(customer.segments)) == (2, ["buyers", "new"])
            assert await reader.customer("gone") is None
            assert await reader.customer("nobody") is None
            left = await reader.customer("b:|@*")
            assert left is not None
            assert (left.sequence, left.segments) == (2, {})
            assert await reader.changes("a") == [lines[1].decode(), lines[0].decode()]
            minutes, hours = await reader.flows("buyers", "minutes"), await reader.flows("buyers", "hours")
            assert Counter((one.direction, one.number) for one in minutes) == {
                ("in", 2): 1,
                ("in", 1): 1,
                ("out", 1): 1,
            }
            assert [one.start_ms for one in hours] == sorted(one.start_ms for one in hours)
            assert {one.start_ms % HOUR_MS for one in hours} == {0}
            assert sum(one.number for one in hours if one.direction == "in") == 3
            assert 3_300 < (median_stay(await reader.stays("buyers")) or 0) < 4_300
            assert median_stay(await reader.stays("new")) is None
            assert await reader.overlap() == {("buyers", "new"): 2}
            feed = await reader.feed(3)
            assert [json.loads(entry.change)["id"] for entry in feed] == ["c:3", "c:1", "b:|@*:2"]
            after = await reader.feed_after(feed[2].id)
            assert after == [feed[1], feed[0]]
            assert len(await reader.feed_after("0")) == 6
            assert await reader.offsets() == {0: len(lines), 1: 70}
            gaps = await reader.gaps()
            assert (gaps.count, gaps.unknown) == (1, 1)
            assert gaps.last == {"customer": "c", "expected": 2, "got": 3, "at": START_MS + HOUR_MS}

    asyncio.run(read())


def test_moves_between_personas(redis_server: RedisServer) -> None:
    hour = START_MS // HOUR_MS
    later_ms = START_MS + 300 * HOUR_MS
    batches = [
        [line("a", 1, "entered", "persona_p1", START_MS), line("b", 1, "entered", "persona_p1", START_MS)],
        # What belongs together may come apart.
        [line("a", 2, "exited", "persona_p1", START_MS + 5)],
        [line("a", 3, "entered", "persona_p2", START_MS + 5), line("b", 2, "exited", "persona_p1", START_MS + 5)],
        # Not a move: it is another instant.
        [line("b", 3, "entered", "persona_p2", START_MS + 6)],
        # Not a move: a segment is between.
        [
            line("b", 4, "exited", "persona_p2", later_ms),
            line("b", 5, "entered", "buyers", later_ms),
            line("b", 6, "entered", "persona_p1", later_ms),
        ],
        [line("a", 4, "exited", "persona_p2", later_ms), line("a", 5, "entered", "persona_p1", later_ms)],
        [line("a", 6, "exited", "persona_p1", later_ms, cause="erasure"), line("a", 7, "erased", None, later_ms)],
    ]

    async def read() -> None:
        async with Session(redis_server) as session, connect(redis_server.url) as client:
            reader = RedisReader(client)
            for batch in batches[:2]:
                await session.apply(batch)
            assert await reader.moves(hour, hour) == [Move(None, "p1", 2), Move("p1", None, 1)]
            for batch in batches[2:]:
                await session.apply(batch)
            assert await reader.moves(hour, hour) == [
                Move(None, "p1", 2),
                Move(None, "p2", 1),
                Move("p1", None, 1),
                Move("p1", "p2", 1),
            ]
            assert await reader.moves(hour + 1, hour + 300) == [
                Move(None, "p1", 1),
                Move("p1", None, 1),
                Move("p2", None, 1),
                Move("p2", "p1", 1),
            ]
            both = {(one.left, one.entered): one.number for one in await reader.moves(hour, hour + 300)}
            assert both == {
                (None, "p1"): 3,
                (None, "p2"): 1,
                ("p1", None): 2,
                ("p1", "p2"): 1,
                ("p2", None): 1,
                ("p2", "p1"): 1,
            }

    asyncio.run(read())
