"""The one text that every expression of the same meaning is written as.

It is the key of the evidence in each change and of each aggregate's state, so it must never change for a given
meaning: parsed again it gives the equal tree, and there is nothing in it that a person chose (spacing, quotes, needless
brackets, `never`, units).
"""

from __future__ import annotations

from stream.language.literals import write_duration, write_number
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
    In,
    Literal,
    Member,
    Not,
    Or,
    Persona,
    Rank,
    Rfm,
    RfmMeasure,
    Since,
    TextMatch,
    Trait,
    Type,
)

# How tightly an expression holds together; an operand that holds less tightly than its place asks for needs brackets.
_OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _ATOM = range(7)


def text(expression: Expression) -> str:
    """The canonical text of ``expression``.

    >>> from stream.contract import Kind
    >>> from stream.language.tree import Function
    >>> text(Aggregate(Function.COUNT, Kind.CLICK, None, None, 604_800_000, None, Type.NUMBER))
    'count(click, 7d)'
    """
    return _write(expression)[0]


def quoted(value: str) -> str:
    """``value`` in double quotes, or in single ones when it holds a double one.

    >>> print(quoted("red"), quoted('19" rack'))
    "red" '19" rack'
    """
    return f"'{value}'" if '"' in value else f'"{value}"'


def _write(expression: Expression) -> tuple[str, int]:
    """The text, and how tightly it holds together."""
    match expression:
        case Literal():
            return _literal(expression), _ATOM
        case Field(name=name):
            return name, _ATOM
        case Trait(name=name):
            return f"trait({quoted(name)})", _ATOM
        case Persona():
            return "persona", _ATOM
        case Rank(value=value):
            return f"rank({text(value)})", _ATOM
        case Rfm(frequency=frequency):
            return _call("rfm", frequency), _ATOM
        case RfmMeasure(rfm=rfm, name=name):
            return f"{text(rfm)}.{name}", _ATOM
        case Member(segment=segment):
            return f"member({quoted(segment)})", _ATOM
        case Since(instant=instant):
            return f"since({text(instant)})", _ATOM
        case Aggregate():
            return _call(expression.function.value, expression), _ATOM
        case Arithmetic(op=op, left=left, right=right):
            level = _SUM if op in "+-" else _PRODUCT
            # Rounding makes addition not associative: what stands on the right keeps its brackets.
            return f"{_operand(left, level)} {op} {_operand(right, level + 1)}", level
        case Compare(op=op, left=left, right=right):
            return f"{_operand(left, _SUM)} {op} {_operand(right, _SUM)}", _COMPARISON
        case After(left=left, right=right):
            return f"{_operand(left, _SUM)} after {_operand(right, _SUM)}", _COMPARISON
        case Before(left=left, right=right):
            return f"{_operand(left, _SUM)} before {_operand(right, _SUM)}", _COMPARISON
        case In(value=value, literals=literals, negated=negated):
            items = ", ".join(_literal(literal) for literal in literals)
            return f"{_operand(value, _SUM)} {'not in' if negated else 'in'} [{items}]", _COMPARISON
        case TextMatch(op=op, value=value, text=literal):
            return f"{_operand(value, _SUM)} {op} {quoted(literal)}", _COMPARISON
        case Exists(value=value):
            return f"{_operand(value, _SUM)} exists", _COMPARISON
        case Not(operand=operand):
            return f"not {_operand(operand, _NOT)}", _NOT
        case And(operands=operands):
            return " and ".join(_operand(operand, _NOT) for operand in operands), _AND
        case Or(operands=operands):
            return " or ".join(_operand(operand, _AND) for operand in operands), _OR


def _operand(expression: Expression, level: int) -> str:
    written, own = _write(expression)
    return written if own >= level else f"({written})"


def _literal(literal: Literal) -> str:
    value = literal.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    return write_duration(int(value)) if literal.type is Type.DURATION else write_number(value)


def _call(function: str, aggregate: Aggregate) -> str:
    """A function of the aggregate's events."""
    parts = [aggregate.kind.word]
    if aggregate.field is not None:
        parts[0] += f".{aggregate.field}"
    if aggregate.where is not None:
        parts[0] += f" where {text(aggregate.where)}"
    if aggregate.window_ms is not None:
        parts.append(write_duration(aggregate.window_ms))
    if aggregate.horizon_ms is not None:
        parts.append(write_duration(aggregate.horizon_ms))
    return f"{function}({', '.join(parts)})"
