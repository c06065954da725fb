"""What the checked tree, the meaning, its hash and the evidence are."""

from __future__ import annotations

import json

from stream.contract import FieldType, Kind
from stream.language.canonical import text
from stream.language.checker import load
from stream.language.meaning import definitions_hash, evidence, meaning
from stream.language.tree import (
    After,
    Aggregate,
    And,
    Churn,
    ChurnModel,
    Compare,
    Definitions,
    Field,
    Function,
    Literal,
    Not,
    Or,
    Segment,
    Since,
    Trait,
    Type,
)

FULL = """
version: 1
buckets: 12
lateness: 0
max_ahead: 2h
dedupe: {events: 0}
churn: {model: mbgnbd, r: 1, alpha: 2.5, a: 3, b: 4}
fields: {email: {tone: text}, click: {score: number}}
features: {carted: last(click where action == "add_to_cart")}
segments:
  cart:
    enter: carted after last(purchase) and since(carted) >= 30m
    for: 1h
    min_stay: 0
    cooldown: 1d12h
    once: true
    to: [email-workflows]
    description: Left items in the cart
    owner: Ada
    goal: An order
    tags: [funnel, "7"]
    review_by: 2026-01-31
    min_size: 100
    holdout: 0.05
  rest:
    enter: not member("cart")
    exit: false
"""


def test_everything_of_a_file_is_read() -> None:
    definitions = load(FULL, "full.yaml")
    carted = Aggregate(
        Function.LAST,
        Kind.CLICK,
        None,
        Compare("==", Field("action", Type.TEXT), Literal("add_to_cart", Type.TEXT)),
        None,
        None,
        Type.INSTANT,
    )
    bought = Aggregate(Function.LAST, Kind.PURCHASE, None, None, None, None, Type.INSTANT)
    enter = And((After(carted, bought), Compare(">=", Since(carted), Literal(1_800_000.0, Type.DURATION))))
    assert definitions.segments[0] == Segment(
        name="cart",
        enter=enter,
        exit=Not(enter),
        for_ms=3_600_000,
        min_stay_ms=0,
        cooldown_ms=129_600_000,
        once=True,
        holdout=0.05,
        to=("email-workflows",),
        description="Left items in the cart",
        owner="Ada",
        goal="An order",
        tags=("funnel", "7"),
        review_by="2026-01-31",
        min_size=100,
    )
    assert definitions.segments[1].exit == Literal(False, Type.BOOLEAN)
    assert definitions.buckets == 12
    assert (definitions.dedupe_events, definitions.dedupe_orders) == (0, 8)
    assert definitions.churn == Churn(ChurnModel.MBGNBD, 1, 2.5, 3, 4)
    assert (definitions.lateness_ms, definitions.max_ahead_ms) == (0, 7_200_000)
    assert definitions.declared == {Kind.EMAIL: {"tone": FieldType.TEXT}, Kind.CLICK: {"score": FieldType.NUMBER}}


def test_defaults() -> None:
    definitions = load("version: 1\nsegments: {a: {enter: never(click)}}", "f")
    assert definitions == Definitions(definitions.segments)
    [segment] = definitions.segments
    assert segment == Segment("a", segment.enter, Not(segment.enter))


def _enter(condition: str) -> object:
    content = {"version": 1, "segments": {"a": {"enter": condition}}}
    return load(json.dumps(content), "f").segments[0].enter


def test_not_binds_tighter_than_and_and_and_than_or() -> None:
    a, b, c = (Trait(name) for name in "abc")
    assert _enter('trait("a") or trait("b") and not trait("c")') == Or((a, And((b, Not(c)))))
    assert _enter('not trait("a") == 1 and trait("b")') == And((Not(Compare("==", a, Literal(1.0, Type.NUMBER))), b))
    assert _enter('(trait("a") or trait("b")) and trait("c")') == And((Or((a, b)), c))
    assert _enter('trait("a") and (trait("b") and trait("c"))') == And((a, b, c))


def test_never_and_exists_are_what_they_stand_for() -> None:
    assert _enter("never(click)") == _enter("count(click) == 0")
    assert _enter("exists(last(click))") == _enter("last(click) exists")


def _definitions(change: tuple[str, str] = ("", "")) -> Definitions:
    return load(FULL.replace(*change) if change[0] else FULL, "f")


def test_meaning_is_the_same_whatever_changes_nothing() -> None:
    same = [
        ("description: Left items in the cart", "description: Something else"),
        ("    owner: Ada\n", ""),
        ("    goal: An order\n", ""),
        ('[funnel, "7"]', "[]"),
        ("2026-01-31", "2027-01-31"),
        ("min_size: 100", "min_size: 5"),
        ("carted after last(purchase) and", "(carted  after last( purchase )) and"),
        ("since(carted) >= 30m", "since(last(click where action == 'add_to_cart')) >= 1800s"),
        ("cooldown: 1d12h", "cooldown: 36h"),
        ("lateness: 0", "lateness: 0s"),
        ("    min_stay: 0\n", ""),
        ("tone: text", "'tone': 'text'"),
    ]
    for change in same:
        assert change[0] in FULL
        assert meaning(_definitions(change)) == meaning(_definitions()), change


def test_meaning_differs_with_everything_that_changes_results() -> None:
    changes = [
        ("buckets: 12", "buckets: 13"),
        ("lateness: 0", "lateness: 1s"),
        ("lateness: 0\n", ""),
        ("max_ahead: 2h", "max_ahead: 3h"),
        ("events: 0", "events: 1"),
        ("events: 0", "events: 0, orders: 9"),
        ("model: mbgnbd", "model: bgnbd"),
        ("alpha: 2.5", "alpha: 2.6"),
        ("tone: text", "tone: number"),
        ("since(carted) >= 30m", "since(carted) >= 31m"),
        ("for: 1h", "for: 2h"),
        ("min_stay: 0", "min_stay: 1s"),
        ("cooldown: 1d12h", "cooldown: 1d"),
        ("once: true", "once: false"),
        ("holdout: 0.05", "holdout: 0.06"),
        ("to: [email-workflows]", "to: [others]"),
        ("rest:", "others:"),
        ("exit: false", "exit: never(click)"),
    ]
    hashes = {definitions_hash(_definitions())}
    for change in changes:
        assert change[0] in FULL
        hashes.add(definitions_hash(_definitions(change)))
    assert len(hashes) == len(changes) + 1


def test_meaning_and_hash_are_as_they_always_were() -> None:
    """Workers of two releases compare these: a change here is a change of the format."""
    definitions = load("version: 1\nsegments: {a: {enter: 'never(click)'}}", "f")
    assert meaning(definitions) == (
        '{"buckets":24,"churn":{"a":0.793,"alpha":4.414,"b":2.426,"model":"bgnbd","r":0.243},'
        '"dedupe":{"events":16,"orders":8},"fields":{},"lateness":null,"max_ahead":3600000,'
        '"segments":[{"cooldown":0,"enter":"count(click) == 0","exit":"not count(click) == 0","for":0,"holdout":0.0,'
        '"min_stay":0,"name":"a","once":false,"to":[]}],"version":1}'
    )
    assert definitions_hash(definitions) == "2f6337c9a7be0666"


def test_evidence_is_in_order_of_first_appearance_without_repeats() -> None:
    content = {
        "version": 1,
        "features": {"orders": "count(purchase)"},
        "personas": {"features": {"carted": 'count(click where action == "add_to_cart")'}, "k": 2},
        "segments": {
            "a": {
                "enter": 'since(last(click)) > gap(click) + 1d and trait("x") in [1] or persona contains "y"'
                " and (orders + 1) * 2 > 3 and last(click) after first(click where price > 3)",
                "exit": "never(purchase) or count(click, 1w) > 3 or not last(email) exists",
            },
            "b": {"enter": "orders > 1"},
            "c": {"enter": 'member("b")', "exit": "false"},
        },
    }
    found = [[text(one) for one in evidence(segment)] for segment in load(json.dumps(content), "f").segments]
    assert found == [
        [
            "last(click)",
            "gap(click)",
            'trait("x")',
            "persona",
            "count(purchase)",
            "first(click where price > 3)",
            "count(click, 7d)",
            "last(email)",
        ],
        ["count(purchase)"],
        [],
    ]
