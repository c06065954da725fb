"""The reference itself: against the shared conformance cases, published figures, and changes worked out by hand."""

from __future__ import annotations

import csv
import gzip
import json
import math
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from stream.language import canonical
from stream.language.checker import load
from tests import strategies
from tests.reference import (
    WEEK,
    Customer,
    Definitions,
    Model,
    Reference,
    evidence_text,
    feed,
    instant,
    p_alive,
    p_buy,
    replay,
)

DATA = Path(__file__).parents[1].parent / "shared" / "data"
DEFAULT = {"model": "bgnbd", "r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def shared(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"../shared/data/{name} is not here")
    return DATA / name


# --- The shared cases ---------------------------------------------------------------------------------------------


def assert_same(got: list[dict[str, Any]], want: list[dict[str, Any]], tolerance_ms: int) -> None:
    """Compare all but `quiet`: numbers to 9 digits, instants of changes to ``tolerance_ms``."""
    assert [change["id"] for change in got] == [change["id"] for change in want]
    for mine, theirs in zip(got, want, strict=True):
        mine = {key: value for key, value in mine.items() if key != "quiet"}
        apart = abs(instant(mine.pop("at")) - instant(theirs["at"]))
        assert apart <= tolerance_ms, theirs["id"]
        values = mine.pop("values")
        assert mine == {key: value for key, value in theirs.items() if key not in ("at", "values")}
        assert list(values) == list(theirs["values"])
        for text, value in theirs["values"].items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                assert values[text] == pytest.approx(value, rel=1e-15, abs=1.5e-9), (theirs["id"], text)
            else:
                assert (type(values[text]), values[text]) == (type(value), value), (theirs["id"], text)


def test_shared_cases() -> None:
    cases = [json.loads(line) for line in shared("cases.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(cases) == 60
    for case in cases:
        tolerance = 1 if "p_alive" in str(case["definitions"]) or "p_buy" in str(case["definitions"]) else 0
        got = replay(case["definitions"], case["events"], case["until"])
        assert_same(json.loads(json.dumps(got)), case["changes"], tolerance)


# --- The churn models ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "t_x", "now", "expected"),
    [
        (2, 30.43, 38.86, 0.726579),
        (23, 39, 39, 0.968555),
        (23, 30, 39, 0.122153),
        (1, 1.71, 38.86, 0.212101),
        (7, 29.43, 38.86, 0.641756),
        (0, 0, 38.86, 1),
    ],
)
def test_p_alive_check_values(x: int, t_x: float, now: float, expected: float) -> None:
    assert p_alive(DEFAULT, x, t_x, now) == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize(("x", "t_x", "crossing"), [(1, 5, 18.731), (3, 20, 37.072), (23, 30, 35.468)])
def test_p_alive_crossings(x: int, t_x: float, crossing: float) -> None:
    assert p_alive(DEFAULT, x, t_x, crossing - 0.0005) > 0.5 > p_alive(DEFAULT, x, t_x, crossing + 0.0005)


@pytest.mark.parametrize(
    ("x", "t_x", "now", "expected"), [(2, 30.43, 38.86, 0.323491), (0, 0, 38.86, 0.061837), (7, 29.43, 38.86, 0.546019)]
)
def test_p_buy_check_values(x: int, t_x: float, now: float, expected: float) -> None:
    assert p_buy(DEFAULT, x, t_x, now, 13) == pytest.approx(expected, abs=5e-7)


def test_mbgnbd_doubts_one_time_buyers() -> None:
    model = {**DEFAULT, "model": "mbgnbd"}
    expected = 1 / (1 + 0.793 / 2.426 * ((4.414 + 10) / 4.414) ** 0.243)
    assert p_alive(model, 0, 0, 10) == pytest.approx(expected, rel=1e-14)
    assert p_alive(model, 300, 0.5, 3000) == 0  # the power overflows


def test_p_alive_of_every_cdnow_customer() -> None:
    model = {"model": "bgnbd", "r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}
    with gzip.open(shared("cdnow_bgnbd.csv.gz"), "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2357
    for row in rows:
        got = p_alive(model, int(row["x"]), float(row["t_x"]), float(row["T"]))
        assert got == pytest.approx(float(row["p_alive"]), abs=1e-4), row["customer_id"]


def test_p_alive_fires_at_its_crossing() -> None:
    days = [7 * week for week in (0, 4, 12, 20)]  # x = 3, t_x = 20
    events = [purchase(f"e{day}", day * DAY) for day in days]
    (change,) = replay(file({"enter": "p_alive(purchase) < 0.5"}), events, until=50 * WEEK)
    at = instant(change["at"])
    assert at == pytest.approx(37.072 * WEEK, abs=0.0005 * WEEK)
    assert p_alive(DEFAULT, 3, 20, at / WEEK) < 0.5 <= p_alive(DEFAULT, 3, 20, (at - 1) / WEEK)


# --- Changes worked out by hand -----------------------------------------------------------------------------------


def file(*segments: dict[str, Any], **top: Any) -> dict[str, Any]:
    return {"version": 1, **top, "segments": {f"s{place}": body for place, body in enumerate(segments)}}


def click(event_id: str, at: int | str, customer: str = "a", **more: Any) -> dict[str, Any]:
    return {
        "type": "click",
        "event_id": event_id,
        "customer_id": customer,
        "timestamp": at,
        "action": "page_view",
        **more,
    }


def purchase(event_id: str, at: int | str, customer: str = "a", **more: Any) -> dict[str, Any]:
    common = {"type": "purchase", "event_id": event_id, "customer_id": customer, "timestamp": at}
    return {**common, "order_id": f"o-{event_id}", "total": 10, **more}


def brief(changes: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(change["segment"], change["change"], instant(change["at"])) for change in changes]


def test_a_window_lets_go_at_bucket_borders() -> None:
    definitions = file({"enter": "count(click, 24h) >= 1"})  # 24 buckets of an hour
    got = replay(definitions, [click("e0", 90 * MINUTE)], until=5 * DAY)
    assert brief(got) == [("s0", "entered", 90 * MINUTE), ("s0", "exited", 25 * HOUR)]
    assert brief(replay(definitions, [click("e0", 90 * MINUTE)], until=25 * HOUR - 1)) == [
        ("s0", "entered", 90 * MINUTE)
    ]


def test_since_against_a_fractional_gap() -> None:
    # Clicks at 0, 1 and 3 ms. After two of them the mean gap is 1 ms, and 1.5 ms after the last is past at 3; after all
    # three it is 1.5 ms, and 2.25 ms after the last is past at 6.
    definitions = file({"enter": "since(last(click)) > 1.5 * gap(click)", "exit": "since(last(click)) <= 0 * 1d"})
    got = replay(definitions, [click(f"e{at}", at) for at in (0, 1, 3)], until=DAY)
    assert brief(got) == [("s0", "entered", 3), ("s0", "exited", 3), ("s0", "entered", 6)]


def test_since_against_a_side_that_steps() -> None:
    # One click's bucket leaves at 2 h: 10 m * 2 becomes 10 m * 1 in the middle of the wait.
    definitions = file({"enter": "since(last(purchase)) > 10m * count(click, 2h)"}, buckets=2)
    events = [click("e0", 1), click("e1", HOUR), purchase("e2", 2 * HOUR - 15 * MINUTE)]
    assert brief(replay(definitions, events, until=2 * HOUR + MINUTE)) == [("s0", "entered", 2 * HOUR)]


def test_for_cooldown_min_stay_and_once() -> None:
    definitions = file(
        {"enter": "since(last(click)) < 1m", "for": "20s"},
        {"enter": "since(last(click)) < 10s", "min_stay": "1m"},
        {"enter": "since(last(click)) < 10s", "cooldown": "15s"},
        {"enter": "since(last(click)) < 10s", "once": True},
    )
    got = brief(replay(definitions, [click("e0", 0), click("e1", 20_000)], until=DAY))
    assert [row for row in got if row[0] == "s0"] == [("s0", "entered", 20_000), ("s0", "exited", 80_000)]
    assert [row for row in got if row[0] == "s1"] == [("s1", "entered", 0), ("s1", "exited", 60_000)]
    assert [row[1:] for row in got if row[0] == "s2"] == [
        ("entered", 0),
        ("exited", 10_000),
        ("entered", 25_000),
        ("exited", 30_000),
    ]
    assert [row for row in got if row[0] == "s3"] == [("s3", "entered", 0), ("s3", "exited", 10_000)]


def test_a_late_event_counts_where_it_belongs() -> None:
    definitions = file({"enter": "count(click, 24h) >= 2"}, {"enter": "first(click) before last(purchase)"})
    events = [purchase("e0", 30 * HOUR), click("e1", 29 * HOUR), click("e2", 5 * HOUR), click("e3", 7 * HOUR)]
    assert brief(replay(definitions, events)) == [("s1", "entered", 30 * HOUR), ("s0", "entered", 30 * HOUR)]


def test_duplicates_by_event_and_order() -> None:
    definitions = file({"enter": "sum(purchase.total) == 0.3"}, dedupe={"events": 1, "orders": 2})
    events = [
        purchase("e0", 0, total=0.1),
        purchase("e0", DAY, total=0.2),  # the same event
        purchase("e1", DAY, total=0.2, order_id="o-e0"),  # the same order
        purchase("e2", HOUR, total=0.2),
    ]
    assert brief(replay(definitions, events)) == [("s0", "entered", HOUR)]


def test_an_event_loses_against_a_timer_of_the_same_instant() -> None:
    definitions = file({"enter": "since(last(click)) >= 1m"})
    got = replay(definitions, [click("e0", 0), click("e1", MINUTE)])
    assert [(change["cause"], change["change"], change["at"]) for change in got] == [
        ("timer", "entered", "1970-01-01T00:01:00.000Z"),
        ("event", "exited", "1970-01-01T00:01:00.000Z"),
    ]


def test_values_of_different_types() -> None:
    definitions = file(
        {"enter": 'trait("x") == 1'},
        {"enter": 'trait("x") != "1"'},
        {"enter": '(count(click) > 0) == trait("x")'},
        {"enter": 'since(last(click)) >= trait("x") * 1m'},
        {"enter": 'not trait("x")'},
    )
    for value, expected in ((1, "s0 s1 s4 s3"), (True, "s1 s2"), ("1", "s4"), (None, "s4"), ([1], "s4")):
        got = replay(definitions, [click("e0", 0, traits={"x": value})], until=HOUR)
        assert " ".join(change["segment"] for change in got) == expected, value


def test_the_event_clock_fires_for_silent_customers() -> None:
    reference = Reference(file({"enter": "since(last(click)) >= 1m"}), clock="event", lateness_ms=5_000)
    assert reference.apply(click("e0", 0)) == []
    assert reference.apply(click("e1", MINUTE + 4_999, "b")) == []
    assert brief(reference.apply(click("e1", MINUTE + 5_000, "b"))) == [("s0", "entered", MINUTE)]  # a duplicate
    assert reference.members("s0") == {"a"}
    assert (reference.sequence("a"), reference.sequence("b")) == (1, 0)
    # The clock of a stands at the instant of its timer, so that this click is late.
    assert brief(reference.apply(click("e2", 30_000, "a"))) == [("s0", "exited", MINUTE)]
    assert brief(reference.advance(HOUR)) == [("s0", "entered", 90_000), ("s0", "entered", 2 * MINUTE + 4_999)]


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.0019z", 1),
        ("2020-09-13T05:53:30.074999-08:00", 1_600_005_210_074),
        ("1969-12-31T23:59:00.5-00:01", 500),
        ("9999-12-31T23:59:59.999+00:00", 253_402_300_799_999),
    ],
)
def test_timestamps(text: str, ms: int) -> None:
    assert instant(text) == ms


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59.999Z", "1970-01-01T00:00:60Z", "1970-01-01 00:00:00Z", -1])
def test_refused_timestamps(text: str | int) -> None:
    with pytest.raises(ValueError):
        instant(text)


@pytest.mark.parametrize(
    ("expression", "canonical"),
    [
        ("count(click  where(action=='a\"b')or(not(price>5.0)) ,7w1d) > 1", None),
        ("never(click where exists(price) and (quantity == -0.5))",
         "count(click where price exists and quantity == -0.5)"),
        ("p_buy( purchase,1d12h)<0.1", "p_buy(purchase, 36h)"),
        ("since(first(click where not (price > 1 and price < 2))) > 1ms",
         "first(click where not (price > 1 and price < 2))"),
        ("exists(trait('a'))", 'trait("a")'),
        ("count(click where (price > 1 or price < 0) and (device in ['x','y'])) > 0",
         'count(click where (price > 1 or price < 0) and device in ["x", "y"])'),
    ],
)  # fmt: skip
def test_canonical_text(expression: str, canonical: str | None) -> None:
    canonical = canonical or "count(click where action == 'a\"b' or not price > 5, 50d)"
    (named,) = Definitions(file({"enter": expression})).segments[0].named
    assert evidence_text(named) == canonical
    # Canonical text reads back as itself.
    if canonical.startswith("count"):
        assert Definitions(file({"enter": f"{canonical} > 1"})).segments[0].named == (named,)


@pytest.mark.parametrize(
    "enter",
    ["", "count(click", "count(clicks) > 1", "count(click) > > 1", "1 < count(click) < 2", "nothing > 1",
     "sum(click) > 1"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(enter: str) -> None:
    with pytest.raises(ValueError):
        Definitions(file({"enter": enter}))


# --- Changing the definitions -------------------------------------------------------------------------------------


def named(**segments: Any) -> dict[str, Any]:
    return {"version": 1, "segments": segments}


def test_gone_segments_exit_first_and_the_pass_is_stamped_with_the_stream_clock() -> None:
    old = named(kept={"enter": "count(click) >= 1"}, gone={"enter": "count(click) >= 1", "min_stay": "1d"})
    reference = Reference(old, clock="event")
    reference.apply(click("e0", 0))
    reference.apply(click("e0", MINUTE, "b"))
    got = reference.redefine(named(new={"enter": "count(click) >= 1"}, kept={"enter": "count(click) >= 2"}), quiet=True)
    assert [(change["customer_id"], change["segment"], change["change"]) for change in got] == [
        ("a", "gone", "exited"),
        ("a", "new", "entered"),
        ("a", "kept", "exited"),
        ("b", "gone", "exited"),
        ("b", "new", "entered"),
        ("b", "kept", "exited"),
    ]
    assert {(change["at"], change["cause"], change["event_id"], change["quiet"]) for change in got} == {
        ("1970-01-01T00:01:00.000Z", "definitions", None, True)
    }
    assert got[0]["values"] == {}
    assert got[1]["values"] == {"count(click)": 1}


def test_a_segment_without_history_enters_nobody() -> None:
    new = named(s={"enter": "never(email)"}, t={"enter": "since(last(click)) > 1h"})
    reference = Reference(named(t={"enter": "since(last(click)) > 2h"}))
    reference.apply(click("e0", 0))
    assert reference.redefine(new) == []
    assert brief(reference.advance(DAY)) == [("t", "entered", HOUR + 1)]  # that look let nobody into s
    assert brief(reference.apply(click("e1", DAY)))[0] == ("s", "entered", DAY)

    asked = Reference(named(t={"enter": "since(last(click)) > 2h"}))
    asked.apply(click("e0", 0))
    assert brief(asked.redefine(new, allow_empty=True)) == [("s", "entered", 0)]


def test_aggregates_keep_their_history_by_text_and_buckets() -> None:
    old = file({"enter": "count(click) >= 9"}, {"enter": "count(click, 1d) >= 9"})
    reference = Reference(old)
    for place in range(3):
        reference.apply(click(f"e{place}", place))
    new = {**file({"enter": "count(click) >= 3"}, {"enter": "count(click, 1d) >= 1"}), "buckets": 12}
    assert brief(reference.redefine(new)) == [("s0", "entered", 2)]
    assert brief(reference.apply(click("e9", 9))) == [("s1", "entered", 9)]  # counts from the change on


def test_eligibility_starts_anew_where_the_conditions_changed() -> None:
    definitions = {"enter": "count(click) >= 1", "for": "1h"}
    for new, at in (
        ({"enter": "(count(click) >= 1)", "for": "60m", "owner": "me"}, HOUR),
        ({"enter": "count(click) >= 0", "for": "1h"}, HOUR + 30 * MINUTE),
        ({"enter": "count(click) >= 1", "for": "2h"}, 2 * HOUR + 30 * MINUTE),
    ):
        reference = Reference(file(definitions), clock="event")
        reference.apply(click("e0", 0))
        reference.apply(click("e0", 30 * MINUTE, "b"))
        assert reference.redefine(file(new)) == []
        assert ("s0", "entered", at) in brief(reference.advance(DAY))


# --- Personas -----------------------------------------------------------------------------------------------------


def clustered(*segments: dict[str, Any], features: dict[str, str] | None = None, **section: Any) -> dict[str, Any]:
    """A file whose customers are compared by the number of their clicks, if nothing else is said."""
    personas = {"features": features or {"clicks": "count(click)"}, "k": 2, **section}
    return file(*(segments or ({"enter": "never(click)"},)), personas=personas)


def model(effective_ms: int, scale: float = 1.0, **personas: float) -> Model:
    """A model over one feature: its personas with what their members typically have of it."""
    centres = [(int(name[1:]), [math.log1p(value)]) for name, value in personas.items()]
    return Model(effective_ms, [scale], centres)


def clicks(*instants: int) -> list[dict[str, Any]]:
    return [click(f"e{place}", at) for place, at in enumerate(instants)]


def test_nobody_has_a_persona_before_the_first_model() -> None:
    definitions = clustered({"enter": "persona exists"}, {"enter": 'persona == "p1"'})
    assert replay(definitions, clicks(0, 1), until=DAY) == []
    assert replay(file({"enter": "persona exists"}), clicks(0, 1), until=DAY) == []  # nor ever without


def test_a_model_gives_everybody_the_nearest_and_segments_see_it_at_once() -> None:
    definitions = clustered({"enter": 'persona == "p2"'}, {"enter": 'persona == "many"'}, aliases={"p2": "many"})
    got = replay(definitions, clicks(0, 1, 2), models=[model(2, p1=1, p2=3)])
    # It is decided with two clicks, just before the third: log(3) is nearer to log(4) than to log(2).
    assert [(change["segment"], change["change"], change["cause"]) for change in got] == [
        ("persona_p2", "entered", "model"),
        ("s0", "entered", "model"),
        ("s1", "entered", "model"),
    ]
    assert [change["sequence"] for change in got] == [1, 2, 3]
    assert {change["at"] for change in got} == {"1970-01-01T00:00:00.002Z"}
    assert got[0] == {
        "id": "a:1",
        "customer_id": "a",
        "segment": "persona_p2",
        "change": "entered",
        "at": "1970-01-01T00:00:00.002Z",
        "sequence": 1,
        "cause": "model",
        "event_id": None,
        "values": {"count(click)": 2},
        "holdout": False,
        "quiet": False,
    }
    assert got[1]["values"] == {"persona": "many"}


def test_a_customer_who_comes_after_the_model_has_a_persona_with_the_first_event() -> None:
    got = replay(clustered(), [*clicks(0, 5), click("f0", 6, "b")], models=[model(5, p1=1, p2=50)])
    assert [(c["customer_id"], c["segment"], instant(c["at"]), c["cause"], c["event_id"]) for c in got] == [
        ("a", "persona_p1", 5, "model", None),
        ("b", "persona_p1", 6, "event", "f0"),
    ]


def test_of_two_that_are_equally_near_the_first_in_the_model_is_taken() -> None:
    for order in (("p7", "p3"), ("p3", "p7")):
        got = replay(clustered(), clicks(0), models=[Model(0, [1.0], [(int(id_[1:]), [1.0]) for id_ in order])])
        assert [change["segment"] for change in got] == [f"persona_{order[0]}"]


def test_a_customer_changes_only_where_the_other_is_nearer_by_the_margin() -> None:
    # Distances are log(1 + n) from 0 and from log 10: half way lies between 2 and 3 clicks. With a margin of a half the
    # other distance has to be below half of the present one: 1 + n > 10 ** (2 / 3) = 4.64, and n is 4. With 0.9 it is
    # 1 + n > 10 ** (1 / 1.1) = 8.11, and n is 8.
    for margin, at in ((0, 3), (0.5, 4), (0.9, 8)):
        definitions = clustered(margin=margin)
        got = replay(definitions, clicks(*range(1, 20)), models=[model(0, p1=0, p2=9)])
        at_first = next(change for change in got if change["segment"] == "persona_p2")
        assert (at_first["at"], at_first["change"]) == (f"1970-01-01T00:00:00.{at:03d}Z", "entered"), margin


def test_a_change_is_an_exit_and_an_entry_both_caused_by_the_event() -> None:
    got = replay(clustered(margin=0), clicks(1, 2, 3), models=[model(0, p1=0, p2=9)])
    assert [(c["segment"], c["change"], c["sequence"], c["cause"], c["event_id"]) for c in got] == [
        ("persona_p1", "entered", 1, "event", "e0"),
        ("persona_p1", "exited", 2, "event", "e2"),
        ("persona_p2", "entered", 3, "event", "e2"),
    ]
    assert [change["values"] for change in got] == [{"count(click)": 1}, {"count(click)": 3}, {"count(click)": 3}]


def test_a_persona_that_is_not_in_the_model_any_more_gives_way_to_the_nearest() -> None:
    models = [model(0, p1=1, p2=100), model(10, p3=2, p2=100), model(20, p3=1, p4=1)]
    got = replay(clustered(margin=0.9), clicks(0, 30), models=models)
    assert [(c["segment"], c["change"], instant(c["at"])) for c in got] == [
        ("persona_p1", "entered", 0),
        ("persona_p1", "exited", 10),
        ("persona_p3", "entered", 10),
    ]
    assert got[0]["cause"] == "event"  # the model came before the first customer
    assert brief(replay(clustered(), clicks(0, 30), models=[models[0], Model(9, [1.0], [])]))[1:] == [
        ("persona_p1", "exited", 9)
    ]


def test_who_is_not_active_has_no_persona_from_that_millisecond_on() -> None:
    mail = {"type": "email", "event_id": "m0", "customer_id": "a", "timestamp": HOUR}
    definitions = clustered({"enter": "not persona exists"}, active_within="90m")
    for events, end in (
        (clicks(0), 90 * MINUTE),
        ([*clicks(0), purchase("p", HOUR)], 150 * MINUTE),
        ([*clicks(0), {**mail, "action": "opened"}], 150 * MINUTE),
        ([*clicks(0), {**mail, "action": "clicked"}], 150 * MINUTE),
        ([*clicks(0), {**mail, "action": "delivered"}], 90 * MINUTE),
        ([click("e0", HOUR), click("e1", 30 * MINUTE)], 150 * MINUTE),  # a late one is not the latest
    ):
        got = replay(definitions, events, until=DAY, models=[model(0, p1=1, p2=9)])
        assert brief(got)[1:] == [("persona_p1", "exited", end), ("s0", "entered", end)]
        assert {change["cause"] for change in got[1:]} == {"timer"}
        assert brief(replay(definitions, events, until=end - 1, models=[model(0, p1=1, p2=9)])) == brief(got)[:1]


def test_only_mail_that_is_looked_at_makes_active() -> None:
    mail = {"type": "email", "event_id": "m0", "customer_id": "a", "timestamp": 0, "action": "delivered"}
    assert replay(clustered({"enter": "persona exists"}), [mail], until=DAY, models=[model(0, p1=0)]) == []


def test_a_window_lets_go_of_a_persona_at_bucket_borders() -> None:
    definitions = clustered(features={"clicks": "count(click, 24h)"}, margin=0)
    got = replay(definitions, clicks(90 * MINUTE, 100 * MINUTE, 3 * HOUR), until=4 * DAY, models=[model(0, p1=0, p2=9)])
    assert brief(got) == [
        ("persona_p1", "entered", 90 * MINUTE),
        ("persona_p1", "exited", 3 * HOUR),
        ("persona_p2", "entered", 3 * HOUR),
        ("persona_p2", "exited", 25 * HOUR),  # two clicks of three are gone
        ("persona_p1", "entered", 25 * HOUR),
    ]
    assert got[-1]["values"] == {"count(click, 1d)": 1}


def test_ages_grow_at_the_borders_of_buckets_of_the_time_of_activity() -> None:
    # 24 buckets of an hour. The click is at 01:30, so it is half an hour old from 02:00 on.
    days = {"p1": 0, "p2": 19 / 24}
    definitions = clustered(features={"seen": "last(click)"}, active_within="24h", margin=0)
    got = replay(definitions, clicks(90 * MINUTE), until=4 * DAY, models=[model(0, **days)])
    # log1p(x) passes the middle between 0 and log1p(19 / 24) at x = 0.3385 days, which is 8.1 hours.
    assert brief(got) == [
        ("persona_p1", "entered", 90 * MINUTE),
        ("persona_p1", "exited", 10 * HOUR),
        ("persona_p2", "entered", 10 * HOUR),
        ("persona_p2", "exited", 90 * MINUTE + DAY),
    ]
    assert {json.dumps(change["values"]) for change in got} == {'{"last(click)": "1970-01-01T01:30:00.000Z"}'}


def test_what_is_missing_counts_as_0_and_shows_as_null() -> None:
    features = {"bought": "last(purchase)", "mean": "avg(purchase.total) / 2", "pause": "1 + gap(click) / 1d"}
    models = [Model(0, [1.0, 0.5, 2.0], [(1, [3.0, 0.0, 0.0]), (2, [0.0, 0.0, 0.0])])]
    (only,) = replay(clustered({"enter": "false"}, features=features), clicks(0), models=models)
    assert only["segment"] == "persona_p2"
    assert only["values"] == {"last(purchase)": None, "avg(purchase.total) / 2": None, "1 + gap(click) / 1d": None}


def test_values_that_no_number_and_no_instant_can_say_are_missing() -> None:
    features = {"low": "first(click) - 1d", "high": "first(click) + gap(click) * 1e300", "huge": "count(click) * 1e308"}
    models = [Model(0, [1.0, 1.0, 1.0], [(1, [0.0, 0.0, 0.0])])]
    got = replay(clustered({"enter": "false"}, features=features), clicks(0, 5 * DAY), until=200 * DAY, models=models)
    assert [change["change"] for change in got] == ["entered", "exited"]
    assert list(got[0]["values"].values()) == [None, None, 1e308]
    assert list(got[1]["values"]) == ["first(click) - 1d", "first(click) + gap(click) * 1e300", "count(click) * 1e308"]
    assert list(got[1]["values"].values()) == [None, None, None]


def test_scales_say_how_much_a_feature_counts() -> None:
    features = {"clicks": "count(click)", "orders": "count(purchase)"}
    centres = [(1, [math.log(2), math.log(9)]), (2, [math.log(9), math.log(2)])]
    events = [click("e0", 0), click("e1", 0), purchase("e2", 0)]  # nearer to p2 by the orders, to p1 by the clicks
    for scales, expected in (([0.1, 10.0], 1), ([10.0, 0.1], 2)):
        got = replay(clustered(features=features, margin=0), events, models=[Model(0, scales, centres)])
        assert got[-1]["segment"] == f"persona_p{expected}"


def test_timers_due_at_the_instant_of_a_model_fire_under_the_one_before() -> None:
    definitions = clustered(features={"clicks": "count(click, 24h)"}, margin=0)
    models = [model(0, p1=0, p2=9), model(25 * HOUR, p1=9, p2=0)]
    got = replay(definitions, clicks(90 * MINUTE, 90 * MINUTE, 90 * MINUTE), until=2 * DAY, models=models)
    assert [(c["segment"], c["change"], c["cause"]) for c in got[-4:]] == [
        ("persona_p2", "exited", "timer"),
        ("persona_p1", "entered", "timer"),
        ("persona_p1", "exited", "model"),
        ("persona_p2", "entered", "model"),
    ]
    assert {change["at"] for change in got[-4:]} == {"1970-01-02T01:00:00.000Z"}


def test_a_model_that_changes_nothing_leaves_the_clock_alone() -> None:
    definitions = clustered({"enter": "count(purchase) >= 1"})
    models = [model(0, p1=1, p2=9), model(50, p1=2, p2=9)]
    got = replay(definitions, [*clicks(0), click("f", 50, "b"), purchase("e9", 20)], models=models)
    assert brief([change for change in got if change["customer_id"] == "a"]) == [
        ("persona_p1", "entered", 0),
        ("s0", "entered", 20),
    ]


def test_a_model_after_the_end_is_not_applied_and_one_at_the_end_is() -> None:
    for until, expected in ((9, []), (10, [("persona_p1", "entered", 10)])):
        assert brief(replay(clustered(), clicks(0), until=until, models=[model(10, p1=1)])) == expected
    # An event after the end is none; the model behind it comes when the input is over.
    events = [click("e0", 0), click("e1", 99), click("e2", 7)]
    got = replay(clustered({"enter": "persona exists"}), events, until=20, models=[model(10, p1=1)])
    assert brief(got) == [("persona_p1", "entered", 10), ("s0", "entered", 10)]


def test_members_of_a_persona_are_known_by_its_segment() -> None:
    reference = Reference(clustered(aliases={"p1": "few"}))
    feed(reference, [*clicks(0), click("f0", 0, "b"), click("f1", 0, "b")], models=[model(0, p1=1, p2=2)])
    assert (reference.members("persona_p1"), reference.members("persona_p2")) == ({"a"}, {"b"})


def test_personas_go_on_under_definitions_with_the_same_features_and_end_under_others() -> None:
    old = clustered({"enter": "persona exists"}, margin=0.9)
    for new, expected in (
        (clustered({"enter": 'persona == "p1"'}, margin=0.9, aliases={"p1": "few"}), []),
        (clustered({"enter": "persona exists"}, margin=0), ["persona_p1 exited", "persona_p2 entered"]),
        (
            clustered({"enter": "persona exists"}, features={"n": "count(click, 1d)"}),
            ["persona_p1 exited", "s0 exited"],
        ),
        (file({"enter": "never(click)"}), ["persona_p1 exited", "s0 exited"]),
        (clustered({"enter": "persona exists"}, margin=0.9, active_within="2s"), ["persona_p1 exited", "s0 exited"]),
    ):
        reference = Reference(old)
        feed(reference, clicks(1, 2, 3), models=[model(0, p1=0, p2=9)])
        reference.advance(5_000)
        got = reference.redefine(new)
        assert [f"{change['segment']} {change['change']}" for change in got] == expected, new
        assert {change["cause"] for change in got} <= {"definitions"}
        assert {instant(change["at"]) for change in got} <= {5_000}


@pytest.mark.parametrize(
    ("expression", "canonical"),
    [
        ("count(click)+1", "count(click) + 1"),
        ("(count(click) + 1) * 2 - (count(email) - 3)", "(count(click) + 1) * 2 - (count(email) - 3)"),
        ("gap(click)/24h", "gap(click) / 1d"),
        ("last(purchase) - 1d12h", "last(purchase) - 36h"),
    ],
)
def test_canonical_text_of_a_calculation(expression: str, canonical: str) -> None:
    personas = Definitions(clustered(features={"x": expression})).personas
    assert personas is not None
    assert [evidence_text(feature) for feature in personas.features] == [canonical]


# --- Random cases -------------------------------------------------------------------------------------------------


class Restless(Reference):
    """Looks at customers at many needless instants as well."""

    random = Random(1)

    def _next_instant(self, customer: Customer, after: int, to: int) -> int | None:
        due = super()._next_instant(customer, after, to)
        end = to if due is None else due - 1
        if end <= after or self.random.random() < 0.4:
            return due
        return self.random.choice([after + 1, end, self.random.randint(after + 1, end)])


def timed_replay(reference: Reference, case: tuple[Any, ...]) -> list[dict[str, Any]]:
    _, *given = case
    return sorted(feed(reference, *given), key=lambda change: (change["customer_id"], change["sequence"]))


def with_models(case: tuple[Any, ...]) -> tuple[Any, ...]:
    """A case of ``strategies`` with its models as the reference has them."""
    *rest, models = case
    return (*rest, [Model(**one) for one in models])


def assert_sound(case: tuple[Any, ...]) -> None:
    """What must hold of any output, and that looking at other instants as well makes no difference."""
    changes = replay(*case)
    members: set[tuple[str, str]] = set()
    counted: dict[str, tuple[int, int]] = {}
    for change in changes:
        customer, key = change["customer_id"], (change["customer_id"], change["segment"])
        sequence, at = counted.get(customer, (0, 0))
        assert change["sequence"] == sequence + 1
        assert instant(change["at"]) >= at
        counted[customer] = change["sequence"], instant(change["at"])
        assert (key in members) == (change["change"] == "exited")
        members ^= {key}
    assert timed_replay(Restless(case[0]), case) == changes


@settings(max_examples=60, deadline=None)
@given(strategies.cases())
def test_random_cases(case: tuple[Any, ...]) -> None:
    assert_sound(case)


@pytest.mark.parametrize("part", range(4))
def test_seeded_cases(part: int) -> None:
    for seed in range(part * 100, part * 100 + 100):
        assert_sound(strategies.random_case(Random(seed)))


@settings(max_examples=40, deadline=None)
@given(strategies.cases_with_personas())
def test_random_cases_with_personas(case: tuple[Any, ...]) -> None:
    assert_sound(with_models(case))


@pytest.mark.parametrize("part", range(4))
def test_seeded_cases_with_personas(part: int) -> None:
    seen: set[tuple[str, str]] = set()
    for seed in range(part * 100, part * 100 + 100):
        case = with_models(strategies.random_case_with_personas(Random(seed)))
        assert_sound(case)
        for earlier, later in pairwise(replay(*case)):
            seen.add((later["segment"][:8], f"{later['change']} {later['cause']}"))
            if earlier["segment"][:8] == later["segment"][:8] == "persona_" and earlier["at"] == later["at"]:
                seen.add(("switch", later["cause"]))
    # What random cases are to come by.
    assert {("switch", cause) for cause in ("event", "timer", "model")} <= seen
    assert {("persona_", f"entered {cause}") for cause in ("event", "model")} <= seen
    assert ("persona_", "exited timer") in seen


@pytest.mark.parametrize("seed", range(40))
def test_the_language_takes_random_definitions_with_personas_and_writes_the_same_texts(seed: int) -> None:
    made = strategies.random_case_with_personas(Random(seed), 1)[0]
    definitions = load(json.dumps(made), "random")
    slow = Definitions(made)
    assert definitions.personas is not None
    assert slow.personas is not None
    written = [canonical.text(one) for _, one in definitions.personas.features]
    assert written == [evidence_text(one) for one in slow.personas.features]


@settings(max_examples=20, deadline=None)
@given(strategies.cases_with_personas(most=8))
def test_the_event_clock_agrees_with_a_replay_of_personas(case: tuple[Any, ...]) -> None:
    definitions, events, until, models = with_models(case)
    case = (definitions, sorted(events, key=lambda event: instant(event["timestamp"])), until, models)
    assert timed_replay(Reference(definitions, clock="event", lateness_ms=0), case) == replay(*case)


@settings(max_examples=20, deadline=None)
@given(strategies.cases(most=8))
def test_the_event_clock_agrees_with_a_replay(case: tuple[Any, ...]) -> None:
    """For sorted input, when timers fire is of no matter (sorted, as late events see another clock)."""
    definitions, events, until = case
    events = sorted(events, key=lambda event: instant(event["timestamp"]))
    case = (definitions, events, until)
    assert timed_replay(Reference(definitions, clock="event", lateness_ms=0), case) == replay(*case)


@pytest.mark.parametrize("seed", range(100))
def test_needless_looks_make_no_difference_with_changing_definitions_either(seed: int) -> None:
    random = Random(seed)
    (first, events, until), (second, more, _) = (strategies.random_case(random) for _ in range(2))
    second = {**second, "churn": first.get("churn", DEFAULT)}
    outputs = []
    for kind in (Reference, Restless):
        reference = kind(first, clock="event", lateness_ms=seed % 3 * 1000)
        changes = [change for event in events for change in reference.apply(event)]
        changes += reference.redefine(second, allow_empty=seed % 5 == 0, quiet=True)
        for event in more:
            changes += reference.apply(event)
        changes += reference.redefine(first)
        outputs.append(changes + reference.advance(until))
    plain, restless = (sorted(output, key=lambda c: (c["customer_id"], c["sequence"])) for output in outputs)
    assert plain == restless
    for earlier, later in pairwise(plain):
        if earlier["customer_id"] == later["customer_id"]:
            assert instant(earlier["at"]) <= instant(later["at"])


@pytest.mark.parametrize("seed", range(40))
def test_needless_looks_make_no_difference_to_personas_under_changing_definitions_either(seed: int) -> None:
    random = Random(seed)
    first, events, until, models = with_models(strategies.random_case_with_personas(random, 20))
    second, more, _, later = with_models(strategies.random_case_with_personas(random, 20))
    if seed % 2:
        fields = {**second.get("fields", {}), **first.get("fields", {})}
        same = {"personas": {**first["personas"], "margin": 0.2}, "buckets": first.get("buckets", 24)}
        second = {**second, **same, "fields": fields}
        later = models
    outputs = []
    for kind in (Reference, Restless):
        reference = kind(first, clock="event", lateness_ms=seed % 3 * 1000)
        changes = feed(reference, events, models=models)
        changes += reference.redefine(second)
        changes += feed(reference, more, models=later)
        changes += reference.redefine(first)
        outputs.append(changes + reference.advance(until))
    plain, restless = (sorted(output, key=lambda c: (c["customer_id"], c["sequence"])) for output in outputs)
    assert plain == restless
    for earlier, later_one in pairwise(plain):
        if earlier["customer_id"] == later_one["customer_id"]:
            assert instant(earlier["at"]) <= instant(later_one["at"])
