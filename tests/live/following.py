"""How far the workers have come: the changes on the wire, seen while they are written."""

from __future__ import annotations

import asyncio
import json
from typing import Self

from stream.kafka.defaults import APP_ID
from stream.kafka.topics import SEGMENT_CHANGES, changelog_name
from stream.live.reader import LogReader
from stream.worker.records import checkpoint_key, parse_checkpoint


class ChangesSoFar:
    """Follows ``segment-changes``: the ids of all changes, and how many repeats there are.

    ``grown`` are the partitions in which the last look has found new changes.
    """

    def __init__(self, address: str, partitions: int) -> None:
        self.ids: set[str] = set()
        self.repeats = 0
        self.grown: set[int] = set()
        self._address = address
        self._next = dict.fromkeys(range(partitions), 0)
        self._loop = asyncio.Runner()

    def look(self) -> None:
        """Counts what has come since the last look."""
        self.grown = set()
        self._loop.run(self._look())

    async def _look(self) -> None:
        await asyncio.gather(*[self._look_at(partition) for partition in self._next])

    async def _look_at(self, partition: int) -> None:
        start = self._next[partition]
        end = await self._reader.end(SEGMENT_CHANGES, partition)
        if end == start:
            return
        async for records in self._reader.read(SEGMENT_CHANGES, partition, start, end):
            for record in records:
                id_ = json.loads(record.value or b"")["id"]
                if id_ in self.ids:
                    self.repeats += 1
                else:
                    self.ids.add(id_)
                    self.grown.add(partition)
        self._next[partition] = end

    def stream_clocks(self) -> dict[int, int | None]:
        """The stream clock of each partition by its latest checkpoint; None where there is none."""
        return self._loop.run(self._stream_clocks())

    async def _stream_clocks(self) -> dict[int, int | None]:
        found: dict[int, int | None] = {}
        for partition in self._next:
            changelog = changelog_name(APP_ID)
            end = await self._reader.end(changelog, partition)
            found[partition] = None
            async for records in self._reader.read(changelog, partition, 0, end):
                for record in records:
                    if record.key == checkpoint_key():
                        found[partition] = parse_checkpoint(record).stream_ms
        return found

    async def _start(self) -> None:
        self._reader = LogReader(self._address)
        await self._reader.start()

    def __enter__(self) -> Self:
        self._loop.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._reader.stop())
        self._loop.close()
