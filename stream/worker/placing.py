"""Rows on their way from the changelog into memory: those in the present layout at once, others when all is read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.engine.image import Image
from stream.engine.partition import Partition
from stream.worker.outbox import Outbox, parse_outbox
from stream.worker.records import PLAIN_ROW, Body, Marker, marker_body, parse_marker, parse_stored
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


class Placer:
    """Takes over what counts, piece by piece, into an empty partition; a later piece replaces what an earlier one said.

    Outboxes are kept as they are until a checkpoint says that they have been sent.
    """

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._present = partition.plan.layout.id.to_bytes(8, "little")
        self._held: dict[bytes, _Held] = {}
        self._outboxes: dict[bytes, tuple[int, bytes]] = {}  # and the offsets of their records
        self._epochs: Ints = np.zeros(0, dtype=np.int64)  # of the rows in place

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
        present, outboxes, held = self._present, self._outboxes, self._held
        plain = PLAIN_ROW + present
        start = len(PLAIN_ROW)
        keys: list[bytes] = []
        bodies: list[bytes] = []
        epochs: list[int] = []
        if outboxes or held:
            for key in piece:
                outboxes.pop(key, None)
                held.pop(key, None)
        for key, (offset, epoch, value) in piece.items():
            if value is None:
                self._remove(key)
                continue
            if value.startswith(plain):
                body = value[start:]
            else:
                where = f"the changelog's record at offset {offset}"
                body_type, outbox, body = parse_stored(value, where)
                if outbox:
                    outboxes[key] = offset, outbox
                if body_type is Body.MARKER or not body.startswith(present):
                    self._remove(key)
                    held[key] = _Held(epoch, body_type, body, where)
                    continue
            keys.append(key)
            bodies.append(body)
            epochs.append(epoch)
        self._set_epochs(self._partition.fill(keys, bodies), epochs)

    def forget_sent(self, sent_to: int) -> None:
        """Lets go of outboxes in records at or before this offset."""
        if self._outboxes:
            self._outboxes = {key: kept for key, kept in self._outboxes.items() if kept[0] > sent_to}

    def _remove(self, key: bytes) -> None:
        customer = key.decode()
        row = self._partition.profiles.find(customer)
        if row is not None:
            self._partition.remove(customer)
            self._epochs[row] = _NO_EPOCH

    def _set_epochs(self, rows: Ints, epochs: list[int]) -> None:
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
        """Outboxes that may not have been sent."""
        for key, (offset, outbox) in self._outboxes.items():
            if offset > sent_to:
                yield key.decode(), parse_outbox(outbox, f"the changelog's record at offset {offset}")

    def markers(self) -> Iterator[tuple[str, Marker]]:
        """The markers of erased customers."""
        for key, held in self._held.items():
            if held.body_type is Body.MARKER:
                yield key.decode(), parse_marker(held.body, held.where)

    def other_rows(self) -> list[tuple[str, bytes]]:
        """The rows that are not in place, since they are in other layouts."""
        return [(key.decode(), held.body) for key, held in self._held.items() if held.body_type is Body.ROW]
