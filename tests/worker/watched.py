"""What was done to each customer, kept beside every row as it is written, so that the rows that lasted tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from stream.contract import Kind, hash64
from stream.engine import kernel
from stream.engine import opcodes as op
from stream.engine.centres import Centres
from stream.engine.changes import Changes
from stream.engine.image import Image
from stream.engine.partition import Applied, Clock, Partition, Status
from stream.engine.plan import Plan
from stream.engine.snapshot import Snapshot
from stream.events.bytestrings import Bytestrings
from stream.worker.erasures import Erasures, Request


class Event(NamedTuple):
    """An event was applied, or skipped as a duplicate, while the stream clock stood at ``stream_ms``."""

    kind: Kind
    offset: int
    stream_ms: int
    is_duplicate: bool


class Advance(NamedTuple):
    """All that was due by then has fired."""

    stream_ms: int


class Redefine(NamedTuple):
    """A pass under other definitions."""

    plan: Plan
    stream_ms: int
    allow_empty: bool
    quiet: bool


class Begin(NamedTuple):
    """A customer came, or (the sequence goes on) came back after an erasure, under these definitions and model."""

    sequence: int
    plan: Plan
    model: Centres | None


class Assign(NamedTuple):
    """A model was applied at this instant."""

    model: Centres
    at_ms: int


class Restored(NamedTuple):
    """The row was restored by somebody who goes on with this model."""

    model: Centres | None


Deed = Event | Advance | Redefine | Begin | Assign | Restored
Deeds = tuple[Deed, ...]


class Erasure(NamedTuple):
    """A customer was erased after these deeds."""

    before: Deeds
    instant_ms: int


@dataclass
class Registry:
    """What was done to a customer by the time that a row was written, for all rows ever written in one world."""

    rows_at_once: int  # whose timers fire before their changes are handed on
    rows: dict[tuple[str, bytes], Deeds] = field(default_factory=dict)
    #: By customer and the sequence afterwards. Several owners may have done it, only one of them for good.
    erasures: dict[tuple[str, int], list[Erasure]] = field(default_factory=dict)


@dataclass(frozen=True)
class WatchedImage(Image):
    """An image with the deeds that its rows hold."""

    deeds: dict[str, Deeds]


class WatchedPartition(Partition):
    """A partition that keeps the deeds of each of its customers."""

    def __init__(self, registry: Registry, plan: Plan, clock: Clock, lateness_ms: int) -> None:
        super().__init__(plan, clock, lateness_ms)
        self.registry = registry
        self.deeds: dict[str, Deeds] = {}
        self.later: list[Any] = []  # changes that came when all was over
        self._restored: list[str] = []
        self._is_applying = False
        self._fired: list[str] = []
        self.model: Centres | None = None

    def _add(self, customer: str, deed: Deed) -> None:
        self.deeds[customer] = (*self.deeds.get(customer, ()), deed)

    def apply(self, batch: Any, offsets: Any = None) -> Applied:
        latest = np.maximum(np.maximum.accumulate(batch.time_ms), self.latest_ms)
        stream = np.maximum(latest - self.lateness_ms, self.stream_ms).tolist()
        customers = batch.customers()
        for customer in set(customers) - self.deeds.keys():
            row = self.profiles.find(customer)
            self.deeds[customer] = (
                Begin(0 if row is None else int(self.profiles.row(row)[op.R_SEQUENCE]), self.plan, self.model),
            )
        self._is_applying, self._fired = True, []
        applied = super().apply(batch, offsets)
        self._is_applying = False
        touched = set(self._fired)
        for customer, kind, offset, clock, status in zip(
            customers, batch.kind.tolist(), offsets.tolist(), stream, applied.status.tolist(), strict=True
        ):
            if status != Status.REPLAYED:
                self._add(customer, Event(Kind(kind), offset, clock, status == Status.DUPLICATE))
                touched.add(customer)
        for customer in touched:
            self._add(customer, Advance(self.stream_ms))
        return applied

    def _fill(self, mode: int, rows: Any, *others: Any, **more: Any) -> list[Changes]:
        if self._is_applying and mode == kernel.FIRE:
            # A timer may begin or end an eligibility, which nobody is told of.
            self._fired = self.profiles.customers(rows)
        return super()._fill(mode, rows, *others, **more)

    def _fire(self, rows: Any, to_ms: int) -> Iterator[Any]:
        fired = self.profiles.customers(rows)
        size = self.registry.rows_at_once
        for start in range(0, len(rows), size):
            changes = Changes.joined(list(super()._fire(rows[start : start + size], to_ms)))
            for customer in fired[start : start + size]:
                self._add(customer, Advance(to_ms))
            yield changes

    def _write_model(self, model: Centres) -> None:
        super()._write_model(model)
        self.model = model

    def use_model(self, model: Centres | None) -> None:
        super().use_model(model)
        if self.plan.personas is not None:
            for customer in self.deeds:
                self._add(customer, Restored(model))

    def _assign_anew(self, rows: Any) -> Changes:
        for customer in self.profiles.customers(rows):
            assert self.model is not None
            self._add(customer, Assign(self.model, self._unassigned.at_ms))
        return super()._assign_anew(rows)

    def snapshot(self, customers: Any = None) -> Snapshot:
        snapshot = super().snapshot(customers)
        for customer, row in snapshot.rows:
            self.registry.rows[customer, row] = self.deeds[customer]
        return snapshot

    def encoded_rows(self, rows: Any) -> Bytestrings:
        encoded = super().encoded_rows(rows)
        for customer, row in zip(self.profiles.customers(rows), encoded, strict=True):
            self.registry.rows[customer, row or b""] = self.deeds[customer]
        return encoded

    def restore(self, snapshot: Snapshot) -> None:
        super().restore(snapshot)
        for customer, row in snapshot.rows:
            self.deeds[customer] = self._restored_deeds(self.registry.rows[customer, row])
            self._restored.append(customer)

    def fill(self, customers: Bytestrings, data: Bytestrings) -> Any:
        for key, row in zip(customers, data, strict=True):
            customer = (key or b"").decode()
            self.deeds[customer] = self._restored_deeds(self.registry.rows[customer, row or b""])
        return super().fill(customers, data)

    def _restored_deeds(self, deeds: Deeds) -> Deeds:
        return (*deeds, Restored(self.model)) if self.plan.personas is not None else deeds

    def image(self) -> Image:
        image = super().image()
        return WatchedImage(**vars(image), deeds=dict(self.deeds))

    def place(self, image: Image) -> None:
        assert isinstance(image, WatchedImage)
        super().place(image)
        self.deeds = {customer: self._restored_deeds(deeds) for customer, deeds in image.deeds.items()}

    def redefine(self, *, allow_empty: bool = False, quiet: bool = False) -> Any:
        changes = super().redefine(allow_empty=allow_empty, quiet=quiet)
        for customer in self._restored:
            self._add(customer, Redefine(self.plan, self.stream_ms, allow_empty, quiet))
        self._restored = []
        return changes

    def remove(self, customer: str) -> bool:
        self.deeds.pop(customer, None)
        return super().remove(customer)


class WatchedErasures(Erasures):
    """Keeps what was done to a customer up to each erasure."""

    def erase(self, partition: Partition, memberships: Any, request: Request) -> list[bytes]:
        assert isinstance(partition, WatchedPartition)
        residue = self.residues.get(hash64(request.customer))
        begun: Deeds = () if residue is None else (Begin(residue.sequence, partition.plan, partition.model),)
        before = partition.deeds.get(request.customer, begun)
        changes = super().erase(partition, memberships, request)
        if changes:
            sequence = self.residues[hash64(request.customer)].sequence
            erasure = Erasure(before, request.instant_ms)
            partition.registry.erasures.setdefault((request.customer, sequence), []).append(erasure)
        return changes
