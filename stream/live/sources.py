"""A partition of the source topics, as the consumer group has it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from faust.types import TP

from stream.live.consumer import BatchConsumer
from stream.live.reader import LogReader
from stream.worker.interfaces import Span
from stream.worker.topics import SOURCES


class GroupSources:
    """`Sources` of one partition. ``generation`` is that of the latest assignment; it commits for no other."""

    def __init__(self, partition: int, consumer: BatchConsumer, reader: LogReader) -> None:
        self.generation = -1
        self._partition = partition
        self._consumer = consumer
        self._reader = reader

    async def spans(self) -> Mapping[str, Span]:
        found = await asyncio.gather(*[self._span(topic) for topic in SOURCES])
        return dict(zip(SOURCES, found, strict=True))

    async def _span(self, topic: str) -> Span:
        partition = self._partition
        start, end, committed = await asyncio.gather(
            self._reader.start_of(topic, partition),
            self._reader.end(topic, partition),
            self._consumer.committed(TP(topic, partition)),
        )
        return Span(start, end, committed)

    async def commit(self, offsets: Mapping[str, int]) -> bool:
        places = {TP(topic, self._partition): offset for topic, offset in offsets.items()}
        return await self._consumer.commit_offsets(places, self.generation)
