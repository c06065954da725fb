"""Personas in the engine: they agree with the reference on random definitions, events and models, in all ways."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import stream.engine.partition as partition_module
from stream.engine import opcodes as op
from stream.engine.centres import Centres, check_fits
from stream.engine.partition import Partition
from stream.errors import ModelError
from stream.events.decoder import Decoder
from stream.instants import parse_instant
from stream.personas.walk import Walk
from tests.engine.agreement import about, assert_same, tolerance_ms
from tests.engine.driver import plan_of, through_bytes
from tests.engine.test_engine_explanations import assert_as_the_reference
from tests.reference import Model, Reference, feed, replay
from tests.strategies import cases_with_personas, random_case_with_personas

Dict = dict[str, Any]


def centres(model: Dict, version: int, features: tuple[str, ...]) -> Centres:
    numbers = tuple(number for number, _ in model["personas"])
    points = tuple(tuple(map(float, centre)) for _, centre in model["personas"])
    quantiles = {text: tuple(map(float, some)) for text, some in model.get("quantiles", {}).items()}
    scales = tuple(map(float, model["scales"]))
    return Centres(version, features, numbers, scales, points, quantiles, model["effective_ms"])


def run(
    definitions: Dict,
    events: list[Dict],
    until: int | None,
    models: list[Dict],
    batch: int,
    seed: int,
    *,
    in_parts: bool = False,
) -> list[Dict]:
    return replayed(definitions, events, until, models, batch, seed, in_parts=in_parts)[0]


def replayed(
    definitions: Dict,
    events: list[Dict],
    until: int | None,
    models: list[Dict],
    batch: int,
    seed: int,
    *,
    in_parts: bool = False,
) -> tuple[list[Dict], Partition]:
    """The changes as the engine makes them; ``seed`` decides when the partition moves into a new process (0: never).

    ``in_parts``: each model is applied customer by customer, now and then, while events go on.
    """
    plan, random = plan_of(definitions), Random(seed)
    assert plan.personas is not None
    partition, decoder = Partition(plan), Decoder(plan.wanted)
    waiting = [(centres(model, n, plan.personas.features), model["effective_ms"]) for n, model in enumerate(models, 1)]
    present: Centres | None = None
    changes: list[Dict] = []

    def take(to_ms: int) -> None:
        nonlocal present
        for model, effective_ms in [one for one in waiting if one[1] <= to_ms]:
            waiting.remove((model, effective_ms))
            finish()
            begin = partition.begin_model if in_parts else partition.apply_model
            for some in begin(model):
                changes.extend(some.records)
            present = model

    def finish() -> None:
        while partition.is_assigning:
            changes.extend(partition.go_on_assigning().records)

    def flush(lines: list[bytes]) -> None:
        nonlocal partition
        columns, rejections = decoder.decode_mixed(lines)
        assert not rejections
        changes.extend(partition.apply(columns).changes.records)
        if partition.is_assigning and random.random() < 0.5:
            changes.extend(partition.go_on_assigning().records)
        if seed and random.random() < 0.3:
            finish()
            saved = through_bytes(partition.snapshot())
            partition = Partition(plan)
            partition.restore(saved)
            if present is not None:
                partition.use_model(present)

    lines: list[bytes] = []
    for event in events:
        at_ms = _instant(event["timestamp"])
        if until is not None and at_ms > until:
            continue
        if len(lines) >= batch or any(effective_ms <= at_ms for _, effective_ms in waiting):
            flush(lines)
            lines = []
            take(at_ms)
        lines.append(json.dumps(event, ensure_ascii=False).encode())
    flush(lines)
    end_ms = partition.latest_ms if until is None else until
    take(end_ms)
    changes.extend(partition.advance(end_ms).records)
    finish()
    return sorted(changes, key=lambda change: (change["customer_id"], change["sequence"])), partition


def _instant(timestamp: int | str) -> int:
    return timestamp if isinstance(timestamp, int) else parse_instant(timestamp)


def check(definitions: Dict, events: list[Dict], until: int | None, models: list[Dict]) -> int:
    expected = replay(definitions, events, until, [Model(**model) for model in models])
    for batch, seed in ((1, 0), (1_000, 0), (3, 1), (1, 2)):
        with about(definitions=definitions, events=events, until=until, models=models, batch=batch, seed=seed):
            got = run(definitions, events, until, models, batch, seed)
            assert_same(got, expected, tolerance_ms=tolerance_ms(definitions))
    return sum(change["segment"].startswith("persona_") for change in expected)


@given(cases_with_personas())
def test_random_cases_agree_with_the_reference(case: tuple[Dict, list[Dict], int | None, list[Dict]]) -> None:
    check(*case)


@pytest.mark.parametrize("seed", range(8))
def test_seeded_cases_agree_with_the_reference(seed: int) -> None:
    random = Random(seed)
    assert sum(check(*random_case_with_personas(random)) for _ in range(40)) > 100


@pytest.mark.parametrize("seed", range(4))
def test_applied_in_parts_while_events_go_on_a_model_does_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_module, "_ASSIGNED_AT_ONCE", 1)
    random = Random(f"in parts, {seed}")
    met = 0
    for _ in range(40):
        definitions, events, until, models = random_case_with_personas(random)
        for batch, way in ((1, 0), (2, seed + 1)):
            with about(definitions=definitions, events=events, until=until, models=models, batch=batch, seed=way):
                whole = run(definitions, events, until, models, 1, 0)
                parts = run(definitions, events, until, models, batch, way, in_parts=True)
                assert parts == whole
                met += sum(change["cause"] == "model" for change in whole)
    assert met > 50


RANKING = {
    "version": 1,
    "buckets": 24,
    "personas": {"features": {"orders": "count(purchase)"}, "k": 2, "active_within": "24d"},
    "segments": {
        "spenders": {"enter": "rank(sum(purchase.total)) >= 0.9"},
        "idle": {"enter": "rank(last(click)) > 0.5 or rank(avg(purchase.total)) exists"},
    },
}
RANKED = ("sum(purchase.total)", "last(click)", "avg(purchase.total)")
DAY_MS = 86_400_000


def click(n: int, customer: str, at_ms: int) -> Dict:
    return {"type": "click", "event_id": f"c{n}", "customer_id": customer, "timestamp": at_ms, "action": "search"}


def purchase(n: int, customer: str, at_ms: int, total: float) -> Dict:
    return {
        "type": "purchase",
        "event_id": f"p{n}",
        "customer_id": customer,
        "timestamp": at_ms,
        "order_id": f"o{n}",
        "total": total,
    }


def ranking(**quantiles: tuple[float, ...]) -> Centres:
    """A model of these distributions, and else of nobody's."""
    texts = dict(zip(("spent", "age", "basket"), RANKED, strict=True))
    found = {text: quantiles.get(name, ()) for name, text in texts.items()}
    return Centres(1, ("count(purchase)",), (1,), (1.0,), ((0.0,),), found, 2 * DAY_MS)


def ranking_partition(events: list[Dict]) -> Partition:
    plan = plan_of(RANKING)
    partition, decoder = Partition(plan), Decoder(plan.wanted)
    partition.apply(decoder.decode_mixed([json.dumps(event).encode() for event in events])[0])
    return partition


def test_what_is_ranked_stands_behind_the_features() -> None:
    partition = ranking_partition([click(1, "a", 100 * DAY_MS), purchase(1, "a", 101 * DAY_MS, 12.5)])
    partition.apply_model(ranking())
    assert partition.plan.personas is not None
    assert partition.plan.personas.ranked == RANKED
    got = partition.vectors(partition.profiles.find_all(["a"]), 110 * DAY_MS + 5)
    assert got.tolist() == [[1.0, 12.5, 10.0 + 5 / DAY_MS, 12.5]]


def test_what_is_null_is_no_number_among_what_is_ranked() -> None:
    partition = ranking_partition([click(1, "a", 100 * DAY_MS)])
    got = partition.vectors(partition.profiles.find_all(["a"]), 110 * DAY_MS)
    assert got[0, :3].tolist() == [0.0, 0.0, 10.0]
    assert np.isnan(got[0, 3])
    (sample,) = Walk().sample(partition, 10, 110 * DAY_MS)
    assert sample[:3].tolist() == [0.0, 0.0, 10.0]  # the customer is active all the same


def rank_of(total: float, quantiles: tuple[float, ...]) -> object:
    partition = ranking_partition([purchase(1, "a", DAY_MS, total)])
    list(partition.apply_model(ranking(spent=quantiles)))
    portrait = partition.portrait("a")
    assert portrait is not None
    return portrait.features["rank(sum(purchase.total))"]


@pytest.mark.parametrize(
    ("total", "expected"),
    [(0.0, 0), (0.01, 0.5), (5.0, 0.5), (5.01, 0.75), (9.0, 0.75), (9.01, 0.995), (100.0, 0.995), (100.01, 1)],
)
def test_a_rank_is_the_share_of_those_who_have_less(total: float, expected: float) -> None:
    quantiles = (0.0,) * 101 + (5.0,) * 50 + (9.0,) * 49 + (100.0,)
    assert rank_of(total, quantiles) == expected


def test_there_is_no_rank_where_nobody_has_a_value() -> None:
    assert rank_of(5.0, ()) is None


def test_the_evidence_holds_the_rank_and_what_it_is_calculated_from() -> None:
    partition = ranking_partition([purchase(1, "a", DAY_MS, 12.5), click(1, "a", DAY_MS)])
    quantiles = tuple(float(k) for k in range(201))
    models = list(partition.apply_model(ranking(spent=(0.0,) * 201, age=quantiles)))
    changes = [change for some in models for change in some.records if change["segment"] == "spenders"]
    assert [(change["cause"], change["values"]) for change in changes] == [
        ("model", {"rank(sum(purchase.total))": 1, "sum(purchase.total)": 12.5})
    ]


def test_an_instant_is_ranked_by_itself_and_not_by_the_time_that_passes() -> None:
    partition = ranking_partition([click(1, "a", DAY_MS + 1), click(2, "b", DAY_MS)])
    quantiles = (0.25,) * 101 + (1.0,) * 99 + (60.0,)  # a day before the model is the beginning of the second day
    told = [one for part in partition.apply_model(ranking(age=quantiles)) for one in part.records]
    ranks = {who: rank_of_click(partition, who) for who in "ab"}
    # Half clicked within a quarter of a day; nobody of the others more than a day before.
    assert ranks == {"a": 0.5, "b": 0.5}
    assert [one["segment"] for one in told if one["customer_id"] == "a"] == ["persona_p1"]
    later = ranking_partition([click(1, "a", DAY_MS - 1)])
    list(later.apply_model(ranking(age=quantiles)))
    assert rank_of_click(later, "a") == 0.995  # more than a day before
    later.advance(20 * DAY_MS)
    assert rank_of_click(later, "a") == 0.995


def rank_of_click(partition: Partition, customer: str) -> object:
    portrait = partition.portrait(customer)
    assert portrait is not None
    return portrait.features["rank(last(click))"]


def test_a_model_that_does_not_know_what_is_ranked_is_refused() -> None:
    plan = plan_of(RANKING).personas
    model = ranking()
    check_fits(model, plan)
    for quantiles, message in (
        ({"sum(purchase.total)": (1.0,)}, "has 1 quantiles of .*: it has to be 201 or none"),
        ({"sum(purchase.total)": (1.0,) * 200 + (0.5,)}, "are no numbers, or fall"),
        ({"sum(purchase.total)": (1.0,) * 200 + (float("inf"),)}, "are no numbers, or fall"),
    ):
        with pytest.raises(ModelError, match=message):
            check_fits(replace(model, quantiles=quantiles), plan)


@pytest.mark.parametrize("seed", range(3))
def test_why_is_said_as_the_reference_says(seed: int) -> None:
    random, compared = Random(seed), 0
    for _ in range(30):
        definitions, events, until, models = random_case_with_personas(random)
        with about(definitions=definitions, events=events, until=until, models=models):
            reference = Reference(definitions)
            feed(reference, events, until, [Model(**model) for model in models])
            partition = replayed(definitions, events, until, models, 1_000, 0)[1]
            compared += assert_as_the_reference(partition, reference)
    assert compared > 100


def test_why_shows_a_rank_and_what_it_is_made_of() -> None:
    partition = ranking_partition([purchase(1, "a", DAY_MS, 12.5)])
    list(partition.apply_model(ranking(spent=(0.0,) * 100 + (50.0,) * 101)))
    standings = partition.standings("a")
    assert standings is not None
    (condition,) = standings[0].enter
    assert (condition.text, condition.truth) == ("rank(sum(purchase.total)) >= 0.9", False)
    assert condition.values == {"rank(sum(purchase.total))": 0.495, "sum(purchase.total)": 12.5}


def test_what_comes_late_leaves_its_window_before_what_came_in_time() -> None:
    definitions = {
        "version": 1,
        "buckets": 24,
        "segments": {"any": {"enter": "count(purchase) >= 1"}},
        "personas": {
            "features": {"orders": "count(purchase, 24d)", "clicks": "count(click)"},
            "k": 2,
            "active_within": "60d",
        },
    }
    partition = Partition(plan_of(definitions))
    decoder, personas = Decoder(partition.plan.wanted), partition.plan.personas
    assert personas is not None
    # Two orders without or with a click are the first persona's, one with a click is the other's.
    points = ((1.1, 0.35), (0.7, 0.7))
    list(partition.apply_model(Centres(1, personas.features, (1, 2), (1.0, 1.0), points)))
    told = []
    for event in (
        purchase(1, "a", 100 * DAY_MS, 5.0),
        purchase(2, "a", 95 * DAY_MS, 5.0),
        click(3, "a", 101 * DAY_MS),
    ):
        told += partition.apply(decoder.decode_mixed([json.dumps(event).encode()])[0]).changes.records
    told += partition.advance(123 * DAY_MS).records
    assert [(one["segment"], one["change"], parse_instant(one["at"]) / DAY_MS, one["cause"]) for one in told] == [
        ("persona_p1", "entered", 100, "event"),
        ("any", "entered", 100, "event"),
        ("persona_p1", "exited", 119, "timer"),
        ("persona_p2", "entered", 119, "timer"),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_numbers_that_are_kept_in_a_row_are_those_that_are_worked_out(seed: int) -> None:
    random, kept = Random(f"vectors, {seed}"), 0
    for _ in range(100):
        definitions, events, until, models = random_case_with_personas(random)
        with about(definitions=definitions, events=events, until=until, models=models):
            partition = replayed(definitions, events, until, models, 3, 0)[1]
            anew = Partition(partition.plan)
            anew.restore(through_bytes(partition.snapshot()))  # of a row that was restored nothing is known
            customers = list(partition.profiles)
            for later_ms in (0, 3_600_000, DAY_MS, 20 * DAY_MS):
                now_ms = partition.stream_ms + later_ms
                got = partition.vectors(partition.profiles.find_all(customers), now_ms)
                expected = anew.vectors(anew.profiles.find_all(customers), now_ms)
                np.testing.assert_array_equal(got, expected)
            kept += sum(partition.personas().values())
    assert kept > 20


def test_vectors_are_what_the_model_is_of() -> None:
    plan = plan_of(
        {
            "version": 1,
            "segments": {"any": {"enter": "count(click) >= 1"}},
            "personas": {
                "features": {"orders": "count(purchase, 24d)", "seen": "last(click)", "basket": "avg(purchase.total)"},
                "k": 2,
                "active_within": "24d",
            },
        }
    )
    partition, decoder = Partition(plan), Decoder(plan.wanted)
    day_ms = 86_400_000
    events = [
        {"type": "click", "event_id": "1", "customer_id": "a", "timestamp": 100 * day_ms + 5, "action": "search"},
        {
            "type": "purchase",
            "event_id": "2",
            "customer_id": "a",
            "timestamp": 101 * day_ms,
            "order_id": "o",
            "total": 12,
        },
        {"type": "click", "event_id": "3", "customer_id": "b", "timestamp": 90 * day_ms, "action": "search"},
    ]
    partition.apply(decoder.decode_mixed([json.dumps(event).encode() for event in events])[0])
    rows = partition.profiles.find_all(["a", "b"])
    got = partition.vectors(rows, 113 * day_ms + 7)
    assert got[0].tolist() == pytest.approx([1.0, 13.0 - 5 / day_ms, 12.0])
    assert not np.isnan(partition.vectors(rows, 114 * day_ms - 1)).any()
    assert np.isnan(partition.vectors(rows, 114 * day_ms)).any(axis=1).tolist() == [False, True]  # 24 days later


DAY_MS = 86_400_000
FEATURES = {"orders": "count(purchase, 24d)", "clicks": "count(click, 24d)"}


def file_of(features: Dict | None, **more: Any) -> Dict:
    segments = {"any": {"enter": "count(click) >= 1"}}
    if features is None:
        return {"version": 1, "segments": segments}
    segments["fans"] = {"enter": 'persona == "p2"'}
    return {
        "version": 1,
        "segments": segments,
        "personas": {"features": features, "k": 2, "active_within": "24d", **more},
    }


def two_centres(plan_features: tuple[str, ...], version: int = 1) -> Centres:
    return Centres(version, plan_features, (1, 2), (1.0, 1.0), ((0.0, 0.0), (0.0, 2.0)))


def clicked(partition: Partition, customer: str, times: list[int]) -> list[Dict]:
    events = [
        {"type": "click", "event_id": f"{customer}{at}", "customer_id": customer, "timestamp": at, "action": "search"}
        for at in times
    ]
    columns, rejections = Decoder(partition.plan.wanted).decode_mixed([json.dumps(event).encode() for event in events])
    assert not rejections
    return partition.apply(columns).changes.records


def started() -> Partition:
    """A customer who is in p2, and in the segment that asks for it."""
    plan = plan_of(file_of(FEATURES))
    assert plan.personas is not None
    partition = Partition(plan)
    partition.use_model(two_centres(plan.personas.features))
    told = clicked(partition, "a", [100 * DAY_MS + n for n in range(6)])
    assert [(one["segment"], one["change"]) for one in told] == [
        ("persona_p1", "entered"), ("any", "entered"),
        ("persona_p1", "exited"), ("persona_p2", "entered"), ("fans", "entered"),
    ]  # fmt: skip
    assert told[3]["values"] == {"count(purchase, 24d)": 0, "count(click, 24d)": 2}
    assert [one["sequence"] for one in told] == [1, 2, 3, 4, 5]
    assert partition.personas() == {2: 1}
    return partition


def redefined(before: Partition, definitions: Dict, model: Centres | None = None) -> tuple[Partition, list[Dict]]:
    partition = Partition(plan_of(definitions))
    partition.restore(through_bytes(before.snapshot()))
    if model is not None:
        partition.use_model(model)
    return partition, [{k: one[k] for k in ("segment", "change", "cause")} for one in partition.redefine().records]


def test_personas_are_left_when_the_file_has_none_any_more() -> None:
    partition, told = redefined(started(), file_of(None))
    assert told == [
        {"segment": "persona_p2", "change": "exited", "cause": "definitions"},
        {"segment": "fans", "change": "exited", "cause": "definitions"},
    ]
    assert partition.personas() == {}


def test_personas_are_left_when_they_are_of_other_features() -> None:
    other = FEATURES | {"clicks": "count(click, 12d)"}
    partition, told = redefined(started(), file_of(other))
    assert {"segment": "persona_p2", "change": "exited", "cause": "definitions"} in told
    assert {"segment": "fans", "change": "exited", "cause": "definitions"} in told
    assert partition.personas() == {}
    assert partition.model_version == 0


def test_personas_go_on_when_only_what_they_are_called_changes() -> None:
    before = started()
    assert before.plan.personas is not None
    model = two_centres(before.plan.personas.features)
    definitions = file_of(dict(zip(("o", "c"), FEATURES.values(), strict=True)), aliases={"p2": "fans_of_ours"})
    partition, told = redefined(before, definitions, model)
    assert told == []
    assert partition.personas() == {2: 1}
    portrait = partition.portrait("a")
    assert portrait is not None
    assert portrait.features["persona"] == "fans_of_ours"
    assert list(portrait.memberships) == ["any", "fans", "persona_p2"]
    assert portrait.memberships["persona_p2"].since_ms == 100 * DAY_MS + 1


def test_who_is_not_active_any_more_has_no_persona_from_that_very_millisecond() -> None:
    partition = started()
    last_ms = 100 * DAY_MS + 5
    over_ms = last_ms + 24 * DAY_MS
    told = [one for one in partition.advance(over_ms + DAY_MS).records if one["segment"] in ("persona_p2", "fans")]
    # The windows empty at the border before, so p1 is nearer then; nobody is left without a persona before the instant.
    exits = [one for one in told if one["change"] == "exited" and one["cause"] == "timer"]
    assert exits
    everything = partition.portrait("a")
    assert everything is not None
    assert "persona_p2" not in everything.memberships
    assert "persona_p1" not in everything.memberships
    assert partition.personas() == {}


def test_a_model_is_an_input_at_its_instant() -> None:
    partition = started()
    assert partition.plan.personas is not None
    at_ms = 101 * DAY_MS
    points = ((0.0, 0.0), (0.0, 2.0))
    second = Centres(2, partition.plan.personas.features, (1, 3), (1.0, 1.0), points, effective_ms=at_ms)
    told = [one for part in partition.apply_model(second) for one in part.records]
    assert [(one["segment"], one["change"], one["cause"], parse_instant(one["at"])) for one in told] == [
        ("persona_p2", "exited", "model", at_ms),
        ("persona_p3", "entered", "model", at_ms),
        ("fans", "exited", "model", at_ms),
    ]
    assert [one for part in partition.apply_model(second) for one in part.records] == []
    assert partition.model_version == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features": ("count(click)",)}, "train a model for these definitions"),
        ({"numbers": (1, 1)}, "each another one"),
        ({"numbers": (0, 2)}, "from 1 on"),
        ({"scales": (1.0, 0.0)}, "not above 0"),
        ({"scales": (1.0,)}, "of 2 numbers each"),
        ({"points": ((0.0, float("nan")), (0.0, 1.0))}, "is no number"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(change: Dict, words: str) -> None:
    plan = plan_of(file_of(FEATURES))
    assert plan.personas is not None
    wrong = dataclasses.replace(two_centres(plan.personas.features), **change)
    with pytest.raises(ModelError, match=words):
        Partition(plan).use_model(wrong)
    with pytest.raises(ModelError, match="which this one has not"):
        Partition(plan_of(file_of(None))).use_model(two_centres(()))


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_a_persona_that_is_not_looked_for_has_not_changed(seed: int, margin: float) -> None:
    random = Random(f"room, {seed}")
    features = {"orders": "count(purchase, 24d)", "spent": "sum(purchase.total, 24d)", "clicks": "count(click, 24d)"}
    file = file_of(features, margin=margin)
    file["personas"]["k"] = 5
    plan = plan_of(file)
    assert plan.personas is not None
    points = tuple(tuple(random.uniform(0, 3) for _ in features) for _ in range(5))
    partition, anew = Partition(plan), Partition(plan)
    for one in (partition, anew):
        list(one.apply_model(Centres(1, plan.personas.features, (1, 2, 3, 4, 5), (1.0, 2.0, 1.5), points)))
    word = int(plan.arrays.numbers[plan.arrays.numbers[op.P_PERSONA] + op.PE_DUE]) + 1  # how far a vector may move
    decoder, at_ms, told, passed_over = Decoder(plan.wanted), 100 * DAY_MS, 0, 0
    for n in range(3_000):
        at_ms += random.choice((600_000, DAY_MS // 3, 3 * DAY_MS))
        customer = random.choice("abcde")
        is_order = random.random() < 0.2
        event = purchase(n, customer, at_ms, random.uniform(1, 50)) if is_order else click(n, customer, at_ms)
        columns = decoder.decode_mixed([json.dumps(event).encode()])[0]
        for row in anew.profiles.every_row().tolist():
            anew.profiles.row(row)[word] = 0
        passed_over += int((partition.profiles.column(word).view(np.float64) > 0.0).sum())
        changes = [*partition.apply(columns).changes.records, *partition.advance(at_ms).records]
        assert changes == [*anew.apply(columns).changes.records, *anew.advance(at_ms).records]
        told += sum(change["segment"].startswith("persona_") for change in changes)
    assert told > 20
    assert passed_over > 3_000
