"""Canonical text: a table of what becomes of what, and that reading it again gives the equal tree."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contract import Kind
from stream.language.canonical import text
from stream.language.checker import load
from stream.language.literals import read_duration, read_number, write_duration, write_number
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
    Member,
    Not,
    Or,
    Persona,
    Rfm,
    Since,
    TextMatch,
    Trait,
    Type,
)
from stream.language.words import RFM_SCORES
from tests.effort import examples

FIELDS = {"click": {"paid": "boolean", "score": "number"}}


def read_condition(condition: str) -> Expression:
    """The checked tree of a condition; it may use the feature ``orders`` and the segment ``above``."""
    content = {
        "version": 1,
        "personas": {"features": {"clicks": "count(click)"}, "k": 2, "aliases": {"p3": "regulars"}},
        "fields": FIELDS,
        "features": {"orders": "count(purchase)", "both": "never(click) and never(email)"},
        "segments": {"above": {"enter": "never(purchase)"}, "this": {"enter": condition}},
    }
    return load(json.dumps(content), "test").segments[1].enter


CANONICAL = {
    "count( click,7d )>=3": "count(click, 7d) >= 3",
    "count(click,1w)>3.0": "count(click, 7d) > 3",
    "count(click, 1d12h) > 3": "count(click, 36h) > 3",
    "count(click, 90s) > 3": "count(click, 90s) > 3",
    "count(click, 60000ms) > 3": "count(click, 1m) > 3",
    "count(click, 1500ms) > 3": "count(click, 1500ms) > 3",
    "never(purchase where total>5)": "count(purchase where total > 5) == 0",
    "exists(last(click))": "last(click) exists",
    "exists(count(click)+1)": "count(click) + 1 exists",
    "exists((count(click)>1))": "(count(click) > 1) exists",
    "count(click where exists(price)) > 1": "count(click where price exists) > 1",
    "count(click where not (price > 25.5)) > 1": "count(click where not price > 25.5) > 1",
    "count(click where not (not category exists)) > 1": "count(click where not not category exists) > 1",
    "count(click where (price>1 or paid) and action=='x') > 1": (
        'count(click where (price > 1 or paid) and action == "x") > 1'
    ),
    "sum(purchase.total where currency in [ 'EUR' ,'USD', ],90d)>0.10": (
        'sum(purchase.total where currency in ["EUR", "USD"], 90d) > 0.1'
    ),
    "count(click where category not in []) > 1": "count(click where category not in []) > 1",
    "count(click where paid and not (paid)) > 1": "count(click where paid and not paid) > 1",
    "p_buy(purchase,13w) < 2e-1": "p_buy(purchase, 91d) < 0.2",
    "30m<=since(last(click))": "30m <= since(last(click))",
    "trait('a\"b') == 'it'": 'trait(\'a"b\') == "it"',
    'trait("it\'s") == 1e3': 'trait("it\'s") == 1000',
    "trait('x') == -0": 'trait("x") == 0',
    "trait('x') == 1e22": 'trait("x") == 1e22',
    "trait('x') == 0.00001": 'trait("x") == 1e-5',
    "trait('x') == 9007199254740991": 'trait("x") == 9007199254740991',
    "trait('x') - -5 == 1": 'trait("x") - -5 == 1',
    "trait('x')-5 == 1": 'trait("x") - 5 == 1',
    "trait('x') -5 == 1": 'trait("x") - 5 == 1',
    "(trait('x')-2)-1 == 1": 'trait("x") - 2 - 1 == 1',
    "trait('x')-(2-1) == 1": 'trait("x") - (2 - 1) == 1',
    "trait('x')+(2+1) == 1": 'trait("x") + (2 + 1) == 1',
    "(trait('x')*2)+1 == 1": 'trait("x") * 2 + 1 == 1',
    "trait('x')*(2+1) == 1": 'trait("x") * (2 + 1) == 1',
    "trait('x')/(2*1) == 1": 'trait("x") / (2 * 1) == 1',
    "trait('x')*2/1 == 1": 'trait("x") * 2 / 1 == 1',
    "not(count(click)>1)": "not count(click) > 1",
    "not (count(click)>1 and persona=='p4')": 'not (count(click) > 1 and persona == "p4")',
    "(not count(click)>1) and persona=='p4'": 'not count(click) > 1 and persona == "p4"',
    "never(click) and (never(email) and trait('x'))": ('count(click) == 0 and count(email) == 0 and trait("x")'),
    "(never(click) or never(email)) and trait('x')": '(count(click) == 0 or count(email) == 0) and trait("x")',
    "never(click) or (never(email) and trait('x'))": 'count(click) == 0 or count(email) == 0 and trait("x")',
    "both and trait('x')": 'count(click) == 0 and count(email) == 0 and trait("x")',
    "not both": "not (count(click) == 0 and count(email) == 0)",
    "(orders > 1) == trait('vip')": '(count(purchase) > 1) == trait("vip")',
    "(not orders > 1) == true": "(not count(purchase) > 1) == true",
    "(trait('x') exists) != (trait('y') in [true,1,'a'])": '(trait("x") exists) != (trait("y") in [true, 1, "a"])',
    "not trait('x') in ['a']": 'not trait("x") in ["a"]',
    "member('above') and trait('x') starts_with 'a'": 'member("above") and trait("x") starts_with "a"',
    "last(click)after last(purchase)+1h": "last(click) after last(purchase) + 1h",
    "last(click)\n before\tfirst(email)": "last(click) before first(email)",
    "since(last(click)-1d) > trait('days')*1d": 'since(last(click) - 1d) > trait("days") * 1d',
    "gap(click) > 0s": "gap(click) > 0d",
}


@pytest.mark.parametrize(("written", "canonical"), CANONICAL.items())
def test_canonical_text(written: str, canonical: str) -> None:
    tree = read_condition(written)
    assert text(tree) == canonical
    assert read_condition(canonical) == tree


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_back_as_the_same_double(value: float) -> None:
    written = write_number(value)
    assert json.loads(written) == value
    assert read_number(written.removeprefix("-")) == abs(value)
    assert len(written) <= len(repr(value))


@given(st.integers(0, 3660 * 86_400_000))
def test_durations_are_read_back_as_the_same_milliseconds(value: int) -> None:
    assert read_duration(write_duration(value)) == value


# --- Trees at random: only such as the checker lets through -----------------------------------------------------------

_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=8).filter(
    lambda value: not ('"' in value and "'" in value)
)
_numbers = st.one_of(st.integers(-(10**6), 10**6).map(float), st.floats(allow_nan=False, allow_infinity=False)).map(
    lambda value: Literal(value or 0.0, Type.NUMBER)
)
_spans = st.one_of(st.sampled_from([1000, 90_000, 86_400_000, 129_600_000]), st.integers(1000, 3660 * 86_400_000))
_durations = st.integers(0, 10**9).map(lambda value: Literal(float(value), Type.DURATION))
_text_literals = _texts.map(lambda value: Literal(value, Type.TEXT))
_booleans = st.booleans().map(lambda value: Literal(value, Type.BOOLEAN))
_order = st.sampled_from(["<", "<=", ">", ">="])
_comparison = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
_match = st.sampled_from(["contains", "starts_with", "ends_with"])
_price, _score = Field("price", Type.NUMBER), Field("score", Type.NUMBER)
_category, _paid = Field("category", Type.TEXT), Field("paid", Type.BOOLEAN)


def _brief(strategy: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    """The same strategy with a short ``repr``: Hypothesis writes it out, again within each that uses it."""

    @st.composite
    def trees(draw: st.DrawFn) -> Expression:
        return draw(strategy)

    return trees()


def _joined(junction: type[And] | type[Or], operands: list[Expression]) -> Expression:
    flat: list[Expression] = []
    for operand in operands:
        flat.extend(operand.operands if isinstance(operand, junction) else [operand])
    return junction(tuple(flat))


def _logic(base: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    return st.recursive(
        base,
        lambda inner: st.one_of(
            inner.map(Not),
            st.builds(_joined, st.just(And), st.lists(inner, min_size=2, max_size=3)),
            st.builds(_joined, st.just(Or), st.lists(inner, min_size=2, max_size=3)),
        ),
        max_leaves=5,
    )


_where = _brief(
    _logic(
        st.one_of(
            st.builds(Compare, _comparison, st.sampled_from([_price, _score]), _numbers),
            st.builds(Compare, st.sampled_from(["==", "!="]), st.just(_category), _text_literals),
            st.builds(In, st.just(_category), st.lists(_text_literals, max_size=3).map(tuple), st.booleans()),
            st.builds(In, st.just(_price), st.lists(_numbers, max_size=3).map(tuple), st.booleans()),
            st.builds(TextMatch, _match, st.just(_category), _texts),
            st.builds(Exists, st.sampled_from([_price, _category, _paid])),
            st.just(_paid),
            st.builds(Compare, st.just("=="), st.just(_paid), _booleans),
        )
    )
)


def _aggregates(
    function: Function, field: str | None, type_: Type, *, windowed: bool = False, horizon: bool = False
) -> st.SearchStrategy[Expression]:
    return st.builds(
        Aggregate,
        st.just(function),
        st.just(Kind.CLICK),
        st.just(field),
        st.none() | _where,
        st.none() | _spans if windowed else st.none(),
        _spans.filter(lambda span: span >= 3_600_000) if horizon else st.none(),
        st.just(type_),
    )


_trait_values = _texts.filter(bool).map(Trait)
_instants = _brief(
    st.recursive(
        st.one_of(_aggregates(Function.FIRST, None, Type.INSTANT), _aggregates(Function.LAST, None, Type.INSTANT)),
        lambda inner: st.builds(Arithmetic, st.sampled_from("+-"), inner, _durations, st.just(Type.INSTANT)),
        max_leaves=3,
    )
)
_number_values = _brief(
    st.recursive(
        st.one_of(
            _numbers,
            _aggregates(Function.COUNT, None, Type.NUMBER, windowed=True),
            _aggregates(Function.SUM, "price", Type.NUMBER, windowed=True),
            _aggregates(Function.LAST, "score", Type.NUMBER),
        ),
        lambda inner: st.builds(
            Arithmetic, st.sampled_from("+-*/"), inner, st.one_of(inner, _trait_values), st.just(Type.NUMBER)
        ),
        max_leaves=5,
    )
)
_duration_values = _brief(
    st.one_of(
        _durations,
        _aggregates(Function.GAP, None, Type.DURATION),
        st.builds(Arithmetic, st.just("-"), _instants, _instants, st.just(Type.DURATION)),
        st.builds(Arithmetic, st.just("*"), _number_values, _durations, st.just(Type.DURATION)),
        st.builds(Arithmetic, st.just("*"), _durations, _trait_values, st.just(Type.DURATION)),
    )
)
_categories = _aggregates(Function.FIRST, "category", Type.TEXT)
_text_values = st.one_of(_categories, st.just(Persona()))
_persona_literals = st.builds(Literal, st.sampled_from(["p1", "p20", "regulars"]), st.just(Type.TEXT))
_rfms = st.builds(
    Rfm.of,
    st.none() | st.builds(Compare, _comparison, st.just(Field("total", Type.NUMBER)), _numbers),
    _spans,
)
_scores = st.sampled_from(RFM_SCORES).map(lambda score: Literal(score, Type.TEXT))
_chances = st.one_of(
    _aggregates(Function.P_ALIVE, None, Type.NUMBER), _aggregates(Function.P_BUY, None, Type.NUMBER, horizon=True)
)
_simple_conditions = _brief(
    st.one_of(
        st.builds(Compare, _comparison, _number_values, _number_values),
        st.builds(Compare, _comparison, _trait_values, st.one_of(_numbers, _text_literals, _booleans)),
        st.builds(Compare, _comparison, _duration_values, _duration_values),
        st.builds(Compare, _comparison, _instants, _instants),
        st.builds(Compare, st.sampled_from(["==", "!="]), _categories, _text_literals),
        st.builds(Compare, st.sampled_from(["==", "!="]), st.just(Persona()), _persona_literals),
        st.builds(Compare, st.sampled_from(["==", "!="]), _rfms, _scores),
        st.builds(In, _rfms, st.lists(_scores, max_size=3).map(tuple), st.booleans()),
        st.builds(Compare, _order, st.builds(Since, _instants), _duration_values),
        st.builds(Compare, _order, _duration_values, st.builds(Since, _instants)),
        st.builds(Compare, _order, _chances, _number_values),
        st.builds(After, _instants, _instants),
        st.builds(Before, _instants, _instants),
        st.builds(In, _number_values, st.lists(_numbers, max_size=3).map(tuple), st.booleans()),
        st.builds(In, _trait_values, st.lists(_numbers | _text_literals, max_size=3).map(tuple), st.booleans()),
        st.builds(TextMatch, _match, st.one_of(_text_values, _trait_values), _texts),
        st.builds(Exists, st.one_of(_number_values, _instants, _trait_values)),
        st.just(Member("above")),
        _trait_values,
        _booleans,
    )
)
_conditions = _brief(
    st.recursive(
        _logic(_simple_conditions),
        lambda inner: st.one_of(
            st.builds(Compare, st.sampled_from(["==", "!="]), inner, inner), st.builds(Exists, inner), inner.map(Not)
        ),
        max_leaves=4,
    )
)


@examples(150)
@given(_conditions)
def test_canonical_text_is_read_back_as_the_equal_tree(tree: Expression) -> None:
    assert read_condition(text(tree)) == tree


def test_zero_has_one_sign() -> None:
    tree = read_condition("trait('x') == -0.0")
    assert isinstance(tree, Compare)
    assert isinstance(tree.right, Literal)
    assert math.copysign(1, float(tree.right.value)) == 1
