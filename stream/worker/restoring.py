"""Reading a changelog from its beginning: which of its records count, and what a later owner must write again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.engine.text_index import numbered
from stream.events.bytestrings import NONE, Bytestrings
from stream.worker.interfaces import StoredRecord
from stream.worker.records import (
    Checkpoint,
    KeyType,
    Residue,
    Stamp,
    hash_of,
    key_type,
    parse_checkpoint,
    parse_residue,
    residue_key,
    stamp_of,
    stamps_of,
)
from stream.worker.snapshots import Head
from stream.worker.stored_columns import StoredColumns

Ints = npt.NDArray[np.int64]

#: The epoch of what a snapshot holds: that of any owner so far.
ANY_EPOCH = -2
_NOT_TEXT = 0xFF


@dataclass(frozen=True)
class Piece:
    """What counts of records that were read together, tombstones included: the latest of each of ``n`` customers.

    ``offsets`` and ``epochs`` are those of the records, (n,).
    """

    keys: Bytestrings
    values: Bytestrings
    offsets: Ints
    epochs: Ints


class Restorer:
    """Takes the records in order, as they come; says of each piece what counts.

    A record counts when its epoch is the offset of the latest fence before it, and its number is higher than those
    before it under that fence (lower: a copy that came late). Keys of others are in ``rewrite`` until a record of that
    key counts. Fences come twice, too; their owner knows one of the two offsets, and a cleaner drops the first. What
    would not count any more then is written again: ``keys_of`` gives the customers whose entries in the pieces so far
    are of certain epochs. Layouts count always: their key says what they hold.
    """

    def __init__(self, keys_of: Callable[[Collection[int]], Iterable[bytes]]) -> None:
        self.residues: dict[int, Residue] = {}
        self.layouts: dict[int, bytes] = {}
        self.rewrite: dict[bytes, None] = {}
        self._keys_of = keys_of
        self.fences: dict[bytes, list[int]] = {}  # the offsets of each, copies included
        self._columns = StoredColumns.of([])  # those that are being added
        self._stamps: tuple[Ints, Ints] = (np.zeros(0, np.int64), np.zeros(0, np.int64))
        self._counted: list[Ints] = []  # the places of those that count, among them
        self._checkpoint: Checkpoint | StoredRecord | None = None
        self._residue_epochs: dict[bytes, int] = {}
        self._last_fence = -1  # or a copy of one
        self._epochs: list[int] = []  # offsets of the latest fence: one, or those of its copies too
        self._epoch = -1  # of the latest record that counted
        self._number = -1

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The latest checkpoint; None in an empty changelog."""
        if isinstance(self._checkpoint, StoredRecord):
            self._checkpoint = parse_checkpoint(self._checkpoint)
        return self._checkpoint

    def begin(self, head: Head) -> None:
        """Goes on behind what a snapshot holds; nothing has been added yet."""
        self.fences = {key: list(offsets) for key, offsets in head.fences.items()}
        self.layouts, self.residues = dict(head.layouts), dict(head.residues)
        self._residue_epochs = {residue_key(customer): ANY_EPOCH for customer in head.residues}
        self._checkpoint = head.checkpoint
        self._last_fence = head.epoch
        self._epochs = self.fences[head.fence]
        self._epoch, self._number = head.epoch, head.number

    def add(self, records: Sequence[StoredRecord]) -> Piece:
        """What counts of these records; raises ``ChangelogError`` for one that is not ours."""
        columns = StoredColumns.of(records)
        found = columns.records
        self._columns, self._stamps, self._counted = columns, stamps_of(found.headers), []
        start = 0
        for place in np.flatnonzero(~_begins_as_text(found.keys)).tolist():
            self._add_rows(start, place)
            self._add_other(columns[place], place)
            start = place + 1
        self._add_rows(start, len(columns))
        counted = self._latest()
        latest = found.select(counted)
        return Piece(latest.keys, latest.values, columns.offsets[counted], self._stamps[0][counted])

    def _latest(self) -> Ints:
        """The places of the latest records that count so far."""
        places = np.concatenate([np.zeros(0, np.int64), *self._counted])
        customers = numbered(self._columns.records.keys.select(places))
        latest = np.zeros(int(customers.max()) + 1 if len(customers) else 0, np.int64)
        latest[customers] = places  # of several the last one stays
        return np.sort(latest)

    def _add_rows(self, start: int, stop: int) -> None:
        """Records of customers, from one place to before another."""
        epochs, _ = self._stamps
        while start < stop:
            others = np.flatnonzero(epochs[start:stop] != self._stamp(start).epoch)
            end = start + int(others[0]) if len(others) else stop
            self._add_run(start, end)
            start = end

    def _add_run(self, start: int, stop: int) -> None:
        """The same of records of one epoch."""
        counts = self._counts(start, stop)
        self._counted.append(start + np.flatnonzero(counts))
        is_latest = self._stamp(start).epoch == self._last_fence
        if not self.rewrite and is_latest and counts.all():
            return
        for key, is_right in zip(self._columns.records.keys[start:stop], (counts & is_latest).tolist(), strict=True):
            assert key is not None
            if is_right:
                self.rewrite.pop(key, None)
            else:
                self.rewrite[key] = None

    def _counts(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """Which of the records of one epoch the owner of the time wrote, for the first time: (n,)."""
        numbers = self._stamps[1][start:stop]
        epoch = self._stamp(start).epoch
        if epoch not in self._epochs:
            return np.zeros(len(numbers), np.bool_)
        before = np.maximum.accumulate(np.concatenate([[self._number], numbers[:-1]]))
        self._epoch, self._number = epoch, max(self._number, int(numbers.max()))
        counts: npt.NDArray[np.bool_] = numbers > before
        return counts

    def _stamp(self, place: int) -> Stamp:
        """The stamp of the record at a place, which is then among the others'; raises where there is none."""
        epochs, numbers = self._stamps
        if epochs[place] < 0:
            where = f"the changelog's record at offset {self._columns.offsets[place]}"
            epochs[place], numbers[place] = stamp_of(self._columns[place].headers, where)
        return Stamp(int(epochs[place]), int(numbers[place]))

    def _add_other(self, record: StoredRecord, place: int) -> None:
        """A record that is not a customer's."""
        kind, key = key_type(record.key, record.offset), record.key
        assert key is not None
        if kind is KeyType.FENCE:
            self._fence(key, record.offset)
        elif kind is KeyType.LAYOUT:
            if record.value is not None:
                self.layouts[hash_of(key)] = record.value
        elif not self._counts(place, place + 1).all():
            self.rewrite[key] = None
        else:
            if self._epoch == self._last_fence:
                self.rewrite.pop(key, None)
            else:
                self.rewrite[key] = None
            if kind is KeyType.CHECKPOINT:
                self._checkpoint = record
            else:
                self._residue(key, record)

    def _fence(self, key: bytes, offset: int) -> None:
        self._last_fence = offset
        offsets = self.fences.setdefault(key, [])
        if not offsets:
            self.fences[key] = self._epochs = [offset]
            self._epoch, self._number = -1, -1
            return
        records, piece = self._columns.records, {}
        for place in self._latest().tolist():
            piece[records.keys[place] or b""] = (
                records.values.sizes[place] != NONE and self._stamp(place).epoch in offsets
            )
        self.rewrite.update((row, None) for row in self._keys_of(offsets) if row not in piece)
        self.rewrite.update((row, None) for row, is_to_be in piece.items() if is_to_be)
        for residue, epoch in self._residue_epochs.items():
            if epoch in offsets or epoch == ANY_EPOCH:
                self.rewrite[residue] = None
        offsets.append(offset)

    def _residue(self, key: bytes, record: StoredRecord) -> None:
        if record.value is None:
            self.residues.pop(hash_of(key), None)
            self._residue_epochs.pop(key, None)
        else:
            self.residues[hash_of(key)] = parse_residue(record)
            self._residue_epochs[key] = self._epoch


def _begins_as_text(keys: Bytestrings) -> npt.NDArray[np.bool_]:
    """Which keys (n,) are customers': they are there, not empty, and do not begin as no text does."""
    found = keys.sizes > 0
    found[found] = keys.data[keys.starts[found]] != _NOT_TEXT
    return found
