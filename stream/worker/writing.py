"""The order in which things become durable: rows with their changes, the changes, the other rows, the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from stream.engine.changes import Changes
from stream.engine.partition import Partition
from stream.kafka.topics import DEAD_LETTERS, MEMBERSHIPS
from stream.worker.erasures import Erasures
from stream.worker.interfaces import Batch, Record, World
from stream.worker.memberships import Memberships
from stream.worker.outbox import Outboxes, make_headers
from stream.worker.owned_log import OwnedLog
from stream.worker.record_columns import RecordColumns
from stream.worker.records import (
    Checkpoint,
    KeyType,
    checkpoint_record,
    hash_of,
    key_type,
    layout_record,
    marker_value,
    row_values,
)
from stream.worker.settings import Settings
from stream.worker.touched import TouchedRows

Ints = npt.NDArray[np.int64]
T = TypeVar("T")


class Writer:
    """Writes what one partition's owner has to say, in the order that makes it exact.

    ``touched`` are the rows that are newer than the changelog's. ``sent_to`` is the offset in the changelog
    up to which every outbox has been sent. While not all rows are in place (``is_complete`` is false), strangers'
    records wait for their answer: who is not there yet is not unknown. ``sent`` is told of changes that this owner
    made when they have been acknowledged.
    """

    def __init__(self, world: World, settings: Settings) -> None:
        self.changelog = OwnedLog(world, settings.changelog, settings.partition)
        self.memberships_log = OwnedLog(world, MEMBERSHIPS, settings.partition)
        self.outboxes = Outboxes()
        self.sent_to = -1
        self.is_complete = False
        self.sent: Callable[[Sequence[Changes]], None] | None = None
        self._unsent: list[Changes] = []
        self._world = world
        self._limits = settings.limits

    def attach(self, partition: Partition, erasures: Erasures) -> None:
        """Says what is written about from now on; nothing of it has been touched or waits."""
        self.partition = partition
        self.erasures = erasures
        self.memberships = Memberships(partition)
        self._topics = {segment.name: tuple(segment.to) for segment in partition.plan.definitions.segments}
        self.is_complete = False
        self.outboxes.clear()
        self._unsent = []
        self.touched = TouchedRows(partition.profiles)

    async def complete(self, rewrite: Iterable[bytes]) -> None:
        """All rows are in place: writes again what strangers wrote, these keys and those that were met since."""
        self.is_complete = True
        keys = iter(rewrite)
        while chunk := list(islice(keys, self._limits.rows_at_once)):
            await self.rewrite(chunk)
        await self.answer()
        await self.answer_in_memberships()

    # --- changes ---

    def collect(self, changes: Changes) -> None:
        """Puts changes into their customers' outboxes, whose rows `flush` writes."""
        if not len(changes):
            return
        if self.sent is not None:
            self._unsent.append(changes)
        items, topics = changes.items, self._topics
        customers = [change.customer_id for change in items]
        self.outboxes.add(
            customers,
            changes.json_lines().splitlines(),
            [topics.get(change.segment, ()) for change in items],
            [make_headers(change.id, change.change, change.at) for change in items],
        )

    @property
    def is_filling(self) -> bool:
        """Whether somebody's outbox has to be written before more comes of many events."""
        return self.outboxes.largest > self._limits.outbox_bytes // 2

    async def flush(self, letters: Sequence[Record] = ()) -> None:
        """Rows with changes to the changelog; when these are acknowledged, the changes to their topics."""
        if not len(self.outboxes):
            if letters:
                await self._world.producer.write([Batch(DEAD_LETTERS, None, letters)])
            return
        customers = self.outboxes.customers()
        rows = self.partition.profiles.find_all(customers)
        alive = _of_rows(customers, rows)
        self.outboxes.set_memberships(alive, self.memberships.values(alive, rows[rows >= 0]))
        await self.write_rows(customers, rows)
        await self.answer()
        await self.send(letters)

    async def send(self, letters: Sequence[Record] = ()) -> None:
        """Sends all that waits. The changelog has it."""
        batches = self.outboxes.batches()
        if letters:
            batches.append(Batch(DEAD_LETTERS, None, letters))
        batches.append(self.memberships_log.batch(self.outboxes.memberships()))
        acknowledged = await self._world.producer.write(batches)
        await self.memberships_log.check(acknowledged[-1])
        self.outboxes.clear()
        self.sent_to = self.changelog.expected - 1
        if self.sent is not None and self._unsent:
            self.sent(self._unsent)
            self._unsent = []
        await self.answer_in_memberships()

    # --- the changelog ---

    async def write_layout(self) -> None:
        """Writes the layout that rows are in from now on."""
        layout = self.partition.plan.layout
        await self.changelog.append([layout_record(layout.id, layout.encode())])

    async def write_rows(self, customers: Sequence[str], rows: Ints) -> None:
        """Writes ``rows`` (n,) of ``customers`` as they are now, -1: none, with what waits in their outboxes."""
        at_once = self._limits.rows_at_once
        for start in range(0, len(customers), at_once):
            chunk = rows[start : start + at_once]
            await self.changelog.append(self._row_records(customers[start : start + at_once], chunk))
            self.touched.discard(chunk[chunk >= 0])

    async def write_touched(self) -> None:
        """Writes all rows that are newer than the changelog's. Nothing waits in any outbox."""
        assert not len(self.outboxes), "rows with outboxes have been written"
        rows, at_once = self.touched.rows(), self._limits.rows_at_once
        for start in range(0, len(rows), at_once):
            chunk = rows[start : start + at_once]
            residues = RecordColumns.of(self.erasures.unwritten_residues())
            await self.changelog.append(RecordColumns.joined([residues, self._live(chunk, [b""] * len(chunk))]))
        self.touched.clear()
        await self.answer()

    async def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        await self.changelog.append([checkpoint_record(checkpoint)])
        await self.answer()

    async def bury(self, committed: Sequence[int]) -> None:
        """Leaves residues of erased customers of whom nothing can be read again."""
        await self.changelog.append(self.erasures.bury(self.erasures.ripe(committed)))
        await self.answer()

    async def answer(self) -> None:
        """Writes again what a stranger wrote between one's own records, before a cleaner can prefer it."""
        while self.is_complete and (strangers := self.changelog.take_strangers()):
            await self.rewrite(strangers)

    async def rewrite(self, keys: Iterable[bytes]) -> None:
        """Writes the records of these keys as they must be."""
        customers, residues = [], []
        for key in keys:
            match key_type(key, -1):
                case KeyType.ROW:
                    customers.append(key.decode())
                case KeyType.RESIDUE:
                    residues.append(self.erasures.residue_again(hash_of(key)))
                case _:
                    pass  # a layout is what its key says, and the next checkpoint comes soon
        await self.changelog.append(residues)
        await self.write_rows(customers, self.partition.profiles.find_all(customers))

    def _row_records(self, customers: Sequence[str], rows: Ints) -> RecordColumns:
        """Rows of those who are known, markers of the erased, tombstones of the others; residues before them."""
        parts = [RecordColumns.of(self.erasures.unwritten_residues())]
        alive, outboxes = rows[rows >= 0], self.outboxes.encoded(customers)
        if len(alive):
            parts.append(self._live(alive, _of_rows(outboxes, rows)))
        if len(alive) < len(customers):
            parts.append(
                RecordColumns.of([self._gone(customers[i], outboxes[i]) for i in np.flatnonzero(rows < 0).tolist()])
            )
        return RecordColumns.joined(parts)

    def _live(self, rows: Ints, outboxes: Sequence[bytes]) -> RecordColumns:
        """Rows (n,) of customers who are there, behind their outboxes."""
        keys = self.partition.profiles.encoded_customers(rows)
        return RecordColumns.plain(keys, row_values(outboxes, self.partition.encoded_rows(rows)))

    def _gone(self, customer: str, outbox: bytes) -> Record:
        """What is left of a customer without a row: a marker, or a tombstone."""
        marker = self.erasures.markers.get(customer)
        return Record(customer.encode(), None if marker is None else marker_value(outbox, marker))

    # --- memberships ---

    async def answer_in_memberships(self) -> None:
        """Writes the memberships again where a stranger's may be the latest."""
        while self.is_complete and (strangers := self.memberships_log.take_strangers()):
            await self.memberships_log.append(list(self.membership_records(strangers)))

    async def look_behind_memberships(self) -> None:
        """Finds what a stalled owner has written there while there was nothing to write."""
        await self.memberships_log.look_behind()
        await self.answer_in_memberships()

    def membership_records(self, keys: Sequence[bytes]) -> Iterator[Record]:
        """The records of these keys as they must be: tombstones for customers who are not known, or erased."""
        customers = [_text(key) for key in keys]
        known = [customer for customer in customers if customer is not None]
        rows = self.partition.profiles.find_all(known)
        alive = _of_rows(known, rows)
        values = dict(zip(alive, self.memberships.values(alive, rows[rows >= 0]), strict=True))
        for key, customer in zip(keys, customers, strict=True):
            yield Record(key, None if customer is None else values.get(customer))


def _of_rows(values: Sequence[T], rows: Ints) -> list[T]:
    """The values of those who have a row."""
    return [value for value, row in zip(values, rows.tolist(), strict=True) if row >= 0]


def _text(key: bytes) -> str | None:
    """A key as a customer's id; None for one that is no text, which is nobody's."""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None
