"""`rfm(...)`: what it is in the language, and what is wrong with it."""

from __future__ import annotations

import pytest

from stream.language.canonical import text
from stream.language.checker import check, load
from stream.language.drafts import parts
from stream.language.meaning import evidence, ranked
from stream.language.tree import Compare, Rfm, Type
from stream.language.types import type_of
from stream.language.words import RFM_SCORES
from tests.language.marked import assert_problems, problems
from tests.language.test_ranks import PERSONAS, enter, file


def test_an_rfm_is_text() -> None:
    condition = load(file("rfm( purchase , 52w1d ) == '545'"), "f").segments[1].enter
    assert isinstance(condition, Compare)
    assert isinstance(condition.left, Rfm)
    assert type_of(condition.left) is Type.TEXT
    assert text(condition) == 'rfm(purchase, 365d) == "545"'


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("rfm(purchase, 365d) in ['555', \"554\"]", 'rfm(purchase, 365d) in ["555", "554"]'),
        (
            "rfm(purchase where coupon exists and total>9, 30d) starts_with '5'",
            'rfm(purchase where coupon exists and total > 9, 30d) starts_with "5"',
        ),
        ("exists(rfm(purchase, 1w))", "rfm(purchase, 7d) exists"),
        ("rfm(purchase, 30d) != rfm(purchase, 60d)", "rfm(purchase, 30d) != rfm(purchase, 60d)"),
        ("best == '555'", 'rfm(purchase, 90d) == "555"'),
    ],
)
def test_it_is_compared_as_text_is(written: str, canonical: str) -> None:
    before = f"{PERSONAS}features:\n  best: rfm(purchase, 90d)\n"
    assert enter(written, before) == canonical


def test_it_has_125_values() -> None:
    assert len(set(RFM_SCORES)) == 125
    assert list(RFM_SCORES) == sorted(RFM_SCORES)
    listed = ", ".join(f'"{score}"' for score in RFM_SCORES)
    assert enter(f"rfm(purchase, 1d) in [{listed}]").endswith('"554", "555"]')


def test_the_evidence_is_the_text_and_what_it_is_made_of() -> None:
    found = evidence(load(file("rfm(purchase, 365d) == '555' and count(purchase, 365d) > 3"), "f").segments[1])
    names = ["rfm(purchase, 365d)", "last(purchase)", "count(purchase, 365d)", "sum(purchase.total, 365d)"]
    assert [text(part) for part in found] == names


def test_what_it_ranks_by_has_names_that_nothing_else_can_have() -> None:
    written = "rank(count(purchase, 365d)) > 0.5 and rfm(purchase, 365d) == '555' and rfm(purchase, 30d) exists"
    found = [text(one) for one in ranked(load(file(written), "f").segments)]
    assert found == [
        "count(purchase, 365d)",
        *(f"rfm(purchase, {days}d).{name}" for days in (365, 30) for name in ("recency", "frequency", "money")),
    ]
    for name in found[1:]:
        assert "error" in str(problems(file(f"rank({name}) > 0.5")))


def test_it_costs_what_it_is_made_of() -> None:
    plain, other = load(file("rank(count(click)) > 0.5"), "f"), load(file("rfm(purchase, 7d) == '555'"), "f")
    assert parts(other) == parts(plain) + 2 * 2  # three aggregates instead of one, in enter, and exit by it


NEVER = 'it is three digits from 1 to 5, such as `"545"`'


@pytest.mark.parametrize(
    ("marked", "message"),
    [
        ("rfm(purchase, 30d) == ‸'655'", f"`rfm` is never `655`: {NEVER}"),
        ("‸'55' != rfm(purchase, 30d)", f"`rfm` is never `55`: {NEVER}"),
        ("rfm(purchase, 30d) in ['555', ‸'champions']", f"`rfm` is never `champions`: {NEVER}"),
        ("rfm(purchase, 30d) == ‸545", 'text is compared with a number: write `"545"`'),
        ("rfm(purchase, 30d) ‸> '333'", "text has no order: compare with `==`, `!=` or `in`"),
        ("‸rfm(purchase) == '555'", "`rfm` needs a window: `rfm(purchase [where CONDITION], WINDOW)`, such as `rfm("),
        ("‸rfm() == '555'", "`rfm` needs a kind of event: `rfm(purchase"),
        ("rfm(‸click, 30d) == '555'", "`rfm` is about purchases, as only they have a `total`, and this is `click`"),
        ("rfm(‸email.action, 30d) == '555'", "`rfm` is about purchases, as only they have a `total`, and this is"),
        ("rfm(purchase.‸total, 30d) == '555'", "`rfm` takes whole events, not a field"),
        ("rfm(‸purchases, 30d) == '555'", "unknown kind `purchases` (did you mean `purchase`?)"),
        ("rfm(purchase, ‸30) == '555'", "a window needs a unit: `30` of what? (`30d`?)"),
        ("rfm(purchase, 30d, ‸60d) == '555'", "`rfm` takes nothing more"),
        ("rfm(purchase where ‸totl > 3, 30d) == '555'", "unknown field `totl` of `purchase`"),
        ("‸rfm == '555'", "`rfm` needs brackets"),
        ("‸rfm(purchase, 30d)", "a condition is needed here, and this is text"),
        ("‸rfm(purchase, 30d) + 1 > 3", "text cannot be calculated with"),
        ("rank(‸rfm(purchase, 30d)) > 0.5", "`rfm` is text that ranks customers already: it cannot be ranked"),
        ("rank(‸best) > 0.5", "`best` cannot be used here: `rfm` is text that ranks customers already"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(marked: str, message: str) -> None:
    before = f"{PERSONAS}features:\n  best: rfm(purchase, 90d)\n"
    found = [one for one in problems(file(marked.replace("‸", ""), before)) if one[2].startswith("error")]
    lines = file(marked, before).splitlines()
    row = next(number for number, content in enumerate(lines, 1) if "‸" in content)
    assert [(one[0], one[1]) for one in found] == [(row, lines[row - 1].index("‸") + 1)]
    assert message in found[0][2]


@pytest.mark.parametrize("match", ["starts_with '6'", "contains '555 '", "ends_with '5555'"])
def test_what_no_rfm_has_in_it_is_warned_of(match: str) -> None:
    assert_problems(
        file(f"‸rfm(purchase, 30d) {match}"),
        'warning: this can never hold: `rfm` is three digits from 1 to 5, such as `"545"`',
    )
    assert not problems(file("rfm(purchase, 30d) ends_with '45' or rfm(purchase, 30d) contains ''"))


def test_two_texts_at_once_are_warned_of() -> None:
    assert_problems(
        file("rfm(purchase, 30d) == '555' and ‸rfm(purchase, 30d) in ['554', '544']"),
        "warning: this can never hold together with what stands before it",
    )


def test_without_personas_there_is_none() -> None:
    assert_problems(
        file("‸rfm(purchase, 30d) == '555'", ""),
        "error: `rfm` needs `personas:` at the top of the file: customers are ranked among those who are active, as "
        "the models of personas know them",
    )


def test_it_is_no_feature_of_personas() -> None:
    section = "personas: {features: {orders: '‸rfm(purchase, 30d)'}, k: 3}\n"
    assert_problems(
        file("never(purchase)", section),
        "error: `rfm` follows from a model of these features, so it cannot be in one of them",
    )


def test_each_counts_as_three_of_what_may_be_ranked() -> None:
    for count in (10, 11):
        written = " or ".join(f"rfm(purchase, {n + 1}d) == '555'" for n in range(count))
        messages = [one.message for one in check(file(written), "f").problems if one.severity == "error"]
        most = "at most 32 expressions may be ranked, and the segments rank by 33, three in each `rfm`"
        assert messages == [most][: count - 10]
