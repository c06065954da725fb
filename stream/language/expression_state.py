"""One expression under examination: its places, its limits, its literals and the warnings about it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stream.contract import KNOWN_ACTIONS, Kind
from stream.language.canonical import text
from stream.language.literals import (
    LiteralError,
    complaint,
    read_duration,
    read_number,
    write_duration,
    write_number,
)
from stream.language.ranges import contradiction, range_of, verdict
from stream.language.scope import Scope
from stream.language.source import Scalar
from stream.language.suggest import did_you_mean
from stream.language.syntax import Node, Quantity, Text, Truth
from stream.language.tree import (
    Aggregate,
    And,
    Compare,
    Exists,
    Expression,
    Function,
    Literal,
    Or,
    Persona,
    Rfm,
    TextMatch,
    Type,
)
from stream.language.types import NAMES, ORDER, type_of
from stream.language.words import RFM_SCORES

_DISTINCT_LIMIT = 32
_RFM_FORM = 'three digits from 1 to 5, such as `"545"`'
#: Deeper nesting helps nobody, and everything after us walks the tree by recursion.
MAX_DEPTH = 100
#: Features within features could double an expression with each line.
MAX_PARTS = 5_000


class TooLargeError(Exception):
    """The expression is beyond a limit, which has been reported."""


class ExpressionState:
    """What checking one expression needs besides its nodes."""

    def __init__(self, scope: Scope, scalar: Scalar) -> None:
        self.scope = scope
        self.scalar = scalar
        self.parts = 0
        self.depth = 0

    def error(self, at: int, message: str) -> None:
        """Report an error at the offset ``at`` of the expression's text."""
        self.scope.report.error(self.scalar.place_of(at), message)

    def warning(self, at: int, message: str) -> None:
        self.scope.report.warning(self.scalar.place_of(at), message)

    def enter(self, node: Node, depth: int, parts: int = 1) -> None:
        """Count a node, or a feature with its ``parts``.

        Raises:
            TooLargeError: the limit is passed.
        """
        self.parts += parts
        self.depth = max(self.depth, depth)
        if depth > MAX_DEPTH:
            self.error(node.at, f"nested more than {MAX_DEPTH} levels deep: split it into features or segments")
            raise TooLargeError
        if self.parts > MAX_PARTS:
            self.error(node.at, f"with its features this expression has more than {MAX_PARTS:,} parts: simplify it")
            raise TooLargeError

    def literal(self, node: Quantity | Text | Truth) -> Literal | None:
        """The constant; None when it could not be read, which is reported."""
        if isinstance(node, Text):
            return Literal(node.value, Type.TEXT)
        if isinstance(node, Truth):
            return Literal(node.value, Type.BOOLEAN)
        try:
            duration = read_duration(node.text)
            number = read_number(node.text) if duration is None else None
        except LiteralError as error:
            self.error(node.at, str(error))
            return None
        if duration is not None:
            if node.negative:
                self.error(node.at, f"a duration is not negative: subtract it, `0s - {node.text}`")
                return None
            return Literal(float(duration), Type.DURATION)
        if number is None:
            self.error(node.at + node.negative, complaint(node.text))
            return None
        return Literal(-number if node.negative and number else number, Type.NUMBER)

    def compared(self, subject: Expression, other: Expression, at: int) -> Expression | None:
        """What ``subject`` is compared with: the id of a persona becomes its alias; of an unlikely action it warns.

        Returns None when ``subject`` can never be that, which is reported.
        """
        if not isinstance(other, Literal):
            return other
        value = other.value
        if isinstance(subject, Persona) and isinstance(value, str) and self.scope.personas is not None:
            complaint = self.scope.personas.complaint(value)
            if complaint is not None:
                self.error(at, complaint)
                return None
            return Literal(self.scope.personas.text(value), Type.TEXT)
        if isinstance(subject, Rfm) and isinstance(value, str) and value not in RFM_SCORES:
            self.error(at, f"`rfm` is never `{value}`: it is {_RFM_FORM}")
            return None
        if not isinstance(subject, Aggregate):
            return other
        if subject.function is Function.DISTINCT and isinstance(value, float) and value > _DISTINCT_LIMIT:
            self.error(at, f"`distinct` counts up to {_DISTINCT_LIMIT}, more is {_DISTINCT_LIMIT}: compare with less")
            return None
        if subject.field == "action" and isinstance(value, str):
            self.warn_action(at, subject.kind, value)
        return other

    def join(
        self,
        junction: type[And | Or],
        checked: Sequence[tuple[int, Expression | None]],
        kind: Kind | None = None,
    ) -> Expression | None:
        """``and`` or ``or`` of the operands, flat, each with its offset; None when one of them is wrong."""
        operands = [(at, operand) for at, operand in checked if operand is not None]
        self._warn_together(junction, operands, kind)
        if len(operands) < len(checked):
            return None
        flat: list[Expression] = []
        for _, operand in operands:
            if isinstance(operand, junction):
                flat.extend(operand.operands)
            else:
                flat.append(operand)
        return junction(tuple(flat))

    def _warn_together(
        self, junction: type[And | Or], operands: Sequence[tuple[int, Expression]], kind: Kind | None
    ) -> None:
        is_and = junction is And
        open_ones = [(at, operand) for at, operand in operands if verdict(operand, kind) is None]
        index = contradiction([(operand, is_and) for _, operand in open_ones], kind)
        if index is None:
            return
        if is_and:
            message = "this can never hold together with what stands before it"
        else:
            message = "this, or what stands before it, always holds"
        self.warning(open_ones[index][0], message)

    def warn_verdict(self, at: int, condition: Expression, outcome: bool | None) -> None:
        """Warn of a condition whose outcome is known beforehand."""
        if outcome is not None:
            what = "this can never fail" if outcome else "this can never hold"
            self.warning(at, f"{what}{_reason(condition)}")

    def warn_action(self, at: int, kind: Kind, action: str) -> None:
        """Warn of an action that no event of the kind is known to have."""
        known = KNOWN_ACTIONS.get(kind, ())
        if known and action not in known:
            article = "an" if kind is Kind.EMAIL else "a"
            self.warning(
                at, f"{article} {kind.word} is not known to have the action `{action}`{did_you_mean(action, known)}"
            )


def _reason(condition: Expression) -> str:
    """``: `count(click)` is never below 0``, where that much can be said."""
    if isinstance(condition, TextMatch):
        return f": `rfm` is {_RFM_FORM}" if isinstance(condition.value, Rfm) else ""
    if isinstance(condition, Exists):
        return f": `{text(condition.value)}` is never null"
    if not isinstance(condition, Compare):
        return ""
    for side, other in ((condition.left, condition.right), (condition.right, condition.left)):
        low, high = range_of(side)
        if condition.op in ORDER and type_of(other) in (Type.TEXT, Type.BOOLEAN):
            return f": {NAMES[type_of(other)]} has no order"
        if isinstance(side, Literal) or low == -math.inf:
            continue
        if condition.op not in ORDER and isinstance(other, Literal) and low <= float(other.value) <= high:
            return f": `{text(side)}` is a whole number"
        if low == high:
            return f": `{text(side)}` is always {_written(low, side)}"
        if high == math.inf:
            return f": `{text(side)}` is never below {_written(low, side)}"
        return f": `{text(side)}` lies between {_written(low, side)} and {_written(high, side)}"
    return ""


def _written(value: float, expression: Expression) -> str:
    is_duration = type_of(expression) is Type.DURATION and value.is_integer()
    return f"`{write_duration(int(value))}`" if is_duration else write_number(value)
