"""An error within an expression is found in the file, however YAML has it; scalars by YAML 1.2."""

from __future__ import annotations

import json

import pytest

from stream.language.source import Lines, Scalar, read
from tests.language.marked import MARK, assert_problems, problems, unmarked

ERROR = "error: unknown kind `clik` (did you mean `click`?)"

STYLES = {
    "plain": "enter: count(‸clik) > 1\n",
    "plain on several lines": "enter: never(click) and\n      trait('x') ==  'y'\n\n      and count(‸clik) > 1 # y\n",
    "plain with an anchor": "enter: &same   count(‸clik) > 1\n",
    "anchor on a line of its own": "enter: &same # the same again\n      count(‸clik) > 1\n",
    "single quotes": "enter: 'count(‸clik) > 1'\n",
    "single quotes, doubled": "enter: 'trait(''it'') == ''s'' and never(click)\n\n      and count(‸clik) > 1'\n",
    "double quotes": 'enter: "count(‸clik) > 1"\n',
    "double quotes with escapes": (
        'enter: "trait(\\"\\u00e9\\x41\\U0001F600\\") == \'\\ud83d\\ude00\\t\' \\\n'
        '      and never(click)\\n\\\n      and\n      count(‸clik) > 1"\n'
    ),
    "literal block": "enter: |\n      never(click) and\n\n        count(‸clik) > 1\n",
    "literal block with a comment": "enter: |-  # a clik, clik\n      never(click) and\n      count(‸clik) > 1\n",
    "literal block with its indentation": "enter: |2+\n        never(click) and\n      count(‸clik) > 1\n\n",
    "folded block": "enter: >\n      never(click) and\n\n      trait('a  b') == 1 and\n        count(‸clik) > 1\n",
    "folded block, stripped": "enter: >-\n\n      count(‸clik) > 1\n",
    "tabs within": "enter:\tnever(click)\t and\tcount(‸clik)\t> 1\n",
    "tabs between lines": "enter: never(click) and\t\n      \t count(‸clik) > 1\n",
    "beyond the basic plane": "enter: trait('😀') == '😀' and count(‸clik) > 1\n",
}


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize("style", STYLES)
def test_place_in_every_style(style: str, line_break: str) -> None:
    marked = f"version: 1\nsegments:\n  a:\n    {STYLES[style]}    exit: false\n"
    assert_problems(marked.replace("\n", line_break), ERROR)


def test_place_in_json() -> None:
    condition = 'trait("plän\t😀") == "x" and count(‸clik) > 1'
    for indent in (None, 1, "\t"):
        for ensure_ascii in (True, False):
            content = {"version": 1, "segments": {"a": {"enter": condition.replace("‸", "")}}}
            text = json.dumps(content, indent=indent, ensure_ascii=ensure_ascii)
            assert_problems(text.replace("clik", MARK + "clik"), ERROR)


@pytest.mark.parametrize("style", STYLES)
def test_every_visible_character_of_plain_styles_has_its_place(style: str) -> None:
    text, _ = unmarked(STYLES[style])
    [(_, value)] = read(text).entries
    assert isinstance(value, Scalar)
    for offset, character in enumerate(value.text):
        if not character.isspace():
            found = text[value.place_of(offset)]
            assert found in (character, "\\"), (offset, character)


def test_error_at_the_end_of_the_text_points_at_its_last_word() -> None:
    assert_problems(
        "version: 1\nsegments:\n  a:\n    enter: |\n      never(click)\n      ‸and\n\n  b:\n    enter: never(click)\n",
        "error: something is missing after `and`",
    )


def test_lines_end_in_any_of_three_ways() -> None:
    lines = Lines("a\nb\r\nc\rd")
    assert [lines.position(index) for index in (0, 1, 2, 5, 7)] == [(1, 1), (1, 2), (2, 1), (3, 1), (4, 1)]


RESOLVED = {
    "true": True,
    "FALSE": False,
    "null": None,
    "~": None,
    "": None,
    "1": 1,
    "-17": -17,
    "+3": 3,
    "0": 0,
    "0.5": 0.5,
    ".5": 0.5,
    "1e3": 1000.0,
    "'1'": "1",
    '"true"': "true",
    "yes": "yes",
    "on": "on",
    "No": "No",
    "0123": "0123",
    "0x1F": "0x1F",
    "1_000": "1_000",
    "1:30": "1:30",
    "2026-01-31": "2026-01-31",
    "=": "=",
}


@pytest.mark.parametrize("written", RESOLVED)
def test_scalars_are_read_by_the_rules_of_yaml_1_2(written: str) -> None:
    [(_, value)] = read(f"key: {written}\n").entries
    assert isinstance(value, Scalar)
    assert (type(value.value), value.value) == (type(RESOLVED[written]), RESOLVED[written])


def test_aliases_stand_for_their_anchors() -> None:
    text = (
        "version: 1\nsegments:\n  a: &a {enter: &c never(click), to: &to [x, y]}\n  b: {enter: *c, to: *to}\n  c: *a\n"
    )
    assert problems(text) == []


def test_true_and_numbers_are_expressions_too() -> None:
    assert (
        problems("version: 1\nfeatures: {limit: 5}\nsegments: {a: {enter: count(click) > limit, exit: false}}\n") == []
    )
