"""A verdict beforehand must be right whatever the values turn out to be."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from stream.contract import Kind
from stream.language.canonical import text
from stream.language.ranges import contradiction, is_nullable, range_of, verdict
from stream.language.tree import (
    Aggregate,
    And,
    Arithmetic,
    Compare,
    Exists,
    Expression,
    Function,
    In,
    Literal,
    Not,
    Or,
    TextMatch,
    Trait,
    Type,
)
from tests.effort import examples

Value = float | str | bool | None

COUNT = Aggregate(Function.COUNT, Kind.CLICK, None, None, None, None, Type.NUMBER)
DISTINCT = Aggregate(Function.DISTINCT, Kind.CLICK, "category", None, None, None, Type.NUMBER)
PRICE = Aggregate(Function.LAST, Kind.CLICK, "price", None, None, None, Type.NUMBER)
TOTAL = Aggregate(Function.AVG, Kind.PURCHASE, "total", None, None, None, Type.NUMBER)
CATEGORY = Aggregate(Function.LAST, Kind.CLICK, "category", None, None, None, Type.TEXT)
TRAIT = Trait("a")

_small = st.integers(-3, 6).map(float)
_values = st.fixed_dictionaries(
    {
        COUNT: st.integers(0, 6).map(float),
        DISTINCT: st.integers(0, 6).map(float) | st.just(32.0),
        PRICE: st.none() | _small | st.just(2.5),
        TOTAL: st.none() | st.integers(0, 6).map(float),
        CATEGORY: st.none() | st.sampled_from(["x", "y", "xy"]),
        TRAIT: st.none() | _small | st.sampled_from(["x", "y", True, False]),
    }
)
_number = st.one_of(_small, st.just(2.5), st.just(32.0)).map(lambda value: Literal(value, Type.NUMBER))
_text = st.sampled_from(["x", "y"]).map(lambda value: Literal(value, Type.TEXT))
_truth = st.booleans().map(lambda value: Literal(value, Type.BOOLEAN))
_terms = st.sampled_from([COUNT, DISTINCT, PRICE, TOTAL])
_sums: st.SearchStrategy[Expression] = st.one_of(
    _terms,
    _number,
    st.builds(Arithmetic, st.sampled_from("+-*/"), _terms, _number, st.just(Type.NUMBER)),
    st.builds(Arithmetic, st.sampled_from("+-*/"), _terms, _terms, st.just(Type.NUMBER)),
)
_ops = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
_base: st.SearchStrategy[Expression] = st.one_of(
    st.builds(Compare, _ops, _terms, _number),
    st.builds(Compare, _ops, _number, _terms),
    st.builds(Compare, _ops, _sums, _sums),
    st.builds(Compare, _ops, st.just(TRAIT), st.one_of(_number, _text, _truth)),
    st.builds(Compare, st.sampled_from(["==", "!="]), st.just(CATEGORY), _text),
    st.builds(In, _terms, st.lists(_number, max_size=3).map(tuple), st.booleans()),
    st.builds(In, st.just(TRAIT), st.lists(_number | _text | _truth, max_size=3).map(tuple), st.booleans()),
    st.builds(In, st.just(CATEGORY), st.lists(_text, max_size=2).map(tuple), st.booleans()),
    st.builds(TextMatch, st.just("contains"), st.sampled_from([CATEGORY, TRAIT]), st.sampled_from("xy")),
    st.builds(Exists, st.sampled_from([COUNT, PRICE, CATEGORY, TRAIT])),
    st.just(TRAIT),
)
_conditions = st.recursive(
    _base,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda operands: And(tuple(operands))),
        st.lists(inner, min_size=2, max_size=3).map(lambda operands: Or(tuple(operands))),
    ),
    max_leaves=5,
)
_compare: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_calculate: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def _value(expression: Expression, values: Mapping[Expression, Value]) -> Value:
    match expression:
        case Literal(value=value):
            return value
        case Arithmetic(op=op, left=left, right=right):
            a, b = _value(left, values), _value(right, values)
            if not isinstance(a, float) or not isinstance(b, float) or (op == "/" and b == 0):
                return None
            return _calculate[op](a, b)
        case _:
            return values[expression]


def _equal(a: Value, b: Value) -> bool:
    return type(a) is type(b) and a == b


def _holds(condition: Expression, values: Mapping[Expression, Value]) -> bool:
    match condition:
        case Not(operand=operand):
            return not _holds(operand, values)
        case And(operands=operands):
            return all(_holds(operand, values) for operand in operands)
        case Or(operands=operands):
            return any(_holds(operand, values) for operand in operands)
        case Compare(op=op, left=left, right=right):
            a, b = _value(left, values), _value(right, values)
            if a is None or b is None:
                return False
            if op in ("==", "!="):
                return _equal(a, b) == (op == "==")
            return isinstance(a, float) and isinstance(b, float) and _compare[op](a, b)
        case In(value=inner, literals=literals, negated=negated):
            value = _value(inner, values)
            return value is not None and any(_equal(value, literal.value) for literal in literals) != negated
        case TextMatch(value=inner, text=part):
            value = _value(inner, values)
            return isinstance(value, str) and part in value
        case Exists(value=inner):
            return _value(inner, values) is not None
        case _:
            return _value(condition, values) is True


@examples(600)
@given(_conditions, st.lists(_values, min_size=8, max_size=8))
def test_verdict_is_never_refuted(condition: Expression, many: list[Mapping[Expression, Value]]) -> None:
    outcome = verdict(condition)
    if outcome is not None:
        assert {_holds(condition, values) for values in many} == {outcome}, text(condition)


@examples(600)
@given(st.lists(_conditions, min_size=2, max_size=4), st.lists(_values, min_size=8, max_size=8))
def test_what_contradicts_never_holds_together(
    conditions: list[Expression], many: list[Mapping[Expression, Value]]
) -> None:
    for wanted in (True, False):
        if contradiction([(condition, wanted) for condition in conditions]) is not None:
            for values in many:
                assert not all(_holds(condition, values) == wanted for condition in conditions)


@examples(200)
@given(_sums, _values)
def test_value_is_within_its_range(expression: Expression, values: Mapping[Expression, Value]) -> None:
    low, high = range_of(expression)
    value = _value(expression, values)
    if value is None:
        assert is_nullable(expression)
    else:
        assert isinstance(value, float)
        assert low <= value <= high
