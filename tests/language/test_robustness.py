"""Whatever the text, the check ends soon, and with problems at worst."""

from __future__ import annotations

import time
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import DefinitionsError
from stream.language.checker import check, load
from tests.effort import examples

READY = files("stream").joinpath("segments.yaml").read_text(encoding="utf-8")
PIECES = [
    *"()[]{}:,.-+*/<>=!&|#'\"?@%\\ \t\n\r\0é😀\u2028\x85",
    *("  ", "\n  ", "\n    ", ": ", " #", "- ", "==", "!=", "<=", ">="),
    *(" and ", " or ", " not ", " in ", " where ", " exists", " contains ", " after ", "true", "false", "null"),
    *("count(", "sum(", "last(", "since(", "never(click)", "p_buy(", "trait(", "member(", "persona", "exists("),
    *("click", "purchase.total", "price", "action", "enter", "exit", "for", "segments", "features", "orders"),
    *("personas", "aliases", "k", "min", "max", "p1", "p03", "regulars", "active_within", "min_share"),
    *("7d", "1.5h", "30x", "5", "-1", "1e999", "99999999999999999999", "&a ", "*a", "!!str ", "<<: ", "|", ">-"),
]


def _loads_or_says_why(text: str | bytes) -> None:
    checked = check(text, "fuzz.yaml")
    lines = [str(problem) for problem in checked.problems]
    assert len(lines) == len(set(lines))
    assert not any("\n" in line for line in lines)
    if checked.definitions is None:
        assert any(": error: " in line for line in lines)
        with pytest.raises(DefinitionsError, match="error: "):
            load(text, "fuzz.yaml")


@examples(150)
@given(
    st.lists(
        st.tuples(st.integers(0, len(READY)), st.integers(0, 12), st.sampled_from(PIECES) | st.text(max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_changed_file_never_raises_anything_else(changes: list[tuple[int, int, str]]) -> None:
    text = READY
    for start, length, piece in changes:
        text = text[:start] + piece + text[start + length :]
    _loads_or_says_why(text)


PERSONAS = """personas:
  features: {orders: "count(purchase, 30d)", recency: last(purchase), mean: avg(purchase.total) / 2}
  k: {min: 4, max: 9}
  min_share: 0.02
  margin: 0.1
  active_within: 90d
  every: 1d
  samples: 20000
  aliases: {p3: regulars, p12: hunters}
segments:
  a: {enter: 'persona in ["p3", "hunters"] and persona != "p1"'}
"""


@examples(150)
@given(
    st.lists(
        st.tuples(st.integers(0, len(PERSONAS)), st.integers(0, 12), st.sampled_from(PIECES) | st.text(max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_changed_section_of_personas_never_raises_anything_else(changes: list[tuple[int, int, str]]) -> None:
    text = PERSONAS
    for start, length, piece in changes:
        text = text[:start] + piece + text[start + length :]
    _loads_or_says_why("version: 1\n" + text)


@examples(100)
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_and_any_text(text: bytes | str) -> None:
    _loads_or_says_why(text)


@examples(300)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_expression(expression: str) -> None:
    block = "".join(f"      {line}\n" for line in expression.splitlines())
    _loads_or_says_why(f"version: 1\nfeatures:\n  orders: count(purchase)\nsegments:\n  a:\n    enter: |1\n{block}")


LARGE = {
    "not": "not " * 5000 + "never(click)",
    "brackets": "(" * 5000 + "never(click)" + ")" * 5000,
    "open brackets": "(" * 5000,
    "minus": "count(click) > " + "-" * 5000 + "1",
    "sum": "count(click) > " + "1 + " * 5000 + "1",
    "and": " and ".join(f"count(click) != {number}" for number in range(2000)),
    "or in where": "count(click where " + " or ".join(f"price == {number}" for number in range(2000)) + ") > 1",
    "list": "count(click) in [" + ", ".join(map(str, range(4000))) + "]",
    "exists": "exists(" * 500 + "last(click)" + ")" * 500,
    "number": "count(click) > " + "9" * 100_000,
    "duration": "since(last(click)) > " + "9" * 100_000 + "d",
    "digits of a unit": "since(last(click)) > " + "9" * 100_000 + "years",
    "name": "x" * 100_000,
    "text": 'trait("' + "x" * 100_000 + '") == 1',
}


@pytest.mark.parametrize("name", LARGE)
def test_large_expression(name: str) -> None:
    start = time.perf_counter()
    _loads_or_says_why(f"version: 1\nsegments:\n  a:\n    enter: |\n      {LARGE[name]}\n")
    assert time.perf_counter() - start < 10


def test_features_that_double_with_each_line() -> None:
    doubling = "".join(f"  f{number}: f{number - 1} + f{number - 1}\n" for number in range(1, 60))
    text = f"version: 1\nfeatures:\n  f0: count(click)\n{doubling}segments:\n  a:\n    enter: f59 > 1\n"
    [problem] = check(text, "f").problems
    assert (problem.line, problem.message) == (
        14,
        "with its features this expression has more than 5,000 parts: simplify it",
    )


@pytest.mark.parametrize("direction", [1, -1])
def test_long_chain_of_features(direction: int) -> None:
    chain = [f"  f{number}: f{number - 1} + 1\n" for number in range(1, 900)][::direction]
    text = f"version: 1\nfeatures:\n  f0: count(click)\n{''.join(chain)}segments:\n  a:\n    enter: f899 > 1\n"
    [problem] = check(text, "f").problems
    assert problem.message == "nested more than 100 levels deep: split it into features or segments"


def test_limits_on_a_file() -> None:
    many = "".join(f"  s{number}: {{enter: never(click)}}\n" for number in range(1001))
    [problem] = check(f"version: 1\nsegments:\n{many}", "f").problems
    assert str(problem) == "f:2:1: error: at most 1,000 segments, and these are 1,001"
    [problem] = check("#" * 2_000_000, "f").problems
    assert problem.message == "the file is larger than 1,048,576 characters"
