"""Which types go together in a comparison and in arithmetic, and what to say when they do not.

A trait is a number, text or boolean that only the event knows: it goes with each of these, and the engine decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as TypingLiteral

from stream.language.canonical import text
from stream.language.literals import read_number, write_duration, write_number
from stream.language.tree import (
    Aggregate,
    Arithmetic,
    Expression,
    Field,
    Literal,
    Persona,
    Rank,
    Rfm,
    RfmMeasure,
    Since,
    Trait,
    Type,
)

Place = TypingLiteral["left", "operator", "right"]

ORDER = frozenset(("<", "<=", ">", ">="))

#: What a comparison becomes when its sides change places.
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}

_NUMBER, _DURATION, _INSTANT = Type.NUMBER, Type.DURATION, Type.INSTANT
_TEXT, _BOOLEAN, _TRAIT = Type.TEXT, Type.BOOLEAN, Type.TRAIT

#: With its article, as a message says it.
NAMES = {
    _NUMBER: "a number",
    _DURATION: "a duration",
    _INSTANT: "an instant",
    _TEXT: "text",
    _BOOLEAN: "a boolean",
    _TRAIT: "a trait",
}

_RESULTS: dict[tuple[Type, str, Type], Type] = {
    **{(_NUMBER, op, _NUMBER): _NUMBER for op in "+-*/"},
    **{(_NUMBER, op, _TRAIT): _NUMBER for op in "+-*/"},
    **{(_TRAIT, op, _NUMBER): _NUMBER for op in "+-*/"},
    **{(_TRAIT, op, _TRAIT): _NUMBER for op in "+-*/"},
    **{(_DURATION, op, _DURATION): _DURATION for op in "+-"},
    (_DURATION, "/", _DURATION): _NUMBER,
    (_DURATION, "*", _NUMBER): _DURATION,
    (_DURATION, "/", _NUMBER): _DURATION,
    (_NUMBER, "*", _DURATION): _DURATION,
    (_DURATION, "*", _TRAIT): _DURATION,
    (_DURATION, "/", _TRAIT): _DURATION,
    (_TRAIT, "*", _DURATION): _DURATION,
    (_INSTANT, "-", _INSTANT): _DURATION,
    (_INSTANT, "+", _DURATION): _INSTANT,
    (_INSTANT, "-", _DURATION): _INSTANT,
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Two operands that do not go together: what to point at, and the message."""

    at: Place
    message: str


def type_of(expression: Expression) -> Type:
    """The type of ``expression``; a condition is a boolean."""
    match expression:
        case Literal(type=kind) | Field(type=kind) | Aggregate(type=kind) | Arithmetic(type=kind):
            return kind
        case Trait():
            return Type.TRAIT
        case Persona() | Rfm():
            return Type.TEXT
        case Rank():
            return Type.NUMBER
        case RfmMeasure():
            return expression.value.type
        case Since():
            return Type.DURATION
        case _:
            return Type.BOOLEAN


def arithmetic_type(op: str, left: Expression, right: Expression) -> Type | Mismatch:
    """The type of ``left op right``, or why there is none."""
    types = type_of(left), type_of(right)
    result = _RESULTS.get((types[0], op, types[1]))
    if result is not None:
        return result
    for place, operand in _sides(left, right):
        if type_of(operand) in (_TEXT, _BOOLEAN):
            return Mismatch(place, f"{NAMES[type_of(operand)]} cannot be calculated with{_unquoted(operand)}")
    if set(types) == {_DURATION, _TRAIT} and op in "+-":
        return _missing_unit(left, right, f"a duration `{op}` a trait")
    if set(types) == {_DURATION, _NUMBER} and op in "+-":
        return _missing_unit(left, right, f"a duration `{op}` a bare number")
    if types == (_DURATION, _INSTANT) and op == "+":
        return Mismatch("left", f"the instant comes first: `{text(right)} + {text(left)}`")
    if types == (_INSTANT, _INSTANT):
        return Mismatch("right", f"two instants have a difference (`-`), but no `{op}`")
    if _INSTANT in types and op in "+-":
        other = types[1] if types[0] is _INSTANT else types[0]
        return Mismatch(
            "right" if types[0] is _INSTANT else "left",
            f"an instant goes with a duration, not with {NAMES[other]}: unit missing?",
        )
    return Mismatch("right", f"{NAMES[types[0]]} `{op}` {NAMES[types[1]]} has no meaning")


def comparison_mismatch(op: str, left: Expression, right: Expression) -> Mismatch | None:
    """Why ``left op right`` is an error; None when it is none."""
    types = type_of(left), type_of(right)
    both = set(types)
    if op in ORDER and both <= {_TEXT, _BOOLEAN} and len(both) == 1:
        noun = "text has" if _TEXT in both else "booleans have"
        return Mismatch("operator", f"{noun} no order: compare with `==`, `!=` or `in`")
    if len(both) == 1 or (_TRAIT in both and both <= {_TRAIT, _NUMBER, _TEXT, _BOOLEAN}):
        return None
    if both == {_DURATION, _NUMBER}:
        return _missing_unit(left, right, "a duration is compared with a bare number")
    if both == {_DURATION, _TRAIT}:
        return _missing_unit(left, right, "a duration is compared with a trait")
    if both == {_INSTANT, _DURATION}:
        instant = left if types[0] is _INSTANT else right
        return Mismatch(
            "left" if types[0] is _INSTANT else "right",
            f"an instant is compared with a duration: did you mean `since({text(instant)})`?",
        )
    place, operand = _sides(left, right)[not isinstance(left, Literal)]
    unquoted = _unquoted(operand) or _quoted(left, right) if both == {_NUMBER, _TEXT} else ""
    return Mismatch(place, f"{NAMES[types[0]]} is compared with {NAMES[types[1]]}{unquoted}")


def _sides(left: Expression, right: Expression) -> tuple[tuple[Place, Expression], tuple[Place, Expression]]:
    return ("left", left), ("right", right)


def _missing_unit(left: Expression, right: Expression, what: str) -> Mismatch:
    """A duration meets a number or trait that has no unit; point at the latter."""
    place, bare = _sides(left, right)[type_of(left) is _DURATION]
    if isinstance(bare, Literal) and isinstance(bare.value, float):
        value = write_number(bare.value)
        hint = (
            f"`{value}d`" if bare.value.is_integer() and 0 <= bare.value < 3660 else f"`{write_duration(86_400_000)}`"
        )
        return Mismatch(place, f"{what}: unit missing? ({hint})")
    written = text(bare) if not isinstance(bare, Arithmetic) else f"({text(bare)})"
    return Mismatch(place, f"{what}: unit missing? (times a unit: `{written} * 1d`)")


def _unquoted(expression: Expression) -> str:
    if isinstance(expression, Literal) and isinstance(expression.value, str):
        value = expression.value.strip()
        if read_number(value[:50]) is not None:
            return f": write `{value}` without quotes"
    return ""


def _quoted(left: Expression, right: Expression) -> str:
    """Three digits look like a number."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Rfm) and isinstance(other, Literal) and isinstance(other.value, float):
            return f': write `"{write_number(other.value)}"`'
    return ""
