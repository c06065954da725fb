"""`rank(...)`: what it is in the language, and what may not stand in it."""

from __future__ import annotations

import pytest

from stream.language.canonical import text
from stream.language.checker import check, load
from stream.language.drafts import parts
from stream.language.meaning import definitions_hash, evidence, ranked
from stream.language.tree import Compare, Rank, Type
from stream.language.types import type_of
from tests.language.marked import assert_problems, problems

PERSONAS = "personas: {features: {orders: count(purchase)}, k: 3}\n"
FEATURES = "features:\n  bought: last(purchase)\n  plan: trait('plan')\n  pause: since(bought)\n  top: rank(bought)\n"
MOVES = "changes at every moment, which nothing that is ranked may"
INSTANT = "use the instant itself, such as `last(purchase)`, which counts by its age in days"
TRAIT = "a trait is nothing that events add up to: use aggregates, such as `count(click, 30d)`"


def file(enter: str, before: str = PERSONAS) -> str:
    return f"version: 1\n{before}segments:\n  above:\n    enter: never(click)\n  one:\n    enter: |\n      {enter}\n"


def enter(written: str, before: str = PERSONAS) -> str:
    return text(load(file(written, before), "f").segments[1].enter)


def test_a_rank_is_a_number_of_any_measure() -> None:
    condition = load(file("rank( sum(purchase.total,90d) / (count(purchase)+1) ) >= 0.90"), "f").segments[1].enter
    assert isinstance(condition, Compare)
    assert isinstance(condition.left, Rank)
    assert type_of(condition.left) is Type.NUMBER
    assert text(condition) == "rank(sum(purchase.total, 90d) / (count(purchase) + 1)) >= 0.9"
    assert enter(text(condition)) == text(condition)
    assert enter("1 - rank(last(click)) < 0.1 * 2") == "1 - rank(last(click)) < 0.1 * 2"


def test_features_may_be_ranked_and_be_ranks() -> None:
    assert enter("rank(bought) > 0.5", PERSONAS + FEATURES) == "rank(last(purchase)) > 0.5"
    assert enter("top > 0.5", PERSONAS + FEATURES) == "rank(last(purchase)) > 0.5"


def test_the_evidence_is_the_rank_and_what_it_is_made_of() -> None:
    segment = load(file("rank(sum(purchase.total) / count(click)) > 0.5 and count(click) > 3"), "f").segments[1]
    names = ["rank(sum(purchase.total) / count(click))", "sum(purchase.total)", "count(click)"]
    assert [text(one) for one in evidence(segment)] == names


def test_everything_that_is_ranked_is_found_once() -> None:
    written = "rank(count(click)) > rank(last(click)) or rank( count( click ) ) < 0.1"
    assert [text(one) for one in ranked(load(file(written), "f").segments)] == ["count(click)", "last(click)"]


def test_ranks_decide_the_meaning_and_cost_what_they_are_made_of() -> None:
    plain, other = load(file("rank(count(click)) > 0.5"), "f"), load(file("rank(count(click, 1d)) > 0.5"), "f")
    assert definitions_hash(plain) != definitions_hash(other)
    assert parts(load(file("rank(count(click) + 1) > 0.5"), "f")) == parts(plain) + 2 * 2  # enter, and exit by it


def test_a_rank_lies_between_0_and_1() -> None:
    assert_problems(
        file("‸rank(count(click)) > 1"),
        "warning: this can never hold: `rank(count(click))` lies between 0 and 1",
    )
    assert not problems(file("not rank(count(click)) <= 1"))  # it may be null


@pytest.mark.parametrize(
    ("marked", "message"),
    [
        ("rank(‸click) > 0.5", "`rank` takes a number or an instant, such as `count(click, 90d)`"),
        ("rank(‸since(last(click))) > 0.5", f"`since` {MOVES}: {INSTANT}"),
        ("rank(‸p_alive(purchase)) > 0.5", f"`p_alive` {MOVES}: use what it is made of, such as"),
        ("rank(count(click) + ‸trait('x')) > 0.5", TRAIT),
        ("rank(‸member('above')) > 0.5", "a membership is no number: use the aggregates that it asks about"),
        ("rank(‸persona) > 0.5", "`persona` has no order: it cannot be ranked"),
        ("rank(‸rank(count(click))) > 0.5", "a rank cannot be ranked once more: it goes from 0 to 1 for everybody"),
        ("rank(‸top) > 0.5", "`top` cannot be used here: a rank cannot be ranked once more"),
        ("rank(‸pause) > 0.5", f"`pause` {MOVES}: {INSTANT}"),
        ("rank(1 + ‸plan) > 0.5", f"`plan` cannot be used here: {TRAIT}"),
        (
            "rank(‸gap(click)) > 0.5",
            "what is ranked is a number or an instant, and this is a duration: divide it by a unit, as in "
            "`gap(click) / 1d`",
        ),
        ("rank(‸last(click.device)) > 0.5", "what is ranked is a number or an instant, and this is text"),
        ("rank(‸3) > 0.5", "this is the same for everybody: what is ranked asks about events, as `count(click)` does"),
        ("‸rank() > 0.5", "`rank` takes one thing and has nothing: `rank(EXPRESSION)`"),
        ("‸rank(count(click), 7d) > 0.5", "`rank` takes one thing and has more than one thing: `rank(EXPRESSION)`"),
        ("‸rank > 0.5", "`rank` needs brackets: `rank(EXPRESSION)`"),
        ("‸rank(count(click)) > 1d", "a duration is compared with a bare number"),
        ("count(click where ‸rank(price) > 3) > 1", "a function cannot stand within `where`"),
    ],
)
def test_what_cannot_be_ranked_is_told_at_its_place(marked: str, message: str) -> None:
    before = PERSONAS + FEATURES
    found = [one for one in problems(file(marked.replace("‸", ""), before)) if one[2].startswith("error")]
    line = file(marked, before).splitlines()
    row = next(number for number, content in enumerate(line, 1) if "‸" in content)
    assert [(one[0], one[1]) for one in found] == [(row, line[row - 1].index("‸") + 1)]
    assert message in found[0][2]


def test_without_personas_nobody_is_ranked() -> None:
    assert_problems(
        file("‸rank(count(click)) > 0.5", ""),
        "error: `rank` needs `personas:` at the top of the file: customers are ranked among those who are active, as "
        "the models of personas know them",
    )


def test_a_rank_is_no_feature_of_personas() -> None:
    section = "personas: {features: {orders: ‸rank(count(click))}, k: 3}\n"
    assert_problems(
        file("never(purchase)", section),
        "error: `rank` follows from a model of these features, so it cannot be in one of them",
    )


def test_32_expressions_may_be_ranked() -> None:
    for count in (32, 33):
        written = " or ".join(f"rank(count(click, {n + 1}d)) > 0.5" for n in range(count))
        found = check(file(written), "f")
        messages = [problem.message for problem in found.problems if problem.severity == "error"]
        assert messages == ["at most 32 expressions may be ranked, and the segments rank by 33"][: count - 32]
