"""Writing owners' records: in order, and with the offset that each of them got."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from aiokafka.structs import RecordMetadata

from stream.errors import BrokerUnreachableError
from stream.kafka.connection import unreachable
from stream.kafka.topics import DEAD_LETTERS
from stream.live.batch_building import BuiltBatch, built
from stream.live.status import Counters
from stream.worker.interfaces import Batch
from stream.worker.partitioning import partitions_of
from stream.worker.record_columns import RecordColumns

Ints = npt.NDArray[np.int64]

#: A batch is sent when it has so many bytes; of each partition one is on its way.
BATCH_BYTES = 256 << 10
#: A row with its outbox may be that large.
_REQUEST_BYTES_MAX = 8 << 20

_Place = tuple[str, int]  # a topic and a partition
_T = TypeVar("_T")


class LogProducer:
    """`Producer` over aiokafka. ``partitions`` says how many each topic has that is written to by key.

    A batch that is sent again because its acknowledgement was lost may lie there twice; owners see that by the offsets.
    A batch that is not acknowledged within ``timeout_s`` raises ``BrokerUnreachableError``; it must be below the
    session timeout, so that nothing is sent any more for a partition that may be somebody else's.
    """

    def __init__(
        self,
        broker: str,
        partitions: Mapping[str, int],
        timeout_s: float,
        counters: Counters,
        compression: str | None = None,
    ) -> None:
        self._broker = broker
        self._partitions = partitions
        self._timeout_s = timeout_s
        self._counters = counters
        self._compression = compression
        self._locks: defaultdict[_Place, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=broker,
            acks="all",
            linger_ms=0,
            max_request_size=_REQUEST_BYTES_MAX,
            request_timeout_ms=int(timeout_s * 1_000),
        )

    async def start(self) -> None:
        try:
            await self._producer.start()
        except KafkaConnectionError as error:
            await self._producer.stop()
            raise unreachable(self._broker) from error

    async def stop(self) -> None:
        await self._producer.stop()

    async def write(self, batches: Sequence[Batch]) -> list[Sequence[int]]:
        """As `stream.worker.interfaces.Producer` says."""
        offsets = [np.full(len(batch.records), -1, np.int64) for batch in batches]
        todo = []
        for batch, found in zip(batches, offsets, strict=True):
            if not len(batch.records):
                continue
            records = RecordColumns.of(batch.records)
            if batch.partition is not None:
                todo.append(self._write(batch.topic, batch.partition, records, found))
                continue
            partitions = partitions_of(records.keys, self._partitions[batch.topic])
            for partition in np.unique(partitions).tolist():
                places = np.flatnonzero(partitions == partition)
                todo.append(self._write_some(batch.topic, partition, records, places, found))
        if len(todo) == 1:
            await todo[0]
        elif todo:
            await _all(todo)
        self._count(batches)
        return [found.tolist() for found in offsets]

    async def _write_some(
        self, topic: str, partition: int, records: RecordColumns, places: Ints, offsets: Ints
    ) -> None:
        """Writes those at ``places`` (m,) to one partition, and enters their offsets there."""
        found = np.full(len(places), -1, np.int64)
        await self._write(topic, partition, records.select(places), found)
        offsets[places] = found

    async def _write(self, topic: str, partition: int, records: RecordColumns, offsets: Ints) -> None:
        """Writes to one partition, batch after batch, and enters the offsets; one batch is made while one is sent."""
        done = 0
        async with self._locks[topic, partition]:
            on_its_way: tuple[asyncio.Future[RecordMetadata], int] | None = None

            async def acknowledge() -> None:
                nonlocal done
                if on_its_way is not None:
                    future, count = on_its_way
                    base = (await self._told(future)).offset
                    offsets[done : done + count] = np.arange(base, base + count)
                    done += count

            for batch in built(records, time.time_ns() // 1_000_000, BATCH_BYTES, self._compression):
                await acknowledge()
                on_its_way = await self._submit(batch, topic, partition), batch.record_count()
            await acknowledge()
        assert done == len(records), "every record has its offset"

    async def _submit(self, batch: BuiltBatch, topic: str, partition: int) -> asyncio.Future[RecordMetadata]:
        sending = self._producer.send_batch(batch, topic, partition=partition)
        future: asyncio.Future[RecordMetadata] = await self._told(asyncio.ensure_future(sending))
        return future

    async def _told(self, future: asyncio.Future[_T]) -> _T:
        """What the future gives; failures that mean that nobody answers, as such."""
        try:
            return await future
        except KafkaError as error:
            if error.retriable or isinstance(error, KafkaTimeoutError):
                raise BrokerUnreachableError(
                    f"the broker at {self._broker} has acknowledged nothing for {self._timeout_s:g} s"
                ) from error
            raise

    def _count(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if batch.topic == DEAD_LETTERS:
                for record in batch.records:
                    headers = dict(record.headers)
                    code, topic = headers["code"].decode(), headers["source_topic"].decode()
                    self._counters.dead_letters[code] += 1
                    self._counters.rejected[topic, code] += 1


async def _all(coroutines: Sequence[object]) -> None:
    """Runs all; the first failure ends the others."""
    tasks = [asyncio.ensure_future(one) for one in coroutines]  # type: ignore[call-overload]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
