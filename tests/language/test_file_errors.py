"""Everything around the expressions: keys, values and names of a definitions file, and files that are none."""

from __future__ import annotations

import pytest

from stream.errors import DefinitionsError, SegstreamError
from stream.language.checker import check, load
from tests.language.marked import assert_problems, problems

VERSION = "version: 1\n"
SEGMENTS = "segments:\n  a:\n    enter: never(purchase)\n"
WITHOUT = "give it a value, or leave the key out"
SEGMENTS_ARE = "each segment's name, and under it `enter: CONDITION`"
NAMES = "is called by small letters, digits and `_`, beginning with a letter, at most 64"

FILES = [
    # the top
    ("‸" + SEGMENTS, "missing key `version`: write `version: 1`"),
    ("‸" + VERSION, f"missing key `segments`: it needs {SEGMENTS_ARE}"),
    ("version: ‸2\n" + SEGMENTS, "`version` is 1: no other is known"),
    ('version: ‸"1"\n' + SEGMENTS, "`version` is 1: no other is known"),
    ("version: ‸1.0\n" + SEGMENTS, "`version` is 1: no other is known"),
    ("‸version:\n" + SEGMENTS, "`version` is empty: write `version: 1`"),
    (VERSION + "‸version: 1\n" + SEGMENTS, "doubled key `version`: it stands in line 1 already"),
    (VERSION + "‸segmets: {}\n", "unknown key `segmets` at the top of the file (did you mean `segments`?)"),
    (VERSION + "‸people: {}\n" + SEGMENTS, "unknown key `people` at the top of the file"),
    (VERSION + "‸segments:\n", f"`segments` is empty: it needs {SEGMENTS_ARE}"),
    (VERSION + "segments: ‸{}\n", f"`segments` is empty: it needs {SEGMENTS_ARE}"),
    (VERSION + "segments: ‸[a]\n", f"`segments` is a mapping: {SEGMENTS_ARE}"),
    (VERSION + "buckets: ‸1\n" + SEGMENTS, "`buckets` is a whole number from 2 to 120"),
    (VERSION + "buckets: ‸121\n" + SEGMENTS, "`buckets` is a whole number from 2 to 120"),
    (VERSION + "buckets: ‸true\n" + SEGMENTS, "`buckets` is a whole number from 2 to 120"),
    (VERSION + "buckets: ‸012\n" + SEGMENTS, "`buckets` is a whole number from 2 to 120"),
    (VERSION + "buckets: ‸1:30\n" + SEGMENTS, "`buckets` is a whole number from 2 to 120"),
    (VERSION + "dedupe: {events: ‸65}\n" + SEGMENTS, "`events` is a whole number from 0 to 64"),
    (VERSION + "dedupe: {orders: ‸-1}\n" + SEGMENTS, "`orders` is a whole number from 0 to 64"),
    (VERSION + "dedupe: {‸order: 1}\n" + SEGMENTS, "unknown key `order` of `dedupe` (did you mean `orders`?)"),
    (VERSION + "dedupe: ‸5\n" + SEGMENTS, "`dedupe` is a mapping: `dedupe: {events: 16, orders: 8}`"),
    (VERSION + "lateness: ‸5\n" + SEGMENTS, "`lateness` needs a unit: `5` of what? (`5m`, `5h`, `5d`, ...)"),
    (VERSION + "max_ahead: ‸1x\n" + SEGMENTS, "unknown unit `x`: the units are `ms`, `s`, `m`, `h`, `d` or `w`"),
    (VERSION + "max_ahead: ‸[]\n" + SEGMENTS, "`max_ahead` is a duration, such as `30m`"),
    # churn
    (VERSION + "churn: {model: ‸bgnb}\n" + SEGMENTS, "`model` is `bgnbd` or `mbgnbd` (did you mean `bgnbd`?)"),
    (VERSION + "churn: {‸beta: 1}\n" + SEGMENTS, "unknown key `beta` of `churn`"),
    (VERSION + "churn: {‸alfa: 1}\n" + SEGMENTS, "unknown key `alfa` of `churn` (did you mean `alpha`?)"),
    (VERSION + "churn: {r: ‸0}\n" + SEGMENTS, "`r` is a number above 0"),
    (VERSION + "churn: {r: ‸.inf}\n" + SEGMENTS, "`r` is a number above 0"),
    (VERSION + "churn: {b: ‸'2'}\n" + SEGMENTS, "`b` is a number above 0"),
    (
        VERSION + "churn: {model: ‸mbgnbd, r: 1, alpha: 2}\n" + SEGMENTS,
        "`mbgnbd` needs its parameters: `a` and `b` missing",
    ),
    # declared fields
    (VERSION + "fields: {‸clik: {a: text}}\n" + SEGMENTS, "unknown kind `clik` (did you mean `click`?)"),
    (VERSION + "fields: {click: ‸[a]}\n" + SEGMENTS, "`click` is a mapping: `click: {score: number}`"),
    (
        VERSION + "fields: {click: {score: ‸texts}}\n" + SEGMENTS,
        "`score` is `number`, `text` or `boolean` (did you mean `text`?)",
    ),
    (
        VERSION + "fields: {click: {‸price: number}}\n" + SEGMENTS,
        "`price` is a field of `click` anyway: it cannot be declared again",
    ),
    (
        VERSION + "fields: {purchase: {‸items: text}}\n" + SEGMENTS,
        "`items` is a field of `purchase` anyway: it cannot be declared again",
    ),
    (
        VERSION + "fields: {email: {‸event_id: text}}\n" + SEGMENTS,
        "`event_id` is a field of every event: it cannot be declared again",
    ),
    (
        VERSION + "fields: {email: {‸where: text}}\n" + SEGMENTS,
        "`where` is a word of the language: a field cannot be called so",
    ),
    (
        VERSION + "fields: {email: {‸a-b: text}}\n" + SEGMENTS,
        "a field is called by letters, digits and `_`, not beginning with a digit, at most 64",
    ),
    # features
    (VERSION + "‸features:\n" + SEGMENTS, f"`features` is empty: {WITHOUT}"),
    (VERSION + "features: {‸f: }\n" + SEGMENTS, f"`f` is empty: {WITHOUT}"),
    (VERSION + "features: ‸[f]\n" + SEGMENTS, "`features` is a mapping: each feature's name and its expression"),
    # segments
    (VERSION + "segments:\n  ‸a:\n", "`a` is empty: it needs `enter: CONDITION` and the like, below its name"),
    (
        VERSION + "segments:\n  a: ‸never(click)\n",
        "`a` is a mapping: `enter: CONDITION` and the like, below its name",
    ),
    (VERSION + "segments:\n  ‸a:\n    exit: false\n", "segment `a` has no `enter`: a condition to become a member"),
    (VERSION + "segments:\n  a:\n    ‸entr: true\n", "unknown key `entr` of a segment (did you mean `enter`?)"),
    (VERSION + "segments:\n  a:\n    ‸enter:\n", "`enter` is empty: a condition is needed"),
    (VERSION + "segments:\n  a:\n    enter: ‸''\n", "`enter` is empty: a condition is needed"),
    (VERSION + "segments:\n  a:\n    enter: ‸null\n", "`enter` is empty: a condition is needed"),
    (VERSION + "segments:\n  a:\n    enter: ‸[x]\n", "`enter` is an expression, not a list"),
    (
        VERSION + "segments:\n  a:\n    enter: ‸{x: 1}\n",
        "`enter` is an expression, not a mapping (in `{...}` an expression needs quotes)",
    ),
    (VERSION + SEGMENTS + "  ‸a: {enter: never(click)}\n", "doubled key `a`: it stands in line 3 already"),
    (VERSION + SEGMENTS + "  ‸B-c: {enter: never(click)}\n", f"a segment {NAMES} (`b_c`?)"),
    (VERSION + SEGMENTS + "  ‸7th: {enter: never(click)}\n", f"a segment {NAMES}"),
    (VERSION + SEGMENTS + "  ‸" + "x" * 65 + ": {enter: never(click)}\n", f"a segment {NAMES}"),
    (
        VERSION + SEGMENTS + "  ‸since: {enter: never(click)}\n",
        "`since` is a word of the language: a segment cannot be called so",
    ),
    (
        VERSION + SEGMENTS + "  ‸persona_3: {enter: never(click)}\n",
        "names that begin with `persona_` are kept for the segments of clustering",
    ),
    (VERSION + SEGMENTS + "    for: ‸30\n", "`for` needs a unit: `30` of what? (`30m`, `30h`, `30d`, ...)"),
    (VERSION + SEGMENTS + "    for: ‸true\n", "`for` is a duration, such as `30m`"),
    (VERSION + SEGMENTS + "    for: 1h\n    ‸for: 1h\n", "doubled key `for`: it stands in line 5 already"),
    (VERSION + SEGMENTS + "    min_stay: ‸1.5h\n", "durations are whole numbers: write `90m`"),
    (VERSION + SEGMENTS + "    min_stay: '‸3661d'\n", "a duration is at most 3660 days, and `3661d` is longer"),
    (VERSION + SEGMENTS + "    cooldown: ‸soon\n", "`cooldown` is a duration, such as `30m`"),
    (VERSION + SEGMENTS + "    cooldown: ‸-1d\n", "`cooldown` is a duration, such as `30m`"),
    (VERSION + SEGMENTS + "    once: ‸yes\n", "`once` is `true` or `false` (did you mean `true`?)"),
    (VERSION + SEGMENTS + "    once: ‸1\n", "`once` is `true` or `false`"),
    (VERSION + SEGMENTS + "    holdout: ‸1.01\n", "`holdout` is a share from 0 to 1"),
    (VERSION + SEGMENTS + "    holdout: ‸-0.1\n", "`holdout` is a share from 0 to 1"),
    (VERSION + SEGMENTS + "    holdout: ‸.nan\n", "`holdout` is a share from 0 to 1"),
    (VERSION + SEGMENTS + "    holdout: ‸10%\n", "`holdout` is a share from 0 to 1"),
    (VERSION + SEGMENTS + "    to: ‸email\n", "`to` is a list: `to: [email]`"),
    (
        VERSION + SEGMENTS + "    to: [‸a b]\n",
        "`a b` is no name of a Kafka topic: letters, digits, `.`, `_` and `-`, at most 249",
    ),
    (
        VERSION + SEGMENTS + "    to: [‸..]\n",
        "`..` is no name of a Kafka topic: letters, digits, `.`, `_` and `-`, at most 249",
    ),
    (VERSION + SEGMENTS + "    to: [‸clicks]\n", "`clicks` is a topic of events: changes cannot go there"),
    (
        VERSION + SEGMENTS + "    to: [‸segment-changes]\n",
        "every change goes to `segment-changes` anyway: leave it out",
    ),
    (VERSION + SEGMENTS + "    to: [x, y, ‸x]\n", "`x` is listed twice"),
    (VERSION + SEGMENTS + "    to: [‸5]\n", '`to` is a list of text: put this in quotes, `"5"`'),
    (VERSION + SEGMENTS + "    tags: [a, ‸~]\n", "`tags` is a list of text, and this is empty"),
    (VERSION + SEGMENTS + "    tags: [a, ‸[b]]\n", "`tags` is a list of text, and this is none"),
    (VERSION + SEGMENTS + "    ‸tags:\n", f"`tags` is empty: {WITHOUT}"),
    (VERSION + SEGMENTS + "    review_by: ‸2026-02-30\n", "`review_by` is a date such as `2026-01-31`"),
    (VERSION + SEGMENTS + "    review_by: ‸20260228\n", "`review_by` is a date such as `2026-01-31`"),
    (VERSION + SEGMENTS + "    min_size: ‸-1\n", "`min_size` is a whole number of at least 0"),
    (VERSION + SEGMENTS + "    min_size: ‸2.5\n", "`min_size` is a whole number of at least 0"),
    (VERSION + SEGMENTS + "    description: ‸5\n", '`description` is text: put it in quotes, `"5"`'),
    (VERSION + SEGMENTS + "    owner: ‸''\n", f"`owner` is empty: {WITHOUT}"),
    (VERSION + SEGMENTS + "    goal: ‸[a]\n", "`goal` is text"),
    (VERSION + SEGMENTS + "    ‸exits: false\n", "unknown key `exits` of a segment (did you mean `exit`?)"),
    # no YAML, or none that is a definitions file
    ("‸", "the file is empty: it needs `version: 1` and `segments:`"),
    ("‸# nothing\n", "the file is empty: it needs `version: 1` and `segments:`"),
    ("‸- a\n", "a definitions file is a mapping: `version: 1`, then `segments:` and the like"),
    (VERSION + SEGMENTS + "‸---\na: 1\n", "a second document begins here: a definitions file is one document"),
    (VERSION + "‸\tsegments: 1\n", "a tab cannot indent: use spaces"),
    (
        VERSION + 'segments:\n  a:\n    enter: "vip" ‸== trait("x")\n',
        "text after a closing quote: write the expression as a block, `enter: |`, on the lines below it, indented",
    ),
    (VERSION + 'segments:\n  a:\n    enter: ‸"never(click)\n', "this quote is never closed"),
    (VERSION + "segments: ‸{a: {enter: never(click)}\n", "this bracket is never closed"),
    (VERSION + "segments: ‸@a\n", "a value cannot begin with `@`: put quotes around it"),
    (VERSION + "segments: ‸*a\n", "`*a` refers to no anchor `&a` above it"),
    (VERSION + "segments: &a [‸*a]\n", "`*a` refers to the very value that it is part of"),
    (
        VERSION + 'segments:\n  a:\n    enter: ‸!member("x")\n',
        "a `!` begins a YAML tag, and tags are not used here (to deny a condition, write `not`)",
    ),
    (
        VERSION + "segments:\n  a:\n    ‸<<: *b\n",
        "merge keys (`<<`) are not used here: share expressions through `features:`",
    ),
    (VERSION + "? ‸[a]\n: b\n", "a key has to be plain text"),
    (VERSION + "segments: ‸\x07\n", "a character that YAML does not allow (U+0007)"),
    (VERSION + 'segments: "‸\\U00110000"\n', "this escape is no character"),
    (VERSION + 'segments: ‸"\\ud83d"\n', "this text holds half a character (a lone surrogate)"),
    ("a: " + "[" * 30 + "‸[" + "[" * 5000, "nested more than 30 levels deep"),
]


@pytest.mark.parametrize(("marked", "message"), FILES)
def test_error_is_told_at_its_place(marked: str, message: str) -> None:
    assert_problems(marked, f"error: {message}")


def test_errors_are_sorted_reported_at_once_and_shown_with_their_file() -> None:
    text = "version: 2\nbuckets: 1\nsegments:\n  a:\n    enter: count(clik) > 1\n    exit: sum(click.pric) > 1\n"
    with pytest.raises(DefinitionsError) as caught:
        load(text, "shop/segments.yaml")
    assert isinstance(caught.value, SegstreamError)
    assert str(caught.value).splitlines() == [
        "shop/segments.yaml:1:10: error: `version` is 1: no other is known",
        "shop/segments.yaml:2:10: error: `buckets` is a whole number from 2 to 120",
        "shop/segments.yaml:5:18: error: unknown kind `clik` (did you mean `click`?)",
        "shop/segments.yaml:6:21: error: unknown field `pric` of `click` (did you mean `price`?)",
    ]
    assert [problem.line for problem in caught.value.problems] == [1, 2, 5, 6]


def test_warnings_alone_do_not_stop_loading() -> None:
    checked = check("version: 1\nsegments: {a: {enter: count(click) >= 0}}\n", "f")
    assert checked.definitions is not None
    assert [problem.severity for problem in checked.problems] == ["warning"]


def test_error_behind_an_alias_is_reported_once() -> None:
    assert_problems(
        "version: 1\nsegments:\n  a: &same\n    enter: count(‸clik) > 1\n  b: *same\n",
        "error: unknown kind `clik` (did you mean `click`?)",
    )


@pytest.mark.parametrize("word", ["and", "click", "count", "member", "persona", "exists", "true", "p_buy"])
def test_words_of_the_language_name_no_feature(word: str) -> None:
    text = f"version: 1\nfeatures: {{{word}: 1}}\n{SEGMENTS}"
    assert (2, 12, f"error: `{word}` is a word of the language: a feature cannot be called so") in problems(text)


def test_cycles_of_features() -> None:
    assert_problems(
        "version: 1\nfeatures:\n  a: count(click) + b\n  b: c\n  c: 1 + ‸a\n  d: ‸d + d\n  e: d + a\n"
        "segments:\n  s:\n    enter: a > b + c + d + e\n",
        "error: these features use each other in a circle: `a` → `b` → `c` → `a`",
        "error: feature `d` uses itself",
    )


def test_member_through_a_feature_is_refused_where_it_is_used() -> None:
    assert_problems(
        'version: 1\nfeatures:\n  in_b: member("b")\n  either: in_b or never(click)\n'
        "segments:\n  a:\n    enter: ‸either\n  b:\n    enter: not ‸in_b\n  c:\n    enter: in_b\n",
        "error: `either` asks for membership of `b`, one defined below",
        "error: `in_b` asks for membership of `b`, this segment itself",
    )


def test_wrong_feature_is_reported_once_where_it_is_defined() -> None:
    assert_problems(
        "version: 1\nfeatures:\n  f: count(‸clik)\nsegments:\n  a: {enter: f > 1}\n  b: {enter: f > 2}\n",
        "error: unknown kind `clik` (did you mean `click`?)",
    )


def test_expression_cut_by_yaml_says_so() -> None:
    assert_problems(
        "version: 1\nsegments:\n  a: {enter: count‸(click, ‸7d) > 3}\n",
        "error: this `(` is never closed (within `{...}` YAML ends it at the comma: put the expression in quotes)",
        "error: unknown key `7d) > 3` of a segment",
    )
    assert_problems(
        'version: 1\nsegments:\n  a:\n    enter: trait("x") == ‸"a #b"\n',
        'error: this text has no closing `"` (` #` begins a comment in YAML: put the expression into a block, `|`)',
    )


def test_bytes_that_are_no_utf_8() -> None:
    checked = check(b"version: 1\n# caf\xc3\xa9 \xe9\n", "f")
    assert [str(problem) for problem in checked.problems] == [
        "f:2:8: error: this is not UTF-8 (byte 0xE9): save the file as UTF-8"
    ]


def test_byte_order_mark_counts_for_no_column() -> None:
    checked = check(b"\xef\xbb\xbfversion: 2\n" + SEGMENTS.encode(), "f")
    assert [(problem.line, problem.column) for problem in checked.problems] == [(1, 10)]


def test_message_is_one_line_of_bounded_length() -> None:
    checked = check("version: 1\nsegments: {a: {enter: \"member('x\\n" + "y" * 5000 + "')\"}}\n", "f")
    [problem] = checked.problems
    assert "\n" not in str(problem)
    assert len(problem.message) == 500
