"""Conditions, values and changes in words: all of the language, and what they say."""

from __future__ import annotations

import json
from random import Random
from zoneinfo import ZoneInfo

import pytest

from stream.contract import KNOWN_ACTIONS, Kind
from stream.dashboard.words import Words
from stream.dashboard.words.amounts import about, ago
from stream.dashboard.words.conditions import said
from stream.dashboard.words.features import When, noun, phrase, phrases
from stream.instants import format_instant, parse_instant
from stream.language.checker import load
from stream.language.meaning import evidence
from stream.language.tree import Aggregate, Definitions, Expression, Function, Segment, Type
from tests.strategies import random_case

AT = "2025-10-09T10:00:00.000Z"
AT_MS = parse_instant(AT)
BERLIN = ZoneInfo("Europe/Berlin")
WHEN = When(AT_MS, BERLIN)
FIELDS = "fields:\n  click: {gift: boolean, rating: number}\n"
PERSONAS = "personas: {features: {clicks: count(click)}, k: 2, aliases: {p1: hunters}}\n"


def segment(enter: str, **keys: object) -> Segment:
    lines = "".join(f"\n    {key}: {value}" for key, value in keys.items())
    segments = f"segments:\n  earlier:\n    enter: 'true'\n  one:\n    enter: |\n      {enter}{lines}\n"
    return load(f"version: 1\n{FIELDS}{PERSONAS}{segments}", "x").segments[1]


def condition(enter: str) -> Expression:
    return segment(enter).enter


CONDITIONS = {
    # How many
    "count(purchase) >= 3": "3 or more orders",
    "count(purchase) == 1": "exactly 1 order",
    "count(purchase) < 3": "fewer than 3 orders",
    "count(purchase) <= 3": "3 or fewer orders",
    "count(purchase) != 3": "other than 3 orders",
    "count(click, 7d) > 20": "more than 20 clicks within 7 days",
    "20 < count(click, 7d)": "more than 20 clicks within 7 days",
    "count(click, 7d) >= 1": "clicked within 7 days",
    "count(click, 7d) == 0": "did not click within 7 days",
    "never(purchase)": "never bought",
    "count(email where action == 'opened') > 0": "opened an e-mail at least once",
    "count(purchase) > count(email)": "the number of orders is more than the number of e-mail events",
    # Sums and the like
    "sum(purchase.total, 90d) >= 500": "spent 500 or more within 90 days",
    "sum(purchase.total where coupon exists) < 50.5": "spent less than 50.5 on orders with a coupon",
    "sum(click.price, 1d) > 5": "the total price of clicks within 1 day is more than 5",
    "avg(purchase.total) >= 80": "the average total of orders is 80 or more",
    "min(click.price, 30d) < 5": "the smallest price of clicks within 30 days is less than 5",
    "max(purchase.total) == 99": "the largest total of orders is exactly 99",
    "distinct(click.category, 24h) >= 4": "the number of different categories in clicks within 1 day is 4 or more",
    "gap(purchase) < 14d": "the mean time from one of the orders to the next is less than 14 days",
    "p_alive(purchase) < 0.3": "less than 30 % likely to buy ever again",
    "p_buy(purchase, 90d) >= 0.125": "12.5 % or more likely to buy within 90 days",
    "0.2 > p_buy(purchase, 90d)": "less than 20 % likely to buy within 90 days",
    # When
    "since(last(purchase)) < 30m": "bought within the last 30 minutes",
    "since(last(click)) < 1d": "clicked within the last day",
    "since(last(purchase)) >= 180d": "last bought 180 days ago or longer",
    "since(last(purchase)) > 180d": "last bought longer than 180 days ago",
    "7d > since(first(click))": "first clicked less than 7 days ago",
    "since(first(click)) >= 36h": "first clicked 1 day 12 hours ago or longer",
    "since(last(purchase)) > gap(purchase) * 3": "last bought longer than "
    "the mean time from one of the orders to the next times 3 ago",
    "since(last(purchase) + 1d) >= 2d": "the last order plus 1 day was 2 days ago or longer",
    'last(click where action == "add_to_cart") after last(purchase)': "put something into the cart and did not buy "
    "since then",
    "first(click) after last(email)": "the first click was after the last e-mail event, or the latter never was",
    "first(click) before first(email)": "the first click was before the first e-mail event, or the latter never was",
    "last(click) > last(purchase)": "the last click was after the last order",
    "last(click) - first(click) >= 1d": "the time from the first click to the last click is 1 day or more",
    "exists(last(email where action == 'bounced'))": "had an e-mail bounce at least once",
    # Values of fields and traits
    'last(click.device) in ["phone", "tablet"]': "the device of the last click is “phone” or “tablet”",
    'last(click.country) not in ["DE"]': "the country of the last click is known and not “DE”",
    'first(click.product_id) == "p1"': "the product of the first click is “p1”",
    'last(click.referrer) contains "mail"': "the referring page of the last click contains “mail”",
    'last(click.url) starts_with "/a"': "the address of the last click begins with “/a”",
    'trait("email") ends_with ".de"': "the trait “email” ends with “.de”",
    "last(click.gift)": "the gift of the last click is yes",
    'trait("plan") != "free"': "the trait “plan” is known and not “free”",
    'trait("age") + 1 > 18': "the trait “age” plus 1 is more than 18",
    "last(click.price) exists": "the price of the last click is known",
    'persona == "hunters"': "the persona is “hunters”",
    "rank(sum(purchase.total, 90d)) >= 0.9": "the rank by the money spent within 90 days is 90 % or more",
    "0.5 > rank(last(purchase))": "the rank by the age of the last order is less than 50 %",
    "rank(count(click, 7d) / (count(click) + 1)) * 2 < 1": (
        "the rank by the number of clicks within 7 days divided by (the number of clicks plus 1) times 2 is less than 1"
    ),
    "rfm(purchase, 365d) == '555'": "the RFM score of orders within 365 days is “555”",
    "rfm(purchase where coupon exists, 30d) in ['555', '554']": (
        "the RFM score of orders with a coupon within 30 days is “555” or “554”"
    ),
    "rfm(purchase, 365d) starts_with '1'": "the RFM score of orders within 365 days begins with “1”",
    'member("earlier")': "is a member of “earlier”",
    # Calculations
    "(count(click) + count(email)) * 2 / count(purchase) > 5": "((the number of clicks plus the number of e-mail "
    "events) times 2) divided by the number of orders is more than 5",
    "count(purchase) - 1 >= 2": "the number of orders minus 1 is 2 or more",
    # Joined
    "never(purchase) and never(email)": "never bought and never had an e-mail event",
    "never(purchase) or never(click) and never(email)": "never bought or (never clicked and never had an e-mail event)",
    "not (never(purchase) or count(click) < 3)": "bought at least once and not fewer than 3 clicks",
    "not since(last(click)) < 30d": "did not click within the last 30 days",
    "not since(last(click)) >= 30d": "last clicked less than 30 days ago, or never",
    'not member("earlier")': "is no member of “earlier”",
    'not last(click.device) in ["a"]': "the device of the last click is not “a”",
    'not trait("plan") not in ["a"]': "the trait “plan” is “a”, or not known",
    "true": "always",
    "(count(click, 1h) > 5) != (count(email, 7d) > 5)": "whether it is so that (more than 5 clicks within 1 hour) "
    "is known and not whether it is so that (more than 5 e-mail events within 7 days)",
}


@pytest.mark.parametrize("written", CONDITIONS)
def test_a_condition_in_words(written: str) -> None:
    assert said(condition(written)).yes == CONDITIONS[written]


EVENTS = {
    "click where action == 'wished'": "more than 5 “wished” clicks",
    "click where action in ['search', 'wished']": "more than 5 searches or “wished” clicks",
    "click where action == 'search' and device == 'phone'": "more than 5 searches with device “phone”",
    "click where action != 'search'": "more than 5 clicks with an action other than “search”",
    "click where price >= 20 and price < 50": "more than 5 clicks with a price of 20 or more and with a price below 50",
    "click where price > 20 or price <= 5": "more than 5 clicks with a price above 20 or with a price of 5 or less",
    "click where category in ['a', 'b', 'c']": "more than 5 clicks with category “a”, “b” or “c”",
    "click where category not in ['a']": "more than 5 clicks with a category other than “a”",
    "click where url contains '/sale/'": "more than 5 clicks whose address contains “/sale/”",
    "click where url starts_with '/a'": "more than 5 clicks whose address begins with “/a”",
    "click where url ends_with '/a'": "more than 5 clicks whose address ends with “/a”",
    "purchase where coupon exists": "more than 5 orders with a coupon",
    "purchase where not coupon exists": "more than 5 orders without a coupon",
    "click where gift and not rating < 3": "more than 5 clicks with gift yes and not with a rating below 3",
    "click where (gift or price > 3) and device == 'x'": "more than 5 clicks (with gift yes or with a price above 3) "
    "and with device “x”",
}


@pytest.mark.parametrize("events", EVENTS)
def test_events_in_words(events: str) -> None:
    assert said(condition(f"count({events}) > 5")).yes == EVENTS[events]


@pytest.mark.parametrize(
    ("kind", "action"),
    [(kind, action) for kind, actions in KNOWN_ACTIONS.items() for action in actions],
)
def test_every_known_action_has_words_of_its_own(kind: Kind, action: str) -> None:
    words = said(condition(f"count({kind.word} where action == '{action}') > 5")).yes
    assert "“" not in words
    assert kind.word not in words.split() or action == "clicked"


VALUES: dict[str, list[tuple[object, str]]] = {
    "count(purchase) > 0": [(3, "3 orders"), (1, "1 order"), (0, "never bought")],
    "count(click where action == 'add_to_cart', 7d) > 5": [
        (2, "2 additions to the cart within 7 days"),
        (0, "did not put something into the cart within 7 days"),
    ],
    "sum(purchase.total, 90d) > 5": [(1620.5, "spent 1,620.5 within 90 days")],
    "sum(purchase.total where coupon exists) > 5": [(3, "spent on orders with a coupon 3")],
    "sum(click.price) > 5": [(3, "total price of clicks: 3")],
    "avg(purchase.total) > 5": [
        (80.333333, "average total of orders: 80.33"),
        (None, "average total of orders: not known"),
    ],
    "min(click.price, 1d) > 5": [(0.001, "smallest price of clicks within 1 day: 0.001")],
    "max(purchase.total) > 5": [(None, "largest total of orders: not known")],
    "distinct(click.category, 24h) > 5": [
        (1, "1 different category in clicks within 1 day"),
        (32, "32 or more different categories in clicks within 1 day"),
    ],
    "last(purchase) exists": [("2025-09-27T10:00:00.000Z", "last bought 12 days ago"), (None, "never bought")],
    "first(click) exists": [
        (AT, "first clicked just now"),
        ("2024-12-31T23:30:00.000Z", "first clicked on 1 January 2025"),
    ],
    "last(click.device) exists": [
        ("<b>", "device of the last click: “<b>”"),
        (None, "device of the last click: not known"),
    ],
    "first(click.gift) == true": [(True, "gift of the first click: yes")],
    "gap(purchase) > 1d": [
        (1_728_000_000, "20 days from one of the orders to the next"),
        (None, "fewer than two orders"),
    ],
    "p_alive(purchase) > 0.5": [(0.8374, "84 % likely to buy ever again"), (None, "never bought")],
    "p_buy(purchase, 90d) > 0.5": [
        (0.8374, "84 % likely to buy within 90 days"),
        (0.0001, "less than 1 % likely to buy within 90 days"),
    ],
    "trait('plan') == 'vip'": [("vip", "plan: “vip”"), (3, "plan: 3"), (False, "plan: no"), (None, "plan: not known")],
    "rank(sum(purchase.total, 90d)) > 0.9": [
        (0.925, "rank 92.5 % by the money spent within 90 days"),
        (None, "no rank by the money spent within 90 days"),
    ],
    "rfm(purchase, 365d) exists": [
        ("545", "RFM score of orders within 365 days: “545”"),
        (None, "no RFM score of orders within 365 days"),
    ],
    "persona == 'p2'": [("p2", "persona “p2”"), (None, "no persona")],
}


@pytest.mark.parametrize("written", VALUES)
def test_a_value_in_words(written: str) -> None:
    one, *_ = evidence(segment(written, exit="'false'"))
    for value, words in VALUES[written]:
        assert phrase(one, value, WHEN) == words  # type: ignore[arg-type]


def test_every_function_is_tried() -> None:
    tried = {
        one.function
        for written in VALUES
        for one in evidence(segment(written, exit="'false'"))
        if isinstance(one, Aggregate)
    }
    assert tried == set(Function)


def test_how_many_and_when_last_come_together() -> None:
    last = "2025-09-27T10:00:00.000Z"
    both = evidence(segment("count(purchase) >= 1 and since(last(purchase)) < 90d and p_buy(purchase, 90d) > 0.5"))
    assert phrases(zip(both, (3, last, 0.84), strict=True), WHEN) == [
        "3 orders, the last 12 days ago",
        "84 % likely to buy within 90 days",
    ]
    assert phrases(zip(both, (0, None, None), strict=True), WHEN) == ["never bought"]


def test_a_segment_in_sentences() -> None:
    one = segment(
        "since(last(click)) >= 30m and never(purchase)",
        exit="count(purchase) >= 1 or since(last(click)) >= 7d",
        **{"for": "1h", "min_stay": "10m", "cooldown": "12h", "once": "true", "holdout": "0.05", "to": "[a-b, c]"},
    )
    words = Words(Definitions((one,)))
    assert words.segment("one") == [
        "Enters when all of this holds: last clicked 30 minutes ago or longer; never bought.",
        "Leaves when any of this holds: bought at least once; last clicked 7 days ago or longer.",
        "Enters only after that has been so for 1 hour without interruption.",
        "Stays for 10 minutes at least.",
        "Does not enter again within 12 hours after leaving.",
        "Enters only once.",
        "5 % of the customers are held out: they are members, and left alone.",
        "Changes also go to a-b and c.",
    ]


def test_exits_that_are_not_written_and_that_never_come() -> None:
    assert (
        Words(_definitions("    enter: never(click)\n")).segment("one")[1] == "Leaves as soon as that is no longer so."
    )
    never = Words(_definitions("    enter: never(click)\n    exit: false\n"))
    assert never.segment("one")[1] == "Never leaves."


def _definitions(keys: str) -> Definitions:
    return load(f"version: 1\nsegments:\n  one:\n{keys}", "x")


def change(**keys: object) -> dict[str, object]:
    made = {
        "segment": "one",
        "change": "entered",
        "at": AT,
        "cause": "event",
        "values": {"count(click)": 2, "last(purchase)": "2025-10-09T09:30:00.000Z"},
    }
    return {**made, **keys}


def test_a_change_tells_what_decided() -> None:
    words = Words(_definitions("    enter: count(click) >= 2\n    exit: since(last(purchase)) < 30d\n"), BERLIN)
    assert words.change(change()) == "2 clicks"
    assert words.change(change(change="exited")) == "last bought 30 minutes ago"
    assert words.change(change(cause="definitions")) == "new definitions: 2 clicks"
    assert words.change(change(cause="erasure", values={}, change="erased", segment=None)).startswith("all that was")


def test_a_change_under_other_definitions_tells_what_is_known() -> None:
    words = Words(_definitions("    enter: count(click) >= 2\n"))
    assert words.change(change(segment="gone", values={"count(click)": 2, "what(ever)": 1})) == "2 clicks"
    assert words.change(change(values={"what(ever)": 1})) == ""


def test_comparisons_have_words_by_their_text() -> None:
    words = Words(_definitions("    enter: not (count(click) >= 2 or never(purchase))\n"))
    assert words.condition("count(click) >= 2") == "2 or more clicks"
    assert words.condition("count(purchase) == 0") == "never bought"
    assert words.condition("something(else)") == "something(else)"


def test_times_are_told_in_the_shops_zone() -> None:
    midnight = parse_instant("2024-12-31T23:30:00Z")
    assert ago(midnight, AT_MS, BERLIN) == "on 1 January 2025"
    assert ago(midnight, AT_MS, ZoneInfo("UTC")) == "on 31 December 2024"
    assert ago(AT_MS + 7_200_000, AT_MS, BERLIN) == "in 2 hours"
    assert [about(ms) for ms in (7_199_999, 7_200_000, 1_999)] == ["119 minutes", "2 hours", "1 second"]


@pytest.mark.parametrize("seed", range(40))
def test_random_definitions_have_words(seed: int) -> None:
    """Whatever the language allows can be said; twice turned it is the same."""
    definitions = load(json.dumps(random_case(Random(seed))[0]), "x")
    words = Words(definitions, BERLIN)
    for one in definitions.segments:
        for sentence in words.segment(one.name):
            assert sentence.endswith(".")
            assert "Aggregate(" not in sentence
        assert said(one.enter).turned().turned() == said(one.enter)
        for leaf in evidence(one):
            values: list[object] = [None, True, "x", 0.5, 3]
            if isinstance(leaf, Aggregate):
                assert noun(leaf)
                is_text = leaf.type is Type.TEXT
                is_instant = leaf.type is Type.INSTANT
                values = [None, format_instant(5)] if is_instant else [None, "x"] if is_text else [0.5, 3]
            for value in values:
                assert phrase(leaf, value, WHEN)  # type: ignore[arg-type]
