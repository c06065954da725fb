"""A log that only its owner writes: every record must get the next offset, or something else was written."""

from __future__ import annotations

from collections.abc import Sequence

from stream.worker.errors import ChangelogError, FencedError
from stream.worker.interfaces import Batch, Record, StoredRecord, World
from stream.worker.records import EPOCH, fence_record, is_fence, stamp_of, stamped


class OwnedLog:
    """One partition of a topic, under one epoch.

    ``expected`` is the offset that the next record must get. Where an acknowledgement says another one, the records in
    between are read. A newer owner's: ``FencedError``. Others, be they a stalled owner's last words or copies of
    one's own: what they say may be out of date, and a cleaner would keep the latest, so their keys are ``strangers``,
    to be written again.
    """

    def __init__(self, world: World, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.epoch = -1
        self.expected = -1
        self.fence = b""  # the key of one's own
        self._number = 0
        self._world = world
        self._strangers: dict[bytes, None] = {}

    @property
    def last_number(self) -> int:
        """The number of the last record that was written; -1 before the first."""
        return self._number - 1

    @property
    def _where(self) -> str:
        return f"topic {self.topic}, partition {self.partition}"

    async def write_fence(self, token: str, worker: str, at_ms: int) -> bool:
        """Takes over: the fence's offset is the new epoch. True when it lies right behind one's own last record."""
        fence = fence_record(token, worker, at_ms)
        ((offset,),) = await self._world.producer.write([Batch(self.topic, self.partition, [fence])])
        self.fence = fence.key or b""
        is_next = offset == self.expected
        self.begin(offset, offset + 1)
        return is_next

    def begin(self, epoch: int, expected: int) -> None:
        """Begins an epoch; the next record will be at ``expected``."""
        self.epoch, self.expected, self._number = epoch, expected, 0
        self._strangers.clear()

    def batch(self, records: Sequence[Record]) -> Batch:
        """The records with their stamps, to be written at once; ``check`` must follow."""
        first = self._number
        self._number += len(records)
        return Batch(self.topic, self.partition, stamped(records, self.epoch, first))

    async def append(self, records: Sequence[Record]) -> None:
        """Writes records and checks where they came to lie."""
        if len(records):
            (offsets,) = await self._world.producer.write([self.batch(records)])
            await self.check(offsets)

    async def check(self, offsets: Sequence[int]) -> None:
        """Looks at the offsets that records were acknowledged with, in order, and reads what lies in between."""
        if not offsets:
            return
        if offsets[0] < self.expected:
            raise ChangelogError(
                f"{self._where}: a record was acknowledged at offset {offsets[0]}, though those before "
                f"{self.expected} were written: the topic was truncated or made anew"
            )
        if offsets[0] == self.expected and offsets[-1] - offsets[0] == len(offsets) - 1:
            self.expected = offsets[-1] + 1
            return
        for offset in offsets:
            if offset != self.expected:
                await self._read_gap(offset)
            self.expected = offset + 1

    async def look_behind(self) -> None:
        """Reads what somebody else has written behind one's own last record, without writing anything."""
        end = await self._world.reader.end(self.topic, self.partition)
        if end > self.expected:
            await self._read_gap(end)
            self.expected = end

    def take_strangers(self) -> list[bytes]:
        """The keys that must be written again; forgets them."""
        found, self._strangers = list(self._strangers), {}
        return found

    async def _read_gap(self, stop: int) -> None:
        async for records in self._world.reader.read(self.topic, self.partition, self.expected, stop):
            for record in records:
                self._judge(record)

    def _judge(self, record: StoredRecord) -> None:
        where = f"{self._where}, offset {record.offset}"
        if is_fence(record.key):
            raise FencedError(f"{where}: another worker has taken the partition")
        if any(name == EPOCH for name, _ in record.headers) and stamp_of(record.headers, where).epoch > self.epoch:
            raise FencedError(f"{where}: another worker writes here")
        if record.key is not None:
            self._strangers[record.key] = None
