"""What the decoder hands to the engine: a batch of events as columns, and what a plan asks the decoder for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.compiled import compiled, pasted
from stream.contract import FieldType, Kind
from stream.events.bytewise import PADDING, Bytes, copy_bytes
from stream.events.json_scan import NULL, NUMBER, TEXT
from stream.events.scan_layout import TRAIT_COLUMNS, TRAIT_EVENT, TRAIT_TYPE, TRAIT_VALUE
from stream.events.spans import MISSING, SIZE_BITS, SIZE_MASK, present_texts, text_of

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class TextTest:
    """A test of one text field against literals, answered once per text while decoding.

    ``op`` is one of ``==``, ``!=``, ``in``, ``not in``, ``contains``, ``starts_with``, ``ends_with``, ``exists``;
    a missing field answers false to all of them.
    """

    op: str
    texts: tuple[str, ...] = ()

    def passes(self, text: str) -> bool:
        """Whether ``text``, the value of a field that is there, passes. Raises `ValueError` for an unknown op."""
        match self.op:
            case "==" | "in":
                return text in self.texts
            case "!=" | "not in":
                return text not in self.texts
            case "contains":
                return any(part in text for part in self.texts)
            case "starts_with":
                return text.startswith(self.texts)
            case "ends_with":
                return text.endswith(self.texts)
            case "exists":
                return True
        raise ValueError(f"unknown test {self.op!r}")


@dataclass(frozen=True, slots=True)
class KindColumns:
    """The columns that a plan wants of one kind. A field's index here is its row in the batch's matrices.

    The matrices are shared by all kinds: row 0 of ``numbers`` is the first number field of a click in a click's
    column and the first number field of a purchase in a purchase's.
    """

    numbers: tuple[str, ...] = ()  # number fields, and boolean ones as 1.0 and 0.0; missing is NaN
    tests: tuple[tuple[str, tuple[TextTest, ...]], ...] = ()  # text fields with at most 64 tests each
    hashes: tuple[str, ...] = ()  # text fields by hash64 (0 becomes 1); missing is 0
    texts: tuple[str, ...] = ()  # text fields themselves


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
    """``n`` valid events in order. What a kind does not have is NaN, 0 or MISSING there.

    Texts are spans (`stream.events.spans`) in ``data``, with their hash64 beside them (0 becomes 1; missing is 0).
    """

    data: Bytes
    kind: npt.NDArray[np.int8]  # (n,)
    time_ms: Ints  # (n,) milliseconds since the epoch
    customer: Ints  # (n,) spans
    customer_hash: Hashes  # (n,)
    event_id: Ints  # (n,) spans
    event_hash: Hashes  # (n,) zeros when not wanted
    order_hash: Hashes  # (n,) of purchases; else, or when not wanted, 0
    numbers: npt.NDArray[np.float64]  # (number_rows, n)
    tests: npt.NDArray[np.uint64]  # (test_rows, n): bit i is the answer to the field's test i
    hashes: Hashes  # (hash_rows, n)
    texts: Ints  # (text_rows, n) spans
    text_hashes: Hashes  # (text_rows, n)
    traits: Ints  # (m, TRAIT_COLUMNS) in the order of events, then of Wanted.traits, see stream.events.scan_layout
    source: Ints  # (n,) the event's index among the messages that were decoded

    def __len__(self) -> int:
        return len(self.kind)

    def customers(self) -> list[str]:
        """The events' customer ids."""
        return present_texts(self.data, self.customer)

    def event_ids(self) -> list[str]:
        """The events' own ids."""
        return present_texts(self.data, self.event_id)

    def trait_values(self) -> list[tuple[int, int, float | str | bool | None]]:
        """(event's index, index in Wanted.traits, value) of each trait; None was carried as null."""
        values: list[tuple[int, int, float | str | bool | None]] = []
        numbers = self.traits[:, TRAIT_VALUE].copy().view(np.float64)
        view = memoryview(self.data)  # type: ignore[arg-type]  # an array is a buffer
        for (event, trait, type_, word, _), number in zip(self.traits.tolist(), numbers.tolist(), strict=True):
            value: float | str | bool | None = None
            if type_ == TEXT:
                value = text_of(view, word)
            elif type_ != NULL:
                value = number if type_ == NUMBER else bool(number)
            values.append((event, trait, value))
        return values

    def select(self, indices: Ints) -> Columns:
        """The events at ``indices``, (m,) each at most once, in that order."""
        if len(indices) == len(self) and (indices == np.arange(len(self))).all():
            return self
        traits = self.traits
        if len(traits):
            new = np.full(len(self), -1)
            new[indices] = np.arange(len(indices))
            traits = traits[new[traits[:, TRAIT_EVENT]] >= 0]
            traits[:, TRAIT_EVENT] = new[traits[:, TRAIT_EVENT]]
            traits = traits[np.argsort(traits[:, TRAIT_EVENT], kind="stable")]
        # Without gaps, as the kernel is compiled for: an index on the last axis would leave them transposed.
        rest = {name: getattr(self, name).take(indices, axis=-1) for name in _ARRAYS}
        return Columns(data=self.data, traits=traits, **rest)

    def part(self, start: int, stop: int) -> Columns:
        """The events from ``start`` to before ``stop``; they may share memory with these."""
        if stop - start == len(self):
            return self
        first, end = np.searchsorted(self.traits[:, TRAIT_EVENT], (start, stop))
        traits = self.traits[first:end].copy()
        traits[:, TRAIT_EVENT] -= start
        # Without gaps, as `select`.
        rest = {name: np.ascontiguousarray(getattr(self, name)[..., start:stop]) for name in _ARRAYS}
        return Columns(data=self.data, traits=traits, **rest)

    def compact(self) -> None:
        """Leaves in ``data`` only what spans name; changes the spans where they are."""
        out = np.empty(len(self.data), np.uint8)
        end = _compact(self.data, self.customer, self.event_id, self.texts, self.traits, out)
        out[end : end + PADDING] = 0
        self.data = out[: end + PADDING].copy()


@pasted
def _carried(data: Bytes, span: int, out: Bytes, at: int) -> tuple[int, int]:
    """Copies a text, if there is one: its new span, and the end of it."""
    moved = span
    if span != MISSING:
        size, start = span & SIZE_MASK, span >> SIZE_BITS
        copy_bytes(data, start, size, out, at)
        moved = at << SIZE_BITS | size
        at += size
    return moved, at


@compiled
def _compact(data: Bytes, customer: Ints, event_id: Ints, texts: Ints, traits: Ints, out: Bytes) -> int:
    """Copies all texts that are named to ``out``, and moves their spans there; where they end."""
    at = 0
    for i in range(len(customer)):
        customer[i], at = _carried(data, customer[i], out, at)
        event_id[i], at = _carried(data, event_id[i], out, at)
        for row in range(len(texts)):
            texts[row, i], at = _carried(data, texts[row, i], out, at)
    for i in range(len(traits)):
        if traits[i, TRAIT_TYPE] == TEXT:
            traits[i, TRAIT_VALUE], at = _carried(data, traits[i, TRAIT_VALUE], out, at)
    return at


#: The columns whose last axis is the events'.
_ARRAYS = tuple(column.name for column in fields(Columns) if column.name not in ("data", "traits"))


def _no_columns() -> Columns:
    none: dict[str, Any] = {"kind": np.zeros(0, np.int8)}
    none |= dict.fromkeys(("time_ms", "customer", "event_id", "source"), np.zeros(0, np.int64))
    none |= dict.fromkeys(("customer_hash", "event_hash", "order_hash"), np.zeros(0, np.uint64))
    none |= dict.fromkeys(("tests", "hashes", "text_hashes"), np.zeros((0, 0), np.uint64))
    none |= {"numbers": np.zeros((0, 0)), "texts": np.zeros((0, 0), np.int64)}
    return Columns(data=np.zeros(PADDING, np.uint8), traits=np.zeros((0, TRAIT_COLUMNS), np.int64), **none)


#: A batch without events, for a plan that wants nothing.
NO_COLUMNS = _no_columns()


def concatenate(batches: Sequence[Columns]) -> Columns:
    """One batch of all events, in order; ``source`` stays as it was in each.

    All must come from the same `Wanted`. Raises `ValueError` when there is no batch at all.
    """
    if not batches:
        raise ValueError("no batches: their rows are unknown")
    if len(batches) == 1:
        return batches[0]
    joined = {name: np.concatenate([getattr(batch, name) for batch in batches], axis=-1) for name in _ARRAYS}
    traits = np.concatenate([batch.traits for batch in batches])
    events = bytes_before = traits_before = 0
    for batch in batches:
        end = events + len(batch)
        for name in ("customer", "event_id", "texts"):
            _move(joined[name][..., events:end], bytes_before)
        own = traits[traits_before : traits_before + len(batch.traits)]
        own[:, TRAIT_EVENT] += events
        own[:, TRAIT_VALUE] += np.where(own[:, TRAIT_TYPE] == TEXT, bytes_before << SIZE_BITS, 0)
        events, bytes_before, traits_before = end, bytes_before + len(batch.data), traits_before + len(own)
    return Columns(data=np.concatenate([batch.data for batch in batches]), traits=traits, **joined)


def _move(spans: Ints, by: int) -> None:
    """Moves spans that are there on by so many bytes."""
    spans += np.where(spans == MISSING, 0, by << SIZE_BITS)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A message that is not an event: its index among those given, and a reason a person can act on."""

    index: int
    reason: str
    code: str = ""  # one of stream.events.reasons.Code: what to count by
