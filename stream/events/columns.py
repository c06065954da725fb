"""What the decoder hands to the engine: a batch of events as columns, and what a plan asks the decoder for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.contract import FieldType, Kind


@dataclass(frozen=True, slots=True)
class TextTest:
    """A test of one text field against literals, answered once per text while decoding.

    ``op`` is one of ``==``, ``!=``, ``in``, ``not in``, ``contains``, ``starts_with``, ``ends_with``, ``exists``;
    a missing field answers false to all of them.
    """

    op: str
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KindColumns:
    """The columns that a plan wants of one kind. A field's index here is its row in the batch's matrices.

    The matrices are shared by all kinds: row 0 of ``numbers`` is the first number field of a click in a click's
    column and the first number field of a purchase in a purchase's.
    """

    numbers: tuple[str, ...] = ()  # number fields, and boolean ones as 1.0 and 0.0; missing is NaN
    tests: tuple[tuple[str, tuple[TextTest, ...]], ...] = ()  # text fields with at most 64 tests each
    hashes: tuple[str, ...] = ()  # text fields by hash64 (0 becomes 1); missing is 0
    texts: tuple[str, ...] = ()  # text fields themselves; missing is None


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that a plan wants from events."""

    kinds: Mapping[Kind, KindColumns]
    traits: tuple[str, ...] = ()
    declared: Mapping[Kind, Mapping[str, FieldType]] = field(default_factory=dict)  # the file's own fields
    event_ids: bool = True  # duplicates are dropped by event id
    order_ids: bool = True  # ... and by order id

    @property
    def number_rows(self) -> int:
        """Rows of ``Columns.numbers``."""
        return max((len(k.numbers) for k in self.kinds.values()), default=0)

    @property
    def test_rows(self) -> int:
        """Rows of ``Columns.tests``."""
        return max((len(k.tests) for k in self.kinds.values()), default=0)

    @property
    def hash_rows(self) -> int:
        """Rows of ``Columns.hashes``."""
        return max((len(k.hashes) for k in self.kinds.values()), default=0)

    @property
    def text_rows(self) -> int:
        """Rows of ``Columns.texts``."""
        return max((len(k.texts) for k in self.kinds.values()), default=0)


@dataclass(slots=True)
class Columns:
    """``n`` valid events in order. What a kind does not have is NaN, 0 or None there."""

    kind: npt.NDArray[np.int8]  # (n,)
    time_ms: npt.NDArray[np.int64]  # (n,) milliseconds since the epoch
    customer: list[str]
    event_id: list[str]
    event_hash: npt.NDArray[np.uint64]  # (n,) hash64 of event_id; zeros when not wanted
    order_hash: npt.NDArray[np.uint64]  # (n,) hash64 of order_id of purchases; else, or when not wanted, 0
    numbers: npt.NDArray[np.float64]  # (number_rows, n)
    tests: npt.NDArray[np.uint64]  # (test_rows, n): bit i is the answer to the field's test i
    hashes: npt.NDArray[np.uint64]  # (hash_rows, n)
    texts: list[list[str | None]]  # text_rows lists of n
    #: (event's index, index in Wanted.traits, value) in the order of events: float, str, bool or None (carried as null)
    traits: list[tuple[int, int, Any]]
    source: npt.NDArray[np.int64]  # (n,) the event's index among the messages that were decoded

    def __len__(self) -> int:
        return len(self.customer)

    def select(self, indices: npt.NDArray[np.int64]) -> Columns:
        """The events at ``indices``, (m,) each at most once, in that order."""
        if len(indices) == len(self) and (indices == np.arange(len(self))).all():
            return self
        at: list[int] = indices.tolist()
        traits = []
        if self.traits:
            new = dict(zip(at, range(len(at)), strict=True))
            traits = [(new[i], trait, value) for i, trait, value in self.traits if i in new]
            traits.sort(key=_trait_order)
        return Columns(
            kind=self.kind[indices],
            time_ms=self.time_ms[indices],
            customer=list(map(self.customer.__getitem__, at)),
            event_id=list(map(self.event_id.__getitem__, at)),
            event_hash=self.event_hash[indices],
            order_hash=self.order_hash[indices],
            numbers=self.numbers[:, indices],
            tests=self.tests[:, indices],
            hashes=self.hashes[:, indices],
            texts=[list(map(row.__getitem__, at)) for row in self.texts],
            traits=traits,
            source=self.source[indices],
        )


def _trait_order(trait: tuple[int, int, Any]) -> tuple[int, int]:
    """By event, then by trait; the values do not compare."""
    return trait[:2]


def concatenate(batches: Sequence[Columns]) -> Columns:
    """One batch of all events, in order; ``source`` stays as it was in each.

    All must come from the same `Wanted`. Raises `ValueError` when there is no batch at all.
    """
    if not batches:
        raise ValueError("no batches: their rows are unknown")
    if len(batches) == 1:
        return batches[0]
    customer: list[str] = []
    event_id: list[str] = []
    texts: list[list[str | None]] = [[] for _ in batches[0].texts]
    traits: list[tuple[int, int, Any]] = []
    for batch in batches:
        start = len(customer)
        traits += [(start + i, trait, value) for i, trait, value in batch.traits]
        customer += batch.customer
        event_id += batch.event_id
        for row, more in zip(texts, batch.texts, strict=True):
            row.extend(more)
    return Columns(
        kind=np.concatenate([batch.kind for batch in batches]),
        time_ms=np.concatenate([batch.time_ms for batch in batches]),
        customer=customer,
        event_id=event_id,
        event_hash=np.concatenate([batch.event_hash for batch in batches]),
        order_hash=np.concatenate([batch.order_hash for batch in batches]),
        numbers=np.concatenate([batch.numbers for batch in batches], axis=1),
        tests=np.concatenate([batch.tests for batch in batches], axis=1),
        hashes=np.concatenate([batch.hashes for batch in batches], axis=1),
        texts=texts,
        traits=traits,
        source=np.concatenate([batch.source for batch in batches]),
    )


@dataclass(frozen=True, slots=True)
class Rejection:
    """A message that is not an event: its index among those given, and a reason a person can act on."""

    index: int
    reason: str
    code: str = ""  # one of stream.events.reasons.Code: what to count by
