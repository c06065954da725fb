"""Conditions that can never hold, or never fail: what is known of an expression's value before any event.

Everything here errs on the side of silence: a verdict is given only where no event whatever could refute it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stream.contract import REQUIRED_FIELDS, Kind
from stream.language.tree import (
    After,
    Aggregate,
    And,
    Arithmetic,
    Before,
    Compare,
    Exists,
    Expression,
    Field,
    Function,
    In,
    Literal,
    Not,
    Or,
    Rank,
    Rfm,
    Since,
    TextMatch,
    Type,
)
from stream.language.types import MIRRORED, ORDER, type_of
from stream.language.words import RFM_SCORES

Range = tuple[float, float]
Term = tuple[Expression, bool]  # a condition, and whether it is asked to hold or to fail

EVERYTHING: Range = (-math.inf, math.inf)
_NOT_NEGATIVE: Range = (0.0, math.inf)
_NUMERIC = (Type.NUMBER, Type.DURATION, Type.INSTANT)
_NEVER_NULL = (Function.COUNT, Function.SUM, Function.DISTINCT)
_WHOLE = (Function.COUNT, Function.DISTINCT)
_MATCHES = {"contains": str.__contains__, "starts_with": str.startswith, "ends_with": str.endswith}
_COMPLEMENT = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def verdict(condition: Expression, kind: Kind | None = None) -> bool | None:
    """True: it can never fail. False: it can never hold. None: it depends.

    ``kind`` is that of the events within whose ``where`` the condition stands.
    """
    match condition:
        case Literal(value=bool(value)):
            return value
        case Not(operand=operand):
            inner = verdict(operand, kind)
            return None if inner is None else not inner
        case And(operands=operands):
            verdicts = [verdict(operand, kind) for operand in operands]
            if False in verdicts or contradiction([(operand, True) for operand in operands], kind) is not None:
                return False
            return True if None not in verdicts else None
        case Or(operands=operands):
            verdicts = [verdict(operand, kind) for operand in operands]
            if True in verdicts or contradiction([(operand, False) for operand in operands], kind) is not None:
                return True
            return False if None not in verdicts else None
        case Compare():
            return _compare(condition, kind)
        case In():
            return _in(condition, kind)
        case Exists(value=value):
            return None if is_nullable(value, kind) else True
        case After(left=left, right=right) | Before(left=left, right=right):
            return False if left == right else None
        case TextMatch(op=op, value=Rfm(), text=text):
            return None if any(_MATCHES[op](score, text) for score in RFM_SCORES) else False
        case _:
            return None


def range_of(expression: Expression, kind: Kind | None = None) -> Range:
    """Between which two values (both included) the expression lies whenever it is a number, duration or instant."""
    match expression:
        case Literal(value=value):
            return (value, value) if isinstance(value, float) else EVERYTHING
        case Field(name="total"):
            return _NOT_NEGATIVE if kind is Kind.PURCHASE else EVERYTHING
        case Since(instant=Aggregate(function=Function.FIRST | Function.LAST)):
            return _NOT_NEGATIVE
        case Aggregate(function=function):
            if function is Function.DISTINCT:
                return (0.0, 32.0)
            if function in (Function.P_ALIVE, Function.P_BUY):
                return (0.0, 1.0)
            if function in (Function.COUNT, Function.GAP):
                return _NOT_NEGATIVE
            is_total = expression.kind is Kind.PURCHASE and expression.field == "total"
            return _NOT_NEGATIVE if is_total else EVERYTHING
        case Rank():
            return (0.0, 1.0)
        case Arithmetic():
            return _arithmetic(expression, kind)
        case _:
            return EVERYTHING


def is_nullable(expression: Expression, kind: Kind | None = None) -> bool:
    """Whether the value may be null (or, after arithmetic, no number at all)."""
    match expression:
        case Field(name=name):
            return kind is None or name not in REQUIRED_FIELDS[kind]
        case Aggregate(function=function):
            return function not in _NEVER_NULL
        case Arithmetic(op=op, left=left, right=right):
            if is_nullable(left, kind) or is_nullable(right, kind):
                return True
            # Times and divided by can leave the finite numbers, and from there lead to none at all.
            return op in "*/" and not (isinstance(right, Literal) and right.value != 0)
        case _:
            return type_of(expression) is not Type.BOOLEAN and not isinstance(expression, Literal)


def contradiction(terms: Sequence[Term], kind: Kind | None = None) -> int | None:
    """The index of the first term that cannot go with those before it; None when all may go together."""
    if len(terms) > 100:
        return None  # nobody writes that by hand, and the search is quadratic
    for end in range(2, len(terms) + 1):
        if _contradict(list(_leaves(terms[:end])), kind):
            return end - 1
    return None


def _leaves(terms: Iterable[Term]) -> Iterable[Term]:
    for condition, holds in terms:
        match condition:
            case Not(operand=operand):
                yield from _leaves([(operand, not holds)])
            case And(operands=operands) if holds:
                yield from _leaves((operand, True) for operand in operands)
            case Or(operands=operands) if not holds:
                yield from _leaves((operand, False) for operand in operands)
            case _:
                yield condition, holds


@dataclass(slots=True)
class _Facts:
    """What a conjunction says about one expression."""

    low: float
    high: float
    is_trait: bool = False
    low_open: bool = False
    high_open: bool = False
    is_ordered: bool = False  # an order was asked for: it has to be a number
    exists: bool = False
    is_null: bool = False
    candidates: set[tuple[Type, float | str | bool]] | None = None
    excluded: set[tuple[Type, float | str | bool]] = field(default_factory=set)

    def compare(self, op: str, literal: Literal) -> None:
        value, key = literal.value, (literal.type, literal.value)
        if op == "==":
            self.candidates = {key} if self.candidates is None else self.candidates & {key}
        elif op == "!=":
            self.excluded.add(key)
        elif isinstance(value, bool | str):
            self.candidates = set()  # text and booleans have no order
        else:
            self._bound(op, value)

    def _bound(self, op: str, value: float) -> None:
        self.is_ordered = True
        is_open = op in ("<", ">")
        if op in (">", ">=") and (value, is_open) > (self.low, self.low_open):
            self.low, self.low_open = value, is_open
        if op in ("<", "<=") and (value, not is_open) < (self.high, not self.high_open):
            self.high, self.high_open = value, is_open

    def are_impossible(self, *, is_whole: bool) -> bool:
        if self.is_null and self.exists:
            return True
        if is_whole:
            low = self.low + 1 if self.low_open and self.low.is_integer() else _up(self.low)
            high = self.high - 1 if self.high_open and self.high.is_integer() else _down(self.high)
            if low > high:
                return True
        if self.low > self.high or (self.low == self.high and (self.low_open or self.high_open)):
            return True
        if self.low == self.high and any(value == self.low for kind, value in self.excluded if kind in _NUMERIC):
            return True
        if self.candidates is None:
            return False
        return not any(self._allows(kind, value) for kind, value in self.candidates - self.excluded)

    def _allows(self, kind: Type, value: float | str | bool) -> bool:
        if kind not in _NUMERIC or isinstance(value, bool | str):
            return not self.is_ordered
        above = value > self.low or (value == self.low and not self.low_open)
        below = value < self.high or (value == self.high and not self.high_open)
        return above and below


def _contradict(leaves: Sequence[Term], kind: Kind | None) -> bool:
    asked = set(leaves)
    if any((condition, not holds) in asked for condition, holds in leaves):
        return True
    facts: dict[Expression, _Facts] = {}

    def about(subject: Expression) -> _Facts:
        if subject not in facts:
            low, high = range_of(subject, kind) if type_of(subject) in _NUMERIC else EVERYTHING
            is_trait = type_of(subject) is Type.TRAIT
            facts[subject] = _Facts(low, high, is_trait, exists=not is_nullable(subject, kind))
        return facts[subject]

    for condition, holds in leaves:
        for subject in _needed(condition) if holds else ():
            about(subject).exists = True
        if isinstance(condition, Exists) and not holds:
            about(condition.value).is_null = True
    for condition, holds in leaves:
        compared = _subject(condition)
        # That a comparison fails says something of the value only where there is one.
        if compared is not None and (holds or about(compared).exists):
            _note(about(compared), condition, holds=holds)
    return any(fact.are_impossible(is_whole=_is_whole(subject)) for subject, fact in facts.items())


def _needed(condition: Expression) -> tuple[Expression, ...]:
    """What cannot be null where the condition holds."""
    match condition:
        case Compare(op="!=", left=Arithmetic()) | Compare(op="!=", right=Arithmetic()):
            return ()  # what arithmetic leaves where there is no number at all (infinity - infinity) differs from all
        case Compare(left=left, right=right):
            return left, right
        case In(value=value) | TextMatch(value=value) | Exists(value=value):
            return (value,)
        case After(left=left) | Before(left=left):
            return (left,)
        case _:
            return ()


def _subject(condition: Expression) -> Expression | None:
    """The expression that the condition compares with literals."""
    match condition:
        case Compare(left=left, right=Literal()) if not isinstance(left, Literal):
            return left
        case Compare(left=Literal(), right=right) if not isinstance(right, Literal):
            return right
        case In(value=value):
            return value
        case _:
            return None


def _note(facts: _Facts, condition: Expression, *, holds: bool) -> None:
    match condition:
        case Compare(op=op, right=Literal() as literal):
            _note_comparison(facts, op, literal, holds=holds)
        case Compare(op=op, left=Literal() as literal):
            _note_comparison(facts, MIRRORED[op], literal, holds=holds)
        case In(literals=literals, negated=negated):
            keys = {(literal.type, literal.value) for literal in literals}
            if negated == holds:
                facts.excluded |= keys
            else:
                facts.candidates = keys if facts.candidates is None else facts.candidates & keys


def _note_comparison(facts: _Facts, op: str, literal: Literal, *, holds: bool) -> None:
    if not holds and op in ORDER and facts.is_trait:
        return  # order on a trait fails for text and booleans too, so its failure sets no bound
    facts.compare(op if holds else _COMPLEMENT[op], literal)


def _is_whole(expression: Expression) -> bool:
    return isinstance(expression, Aggregate) and expression.function in _WHOLE


def _up(value: float) -> float:
    return value if math.isinf(value) else float(math.ceil(value))


def _down(value: float) -> float:
    return value if math.isinf(value) else float(math.floor(value))


def _arithmetic(expression: Arithmetic, kind: Kind | None) -> Range:
    left, right = range_of(expression.left, kind), range_of(expression.right, kind)
    if expression.op == "+":
        return _clean(left[0] + right[0], left[1] + right[1])
    if expression.op == "-":
        return _clean(left[0] - right[1], left[1] - right[0])
    factor = expression.right
    if isinstance(factor, Literal) and isinstance(factor.value, float) and factor.value != 0:
        by = factor.value
        ends = [end * by if expression.op == "*" else end / by for end in left]
        return _clean(min(ends), max(ends))
    return _NOT_NEGATIVE if left[0] >= 0 and right[0] >= 0 else EVERYTHING


def _clean(low: float, high: float) -> Range:
    return (-math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high)


def _compare(condition: Compare, kind: Kind | None) -> bool | None:
    op, left, right = condition.op, condition.left, condition.right
    never_null = not is_nullable(left, kind) and not is_nullable(right, kind)
    types = {type_of(left), type_of(right)}
    if left == right and not isinstance(left, Arithmetic):
        if op in ("<", ">", "!="):
            return False
        return True if never_null and Type.TRAIT not in types else None
    if op in ORDER and types & {Type.TEXT, Type.BOOLEAN}:
        return False  # of a trait and text: no order, whatever the trait is
    if isinstance(left, Literal) and isinstance(right, Literal) and not types & set(_NUMERIC):
        return (left == right) == (op == "==")
    if not types <= set(_NUMERIC):
        return None
    return _compare_ranges(op, left, right, never_null=never_null, kind=kind)


def _compare_ranges(
    op: str, left: Expression, right: Expression, *, never_null: bool, kind: Kind | None
) -> bool | None:
    (a, b), (c, d) = range_of(left, kind), range_of(right, kind)
    if op in (">", ">="):
        (a, b), (c, d), op = (c, d), (a, b), MIRRORED[op]
    if op == "<":
        holds, fails = a < d, b >= c
    elif op == "<=":
        holds, fails = a <= d, b > c
    else:
        meets = a <= d and c <= b and not _misses_whole(left, c, d) and not _misses_whole(right, a, b)
        same = a == b == c == d
        holds, fails = (meets, not same) if op == "==" else (not same, meets)
    if not holds:
        return False
    return True if not fails and never_null else None


def _misses_whole(expression: Expression, low: float, high: float) -> bool:
    """Whether the expression is whole and is compared with one number that is not."""
    return _is_whole(expression) and low == high and math.isfinite(low) and not low.is_integer()


def _in(condition: In, kind: Kind | None) -> bool | None:
    value, negated = condition.value, condition.negated
    low, high = range_of(value, kind)
    is_numeric = type_of(value) in _NUMERIC
    possible = [
        literal
        for literal in condition.literals
        if not is_numeric or not isinstance(literal.value, float) or low <= literal.value <= high
    ]
    if possible:
        return None
    if not negated:
        return False
    return True if not is_nullable(value, kind) else None
