"""The reference itself: against the shared conformance cases, published figures, and changes worked out by hand."""

from __future__ import annotations

import csv
import gzip
import json
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from tests.reference import WEEK, Customer, Definitions, Reference, evidence_text, instant, p_alive, p_buy, replay

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
    _, events, until = case
    changes: list[dict[str, Any]] = []
    for event in events:
        if until is None or instant(event["timestamp"]) <= until:
            changes += reference.apply(event)
    return sorted(changes + reference.advance(until), key=lambda change: (change["customer_id"], change["sequence"]))


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
