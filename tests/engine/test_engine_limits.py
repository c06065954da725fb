"""Where the random cases do not go: many values, many ids, many segments, large numbers, the ends of time."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any

import numpy as np
import pytest

from stream.contract import LAST_INSTANT, NUMBER_LIMIT
from stream.engine.partition import Status
from tests import strategies
from tests.effort import seeds
from tests.engine.agreement import about, assert_same, tolerance_ms
from tests.engine.driver import WAYS, Driver, Way, by_customer, replay
from tests.engine.making import DAY, HOUR, MINUTE, SECOND, click, purchase
from tests.reference import Reference, instant
from tests.reference import replay as reference_replay
from tests.strategies import Definer, Seeded, Streamer

Dict = dict[str, Any]


def assert_agrees(definitions: Dict, events: list[Dict], until_ms: int | None, way: Way) -> list[Dict]:
    with about(way=str(way), definitions=definitions, events=events, until=until_ms):
        expected = reference_replay(definitions, events, until_ms)
        assert_same(replay(definitions, events, until_ms, way), expected, tolerance_ms=tolerance_ms(definitions))
    return expected


# --- Different values ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(3))
def test_many_different_values_in_and_out_of_order(part: int) -> None:
    """More than 32 values in and out of windows, late ones too: the count is exact up to 32, and 32 beyond."""
    most: set[int] = set()
    for seed in seeds(part, 40):
        random = Random(seed)
        windows = random.sample(["1m", "10m", "1h", "3h20m", "1d"], 2)
        bounds = [f"{random.choice(['>=', '<', '==', '!='])} {random.choice([1, 5, 20, 31, 32])}" for _ in range(4)]
        definitions = {
            "version": 1,
            "buckets": random.choice([2, 3, 5, 24, 120]),
            "segments": {
                "all": {"enter": f"distinct(click.price) {bounds[0]}"},
                "text": {"enter": f"distinct(click.category, {windows[0]}) {bounds[1]}"},
                "number": {"enter": f"distinct(click.price, {windows[1]}) {bounds[2]}"},
                "every": {
                    "enter": f"count(click) >= 0 and distinct(click.price where price > 9, {windows[0]}) {bounds[3]}"
                },
            },
        }
        pool = random.choice([20, 33, 40, 70])
        events: list[Dict] = []
        now = 1_600_000_000_000
        for number in range(random.choice([60, 150])):
            now += random.choice([0, 1, SECOND, 20 * SECOND, MINUTE, 5 * MINUTE])
            late = random.choice([0, 0, 0, 10 * SECOND, 5 * MINUTE, HOUR, DAY])
            value = random.randrange(pool)
            events.append(click(f"e{number}", now - late, price=value, category=f"c{value % 45}"))
        changes = assert_agrees(definitions, events, now + 2 * DAY, dataclasses.replace(random.choice(WAYS), seed=seed))
        most |= {value for change in changes for value in change["values"].values()}
    assert {0, 32} <= most  # windows that were full, and empty again
    assert max(most) <= 150


def test_a_value_that_comes_again_stays_in_the_window() -> None:
    """33 values; the first comes again; when the others leave, it is still there, and alone."""
    definitions = {
        "version": 1,
        "buckets": 2,
        "segments": {
            "full": {"enter": "distinct(click.price, 2h) >= 32"},
            "one": {"enter": "distinct(click.price, 2h) == 1"},
        },
    }
    events = [click(f"e{value}", value, price=value) for value in range(33)] + [click("again", HOUR, price=0)]
    changes = assert_agrees(definitions, events, DAY, Way(7, restore="always"))
    assert [(change["segment"], change["change"], instant(change["at"])) for change in changes] == [
        ("one", "entered", 0),
        ("one", "exited", 1),
        ("full", "entered", 31),
        ("full", "exited", 2 * HOUR),
        ("one", "entered", 2 * HOUR),
        ("one", "exited", 3 * HOUR),
    ]


# --- Duplicates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 2, 3, 15, 16, 17, 64])
def test_an_id_is_remembered_for_so_many_applied_events(size: int) -> None:
    definitions = {
        "version": 1,
        "dedupe": {"events": size, "orders": 0},
        "segments": {"s": {"enter": "count(purchase) >= 1000"}},
    }
    for others in {0, 1, max(size - 2, 0), max(size - 1, 0), size, size + 1}:
        events = [purchase("first", 1), *(purchase(f"e{number}", 2) for number in range(others)), purchase("first", 3)]
        driver = Driver(definitions, Way(3))
        driver.apply(events)
        *before, last = driver.statuses()
        assert set(before) == {Status.APPLIED}
        assert last == (Status.DUPLICATE if others < size else Status.APPLIED), others


@pytest.mark.parametrize("part", range(3))
def test_duplicates_among_few_ids(part: int) -> None:
    """Ids and orders come again and again; what is skipped is not remembered, and an order is no event."""
    duplicates = 0
    for seed in seeds(part, 40):
        random = Random(seed)
        definitions = {
            "version": 1,
            "dedupe": {"events": random.choice([0, 1, 2, 5, 16, 64]), "orders": random.choice([0, 1, 3, 8, 64])},
            "segments": {
                f"s{number}": {"enter": f"count({kind}) >= {number} and count(click) >= 0"}
                for number, kind in enumerate(["click", "purchase", "email"] * 8, 1)
            },
        }
        ids = random.choice([3, 10, 30, 80])
        events: list[Dict] = []
        for number in range(120):
            event = purchase(f"e{random.randrange(ids)}", number, order_id=f"e{random.randrange(ids)}")
            if random.random() < 0.4:
                event = click(event["event_id"], number)
            events.append({**event, "customer_id": random.choice("abb")})
        assert_agrees(definitions, events, None, dataclasses.replace(random.choice(WAYS), seed=seed))
        driver = Driver(definitions)
        driver.apply(events)
        duplicates += driver.statuses().count(Status.DUPLICATE)
    assert duplicates > 500


def test_what_became_of_each_event() -> None:
    driver = Driver({"version": 1, "segments": {"s": {"enter": "since(last(click)) >= 1m", "exit": "false"}}}, Way(2))
    driver.apply(
        [
            click("e1", HOUR),
            click("e1", HOUR),  # the same id
            click("e2", HOUR),  # as old as the clock: not late
            click("e3", HOUR - 1),
            click("e1", 0, "b"),  # another customer's
            purchase("e4", HOUR + 2 * MINUTE),  # the timer fires before it
            purchase("e5", HOUR + MINUTE, order_id="o-e4"),  # the same order
            click("e6", HOUR + 2 * MINUTE - 1),
        ]
    )
    applied, duplicate, late = Status.APPLIED, Status.DUPLICATE, Status.LATE
    assert driver.statuses() == [applied, duplicate, applied, late, applied, applied, duplicate, late]


def test_an_offset_counts_for_its_customer_and_topic() -> None:
    """What is skipped as a duplicate counts as seen; the offsets of other customers and topics are others."""
    lane = Driver({"version": 1, "segments": {"s": {"enter": "count(purchase) >= 2"}}}).lanes[0]
    events = [click("e1", 1), click("e1", 2), click("e1", 3, "b"), purchase("e2", 4), click("e3", 5), click("e4", 6)]
    applied, duplicate, replayed = Status.APPLIED, Status.DUPLICATE, Status.REPLAYED
    for offsets, expected in (
        ([3, 7, 5, 0, 7, 8], [applied, duplicate, applied, applied, replayed, applied]),
        ([3, 7, 6, 1, 8, 9], [replayed, replayed, duplicate, duplicate, replayed, duplicate]),
    ):
        status = lane.partition.apply(lane.columns(events), np.array(offsets)).status
        assert status.tolist() == expected
    # Without offsets only the ids tell.
    assert lane.partition.apply(lane.columns([click("e3", 7), click("e1", 8)])).status.tolist() == [applied, duplicate]


# --- Large files --------------------------------------------------------------------------------------------------


def large_file(random: Random, segments: int) -> Dict:
    """A file of many segments with deep conditions."""
    definer = Definer(Seeded(random))
    file = definer.file()
    for number in range(len(definer.above), segments):
        segment = definer.segment()
        segment["enter"] = definer.condition(random.choice([1, 2, 5])).text
        file["segments"][f"s{number}"] = segment
        definer.above.append(f"s{number}")
    return file


@pytest.mark.parametrize("part", range(3))
def test_many_segments_with_deep_conditions(part: int) -> None:
    for seed in seeds(part, 4):
        random = Random(seed)
        definitions = large_file(random, random.choice([33, 64, 65, 90]))
        streamer = Streamer(Seeded(random), definitions)
        events, until_ms = streamer.stream(40), streamer.until()
        assert_agrees(definitions, events, until_ms, dataclasses.replace(random.choice(WAYS), seed=seed))


@pytest.mark.parametrize("seed", range(6))
def test_more_than_64_tests_of_one_field(seed: int) -> None:
    """In `where` and of stored texts: each test is a bit of a word, and there are several words."""
    random = Random(seed)
    words = [f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst"]
    definitions = {
        "version": 1,
        "segments": {
            **{
                f"w{n}": {"enter": f"count(click where category {_test(random, word)}) >= 1"}
                for n, word in enumerate(words)
            },
            **{f"l{n}": {"enter": f"last(click.category) {_test(random, word)}"} for n, word in enumerate(words)},
            **{f"t{n}": {"enter": f'trait("plan") {_test(random, word)}'} for n, word in enumerate(words)},
        },
    }
    events = [
        click(
            f"e{n}",
            n * SECOND,
            random.choice("ab"),
            category=random.choice(words),
            traits={"plan": random.choice(words)},
        )
        for n in range(12)
    ]
    changes = assert_agrees(definitions, events, None, Way(0, restore="always", seed=seed))
    assert {change["segment"][0] for change in changes} == set("wlt")


def _test(random: Random, word: str) -> str:
    operator = random.choice(["==", "!=", "contains", "starts_with", "ends_with", "in"])
    return f'in ["{word}", "{word[::-1]}"]' if operator == "in" else f'{operator} "{word[: random.choice([1, 2])]}"'


# --- Numbers ------------------------------------------------------------------------------------------------------

LARGE = [NUMBER_LIMIT, -NUMBER_LIMIT, 99_999_999_999.9999, 12_345_678_901.2345]
SMALL = [1e-9, 0.00005, 0.00015, -0.00005, 0.00025, 5e-324, 0.1, -0.0]
TRAITS = [1e308, -1e308, 5e-324, -0.0, 2.0**53, 9_007_199_254_740_993, 1e22, 123_456_789_012_345_680_000]


@pytest.mark.parametrize("part", range(4))
def test_the_largest_and_smallest_numbers(part: int) -> None:
    for seed in seeds(part, 50):
        random = Random(seed)
        definitions, events, until_ms = strategies.random_case(random)
        for event in events:
            for name in sorted(event.keys() & {"price", "quantity", "score", "weight", "total"}):
                if event[name] is not None and random.random() < 0.6:
                    number = random.choice(LARGE + SMALL)
                    event[name] = abs(number) if name == "total" else number
            for name, value in event.get("traits", {}).items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    event["traits"][name] = random.choice(TRAITS)
        assert_agrees(definitions, events, until_ms, dataclasses.replace(random.choice(WAYS), seed=seed))


def test_sums_are_exact_where_they_are_promised() -> None:
    """8,999 times the largest price, less as much again, and what is left is a tenth of a cent."""
    definitions = {
        "version": 1,
        "segments": {
            "large": {"enter": "sum(click.price) >= 899900000000000"},
            "left": {"enter": "sum(click.price) == 0.001 and avg(click.price, 1h) > 0"},
        },
    }
    prices = [*[NUMBER_LIMIT] * 8_999, 0.001, *[-NUMBER_LIMIT] * 8_999]
    driver = Driver(definitions)
    driver.apply(click(f"e{number}", number, price=price) for number, price in enumerate(prices))
    changes = [(change["segment"], change["change"], change["event_id"]) for change in driver.changes]
    assert changes == [("large", "entered", "e8998"), ("large", "exited", "e9000"), ("left", "entered", "e17998")]
    assert driver.changes[-1]["values"]["avg(click.price, 1h)"] == 0.001 / 17_999


def test_infinity_less_infinity_is_null() -> None:
    huge = 'trait("x") * trait("x")'
    definitions = {
        "version": 1,
        "segments": {
            "infinite": {"enter": f"{huge} > 1"},
            "unequal": {"enter": f"{huge} - {huge} != 1"},
            "null": {"enter": f"not exists({huge} - {huge})"},
        },
    }
    changes = assert_agrees(definitions, [click("e1", 0, traits={"x": 1e308})], None, Way())
    assert [change["segment"] for change in changes] == ["infinite", "null"]


# --- Time ---------------------------------------------------------------------------------------------------------

#: The last second of 32 bits, of 33 bits, the year 2286, the end of 9999; and some time before it.
DECISIVE = [2**31 * SECOND, 2**32 * SECOND, 2**33 * SECOND, 10**13, LAST_INSTANT]


def moved(case: tuple[Dict, list[Dict], int | None], latest_ms: int) -> tuple[Dict, list[Dict], int | None]:
    """The case at another time: its latest event at ``latest_ms``."""
    definitions, events, until_ms = case
    instants = [instant(event["timestamp"]) for event in events]
    by = latest_ms - max(instants)
    events = [{**event, "timestamp": max(at + by, 0)} for event, at in zip(events, instants, strict=True)]
    return definitions, events, None if until_ms is None else min(until_ms + by, LAST_INSTANT)


@pytest.mark.parametrize("decisive_ms", DECISIVE)
def test_any_time_up_to_the_last_millisecond(decisive_ms: int) -> None:
    for seed in seeds(DECISIVE.index(decisive_ms), 60):
        random = Random(seed)
        latest_ms = decisive_ms - random.choice([0, HOUR, DAY, 30 * DAY])
        definitions, events, until_ms = moved(strategies.random_case(random), latest_ms)
        until_ms = random.choice([until_ms, until_ms, min(latest_ms + 3000 * DAY, LAST_INSTANT), LAST_INSTANT])
        assert_agrees(definitions, events, until_ms, dataclasses.replace(random.choice(WAYS), seed=seed))


def test_a_timer_after_2106_outlives_other_events() -> None:
    """What comes for one segment takes no other segment's timer away, however far off that lies."""
    definitions = {
        "version": 1,
        "segments": {"gone": {"enter": "since(last(purchase)) >= 3650d"}, "busy": {"enter": "count(click) >= 2"}},
    }
    start = instant("2100-01-01T00:00:00Z")
    events = [purchase("e1", start), click("e2", start + DAY), click("e3", start + 2 * DAY)]
    changes = assert_agrees(definitions, events, start + 4000 * DAY, Way(1))
    assert [(change["segment"], change["at"]) for change in changes][1:] == [("gone", "2109-12-30T00:00:00.000Z")]


def test_time_that_does_not_move_or_goes_back() -> None:
    definitions = {"version": 1, "segments": {"s": {"enter": "since(last(click)) >= 1m"}}}
    reference, driver = Reference(definitions), Driver(definitions, Way(1))
    expected: list[Dict] = []
    for to_ms in (0, MINUTE - 1, MINUTE, MINUTE, 0, 2 * MINUTE):
        expected += reference.advance(to_ms)
        driver.advance(to_ms)
        event = click(f"e{to_ms}", 0)
        expected += reference.apply(event)
        driver.apply([event])
    assert_same(by_customer(driver.changes), expected)
    assert [change["at"] for change in expected] == ["1970-01-01T00:01:00.000Z"]
