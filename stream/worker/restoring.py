"""Reading a changelog from its beginning: which of its records count, and what a later owner must write again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

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
    residue_key,
    stamp_of,
)
from stream.worker.snapshots import Head

#: The epoch of what a snapshot holds: that of any owner so far.
ANY_EPOCH = -2
#: The latest record that counts under a customer's id: its offset, epoch and value. A plain tuple: there are millions.
Entry = tuple[int, int, bytes | None]
#: The entries of records that were read together, by key.
Piece = dict[bytes, Entry]

_NOT_TEXT = 0xFF


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
        self._piece: Piece = {}
        self._checkpoint: Checkpoint | StoredRecord | None = None
        self._residue_epochs: dict[bytes, int] = {}
        self._last_fence = -1  # or a copy of one
        self._epochs: list[int] = []  # offsets of the latest fence: one, or those of its copies too
        self._epoch, self._epoch_text = -1, b"none/"  # of the latest record that counted
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
        self._epoch, self._epoch_text, self._number = head.epoch, b"%d/" % head.epoch, head.number

    def add(self, records: Sequence[StoredRecord]) -> Piece:
        """What counts of these records, tombstones included; raises ``ChangelogError`` for one that is not ours."""
        piece: Piece = {}
        self._piece = piece
        rewrite, counts = self.rewrite, self._counts
        for record in records:
            key = record[2]
            if not key or key[0] == _NOT_TEXT:
                self._add_other(record)
            elif not counts(record):
                rewrite[key] = None
            else:
                if self._epoch != self._last_fence:
                    rewrite[key] = None
                elif rewrite:
                    rewrite.pop(key, None)
                piece[key] = (record[0], self._epoch, record[3])
        return piece

    def _add_other(self, record: StoredRecord) -> None:
        """A record that is not a customer's."""
        kind, key = key_type(record.key, record.offset), record.key
        assert key is not None
        if kind is KeyType.FENCE:
            self._fence(key, record.offset)
        elif kind is KeyType.LAYOUT:
            if record.value is not None:
                self.layouts[hash_of(key)] = record.value
        elif not self._counts(record):
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

    def _counts(self, record: StoredRecord) -> bool:
        """Whether the owner of the time wrote it, for the first time."""
        headers = record[4]
        name, value = headers[-1] if headers else ("", b"")
        known = self._epoch_text
        number_text = value[len(known) :]
        if value.startswith(known) and name == EPOCH and number_text.isdigit():
            number = int(number_text)
        else:
            stamp = stamp_of(headers, f"the changelog's record at offset {record.offset}")
            if stamp.epoch not in self._epochs:
                return False
            number = stamp.number
            self._epoch, self._epoch_text = stamp.epoch, b"%d/" % stamp.epoch
        if number <= self._number:
            return False
        self._number = number
        return True

    def _fence(self, key: bytes, offset: int) -> None:
        self._last_fence = offset
        offsets = self.fences.setdefault(key, [])
        if not offsets:
            self.fences[key] = self._epochs = [offset]
            self._epoch, self._epoch_text, self._number = -1, b"none/", -1
            return
        piece = self._piece
        self.rewrite.update((row, None) for row in self._keys_of(offsets) if row not in piece)
        for row, (_, epoch, value) in piece.items():
            if epoch in offsets and value is not None:
                self.rewrite[row] = None
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
