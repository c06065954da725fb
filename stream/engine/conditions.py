"""From conditions to postfix code over a customer's row.

Each entry on the kernel's stack has a type, a value and the instant until which it is sure to stay as it is if no
event comes: that is how the kernel knows when to look again. Code therefore says where a value's next step in time
matters, and comparisons that can know their next flip exactly have instructions of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stream.contract import FieldType, Kind
from stream.engine import opcodes as op
from stream.engine.accumulators import Accumulator, field_type, needs
from stream.engine.filters import COMPARISONS, Constants, swapped
from stream.engine.layout import RowBuilder
from stream.events.columns import TextTest
from stream.language import canonical, tree
from stream.language.meaning import Evidence
from stream.language.measures import is_instant
from stream.language.tree import Aggregate, Function, Type
from stream.language.types import type_of

Coded = tree.Rank | tree.Rfm


@dataclass(frozen=True)
class ValueInfo:
    """A value of the plan as people see it: its canonical text and its type."""

    text: str
    type: Type
    history: tuple[str, ...]  # names of the layout's parts that it is read from


_OPERATIONS = {
    Function.COUNT: op.V_COUNT,
    Function.SUM: op.V_SUM,
    Function.AVG: op.V_AVG,
    Function.MIN: op.V_EXTREME,
    Function.MAX: op.V_EXTREME,
    Function.DISTINCT: op.V_DISTINCT,
    Function.GAP: op.V_GAP,
    Function.P_ALIVE: op.V_P_ALIVE,
    Function.P_BUY: op.V_P_BUY,
}
_FIELD_OPERATIONS = {
    FieldType.NUMBER: op.V_NUMBER,
    FieldType.TEXT: op.V_TEXT,
    FieldType.BOOLEAN: op.V_BOOLEAN,
}


@dataclass
class ValueCompiler:
    """The table of values: each aggregate, trait, rank and rfm once, with the words or the code it is read from."""

    definitions: tree.Definitions
    constants: Constants
    offsets: dict[Accumulator, int]
    trait_words: dict[str, int]
    persona_word: int | None = None  # None: the file has no personas
    rank_tables: Mapping[tree.Expression, int] = field(default_factory=dict)  # first places, by what is ranked
    table: list[tuple[int, ...]] = field(default_factory=list)
    infos: list[ValueInfo] = field(default_factory=list)
    _found: dict[tree.Expression, int] = field(default_factory=dict)

    def index(self, node: Aggregate | tree.Trait | tree.Persona) -> int:
        """The value's place in the table, added where it is new."""
        return self._found[node] if node in self._found else self._add(node, *self._row(node))

    def coded_index(self, node: Coded, compiled: Callable[[Coded], tuple[int, int]]) -> int:
        """The same for what takes code, which is ``compiled`` where it is new."""
        if node in self._found:
            return self._found[node]
        return self._add(node, (op.V_CODE, *compiled(node), 0, 0, 0), type_of(node), ())

    def _add(self, node: tree.Expression, row: tuple[int, ...], type_: Type, history: tuple[str, ...]) -> int:
        self._found[node] = len(self.table)
        self.table.append(row)
        self.infos.append(ValueInfo(canonical.text(node), type_, history))
        return self._found[node]

    def _row(self, node: Aggregate | tree.Trait | tree.Persona) -> tuple[tuple[int, ...], Type, tuple[str, ...]]:
        if isinstance(node, tree.Persona):
            if self.persona_word is None or self.definitions.personas is None:
                return (op.V_NULL, 0, 0, 0, 0, 0), Type.TEXT, ()
            features = len(self.definitions.personas.features)
            return (op.V_PERSONA, self.persona_word, features, 0, 0, 0), Type.TEXT, ()
        if isinstance(node, tree.Trait):
            return (op.V_TRAIT, self.trait_words[node.name], 0, 0, 0, 0), Type.TRAIT, (f"trait {node.name}",)
        read = needs(node, self.definitions)
        places = [self.offsets[accumulator] for accumulator in read]
        history = tuple(accumulator.key for accumulator in read)
        what = _OPERATIONS.get(node.function)
        if what is None:  # first or last
            what = op.V_INSTANT
            if node.field is not None:
                what = _FIELD_OPERATIONS[field_type(self.definitions, node.kind, node.field)]
        elif what == op.V_EXTREME:
            places.append(op.MIN if node.function is Function.MIN else op.MAX)
        elif what == op.V_P_BUY:
            assert node.horizon_ms is not None
            places.append(self.constants.index(float(node.horizon_ms)))
        places += [0] * (3 - len(places))
        return (what, *places, read[0].width_ms, read[0].buckets), node.type, history


@dataclass
class ConditionCompiler:
    """Compiles conditions one after the other into one piece of code."""

    definitions: tree.Definitions
    values: ValueCompiler
    constants: Constants
    row: RowBuilder
    code: list[tuple[int, ...]] = field(default_factory=list)
    crossings: list[int] = field(default_factory=list)  # first words of cached crossings of p_alive and p_buy
    pool_texts: list[str] = field(default_factory=list)
    pool_tests: list[TextTest] = field(default_factory=list)
    depth: int = 1
    _height: int = 0
    _crossings: dict[tuple[tree.Expression, bool, tree.Expression], int] = field(default_factory=dict)

    def condition(self, node: tree.Expression) -> tuple[int, int]:
        """Compiles ``node``; returns its first and last-plus-one instruction."""
        start = len(self.code)
        self._truth(node)
        return self._piece(start)

    def value(self, node: tree.Expression) -> tuple[int, int]:
        """Compiles a value whose next step in time is found by other means; its first and last-plus-one instruction."""
        start = len(self.code)
        self._expression(node, steps=False)
        return self._piece(start)

    def _piece(self, start: int) -> tuple[int, int]:
        """The code from ``start`` on, which leaves one value."""
        assert self._height == 1
        self._height = 0
        return start, len(self.code)

    def shown(self, node: Evidence) -> int:
        """The number of a value that people see."""
        return self.values.coded_index(node, self.value) if isinstance(node, Coded) else self.values.index(node)

    def _emit(self, what: int, a: int = 0, b: int = 0, c: int = 0, *, grows: int = 0) -> None:
        self.code.append((what, a, b, c))
        self._height += grows
        self.depth = max(self.depth, self._height)

    # --- conditions ---

    def _truth(self, node: tree.Expression) -> None:
        """Code that leaves a boolean that is not null."""
        self._expression(node)
        if isinstance(node, tree.Trait | Aggregate):
            self._emit(op.C_TRUTH)

    def _joined(self, operands: tuple[tree.Expression, ...], joiner: int, skip: int) -> None:
        skips = []
        self._truth(operands[0])
        for operand in operands[1:]:
            skips.append(len(self.code))
            self._emit(skip)
            self._truth(operand)
            self._emit(joiner, grows=-1)
        for place in skips:
            self.code[place] = (skip, len(self.code), 0, 0)

    def _expression(self, node: tree.Expression, *, steps: bool = True) -> None:
        """Code that leaves the node's value; ``steps``: whether a window's next step in time matters."""
        match node:
            case tree.And(operands):
                self._joined(operands, op.C_AND, op.C_SKIP_FALSE)
            case tree.Or(operands):
                self._joined(operands, op.C_OR, op.C_SKIP_TRUE)
            case tree.Not(operand):
                self._truth(operand)
                self._emit(op.C_NOT)
            case tree.Compare():
                self._compare(node)
            case tree.After(left, right) | tree.Before(left, right):
                self._expression(left)
                self._expression(right)
                self._emit(op.C_AFTER if isinstance(node, tree.After) else op.C_BEFORE, grows=-1)
            case tree.In(value, literals, negated):
                self._in(value, literals, negated)
            case tree.TextMatch(test, value, text):
                self._expression(value)
                self._emit(op.C_TEXT_TEST, self._pool_test(TextTest(test, (text,))))
            case tree.Exists(value):
                self._expression(value)
                self._emit(op.C_EXISTS)
            case tree.Member(segment):
                names = [s.name for s in self.definitions.segments]
                self._emit(op.C_MEMBER, names.index(segment), grows=1)
            case tree.Literal(value, type_):
                self._literal(value, type_)
            case tree.Arithmetic(operator, left, right, _):
                self._expression(left, steps=steps)
                self._expression(right, steps=steps)
                what = {"+": op.C_ADD, "-": op.C_SUB, "*": op.C_MUL, "/": op.C_DIV}[operator]
                self._emit(what, grows=-1)
            case tree.Rank(value):
                self._expression(value, steps=steps)
                self._emit(op.C_RANK, self.values.rank_tables[value], int(is_instant(value)))
            case tree.Rfm(recency, frequency, money):
                for measure in (recency, frequency, money):
                    self._expression(measure, steps=steps)
                # The tables of the three lie one behind the other.
                self._emit(op.C_RFM, self.values.rank_tables[node.measures[0]], grows=-2)
            case tree.RfmMeasure(rfm):
                self._expression(rfm.frequency, steps=steps)
                self._expression(node.value, steps=steps)
                self._emit(op.C_AMONG, grows=-1)
            case Aggregate() | tree.Trait() | tree.Persona():
                windowed = isinstance(node, Aggregate) and node.window_ms is not None
                self._emit(op.C_VALUE, self.values.index(node), int(windowed and steps), grows=1)
            case _:
                raise AssertionError(f"not a value: {node!r}")

    def _literal(self, value: float | str | bool, type_: Type) -> None:
        if type_ is Type.TEXT:
            if value not in self.pool_texts:
                self.pool_texts.append(str(value))
            self._emit(op.C_TEXT, self.pool_texts.index(str(value)), grows=1)
        elif type_ is Type.BOOLEAN:
            self._emit(op.C_BOOLEAN, int(bool(value)), grows=1)
        else:
            self._emit(op.C_NUMBER, self.constants.index(float(value)), grows=1)

    def _pool_test(self, test: TextTest) -> int:
        if test not in self.pool_tests:
            self.pool_tests.append(test)
        return self.pool_tests.index(test)

    def _in(self, value: tree.Expression, literals: tuple[tree.Literal, ...], negated: bool) -> None:
        """A chain of comparisons with the value, which is worked out once: null is in neither form."""
        self._expression(value)
        if not literals:
            if negated:
                self._emit(op.C_EXISTS)
            else:  # nothing is in an empty list
                self._emit(op.C_EXISTS)
                self._emit(op.C_BOOLEAN, 0, grows=1)
                self._emit(op.C_AND, grows=-1)
            return
        comparison, joiner = (op.NE, op.C_AND) if negated else (op.EQ, op.C_OR)
        # Copy, compare, and slide the truth below the value; the last comparison consumes the value itself.
        for number, literal in enumerate(literals):
            last = number == len(literals) - 1
            if not last:
                self._emit(op.C_DUPLICATE, grows=1)
            self._literal(literal.value, literal.type)
            self._emit(op.C_COMPARE, comparison, grows=-1)
            if not last:
                self._emit(op.C_SWAP)
        for _ in literals[1:]:
            self._emit(joiner, grows=-1)

    # --- comparisons ---

    def _compare(self, node: tree.Compare) -> None:
        left, comparison, right = node.left, node.op, node.right
        if _continuous(right) or (_walkable(right) and not _continuous(left) and not _walkable(left)):
            left, comparison, right = right, swapped(comparison), left
        code = COMPARISONS[comparison]
        if isinstance(left, tree.Since):
            self._expression(left.instant)
            self._expression(right)
            self._emit(op.C_COMPARE_SINCE, code, grows=-1)
        elif isinstance(left, Aggregate) and _continuous(left):
            self._expression(right)
            cache = self._crossing(left, comparison in ("<", ">="), right)
            self._emit(op.C_COMPARE_CHURN, code, self.values.index(left), cache)
        elif isinstance(left, Aggregate) and _walkable(left) and not _windowed(right):
            self._expression(left, steps=False)
            self._expression(right)
            self._emit(op.C_COMPARE_WALK, code, self.values.index(left), int(_only_falls(left)), grows=-1)
        else:
            self._expression(left)
            self._expression(right)
            self._emit(op.C_COMPARE, code, grows=-1)

    def _crossing(self, value: Aggregate, strict: bool, bound: tree.Expression) -> int:
        """The words that cache when ``value`` falls to ``bound`` (below it, when ``strict``)."""
        key = (value, strict, bound)
        if key not in self._crossings:
            self._crossings[key] = self.row.derived([op.NONE, op.NONE])
            self.crossings.append(self._crossings[key])
        return self._crossings[key]


def _continuous(node: tree.Expression) -> bool:
    """Whether the value moves at every instant."""
    return isinstance(node, tree.Since) or (
        isinstance(node, Aggregate) and node.function in (Function.P_ALIVE, Function.P_BUY)
    )


def _walkable(node: tree.Expression) -> bool:
    """Whether the kernel can walk the value's buckets to the exact instant of a flip."""
    return (
        isinstance(node, Aggregate) and node.window_ms is not None and node.function in (Function.COUNT, Function.SUM)
    )


def _only_falls(node: Aggregate) -> bool:
    """Whether the value can only become smaller when a bucket leaves its window."""
    return node.function is Function.COUNT or (node.kind, node.field) == _NEVER_NEGATIVE


#: By the contract the total of a purchase is never below zero.
_NEVER_NEGATIVE = (Kind.PURCHASE, "total")


def _windowed(node: tree.Expression) -> bool:
    """Whether some part of the value is over a window."""
    match node:
        case Aggregate():
            return node.window_ms is not None
        case tree.Rank(value):
            return _windowed(value)
        case tree.Rfm():
            return True
        case tree.Arithmetic(_, left, right, _) | tree.Compare(_, left, right) | tree.After(left, right):
            return _windowed(left) or _windowed(right)
        case tree.Before(left, right):
            return _windowed(left) or _windowed(right)
        case tree.And(operands) | tree.Or(operands):
            return any(map(_windowed, operands))
        case tree.Not(operand) | tree.Exists(operand) | tree.Since(operand):
            return _windowed(operand)
        case tree.In(value, _, _) | tree.TextMatch(_, value, _):
            return _windowed(value)
    return False
