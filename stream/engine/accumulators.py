"""What is remembered of events: each aggregate is read from one to three accumulators.

A new aggregate is a case in ``needs`` (which accumulators it reads) and a value operation in the kernel. A new way of
remembering is an operation in ``opcodes``, a case each in ``words`` and ``initial``, and its update in the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.contract import FIELDS, FieldType, Kind
from stream.engine import opcodes as op
from stream.language import canonical, tree
from stream.language.tree import Aggregate, Function


@dataclass(frozen=True, slots=True)
class Accumulator:
    """One thing that is remembered of the events of ``kind`` that satisfy ``where``."""

    key: str  # the name under which its state is kept from one definitions file to the next
    op: int
    kind: Kind
    where: tree.Expression | None
    field: str | None
    window_ms: int | None
    buckets: int  # 0 without a window

    @property
    def width_ms(self) -> int:
        """Width of a bucket in milliseconds; 0 without a window."""
        return -(-self.window_ms // self.buckets) if self.window_ms else 0

    @property
    def words(self) -> int:
        """Words of 8 bytes that it takes in a row."""
        ring = self.buckets if self.window_ms else 0
        match self.op:
            case op.COUNT:
                return 1 + (ring + 1) // 2
            case op.SUM | op.MIN | op.MAX:
                return 1 + ring
            case op.DISTINCT:
                return 1 + op.DISTINCT_LIMIT + (op.DISTINCT_LIMIT // 8 if ring else 0)
            case op.FIRST | op.LAST:
                return 1
            case op.FIRST_VALUE | op.LAST_VALUE:
                return 2
            case op.DAYS:
                return 3
        raise AssertionError(self.op)

    def initial(self) -> list[int]:
        """Its words before the first event."""
        match self.op:
            case op.MIN | op.MAX:
                return [op.NAN_WORD] * self.words
            case op.FIRST | op.LAST | op.FIRST_VALUE | op.LAST_VALUE:
                return [op.NONE] * self.words
            case op.DAYS:
                return [0, op.NONE, op.NONE]
        return [0] * self.words


def field_type(definitions: tree.Definitions, kind: Kind, name: str) -> FieldType:
    """The type of an event's field, of the contract or declared in the file."""
    known = FIELDS[kind].get(name)
    return known if known is not None else definitions.declared[kind][name]


def needs(aggregate: Aggregate, definitions: tree.Definitions) -> tuple[Accumulator, ...]:
    """The accumulators that ``aggregate`` is read from, in the order in which its value operation takes them.

    They belong to this aggregate alone, by its canonical text (and by the type of a field whose values are kept, since
    a file may declare it anew): that decides which state survives a change of the definitions.
    """
    text = canonical.text(aggregate)
    ring = definitions.buckets if aggregate.window_ms else 0
    keeps_values = aggregate.function in (Function.DISTINCT, Function.FIRST, Function.LAST)
    if aggregate.field is not None and keeps_values:
        text += f" of {field_type(definitions, aggregate.kind, aggregate.field)}"
    if ring:
        text += f" in {ring} buckets"

    def remember(what: int, part: str = "", where: tree.Expression | None = aggregate.where) -> Accumulator:
        takes_field = what not in (op.COUNT, op.FIRST, op.LAST, op.DAYS)
        field = aggregate.field if takes_field else None
        return Accumulator(text + part, what, aggregate.kind, where, field, aggregate.window_ms, ring)

    match aggregate.function:
        case Function.COUNT:
            return (remember(op.COUNT),)
        case Function.SUM:
            return (remember(op.SUM),)
        case Function.AVG:
            return (remember(op.SUM, ": sum"), remember(op.COUNT, ": count", _having(aggregate)))
        case Function.MIN:
            return (remember(op.MIN),)
        case Function.MAX:
            return (remember(op.MAX),)
        case Function.DISTINCT:
            return (remember(op.DISTINCT),)
        case Function.FIRST:
            return (remember(op.FIRST_VALUE if aggregate.field else op.FIRST),)
        case Function.LAST:
            return (remember(op.LAST_VALUE if aggregate.field else op.LAST),)
        case Function.GAP:
            return (remember(op.COUNT, ": count"), remember(op.FIRST, ": first"), remember(op.LAST, ": last"))
        case Function.P_ALIVE | Function.P_BUY:
            return (remember(op.DAYS),)
    raise AssertionError(aggregate.function)


def _having(aggregate: Aggregate) -> tree.Expression:
    """The condition that counts the events which have the field: what ``avg`` divides by."""
    assert aggregate.field is not None
    exists = tree.Exists(tree.Field(aggregate.field, tree.Type.NUMBER))
    if aggregate.where is None:
        return exists
    if isinstance(aggregate.where, tree.And):
        return tree.And((*aggregate.where.operands, exists))
    return tree.And((aggregate.where, exists))
