"""Reading a changelog from its beginning: which of its records count, and what a later owner must write again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stream.worker.interfaces import StoredRecord
from stream.worker.records import (
    EPOCH,
    Checkpoint,
    KeyType,
    Residue,
    hash_of,
    key_type,
    parse_checkpoint,
    parse_residue,
    stamp_of,
)


class Entry(NamedTuple):
    """The latest record that counts under a customer's id."""

    offset: int
    epoch: int
    value: bytes


class Restorer:
    """Takes the records in order, as they come; keeps the latest of each key.

    A record counts when its epoch is the offset of the latest fence before it, and its number is higher than those
    before it under that fence (lower: a copy that came late). Keys of others are in ``rewrite`` until a record of that
    key counts. Fences come twice, too; their owner knows one of the two offsets, and a cleaner drops the first. What
    would not count any more then is written again. Layouts count always: their key says what they hold.
    """

    def __init__(self) -> None:
        self.rows: dict[bytes, Entry] = {}
        self.residues: dict[int, Residue] = {}
        self.layouts: dict[int, bytes] = {}
        self.rewrite: dict[bytes, None] = {}
        self._checkpoint: StoredRecord | None = None
        self._residue_epochs: dict[bytes, int] = {}
        self._fences: dict[bytes, list[int]] = {}
        self._last_fence = -1  # or a copy of one
        self._epochs: list[int] = []  # offsets of the latest fence: one, or those of its copies too
        self._epoch, self._epoch_text = -1, b"none"  # of the latest record that counted
        self._number = -1

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The latest checkpoint; None in an empty changelog."""
        return None if self._checkpoint is None else parse_checkpoint(self._checkpoint)

    def add(self, records: Sequence[StoredRecord]) -> None:
        """Raises ``ChangelogError`` for a record that no version of ours wrote."""
        rows, rewrite = self.rows, self.rewrite
        for record in records:
            kind = key_type(record.key, record.offset)
            key = record.key
            assert key is not None
            if kind is KeyType.FENCE:
                self._fence(key, record.offset)
            elif kind is KeyType.LAYOUT:
                if record.value is not None:
                    self.layouts[hash_of(key)] = record.value
            elif not self._counts(record):
                rewrite[key] = None
            else:
                if self._epoch == self._last_fence:
                    rewrite.pop(key, None)
                else:
                    rewrite[key] = None
                if kind is KeyType.CHECKPOINT:
                    self._checkpoint = record
                elif kind is KeyType.RESIDUE:
                    self._residue(key, record)
                elif record.value is None:
                    rows.pop(key, None)
                else:
                    rows[key] = Entry(record.offset, self._epoch, record.value)

    def _counts(self, record: StoredRecord) -> bool:
        """Whether the owner of the time wrote it, for the first time."""
        name, value = record.headers[-1] if record.headers else ("", b"")
        epoch, _, number_text = value.partition(b"/")
        if name == EPOCH and epoch == self._epoch_text and number_text.isdigit():
            number = int(number_text)
        else:
            stamp = stamp_of(record.headers, f"the changelog's record at offset {record.offset}")
            if stamp.epoch not in self._epochs:
                return False
            number = stamp.number
            self._epoch, self._epoch_text = stamp.epoch, b"%d" % stamp.epoch
        if number <= self._number:
            return False
        self._number = number
        return True

    def _fence(self, key: bytes, offset: int) -> None:
        self._last_fence = offset
        offsets = self._fences.setdefault(key, [])
        if not offsets:
            self._fences[key] = self._epochs = [offset]
            self._epoch, self._epoch_text, self._number = -1, b"none", -1
            return
        for row, entry in self.rows.items():
            if entry.epoch in offsets:
                self.rewrite[row] = None
        for residue, epoch in self._residue_epochs.items():
            if epoch in offsets:
                self.rewrite[residue] = None
        offsets.append(offset)

    def _residue(self, key: bytes, record: StoredRecord) -> None:
        if record.value is None:
            self.residues.pop(hash_of(key), None)
            self._residue_epochs.pop(key, None)
        else:
            self.residues[hash_of(key)] = parse_residue(record)
            self._residue_epochs[key] = self._epoch
