"""Rows on their way from the changelog into memory: those in the present layout at once, others when all is read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.engine.image import Image
from stream.engine.partition import Partition
from stream.worker.outbox import Outbox, parse_outbox
from stream.worker.records import (
    Body,
    Marker,
    marker_body,
    parse_marker,
    parse_stored,
    parts_of,
    present_rows,
)
from stream.worker.restoring import ANY_EPOCH, Piece

Ints = npt.NDArray[np.int64]

_NO_EPOCH = -1


@dataclass(frozen=True)
class _Held:
    """What is not put in place while the changelog is read: a row in another layout, or a marker."""

    epoch: int
    body_type: Body
    body: bytes
    where: str
    outbox: bytes = b""
    offset: int = -1


class Placer:
    """Takes over what counts, piece by piece, into an empty partition; a later piece replaces what an earlier one said.

    Outboxes are kept as they are until a checkpoint says that they have been sent.
    """

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._held: dict[bytes, _Held] = {}
        self._outboxes: dict[int, tuple[int, bytes]] = {}  # by row, and the offsets of their records
        self._epochs: Ints = np.zeros(0, dtype=np.int64)  # of the rows in place
        self._sent_to = -1

    def take_image(self, image: Image, markers: Mapping[str, Marker], where: str) -> None:
        """Takes over what a snapshot holds; nothing has been taken yet. ``where`` tells a reader what that is."""
        self._partition.place(image)
        profiles = self._partition.profiles
        self._epochs = np.full(profiles.end, _NO_EPOCH, dtype=np.int64)
        self._epochs[profiles.every_row()] = ANY_EPOCH
        for customer, marker in markers.items():
            self._held[customer.encode()] = _Held(ANY_EPOCH, Body.MARKER, marker_body(marker), where)

    def take(self, piece: Piece) -> None:
        """Raises ``ChangelogError`` or ``SnapshotError`` for a record that is damaged."""
        before = present_rows(piece.values, self._partition.plan.layout.id)
        if self._held:
            for key in piece.keys:
                self._held.pop(key or b"", None)
        for place in np.flatnonzero(before < 0).tolist():
            self._take_other(
                piece.keys[place] or b"", piece.values[place], int(piece.offsets[place]), int(piece.epochs[place])
            )
        chosen = np.flatnonzero(before >= 0)
        sizes = before[chosen]
        outboxes, bodies = parts_of(piece.values.select(chosen), sizes)
        rows = self._partition.fill(piece.keys.select(chosen), bodies)
        self._set_epochs(rows, piece.epochs[chosen])
        if self._outboxes:
            for row in rows.tolist():
                self._outboxes.pop(row, None)
        offsets = piece.offsets[chosen]
        unsent = np.flatnonzero((sizes > 0) & (offsets > self._sent_to))
        kept = zip(offsets[unsent].tolist(), [box or b"" for box in outboxes.select(unsent)], strict=True)
        self._outboxes.update(zip(rows[unsent].tolist(), kept, strict=True))

    def _take_other(self, key: bytes, value: bytes | None, offset: int, epoch: int) -> None:
        """A tombstone, a marker, or a row in another layout."""
        self._remove(key)
        if value is not None:
            where = f"the changelog's record at offset {offset}"
            body_type, outbox, body = parse_stored(value, where)
            self._held[key] = _Held(epoch, body_type, body, where, outbox, offset)

    def forget_sent(self, sent_to: int) -> None:
        """Lets go of outboxes in records at or before this offset, and of those that are still to be read."""
        if sent_to <= self._sent_to:
            return
        self._sent_to = sent_to
        self._outboxes = {row: kept for row, kept in self._outboxes.items() if kept[0] > sent_to}

    def _remove(self, key: bytes) -> None:
        customer = key.decode()
        row = self._partition.profiles.find(customer)
        if row is not None:
            self._partition.remove(customer)
            self._epochs[row] = _NO_EPOCH
            self._outboxes.pop(row, None)

    def _set_epochs(self, rows: Ints, epochs: Ints) -> None:
        if not len(rows):
            return
        needed = int(rows.max()) + 1
        if needed > len(self._epochs):
            grown = np.full(max(needed, 2 * len(self._epochs)), _NO_EPOCH, dtype=np.int64)
            grown[: len(self._epochs)] = self._epochs
            self._epochs = grown
        self._epochs[rows] = epochs

    def keys_of(self, epochs: Collection[int]) -> list[bytes]:
        """The customers whose latest records are of these epochs."""
        epochs = {*epochs, ANY_EPOCH}
        rows = np.flatnonzero(np.isin(self._epochs, list(epochs)))
        placed = [customer.encode() for customer in self._partition.profiles.customers(rows)]
        return placed + [key for key, held in self._held.items() if held.epoch in epochs]

    # --- when all has been read ---

    def unsent(self, sent_to: int) -> Iterator[tuple[str, Outbox]]:
        """Outboxes that may not have been sent, in the order of their records."""
        waiting = [
            (offset, self._partition.profiles.customer(row), box) for row, (offset, box) in self._outboxes.items()
        ]
        waiting += [(held.offset, key.decode(), held.outbox) for key, held in self._held.items() if held.outbox]
        for offset, customer, outbox in sorted(waiting):
            if offset > sent_to:
                yield customer, parse_outbox(outbox, f"the changelog's record at offset {offset}")

    def markers(self) -> Iterator[tuple[str, Marker]]:
        """The markers of erased customers."""
        for key, held in self._held.items():
            if held.body_type is Body.MARKER:
                yield key.decode(), parse_marker(held.body, held.where)

    def other_rows(self) -> list[tuple[str, bytes]]:
        """The rows that are not in place, since they are in other layouts."""
        return [(key.decode(), held.body) for key, held in self._held.items() if held.body_type is Body.ROW]
