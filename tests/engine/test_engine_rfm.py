"""``rfm`` in the engine: it agrees with the reference on random cases, and its digits are what they are said to be."""

from __future__ import annotations

import dataclasses
import json
from random import Random
from typing import Any

import numpy as np
import pytest

from stream.engine.centres import Centres
from stream.engine.partition import Partition
from stream.engine.plan import compile_plan
from stream.events.decoder import Decoder
from stream.language.checker import load
from stream.personas.quantiles import rank
from tests.engine.agreement import about
from tests.engine.driver import plan_of, through_bytes
from tests.engine.test_engine_explanations import assert_as_the_reference
from tests.engine.test_engine_personas import DAY_MS, check, click, purchase, replayed
from tests.reference import Model, Reference, feed, replay
from tests.strategies import random_case_with_rfm

Dict = dict[str, Any]

SCORE = "rfm(purchase, 48d)"
MEASURES = [f"{SCORE}.{name}" for name in ("recency", "frequency", "money")]
FILE = {
    "version": 1,
    "buckets": 24,
    "personas": {"features": {"orders": "count(purchase)"}, "k": 2, "active_within": "24d"},
    "segments": {
        "champions": {"enter": f'{SCORE} in ["555", "554"]'},
        "scored": {"enter": f"{SCORE} exists and rank(count(purchase, 48d)) exists"},
        "sold_out": {"enter": 'rfm(purchase where coupon == "sale", 24d) ends_with "5"'},
    },
}
RANKED = [*MEASURES, "count(purchase, 48d)"]
RANKED += [f'rfm(purchase where coupon == "sale", 24d).{name}' for name in ("recency", "frequency", "money")]


@pytest.mark.parametrize("seed", range(5))
def test_seeded_cases_agree_with_the_reference(seed: int) -> None:
    random, told = Random(seed), set()
    for _ in range(30):
        case = random_case_with_rfm(random)
        check(*case)
        definitions, events, until, models = case
        for change in replay(definitions, events, until, [Model(**model) for model in models]):
            told |= {(change["cause"], score) for text, score in change["values"].items() if text.startswith("rfm(")}
    assert len({score for _, score in told}) > 8
    assert {cause for cause, score in told if score is not None} >= {"event", "model"}


def test_why_is_said_as_the_reference_says() -> None:
    random, compared = Random(0), 0
    for _ in range(30):
        definitions, events, until, models = random_case_with_rfm(random)
        with about(definitions=definitions, events=events, until=until, models=models):
            reference = Reference(definitions)
            feed(reference, events, until, [Model(**model) for model in models])
            partition = replayed(definitions, events, until, models, 1_000, 0)[1]
            compared += assert_as_the_reference(partition, reference)
    assert compared > 100


def model(**fifths: tuple[float, ...]) -> Centres:
    """One whose shares of customers, in fifths, have up to so much ``age``, ``count`` and ``money`` in 48 days."""
    found: dict[str, tuple[float, ...]] = dict.fromkeys(RANKED, ())
    for text, (first, *ends) in zip(MEASURES, fifths.values(), strict=True):
        found[text] = (first, *(end for end in (*ends[:4], ends[4]) for _ in range(40)))
    found["count(purchase, 48d)"] = (0.0,) * 201
    return Centres(1, ("count(purchase)",), (1,), (1.0,), ((0.0,),), found, 100 * DAY_MS)


#: A fifth of the buyers bought within 5 days, another within 10; a fifth has one order, two fifths have two.
USUAL = model(age=(0, 5, 10, 20, 30, 48), count=(1, 1, 2, 2, 5, 9), money=(0, 10, 20, 50, 100, 1_000))


def partition_of(events: list[Dict], centres: Centres = USUAL) -> Partition:
    plan = plan_of(FILE)
    partition, decoder = Partition(plan), Decoder(plan.wanted)
    columns, rejections = decoder.decode_mixed([json.dumps(event).encode() for event in events])
    assert not rejections
    partition.apply(columns)
    list(partition.apply_model(centres))
    return partition


def bought(days_ago: list[float], each: float) -> list[Dict]:
    at = [round((100 - ago) * DAY_MS) for ago in days_ago]
    return [purchase(n, "a", at_ms, each) for n, at_ms in enumerate(at)]


def score_of(partition: Partition) -> object:
    portrait = partition.portrait("a")
    assert portrait is not None
    return portrait.features[SCORE]


@pytest.mark.parametrize(
    ("days_ago", "each", "expected"),
    [
        ([5], 5, "511"),  # a fifth bought within 5 days, and this is no later than they did
        ([5.1], 5, "411"),
        ([30.5], 5, "111"),  # four fifths bought later than this
        ([9, 6], 5, "421"),  # a fifth has fewer orders; nobody spent less than 10, as far as is known
        ([40, 29], 10, "222"),
        ([1] * 5, 20.0, "544"),
        ([1] * 6, 20.0, "555"),
        ([1] * 2, 0, "521"),
    ],
)
def test_each_digit_is_a_fifth_of_the_buyers(days_ago: list[float], each: float, expected: str) -> None:
    assert score_of(partition_of(bought(days_ago, each))) == expected
    assert "".join(map(str, digits(days_ago, each))) == expected


def digits(days_ago: list[float], each: float) -> list[int]:
    """What `rank` says of the same numbers, in fifths."""
    measures = (min(days_ago), float(len(days_ago)), len(days_ago) * each)
    shares = [rank(USUAL.quantiles[text], x) for text, x in zip(MEASURES, measures, strict=True)]
    age, *others = [1 + min(4, int(5 * share)) for share in shares if share is not None]
    return [6 - age, *others]


def test_five_times_a_rank_is_a_whole_number_at_each_fifth() -> None:
    """The engine compares with the numbers at the fifths only; that is the same, however doubles are rounded."""
    assert [int(5 * (k / 200)) for k in range(201)] == [k // 40 for k in range(201)]


def test_there_is_none_without_an_order_in_the_window_or_a_model_that_knows() -> None:
    assert score_of(partition_of([click(1, "a", 99 * DAY_MS)])) is None
    assert score_of(partition_of([*bought([60], 20.0), click(1, "a", 99 * DAY_MS)])) is None
    before = Partition(plan_of(FILE))
    events = [json.dumps(event).encode() for event in bought([1], 20.0)]
    before.apply(Decoder(before.plan.wanted).decode_mixed(events)[0])
    assert score_of(before) is None
    for text in MEASURES:
        others = {known: some for known, some in USUAL.quantiles.items() if known != text}
        for quantiles in (others, {**others, text: ()}):
            centres = dataclasses.replace(USUAL, quantiles=quantiles)
            assert score_of(partition_of(bought([1], 20.0), centres)) is None


def test_time_alone_ends_it_where_the_window_ends() -> None:
    partition = partition_of(bought([0.5], 10.0))
    told = []
    while (portrait := partition.portrait("a")) is not None and portrait.next_timer_ms is not None:
        told.append((portrait.at_ms / DAY_MS, portrait.features[SCORE]))
        partition.advance(portrait.next_timer_ms)
    assert portrait is not None
    told.append((portrait.at_ms / DAY_MS, portrait.features[SCORE]))
    digits_of = dict(told)
    first = {score: min(day for day, one in told if one == score) for score in digits_of.values()}
    # Bought at noon of day 99; 48 days of 2-day buckets end with the beginning of day 146.
    assert first == {"511": 100, None: 146}
    # At noon of day 123 the customer stops being active. Nothing else is looked at in vain.
    assert set(digits_of) - set(first.values()) == {123.5}


def test_an_exit_is_told_to_the_millisecond_with_what_it_is_made_of() -> None:
    partition = partition_of(bought([1] * 6, 20.0))
    (change,) = [one for one in partition.advance(200 * DAY_MS).records if one["segment"] == "champions"]
    assert (change["change"], change["cause"], change["at"][:10]) == ("exited", "timer", "1970-05-27")  # day 146
    assert change["values"] == {
        SCORE: None,
        "last(purchase)": "1970-04-10T00:00:00.000Z",
        "count(purchase, 48d)": 0,
        "sum(purchase.total, 48d)": 0,
    }


def test_only_who_bought_within_the_window_is_a_sample_of_it() -> None:
    events = [*bought([1, 1, 60], 20.0), click(1, "b", 99 * DAY_MS), {**purchase(9, "c", 40 * DAY_MS, 5.0)}]
    events.append(click(2, "c", 99 * DAY_MS))
    partition = partition_of(events)
    personas = partition.plan.personas
    assert personas is not None
    assert list(personas.ranked) == RANKED
    got = partition.vectors(partition.profiles.find_all(["a", "b", "c"]), 100 * DAY_MS)[:, 1:]
    assert got[0, :4].tolist() == [1.0, 2.0, 40.0, 2.0]
    # The others have bought nothing within 48 days, which is a number to `rank(count(...))` and to nothing else.
    nothing = [np.nan, np.nan, np.nan, 0.0, np.nan, np.nan, np.nan]
    np.testing.assert_array_equal(got[1:], [nothing, nothing])
    np.testing.assert_array_equal(got[0, 4:], nothing[4:])  # no coupon


def test_it_is_the_same_after_a_snapshot() -> None:
    partition = partition_of(bought([1] * 6, 20.0))
    after = Partition(plan_of(FILE))
    after.restore(through_bytes(partition.snapshot()))
    after.use_model(USUAL)
    assert score_of(after) == "555"
    assert after.advance(200 * DAY_MS).records == partition.advance(200 * DAY_MS).records


def test_a_file_without_it_has_nothing_of_it() -> None:
    segments = "segments: {one: {enter: 'rank(count(purchase, 7d)) > 0.5 and last(click.device) == \"phone\"'}}\n"
    plan = compile_plan(load(f"version: 1\npersonas: {{features: {{n: count(click)}}, k: 2}}\n{segments}", "f"))
    assert plan.pool_texts == ("phone",)
