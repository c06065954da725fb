"""From ``where`` conditions to postfix code over an event's columns, and the columns that this asks for."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.contract import Kind
from stream.engine import opcodes as op
from stream.events.columns import KindColumns, TextTest
from stream.language import tree

COMPARISONS = {"==": op.EQ, "!=": op.NE, "<": op.LT, "<=": op.LE, ">": op.GT, ">=": op.GE}
_SWAPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TESTS_A_ROW = 64


def swapped(comparison: str) -> str:
    """The comparison with its sides exchanged: ``a < b`` is ``b > a``."""
    return _SWAPPED[comparison]


@dataclass
class Constants:
    """The doubles that code refers to by index, each stored once."""

    values: list[float] = field(default_factory=list)
    _index: dict[str, int] = field(default_factory=dict)

    def index(self, value: float) -> int:
        """The place of ``value`` among the constants (by bits, so that -0.0 and 0.0 stay apart)."""
        key = float(value).hex()
        if key not in self._index:
            self._index[key] = len(self.values)
            self.values.append(float(value))
        return self._index[key]


@dataclass
class EventColumns:
    """Collects the columns that a plan needs of one kind; each is asked for once."""

    numbers: list[str] = field(default_factory=list)
    tests: list[tuple[str, list[TextTest]]] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def number(self, name: str) -> int:
        return _place(self.numbers, name)

    def hash(self, name: str) -> int:
        return _place(self.hashes, name)

    def text(self, name: str) -> int:
        return _place(self.texts, name)

    def test(self, name: str, test: TextTest) -> tuple[int, int]:
        """The row and the bit that answer ``test`` of the text field ``name``."""
        for row, (other, tests) in enumerate(self.tests):
            if other == name and test in tests:
                return row, tests.index(test)
        for row, (other, tests) in enumerate(self.tests):
            if other == name and len(tests) < _TESTS_A_ROW:
                tests.append(test)
                return row, len(tests) - 1
        self.tests.append((name, [test]))
        return len(self.tests) - 1, 0

    def wanted(self) -> KindColumns:
        return KindColumns(
            numbers=tuple(self.numbers),
            tests=tuple((name, tuple(tests)) for name, tests in self.tests),
            hashes=tuple(self.hashes),
            texts=tuple(self.texts),
        )


def _place(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


class FilterCompiler:
    """Compiles each different ``where`` of a kind once."""

    def __init__(self, constants: Constants) -> None:
        self.constants = constants
        self.columns = {kind: EventColumns() for kind in Kind}
        self.code: list[tuple[int, int, int, int]] = []
        self._found: dict[tuple[Kind, tree.Expression], tuple[int, int]] = {}

    def filter(self, kind: Kind, where: tree.Expression) -> tuple[int, int]:
        """First and last-plus-one instruction of the filter, compiled where it is new."""
        key = (kind, where)
        if key not in self._found:
            start = len(self.code)
            self._emit(self.columns[kind], where)
            self._found[key] = (start, len(self.code))
        return self._found[key]

    def _emit(self, columns: EventColumns, node: tree.Expression) -> None:
        add = self.code.append
        match node:
            case tree.And(operands) | tree.Or(operands):
                joiner = op.F_AND if isinstance(node, tree.And) else op.F_OR
                self._emit(columns, operands[0])
                for operand in operands[1:]:
                    self._emit(columns, operand)
                    add((joiner, 0, 0, 0))
            case tree.Not(operand):
                self._emit(columns, operand)
                add((op.F_NOT, 0, 0, 0))
            case tree.Exists(tree.Field(name, type_)):
                if type_ is tree.Type.TEXT:
                    add((op.F_TEST, *columns.test(name, TextTest("exists")), 0))
                else:
                    add((op.F_EXISTS, columns.number(name), 0, 0))
            case tree.Field(name, tree.Type.BOOLEAN):
                add((op.F_NUMBER, columns.number(name), op.EQ, self.constants.index(1.0)))
            case tree.Compare(comparison, tree.Field(name, type_), tree.Literal(value, _)):
                if type_ is tree.Type.TEXT:
                    add((op.F_TEST, *columns.test(name, TextTest(comparison, (str(value),))), 0))
                else:
                    place = self.constants.index(float(value))
                    add((op.F_NUMBER, columns.number(name), COMPARISONS[comparison], place))
            case tree.TextMatch(matches, tree.Field(name, _), text):
                add((op.F_TEST, *columns.test(name, TextTest(matches, (text,))), 0))
            case tree.In(tree.Field(name, type_), literals, negated):
                if type_ is tree.Type.TEXT:
                    test = TextTest("not in" if negated else "in", tuple(str(x.value) for x in literals))
                    add((op.F_TEST, *columns.test(name, test), 0))
                else:
                    self._emit_number_in(columns.number(name), [float(x.value) for x in literals], negated)
            case _:
                raise AssertionError(f"not a filter: {node!r}")

    def _emit_number_in(self, column: int, values: list[float], negated: bool) -> None:
        """``in`` as a chain of ``==``, ``not in`` as one of ``!=``, so that a missing field fails both."""
        add = self.code.append
        if not values:
            add((op.F_EXISTS, column, 0, 0) if negated else (op.F_FALSE, 0, 0, 0))
        for number, value in enumerate(values):
            add((op.F_NUMBER, column, op.NE if negated else op.EQ, self.constants.index(value)))
            if number:
                add((op.F_AND if negated else op.F_OR, 0, 0, 0))
