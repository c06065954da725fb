"""Drafted segments, checked as if they stood in the present file: their places are those of the draft."""

from __future__ import annotations

import pytest

from stream.language.canonical import text
from stream.language.checker import check
from stream.language.drafts import Draft, check_draft, parts

PRESENT = """\
version: 1
buckets: 12
fields: {click: {score: number}}
features:
  money: sum(purchase.total)
  unused: count(email)
segments:
  rich: {enter: money >= 100}
  busy: {enter: "count(click where score > 1) >= 3"}
"""


def drafted(source: str, present: str | None = PRESENT) -> Draft:
    return check_draft(source, "draft", present)


def said(draft: Draft) -> list[str]:
    return [str(problem) for problem in draft.problems]


@pytest.mark.parametrize("head", ["", "segments:\n"])
def test_segments_alone_join_the_present_ones(head: str) -> None:
    indent = "  " if head else ""
    draft = drafted(f'{head}{indent}poor: {{enter: money < 5 and member("busy")}}\n')
    assert (said(draft), draft.names) == ([], ("poor",))
    assert draft.definitions is not None
    assert [segment.name for segment in draft.definitions.segments] == ["rich", "busy", "poor"]
    assert text(draft.definitions.segments[2].enter) == 'sum(purchase.total) < 5 and member("busy")'
    assert draft.definitions.buckets == 12


def test_a_draft_replaces_the_segment_of_its_name_in_its_place() -> None:
    draft = drafted("rich: {enter: money >= 200}\n")
    assert draft.definitions is not None
    assert [text(segment.enter) for segment in draft.definitions.segments] == [
        "sum(purchase.total) >= 200",
        "count(click where score > 1) >= 3",
    ]


def test_a_whole_file_stands_for_itself() -> None:
    draft = drafted("version: 1\nsegments:\n  other: {enter: count(click) >= 1}\n")
    assert draft.definitions is not None
    assert (draft.names, draft.definitions.buckets, len(draft.definitions.segments)) == (("other",), 24, 1)


def test_what_is_wrong_is_where_the_check_would_say() -> None:
    """Of a whole file, and of segments that are put behind the present ones: the same words, lines shifted."""
    wrong = (
        'a: {enter: cuont(click) >= 1}\nb:\n  enter: count(click) >= 1 and\n    moneyy > 3\n  exot: "x"\na: 5\nC: {}\n'
    )
    indented = "".join(f"  {line}\n" for line in wrong.splitlines())
    whole = check(PRESENT + indented, "draft").problems
    lines = PRESENT.count("\n")
    expected = {(one.line - lines, one.column - 2, one.message) for one in whole if one.line > lines}
    found = {(one.line, one.column, one.message) for one in drafted(wrong).problems}
    assert {(line, column, message.replace("line 10", "line 1")) for line, column, message in expected} == found
    assert len(found) >= 5
    assert drafted(wrong).definitions is None


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "draft:1:1: error: the file is empty: it needs `version: 1` and `segments:`"),
        ("{}", "draft:1:1: error: there is no segment: it takes each segment's name, and under it `enter: CONDITION`"),
        ("segments:", "draft:1:1: error: `segments` is empty: it needs each segment's name, and under it "),
        ("segments: 5", "draft:1:11: error: `segments` is a mapping: "),
        ("segments: {}", "draft:1:11: error: there is no segment"),
        ("a: [", "draft:1:5: error: "),
        ("features: {x: count(click)}\nsegments: {a: {enter: x > 1}}", "draft:1:1: error: missing key `version`"),
        ("a: {enter: count(click) >= 1, holdout: 2}", "draft:1:40: error: `holdout` is a share from 0 to 1"),
        ('a: {enter: member("later") }', "draft:1:19: error: unknown segment `later`"),
        ("a: {enter: count(click) < 0}", "draft:1:12: warning: this can never hold"),
    ],
)
def test_problems(source: str, says: str) -> None:
    first, *_ = said(drafted(source))
    assert first.startswith(says)


def test_what_is_no_text() -> None:
    assert "draft:1:2: error: this is not UTF-8" in said(check_draft(b"a\xff", "draft", PRESENT))[0]


def test_without_the_present_file_a_whole_one_is_needed() -> None:
    assert "give a whole one" in said(drafted("a: {enter: count(click) >= 1}", None))[0]
    assert drafted(PRESENT, None).definitions is not None


def test_what_a_draft_does_to_the_present_file_is_said() -> None:
    many = "".join(f"  s{number}: {{enter: count(click) >= {number + 1}}}\n" for number in range(1_000))
    draft = drafted("one_more: {enter: count(click) >= 5}", f"version: 1\nsegments:\n{many}")
    assert draft.definitions is None
    assert said(draft) == ["draft:1:1: error: with this draft: at most 1,000 segments, and these are 1,001"]


def test_the_present_files_warnings_are_not_the_drafts() -> None:
    assert any("unused" in problem.message for problem in check(PRESENT, "x").problems)
    assert said(drafted("a: {enter: count(click) >= 1}")) == []


def test_parts_are_counted_with_features_written_out() -> None:
    draft = drafted("rich: {enter: money >= 200 and money < 300, exit: 'count(click) < 1'}", PRESENT)
    other = drafted("rich: {enter: money >= 200, exit: 'count(click) < 1'}", PRESENT)
    assert draft.definitions is not None
    assert other.definitions is not None
    assert parts(draft.definitions) == parts(other.definitions) + 1 + 3


def test_a_draft_may_ask_about_the_personas_of_the_present_file_and_of_no_other() -> None:
    personas = "personas: {features: {money: money}, k: 3, aliases: {p2: savers}}\n"
    source = 'thrifty: {enter: persona == "p2"}\n'
    draft = drafted(source, PRESENT.replace("segments:", personas + "segments:"))
    assert (said(draft), draft.names) == ([], ("thrifty",))
    assert draft.definitions is not None
    assert text(draft.definitions.segments[2].enter) == 'persona == "savers"'
    assert said(drafted(source)) == [
        "draft:1:18: error: `persona` needs `personas:` at the top of the file: "
        "by what customers are clustered, and into how many"
    ]
