"""Reading and writing that tell of their progress: restoring a partition may take long, and is no stall."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from stream.worker.interfaces import Batch, Producer, Reader, StoredRecord


class ToldProducer:
    """``producer``, calling ``told`` after each write; nothing is left to be read."""

    def __init__(self, producer: Producer, told: Callable[[int], None]) -> None:
        self._producer = producer
        self._told = told

    async def write(self, batches: Sequence[Batch]) -> list[Sequence[int]]:
        offsets = await self._producer.write(batches)
        self._told(0)
        return offsets


class ToldReader:
    """``reader``, calling ``told`` whenever something was read, with how many offsets are left."""

    def __init__(self, reader: Reader, told: Callable[[int], None]) -> None:
        self._reader = reader
        self._told = told

    async def end(self, topic: str, partition: int) -> int:
        return await self._reader.end(topic, partition)

    async def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncIterator[Sequence[StoredRecord]]:
        async for records in self._reader.read(topic, partition, start, stop):
            self._told(stop - 1 - records[-1].offset)
            yield records
