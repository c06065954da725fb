"""From Structs to columns: all of a batch at once, without a line of Python per event."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, repeat
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from stream.contract import Kind
from stream.events.columns import Columns, Wanted
from stream.events.layout import CUSTOMER_ID, EVENT_ID, TIMESTAMP, TYPE, Layout, rows_of
from stream.events.texts import AnswerTable, HashTable, hash_texts, join_tables
from stream.instants import parse_instants

_as_tuple = msgspec.structs.astuple

#: What a trait may be; all else that stands there is as if it were not carried.
_TRAIT_TYPES = frozenset({float, str, bool, type(None)})

_Array = npt.NDArray[Any]
_Make = Callable[[list[Any]], _Array]


class _Batch:
    """Events as one flat list of ``width`` values each."""

    def __init__(self, events: Sequence[msgspec.Struct], layout: Layout) -> None:
        self.flat: list[Any] = []
        deque(map(self.flat.extend, map(_as_tuple, events)), 0)  # runs it
        self.size = len(events)
        self.width = layout.width
        if len(layout.names) == 1:
            (only,) = layout.names
            self.kind = np.full(self.size, int(only), np.int8)
            self.kinds = [only] if self.size else []
        else:
            values = bytearray(self.column(TYPE))  # which is many times faster than an array of the list
            self.kind = np.frombuffer(values, np.int8)
            counts = {kind: count for kind in layout.names if (count := values.count(kind))}
            #: Those in the batch, the most frequent one first.
            self.kinds = sorted(counts, key=counts.__getitem__, reverse=True)
        self._where: dict[Kind, npt.NDArray[np.int64]] = {}

    def column(self, place: int) -> list[Any]:
        """The values of all events at one place."""
        return self.flat[place :: self.width]

    def column_at(self, place: int, where: npt.NDArray[np.int64]) -> list[Any]:
        """The values at one place of the events ``where``."""
        return list(map(self.flat.__getitem__, (where * self.width + place).tolist()))

    def where(self, kind: Kind) -> npt.NDArray[np.int64]:
        """Indices of the events of a kind."""
        found = self._where.get(kind)
        if found is None:
            found = self._where[kind] = np.flatnonzero(self.kind == kind)
        return found


class _Row:
    """One row of a matrix: where each kind keeps its field, and how a list of values becomes an array."""

    def __init__(self, layout: Layout, fields: Mapping[Kind, str], make: Mapping[Kind, _Make]) -> None:
        self._places = {kind: layout.place(kind, field) for kind, field in fields.items()}
        self._make = make
        self._shared = layout.shared_place(fields)

    def fill(self, out: _Array, batch: _Batch) -> None:
        """Write the row into ``out``, (n,), where so far every field is missing."""
        kinds = [kind for kind in batch.kinds if kind in self._places]
        if not kinds:
            return
        first = kinds[0]
        if len(batch.kinds) == 1 or (self._shared is not None and first is batch.kinds[0]):
            # The whole column as if all were of the most frequent kind, then those that are made in another way.
            out[:] = self._make[first](batch.column(self._places[first]))
            kinds = [kind for kind in kinds if self._make[kind] is not self._make[first]]
        for kind in kinds:
            where = batch.where(kind)
            out[where] = self._make[kind](batch.column_at(self._places[kind], where))


class _AnswerRow(_Row):
    """A row of answers to tests, where possible from one table for all kinds."""

    def __init__(self, layout: Layout, fields: Mapping[Kind, str], tables: Mapping[Kind, AnswerTable]) -> None:
        super().__init__(layout, fields, {kind: table.look_up for kind, table in tables.items()})
        # Kinds that have no such row have no text there either, which answers 0.
        every = {kind: tables.get(kind) or AnswerTable([]) for kind in layout.names}
        self._joint = join_tables(every) if self._shared is not None else None

    def fill(self, out: _Array, batch: _Batch) -> None:
        if self._joint is None or self._shared is None or len(batch.kinds) < 2:
            super().fill(out, batch)
        else:
            out[:] = self._joint.look_up(batch.column(self._shared), batch.kind)


def _make_numbers(values: list[Any]) -> npt.NDArray[np.float64]:
    """(n,) numbers; NaN for None, 1 and 0 for true and false, 0 for -0."""
    return np.fromiter(values, np.float64, len(values)) + 0.0


class Assembler:
    """Makes `Columns` from the Structs of one `Wanted`. Keeps tables of texts, so it is cheaper the second time."""

    def __init__(self, wanted: Wanted, layout: Layout) -> None:
        self._wanted = wanted
        self._layout = layout
        kinds = wanted.kinds

        def rows(columns: Mapping[Kind, Sequence[str]]) -> list[dict[Kind, str]]:
            return rows_of(columns, layout.names)

        self._numbers = [
            _Row(layout, fields, dict.fromkeys(fields, _make_numbers))
            for fields in rows({kind: k.numbers for kind, k in kinds.items()})
        ]
        self._tests = [
            _AnswerRow(layout, fields, {kind: AnswerTable(kinds[kind].tests[i][1]) for kind in fields})
            for i, fields in enumerate(rows({kind: [name for name, _ in k.tests] for kind, k in kinds.items()}))
        ]
        self._hashes = [
            _Row(layout, fields, dict.fromkeys(fields, HashTable().look_up))
            for fields in rows({kind: k.hashes for kind, k in kinds.items()})
        ]
        self._texts = [
            (fields, layout.shared_place(fields)) for fields in rows({kind: k.texts for kind, k in kinds.items()})
        ]

    def assemble(self, events: Sequence[msgspec.Struct], source: npt.NDArray[np.int64]) -> Columns:
        """Columns of ``n`` events; ``source`` is (n,) as in `Columns`."""
        wanted = self._wanted
        n = len(events)
        batch = _Batch(events, self._layout)
        numbers = np.full((wanted.number_rows, n), np.nan)
        tests = np.zeros((wanted.test_rows, n), np.uint64)
        hashes = np.zeros((wanted.hash_rows, n), np.uint64)
        # A matrix may have more rows than the kinds of this layout fill.
        for rows, matrix in ((self._numbers, numbers), (self._tests, tests), (self._hashes, hashes)):
            for row, out in zip(rows, matrix, strict=False):
                row.fill(out, batch)
        order_hash = np.zeros(n, np.uint64)
        if wanted.order_ids and Kind.PURCHASE in batch.kinds:
            where = batch.where(Kind.PURCHASE)
            order_hash[where] = hash_texts(batch.column_at(self._layout.place(Kind.PURCHASE, "order_id"), where))
        event_id = batch.column(EVENT_ID)
        return Columns(
            kind=batch.kind,
            time_ms=_times(batch.column(TIMESTAMP)),
            customer=batch.column(CUSTOMER_ID),
            event_id=event_id,
            event_hash=hash_texts(event_id) if wanted.event_ids else np.zeros(n, np.uint64),
            order_hash=order_hash,
            numbers=numbers,
            tests=tests,
            hashes=hashes,
            texts=[self._text_row(i, batch) for i in range(wanted.text_rows)],
            traits=self._carried(batch.column(self._layout.width - 1)) if wanted.traits else [],
            source=source,
        )

    def _text_row(self, i: int, batch: _Batch) -> list[str | None]:
        """One list of ``n`` texts."""
        fields, shared = self._texts[i] if i < len(self._texts) else ({}, None)
        if shared is not None:
            return batch.column(shared)
        texts: list[str | None] = [None] * batch.size
        for kind in batch.kinds:
            if kind in fields:
                where = batch.where(kind)
                values = batch.column_at(self._layout.place(kind, fields[kind]), where)
                if len(values) == batch.size:
                    return values
                for at, text in zip(where.tolist(), values, strict=True):
                    texts[at] = text
        return texts

    def _carried(self, column: list[Any]) -> list[tuple[int, int, Any]]:
        """(event's index, trait's index, value) of the traits that ``n`` events carry."""
        if column.count(None) == len(column):
            return []
        at = list(compress(range(len(column)), column))  # an empty dictionary, which is false too, carries nothing
        if not at:
            return []
        carriers = [column[i] for i in at]
        found: list[tuple[int, int, Any]] = []
        for trait, name in enumerate(self._wanted.traits):
            values: list[Any]
            if isinstance(carriers[0], dict):
                values = [traits.get(name, msgspec.UNSET) for traits in carriers]
            else:
                values = list(map(attrgetter(f"f{trait}"), carriers))
            types = set(map(type, values))
            if float in types:
                values = [value + 0.0 if type(value) is float else value for value in values]  # makes 0 of -0
            carried: Iterable[tuple[int, int, Any]] = zip(at, repeat(trait), values, strict=False)
            if not types <= _TRAIT_TYPES:
                carried = compress(carried, map(_TRAIT_TYPES.__contains__, map(type, values)))
            found.extend(carried)
        if len(self._wanted.traits) > 1:
            found.sort(key=itemgetter(0))  # which keeps the order of one event's traits
        return found


def _times(values: list[int | str]) -> npt.NDArray[np.int64]:
    """(n,) milliseconds of timestamps, which are valid but may be text."""
    n = len(values)
    try:
        return np.fromiter(values, np.int64, n)
    except ValueError:  # a text
        pass
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) == n:
        return parse_instants(texts)
    is_text = np.fromiter((isinstance(value, str) for value in values), np.bool_, n)
    times = np.empty(n, np.int64)
    times[is_text] = parse_instants(texts)
    times[~is_text] = [value for value in values if not isinstance(value, str)]
    return times
