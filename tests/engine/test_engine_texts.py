"""The texts that rows hold: those that no row holds any more are forgotten, the others are not."""

from __future__ import annotations

import copy
import dataclasses
from random import Random
from typing import Any

import numpy as np
import pytest

from stream.engine.partition import Clock, Partition
from stream.engine.texts import TextPool
from stream.events.columns import TextTest
from tests import strategies
from tests.effort import seeds
from tests.engine.agreement import about, assert_same, tolerance_ms
from tests.engine.driver import WAYS, Driver, Way, by_customer
from tests.engine.making import click, file
from tests.reference import Reference

Dict = dict[str, Any]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are looked through as soon as there is one."""
    monkeypatch.setattr(TextPool, "SWEEP_MIN", 0)


def sweep_next_time(partition: Partition) -> None:
    partition.profiles.texts.sweep_at = 0


# --- The pool alone -----------------------------------------------------------------------------------------------


def test_a_text_has_one_code_as_long_as_it_is_live(eager: None) -> None:
    pool = TextPool(["pro", "free"], ())
    assert [pool.code(text) for text in ("pro", "free", "a", "b", "a", None)] == [0, 1, 2, 3, 2, -1]
    assert [pool.code(text) for text in ("b", None, "c", "c")] == [3, -1, 4, 4]
    assert len(pool) == 5
    pool.sweep(np.array([pool.code(text) for text in ("c", None, "pro")]))
    assert len(pool) == 3
    assert [pool.text(code) for code in (0, 1, 4)] == ["pro", "free", "c"]  # literals stay, live or not
    for code in (2, 3):
        with pytest.raises(AssertionError):
            pool.text(code)
    assert {pool.code("d"), pool.code("e"), pool.code("f")} == {2, 3, 5}  # codes are given again, then new ones


def test_answers_belong_to_the_text_that_has_the_code_now(eager: None) -> None:
    tests = tuple(TextTest("contains", (letter,)) for letter in "abcdefghij" * 7)  # more than a word of bits
    pool = TextPool([], tests)
    random = Random(1)
    for round_ in range(200):
        text = "".join(random.sample("abcdefghijxyz", 3))
        code = pool.code(text)
        for number, test in enumerate(tests):
            assert bool(int(pool.bits[code, number >> 6]) >> (number & 63) & 1) == test.passes(text)
        if round_ % 5 == 0:
            pool.sweep(np.array([code]))


# --- Through the engine -------------------------------------------------------------------------------------------


def test_dead_texts_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event brings three texts, and each row holds the latest of two fields and a trait."""
    monkeypatch.setattr(TextPool, "SWEEP_MIN", 50)
    definitions = file(s='last(click.category) == "x" or first(click.device) == "y" or trait("plan") == "z"')
    driver = Driver(definitions, Way(10))
    texts = driver.lanes[0].partition.profiles.texts
    most = 0
    for start in range(0, 2_000, 10):
        driver.apply(
            click(f"e{n}", n, "ab"[n % 2], category=f"c{n}", device=f"d{n}", traits={"plan": f"p{n}"})
            for n in range(start, start + 10)
        )
        most = max(most, len(texts))
    assert 9 <= most < 50
    sweep_next_time(driver.lanes[0].partition)
    driver.apply([click("last", 9_999, "a", category="c1998", traits={"plan": "p1998"})])
    # Literals; of each customer the latest category, the first device, the latest plan.
    kept = {texts.text(code) for code in range(len(texts.bits)) if _has(texts, code)}
    assert kept == {"x", "y", "z", "c1998", "c1999", "d0", "d1", "p1998", "p1999"}
    driver.remove("a")
    sweep_next_time(driver.lanes[0].partition)
    driver.apply([click("after", 10_000, "b")])
    assert {texts.text(code) for code in range(len(texts.bits)) if _has(texts, code)} == {
        "x",
        "y",
        "z",
        "c1999",
        "d1",
        "p1999",
    }


def _has(texts: TextPool, code: int) -> bool:
    try:
        texts.text(code)
    except (AssertionError, IndexError):
        return False
    return True


#: Holds now and then, and has texts of every kind in its evidence.
TEXTS = """
    trait("plan") ends_with "1" or trait("mix") contains "2" or last(click.category) contains "3"
    or first(purchase.coupon) contains "4" or last(click.device) ends_with "5" or count(email) == 3
"""


def with_many_texts(events: list[Dict], random: Random) -> list[Dict]:
    """The same events, with texts that hardly ever come twice."""
    events = copy.deepcopy(events)
    for number, event in enumerate(events):
        for holder in (event, event.get("traits", {})):
            for name in sorted(holder.keys() & {"category", "device", "product_id", "coupon", "tone", "plan", "mix"}):
                if isinstance(holder[name], str) and random.random() < 0.7:
                    holder[name] = f"{holder[name]}{number}"
    return events


@pytest.mark.parametrize("part", range(4))
def test_live_texts_are_kept_under_random_streams(part: int, eager: None) -> None:
    """With a look through all texts after every batch, what comes out stays the same."""
    texts = 0
    for seed in seeds(part, 80):
        random = Random(seed)
        definitions, events, until_ms = strategies.random_case(random)
        events = with_many_texts(events, random)
        definitions["segments"]["texts"] = {"enter": TEXTS, "for": "1ms"}
        way = dataclasses.replace(random.choice(WAYS), seed=seed, partitions=1)
        clock = random.choice(list(Clock))
        with about(way=str(way), clock=clock.name, definitions=definitions, events=events, until=until_ms):
            reference = Reference(definitions, clock="event" if clock is Clock.EVENTS else "replay")
            expected = [change for event in events for change in reference.apply(event)]
            end_ms = max(reference.newest, until_ms or 0)
            expected += reference.advance(end_ms)
            driver = Driver(definitions, way, clock=clock, between=sweep_next_time)
            driver.apply(events)
            driver.advance(end_ms)
            expected.sort(key=lambda change: (change["customer_id"], change["sequence"]))
            assert_same(by_customer(driver.changes), expected, tolerance_ms=tolerance_ms(definitions))
            values = [value for change in expected for value in change["values"].values()]
            texts += sum(isinstance(value, str) and value[-1:].isdigit() for value in values)
    assert texts > 100
