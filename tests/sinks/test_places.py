"""Where changes are read from: after a filling, and after Kafka has deleted what would have come next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from stream.brokers.redis_server import RedisServer
from stream.errors import SinkStateError
from stream.kafka.topics import SEGMENT_CHANGES
from stream.live.reader import LogReader
from stream.sinks.redis.filling import Filling
from stream.sinks.redis.keys import Keys
from stream.sinks.redis.script import Script
from stream.sinks.redis.server import make_client
from stream.sinks.redis.sink import Options, Sink
from stream.sinks.redis.status import SinkStatus
from stream.worker.interfaces import StoredRecord
from tests.effort import examples


class Log:
    """A `LogReader` over one partition: records from the offset ``first``, each with its timestamp."""

    def __init__(self, timestamps_ms: Sequence[int], first: int = 0) -> None:
        self.first = first
        self._timestamps_ms = timestamps_ms

    async def start_of(self, topic: str, partition: int) -> int:
        return self.first

    async def end(self, topic: str, partition: int) -> int:
        return self.first + len(self._timestamps_ms)

    async def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncIterator[Sequence[StoredRecord]]:
        assert start >= self.first
        for offset in range(start, stop):
            yield [StoredRecord(offset, self._timestamps_ms[offset - self.first], b"", b"")]


def place_after(log: Log) -> int:
    unused: Any = None
    status = SinkStatus(CollectorRegistry())
    filling = Filling(unused, unused, Keys(), cast("LogReader", log), status, {SEGMENT_CHANGES: 1})
    return asyncio.run(filling._resume_at(0))


@examples(100)
@given(
    steps=st.lists(st.tuples(st.integers(1, 4_000), st.integers(0, 50_000)), max_size=8), first=st.integers(0, 100_000)
)
def test_after_a_filling_a_minute_of_changes_is_read_again(steps: list[tuple[int, int]], first: int) -> None:
    """What was sent less than a minute before the last change may not have been in ``memberships`` yet."""
    timestamps_ms: list[int] = []
    now_ms = 0
    for count, pause_ms in steps:
        timestamps_ms += range(now_ms, now_ms + count)
        now_ms += count + pause_ms
    log = Log(timestamps_ms, first)
    place = place_after(log)
    assert first <= place <= first + len(timestamps_ms)
    unsure = [n for n, ms in enumerate(timestamps_ms, first) if ms >= timestamps_ms[-1] - 60_000]
    assert all(place <= n for n in unsure)


def test_of_a_long_topic_little_is_read_again() -> None:
    assert place_after(Log(range(0, 40_000_000, 100))) > 300_000


@pytest.mark.parametrize(
    ("first", "held", "is_filled_anew"), [(5, 4, True), (5, 5, False), (0, 0, False), (9, 0, True)]
)
def test_what_kafka_has_deleted_is_filled_anew(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, first: int, held: int, is_filled_anew: bool
) -> None:
    async def find() -> dict[int, int] | None:
        async with make_client(redis_server.url) as client:
            script = Script(client, Keys())
            await script.begin("t", "the topic")
            await script.finish("t", {0: held}, is_empty=True)
            return await held_by(redis_server, client, Log([0] * 10, first))

    with caplog.at_level(logging.WARNING, "stream"):
        assert asyncio.run(find()) == (None if is_filled_anew else {0: held})
    assert ("has been deleted: filling anew" in caplog.text) == is_filled_anew


def test_what_lies_beyond_the_topics_end_is_an_error(redis_server: RedisServer) -> None:
    async def find() -> None:
        async with make_client(redis_server.url) as client:
            script = Script(client, Keys())
            await script.begin("t", "the topic")
            await script.finish("t", {0: 11}, is_empty=True)
            await held_by(redis_server, client, Log([0] * 10))

    with pytest.raises(SinkStateError, match="up to offset 11 of partition 0, and the topic ends at 10"):
        asyncio.run(find())


async def held_by(server: RedisServer, client: Any, log: Log) -> dict[int, int] | None:
    sink = Sink(Options("127.0.0.1:1", server.url), client, SinkStatus(CollectorRegistry()))
    sink._topic = "the topic"
    sink._reader = cast("LogReader", log)
    return await sink._offsets()
