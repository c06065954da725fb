"""The parts of the shell: offsets of what is written, reading, ends, and what is taken for a stall."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from stream.brokers.process import BrokerProcess
from stream.kafka.topics import Topic
from stream.live.producer import BATCH_BYTES, LogProducer
from stream.live.reader import LogReader
from stream.live.record_batches import unpack_stored
from stream.live.status import Counters, PartitionStatus, Phase, Status
from stream.live.watch import stall
from stream.worker.interfaces import Batch, Record, StoredRecord
from stream.worker.partitioning import partitions_of
from tests.kafka.kafka_records import make_topics

TOPICS = [Topic("one", ""), Topic("two", "")]


def with_both(address: str, work: Callable[[LogProducer, LogReader], Awaitable[None]]) -> None:
    async def run() -> None:
        producer = LogProducer(address, {"one": 3, "two": 3}, 5.0, Counters())
        reader = LogReader(address, unpack_stored)  # as a worker has it; sinks read single records
        await producer.start()
        await reader.start()
        try:
            await work(producer, reader)
        finally:
            await reader.stop()
            await producer.stop()

    asyncio.run(run())


async def all_of(reader: LogReader, topic: str, partition: int, start: int, stop: int) -> list[StoredRecord]:
    return [record async for records in reader.read(topic, partition, start, stop) for record in records]


def test_every_record_has_the_offset_that_it_was_told(broker: BrokerProcess) -> None:
    make_topics(broker.address, 3, TOPICS)

    async def work(producer: LogProducer, reader: LogReader) -> None:
        large = BATCH_BYTES // 3
        by_place = [Record(b"k%d" % i, b"x" * (large if i % 2 else 10), (("h", b"%d" % i),)) for i in range(40)]
        by_key = [Record(b"key-%d" % i, None if i % 7 == 0 else b"v") for i in range(500)]
        for _ in range(2):
            first, second, none = await producer.write(
                [Batch("one", 1, by_place), Batch("two", None, by_key), Batch("one", 2, [])]
            )
            assert none == []
            found = {one.offset: one for one in await all_of(reader, "one", 1, 0, await reader.end("one", 1))}
            assert [found[offset].value for offset in first] == [record.value for record in by_place]
            assert [found[offset].headers for offset in first] == [record.headers for record in by_place]
            assert list(first) == list(range(first[0], first[0] + len(by_place)))
            logs = [await all_of(reader, "two", p, 0, await reader.end("two", p)) for p in range(3)]
            partitions = partitions_of([record.key or b"" for record in by_key], 3).tolist()
            for record, partition, offset in zip(by_key, partitions, second, strict=True):
                assert (logs[partition][offset].key, logs[partition][offset].value) == (record.key, record.value)

    with_both(broker.address, work)


def test_reading_keeps_to_its_bounds(broker: BrokerProcess) -> None:
    make_topics(broker.address, 3, TOPICS)

    async def work(producer: LogProducer, reader: LogReader) -> None:
        assert await reader.end("one", 0) == 0
        assert await all_of(reader, "one", 0, 0, 0) == []
        for count in (1, 5, 30):
            await producer.write([Batch("one", 0, [Record(b"k", b"v")] * count)])
        assert (await reader.start_of("one", 0), await reader.end("one", 0)) == (0, 36)
        assert [one.offset for one in await all_of(reader, "one", 0, 3, 20)] == list(range(3, 20))

    with_both(broker.address, work)


@pytest.mark.parametrize(
    ("phase", "progress_ms", "turned_at_s", "says"),
    [
        (Phase.LIVE, 0, 200.0, None),
        (Phase.BEHIND, 150_000, 200.0, None),
        (Phase.BEHIND, 0, 200.0, "partition 3 (behind, 7 records behind) has made no progress for 200 s"),
        (Phase.RESTORING, 0, 200.0, "partition 3 (restoring, 7 records behind) has made no progress for 200 s"),
        (Phase.LIVE, 0, 50.0, "the event loop has not turned for 150 s"),
    ],
)
def test_what_is_taken_for_a_stall(phase: Phase, progress_ms: int, turned_at_s: float, says: str | None) -> None:
    status = Status("a", "1", "d", 0)
    status.partitions[3] = PartitionStatus(3, phase, progress_ms=progress_ms, lag_records={"clicks": 7})
    assert stall(status, now_s=200.0, turned_at_s=turned_at_s, stalled_after_s=120.0) == says


@pytest.mark.parametrize(
    ("unassigned_ms", "says"),
    [(None, None), (100_000, None), (50_000, "the group has given no assignment for 150 s")],
)
def test_a_group_that_assigns_nothing_is_a_stall(unassigned_ms: int | None, says: str | None) -> None:
    status = Status("a", "1", "d", 0, unassigned_ms=unassigned_ms)
    assert stall(status, now_s=200.0, turned_at_s=200.0, stalled_after_s=120.0) == says
