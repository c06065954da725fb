"""What the parser hands to the checker: the expression as it was written, each part with its place.

``at`` is an offset in characters from the beginning of the expression's text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number or duration as written (``12.5``, ``7d``, but also ``1.5h``: the checker reads it)."""

    at: int
    text: str
    negative: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    at: int
    value: str


@dataclass(frozen=True, slots=True)
class Truth:
    at: int
    value: bool


@dataclass(frozen=True, slots=True)
class Name:
    """A bare word: a feature, a field within ``where``, a kind as an argument, or ``persona``."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Dotted:
    """``kind.field``."""

    at: int
    name: str
    field: str
    field_at: int


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call, with the condition after its ``where``."""

    value: Node
    where: Node | None
    where_at: int  # of the word ``where``; -1 without


@dataclass(frozen=True, slots=True)
class Call:
    at: int
    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Minus:
    """The minus of something that is no number; never right, kept for the message."""

    at: int
    operand: Node


@dataclass(frozen=True, slots=True)
class Arithmetic:
    at: int
    op: str
    op_at: int
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Relation:
    """``left op right``, with op a comparison, ``contains`` and its kin, ``after`` or ``before``."""

    at: int
    op: str
    op_at: int
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Inclusion:
    """``value in [items]``, or ``not in``."""

    at: int
    value: Node
    items: tuple[Node, ...]
    negated: bool
    op_at: int


@dataclass(frozen=True, slots=True)
class Existence:
    """``value exists`` or ``exists(value)``."""

    at: int
    value: Node


@dataclass(frozen=True, slots=True)
class Negation:
    at: int
    operand: Node


@dataclass(frozen=True, slots=True)
class Conjunction:
    at: int
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Disjunction:
    at: int
    operands: tuple[Node, ...]


Node = (
    Quantity
    | Text
    | Truth
    | Name
    | Dotted
    | Call
    | Minus
    | Arithmetic
    | Relation
    | Inclusion
    | Existence
    | Negation
    | Conjunction
    | Disjunction
)


def nodes(node: Node) -> Iterator[Node]:
    """The parts of an expression, but for those within ``where``; without recursion, so that no depth hurts."""
    waiting: list[Node] = [node]
    while waiting:
        part = waiting.pop()
        yield part
        match part:
            case Call(arguments=arguments):
                waiting.extend(argument.value for argument in arguments)
            case Minus(operand=operand) | Negation(operand=operand):
                waiting.append(operand)
            case Arithmetic(left=left, right=right) | Relation(left=left, right=right):
                waiting += (left, right)
            case Inclusion(value=value) | Existence(value=value):
                waiting.append(value)
            case Conjunction(operands=operands) | Disjunction(operands=operands):
                waiting.extend(operands)
            case _:
                pass


class ExpressionSyntaxError(Exception):
    """The text is no expression; ``at`` is the offset of what is wrong with it. Caught by the checker.

    ``is_unfinished`` says that it ended too early.
    """

    def __init__(self, at: int, message: str, *, is_unfinished: bool = False) -> None:
        super().__init__(message)
        self.at = at
        self.message = message
        self.is_unfinished = is_unfinished
