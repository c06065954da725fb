"""Where each field stands: all kinds share one order, so a column of a mixed batch is one stride of a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stream.contract import FIELDS, REQUIRED_FIELDS, FieldType, Kind
from stream.events.columns import Wanted

#: Places of what every event has; traits have the last place.
EVENT_ID, CUSTOMER_ID, TIMESTAMP, TYPE = 0, 1, 2, 3
FIRST = ("event_id", "customer_id", "timestamp", "type")
TRAITS = "traits"


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields that are looked at, by kind, in one common order.

    ``names[kind][place]`` is the field at that place, or None where the kind has nothing there.
    """

    names: Mapping[Kind, tuple[str | None, ...]]

    @property
    def width(self) -> int:
        """Places of one event."""
        return len(next(iter(self.names.values())))

    def place(self, kind: Kind, field: str) -> int:
        """The place of a field that is looked at. Raises `ValueError` for another."""
        return self.names[kind].index(field)

    def shared_place(self, fields: Mapping[Kind, str]) -> int | None:
        """The place of a row of ``fields``, if it is the same in all kinds and other kinds have nothing there."""
        places = {self.place(kind, field) for kind, field in fields.items()}
        if len(places) != 1:
            return None
        (place,) = places
        alone = all(names[place] is None for kind, names in self.names.items() if kind not in fields)
        return place if alone else None


def make_layout(wanted: Wanted, kinds: Iterable[Kind]) -> Layout:
    """The places of what is wanted of ``kinds`` and of what must be checked in any case.

    Fields of the same row of a matrix get the same place in every kind where that can be, so that the row can be made
    without telling kinds apart. Otherwise the order is that of the contract: msgspec looks for a key first behind the
    key before it.
    """
    kinds = tuple(kinds)
    names: dict[Kind, list[str | None]] = {kind: list(FIRST) for kind in kinds}
    rows = _rows(wanted, kinds)
    rows.sort(key=lambda row: min(_rank(kind, field) for kind, field in row.items()))
    for row in rows:
        new = {kind: field for kind, field in row.items() if field not in names[kind]}
        if new:
            for kind in kinds:
                names[kind].append(new.get(kind))
    return Layout({kind: (*fields, TRAITS) for kind, fields in names.items()})


def rows_of(columns: Mapping[Kind, Sequence[str]], kinds: Iterable[Kind]) -> list[dict[Kind, str]]:
    """The fields of each row of a matrix, by kind, from the fields of each kind."""
    of_kinds = {kind: columns[kind] for kind in kinds if kind in columns}
    count = max(map(len, of_kinds.values()), default=0)
    return [{kind: fields[i] for kind, fields in of_kinds.items() if i < len(fields)} for i in range(count)]


def _rows(wanted: Wanted, kinds: Sequence[Kind]) -> list[dict[Kind, str]]:
    """All rows of all matrices, and of the fields that are required."""
    parts: list[Mapping[Kind, Sequence[str]]] = [
        {kind: [name for name, _ in k.tests] for kind, k in wanted.kinds.items()},
        {kind: k.numbers for kind, k in wanted.kinds.items()},
        {kind: k.hashes for kind, k in wanted.kinds.items()},
        {kind: k.texts for kind, k in wanted.kinds.items()},
        REQUIRED_FIELDS,
    ]
    return [row for part in parts for row in rows_of(part, kinds)]


def _rank(kind: Kind, field: str) -> int:
    """Where the contract's table lists a field; declared ones come last."""
    fields = tuple(FIELDS[kind])
    return fields.index(field) if field in fields else len(fields)


def field_type(wanted: Wanted, kind: Kind, field: str) -> FieldType:
    """The type of a field of a kind, the file's own fields included. Raises `KeyError` for an unknown one."""
    known = FIELDS[kind].get(field)
    return wanted.declared.get(kind, {})[field] if known is None else known
