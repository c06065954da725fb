"""What is no error but probably a slip: conditions that cannot change, actions nobody sends, unused features."""

from __future__ import annotations

import pytest

from tests.language.marked import assert_problems, file_with, problems

WARNINGS = [
    (
        'count(click where action == ‸"add_to_card") > 1',
        "a click is not known to have the action `add_to_card` (did you mean `add_to_cart`?)",
    ),
    (
        'count(click where action in [‸"serch", "search"]) > 1',
        "a click is not known to have the action `serch` (did you mean `search`?)",
    ),
    (
        'count(email where action != ‸"open") > 1',
        "an email is not known to have the action `open` (did you mean `opened`?)",
    ),
    ('last(click.action) == ‸"veiw"', "a click is not known to have the action `veiw`"),
    ("count(click where price > 10 and ‸price < 5) > 1", "this can never hold together with what stands before it"),
    ("count(click where ‸action exists) > 1", "this can never fail: `action` is never null"),
    ("‸distinct(click.category) > 32", "this can never hold: `distinct(click.category)` lies between 0 and 32"),
    ("‸p_alive(purchase) > 1", "this can never hold: `p_alive(purchase)` lies between 0 and 1"),
    ("‸last(click) after last(click)", "this can never hold"),
    ('‸trait("plan") < "pro"', "this can never hold: text has no order"),
    ("‸count(click) in []", "this can never hold"),
    ("‸count(click) not in []", "this can never fail"),
    ("‸count(click) < 0", "this can never hold: `count(click)` is never below 0"),
    ("‸count(click) >= 0", "this can never fail: `count(click)` is never below 0"),
    ("‸count(click) == 2.5", "this can never hold: `count(click)` is a whole number"),
    ("‸1 < 2", "this can never fail"),
    ("‸true", "this can never fail"),
    ("‸false", "this can never hold"),
    ("not ‸true", "this can never fail"),
    ("count(click) > 5 and ‸true", "this can never fail"),
    ("count(click) > 5 and ‸count(click) < 3", "this can never hold together with what stands before it"),
    ("count(click) > 5 and ‸count(click) < 6", "this can never hold together with what stands before it"),
    ("count(click) > 5 or ‸count(click) <= 7", "this, or what stands before it, always holds"),
    ('trait("a") == "x" and ‸trait("a") == "y"', "this can never hold together with what stands before it"),
    ('trait("a") == "x" and ‸trait("a") in ["y", "z"]', "this can never hold together with what stands before it"),
    ("last(click) exists and ‸not last(click) exists", "this can never hold together with what stands before it"),
    ("‸count(click) > -5", "this can never fail: `count(click)` is never below 0"),
    ("‸5 exists", "this can never fail: `5` is never null"),
    ("‸count(click) exists", "this can never fail: `count(click)` is never null"),
    ('‸"vip" == "vip"', "this can never fail"),
    ("‸0.5 > 1 - 0.25", "this can never hold: `1 - 0.25` is always 0.75"),
]

#: Conditions near to those above that can both hold and fail.
SILENT = [
    "count(click) > 5 and count(click) < 7",
    "count(click) > 5 or count(click) < 5",
    "not (last(click.price) > 5) and not (last(click.price) <= 5)",
    'not (trait("a") < 5) and trait("a") == "x"',
    'trait("a") == "x" or trait("a") != "x"',
    'trait("a") == 1 and trait("b") == 2',
    'trait("a") in ["x", "y"] and trait("a") in ["y", "z"]',
    "last(click) > first(click)",
    "last(click) <= last(click)",
    "sum(click.price) < 0",
    "sum(purchase.total) / count(purchase) >= 0",
    "avg(purchase.total) >= 0",
    "distinct(click.category) >= 32",
    "p_alive(purchase) >= 1",
    "since(last(click)) >= 0s",
    "gap(click) - gap(purchase) < 0s",
    "count(click) - count(purchase) < 0",
    "count(click where price < 0) > 3",
    "count(click where not price exists) > 3",
    "count(click where price > 10 or price < 20) > 3",
    'count(click where action starts_with "custom_") > 3',
    'count(purchase where coupon == "add_to_card") > 3',
    'last(click.category) == "veiw"',
    "persona not in []",
    'member("above") and count(click) != 2',
    "(count(click) > 3) == true",
]


@pytest.mark.parametrize(("condition", "message"), WARNINGS)
def test_warning_is_told_at_its_place(condition: str, message: str) -> None:
    assert_problems(file_with(condition), f"warning: {message}")


@pytest.mark.parametrize("condition", SILENT)
def test_no_warning_without_certainty(condition: str) -> None:
    assert problems(file_with(condition)) == []


def test_unused_feature_is_warned_of_also_when_only_unused_ones_use_it() -> None:
    assert_problems(
        "version: 1\n"
        "features:\n  used: orders + 1\n  orders: count(purchase)\n  ‸idle: clicks > 3\n  ‸clicks: count(click)\n"
        "segments:\n  a:\n    enter: used > 3\n",
        "warning: feature `idle` is not used by any segment",
        "warning: feature `clicks` is not used by any segment",
    )


def test_feature_in_broken_condition_counts_as_used() -> None:
    assert_problems(
        "version: 1\nfeatures: {orders: count(purchase)}\nsegments:\n  a:\n    enter: orders ‸>\n",
        "error: something is missing after `>`",
    )


def test_feature_is_warned_of_once_however_often_it_is_used() -> None:
    assert_problems(
        "version: 1\nfeatures: {any: ‸count(click) >= 0}\n"
        "segments:\n  a: {enter: any and never(purchase)}\n  b: {enter: any or never(purchase)}\n",
        "warning: this can never fail: `count(click)` is never below 0",
    )


def test_constant_conditions_are_warned_of_but_for_an_exit_that_is_false() -> None:
    assert_problems(
        "version: 1\nsegments:\n"
        "  a: {enter: ‸true, exit: false}\n"
        "  b: {enter: ‸false, exit: ‸true}\n"
        "  c:\n    enter: never(click)\n    exit: count(click) > 3 and ‸false\n",
        "warning: this can never fail",
        "warning: this can never hold",
        "warning: this can never fail",
        "warning: this can never hold",
    )


def test_exit_that_holds_whenever_enter_does_is_warned_of() -> None:
    assert_problems(
        "version: 1\nsegments:\n  a:\n    enter: count(click) > 5\n    exit: ‸count(click) > 3\n"
        "  b:\n    enter: count(click) > 3\n    exit: count(click) > 5\n",
        "warning: `exit` holds whenever `enter` does, so nobody can become a member",
    )
