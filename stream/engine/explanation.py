"""Why a customer is in a segment or not: its conditions as trees of comparisons, each with what it compares.

Read for people, in plain Python, from values that compiled code has read. It says what the engine does, to the last
bit: that is tested on random definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from stream.contract import LAST_INSTANT
from stream.instants import format_instant
from stream.language import canonical, tree
from stream.language.tree import Aggregate, Expression, Function, Type

Value = float | int | str | bool | None
#: As the engine has it: numbers, durations and instants are doubles.
Native = float | str | bool | None
Leaf = Aggregate | tree.Trait | tree.Persona | tree.Rank | tree.Rfm

_CONDITIONS = (
    tree.And
    | tree.Or
    | tree.Not
    | tree.Compare
    | tree.After
    | tree.Before
    | tree.In
    | tree.TextMatch
    | tree.Exists
    | tree.Member
)


class Condition(msgspec.Struct, frozen=True, omit_defaults=True):
    """A comparison (``text``, ``values``), or several conditions joined (``op``: and, or, not; ``parts``).

    The ``truth`` of a comparison is None where a value in it is null: it counts as false then. ``durations`` are those
    of the ``values`` that are milliseconds.
    """

    truth: bool | None
    op: str | None = None
    parts: tuple[Condition, ...] | None = None
    text: str | None = None
    values: dict[str, Value] | None = None
    durations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What is known of a customer at ``at_ms``, as conditions see it.

    ``falls_ms`` is the instant at which a probability falls to a bound (``strict``: below it); None: it is null.
    """

    at_ms: int
    natives: Mapping[str, Native]  # by canonical text
    shown: Mapping[str, Value]
    members: frozenset[str]
    falls_ms: Callable[[Aggregate, float, bool], int | None]
    texts: Texts


class Texts:
    """The canonical texts of expressions that live as long as this does: writing them takes most of the time."""

    def __init__(self) -> None:
        self._found: dict[int, str] = {}

    def of(self, node: Expression) -> str:
        text = self._found.get(id(node))
        if text is None:
            text = self._found[id(node)] = canonical.text(node)
        return text


def explained(condition: Expression, facts: Facts) -> tuple[tuple[Condition, ...], bool]:
    """Conditions that must all be true for ``condition`` to be, and whether it is."""
    operands = condition.operands if isinstance(condition, tree.And) else (condition,)
    parts = tuple(_tree(operand, facts) for operand in operands)
    return parts, all(part.truth is True for part in parts)


def _tree(node: Expression, facts: Facts) -> Condition:
    match node:
        case tree.And(operands):
            return _joined("and", operands, facts, all)
        case tree.Or(operands):
            return _joined("or", operands, facts, any)
        case tree.Not(operand):
            return _joined("not", (operand,), facts, lambda truths: not all(truths))
        case _:
            values: dict[str, Value] = {}
            durations: list[str] = []
            for side in _sides(node):
                _collect(side, facts, values, durations)
            truth = _is_true(node, facts)
            is_unknown = any(_value(side, facts) is None for side in _needed(node))
            return Condition(
                None if is_unknown else truth,
                text=facts.texts.of(node),
                values=values,
                durations=tuple(durations),
            )


def _joined(op: str, operands: tuple[Expression, ...], facts: Facts, join: Callable[[list[bool]], bool]) -> Condition:
    parts = tuple(_tree(operand, facts) for operand in operands)
    return Condition(join([part.truth is True for part in parts]), op=op, parts=parts)


def _sides(node: Expression) -> tuple[Expression, ...]:
    """What a comparison looks at."""
    match node:
        case tree.Compare(_, left, right) | tree.After(left, right) | tree.Before(left, right):
            return left, right
        case tree.In(value, _, _) | tree.TextMatch(_, value, _) | tree.Exists(value):
            return (value,)
        case _:
            return (node,)


def _needed(node: Expression) -> tuple[Expression, ...]:
    """Those of the `_sides` without which a comparison is not known to be true or false."""
    if isinstance(node, tree.Exists):
        return ()
    return _sides(node)[:1] if isinstance(node, tree.After | tree.Before) else _sides(node)


def _collect(node: Expression, facts: Facts, values: dict[str, Value], durations: list[str]) -> None:
    """Enters what people want to see of a value: itself, unless it is written there, and what it is made of."""
    text = facts.texts.of(node)
    if isinstance(node, tree.Literal) or text in values:
        return
    match node:
        case Aggregate() | tree.Trait() | tree.Persona() | tree.Rank() | tree.Rfm():
            values[text] = facts.shown[text]
        case _:
            values[text] = _shown(_value(node, facts), node)
    if _is_duration(node):
        durations.append(text)
    match node:
        case tree.Since(inner) | tree.Rank(inner):
            _collect(inner, facts, values, durations)
        case tree.Rfm(recency, frequency, money):
            for measure in (recency, frequency, money):
                _collect(measure, facts, values, durations)
        case tree.Arithmetic(_, left, right, _):
            _collect(left, facts, values, durations)
            _collect(right, facts, values, durations)


def _is_duration(node: Expression) -> bool:
    return isinstance(node, tree.Since) or (
        isinstance(node, tree.Arithmetic | Aggregate) and node.type is Type.DURATION
    )


def _shown(value: Native, node: Expression) -> Value:
    """As evidence shows values."""
    if not isinstance(value, float):
        return value
    if isinstance(node, tree.Arithmetic) and node.type is Type.INSTANT:
        return _instant(value)
    return int(value) if abs(value) < 2.0**53 and value.is_integer() else value


def _instant(ms: float) -> Value:
    return format_instant(int(ms)) if 0 <= ms <= LAST_INSTANT else ms  # a sum of instants and durations may be beyond


# --- values and truths, as the engine has them ------------------------------------------------------------------------


def _is_true(node: Expression, facts: Facts) -> bool:
    match node:
        case tree.And(operands):
            return all(_is_true(operand, facts) for operand in operands)
        case tree.Or(operands):
            return any(_is_true(operand, facts) for operand in operands)
        case tree.Not(operand):
            return not _is_true(operand, facts)
        case tree.Compare():
            return _compared(node, facts)
        case tree.After(left, right) | tree.Before(left, right):
            first, second = _value(left, facts), _value(right, facts)
            if first is None or second is None:
                return first is not None
            assert isinstance(first, float)
            assert isinstance(second, float)
            return first > second if isinstance(node, tree.After) else first < second
        case tree.In(value, literals, negated):
            sought = _value(value, facts)
            is_found = any(_holds("==", sought, _literal(literal)) for literal in literals)
            return sought is not None and is_found is not negated
        case tree.TextMatch(op, value, text):
            found = _value(value, facts)
            return isinstance(found, str) and _MATCHES[op](found, text)
        case tree.Exists(value):
            return _value(value, facts) is not None
        case tree.Member(segment):
            return segment in facts.members
        case _:
            return _value(node, facts) is True


_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}


def _compared(node: tree.Compare, facts: Facts) -> bool:
    left, op, right = node.left, node.op, node.right
    if _is_probability(right):
        left, op, right = right, _SWAPPED[op], left
    if not _is_probability(left):
        return _holds(op, _value(left, facts), _value(right, facts))
    # The engine knows since when the probability has been low, and compares instants.
    assert isinstance(left, Aggregate)
    bound = _value(right, facts)
    falls_ms = facts.falls_ms(left, bound, op in ("<", ">=")) if isinstance(bound, float) else None
    return falls_ms is not None and (facts.at_ms >= falls_ms) == (op in ("<", "<="))


_SWAPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _is_probability(node: Expression) -> bool:
    return isinstance(node, Aggregate) and node.function in (Function.P_ALIVE, Function.P_BUY)


def _holds(op: str, left: Native, right: Native) -> bool:
    """A comparison: false with null; between types only ``!=`` is true; only numbers have an order."""
    if left is None or right is None:
        return False
    if op in ("==", "!="):
        return (type(left) is type(right) and left == right) is (op == "==")
    if not (isinstance(left, float) and isinstance(right, float)):
        return False
    match op:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
    return left >= right


def _value(node: Expression, facts: Facts) -> Native:
    match node:
        case tree.Literal():
            return _literal(node)
        case Aggregate() | tree.Trait() | tree.Persona() | tree.Rank() | tree.Rfm():
            return facts.natives[facts.texts.of(node)]
        case tree.Since(instant):
            since = _value(instant, facts)
            return float(facts.at_ms) - since if isinstance(since, float) else None
        case tree.Arithmetic(op, left, right, _):
            return _calculated(op, _value(left, facts), _value(right, facts))
        case _:
            assert isinstance(node, _CONDITIONS), f"not a value: {node!r}"
            return _is_true(node, facts)


def _literal(literal: tree.Literal) -> Native:
    return literal.value if isinstance(literal.value, bool | str) else float(literal.value)


def _calculated(op: str, left: Native, right: Native) -> Native:
    """Arithmetic: null with anything but numbers, by zero, and where no number comes out."""
    if not (isinstance(left, float) and isinstance(right, float)) or (op == "/" and right == 0.0):
        return None
    match op:
        case "+":
            result = left + right
        case "-":
            result = left - right
        case "*":
            result = left * right
        case _:
            result = left / right
    return None if result != result else result  # noqa: PLR0124 (that is what no number is)
