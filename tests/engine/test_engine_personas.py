"""Personas in the engine: they agree with the reference on random definitions, events and models, in all ways."""

from __future__ import annotations

import dataclasses
import json
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from stream.engine.centres import Centres
from stream.engine.partition import Partition
from stream.errors import ModelError
from stream.events.decoder import Decoder
from stream.instants import parse_instant
from tests.engine.agreement import about, assert_same, tolerance_ms
from tests.engine.driver import plan_of, through_bytes
from tests.reference import Model, replay
from tests.strategies import cases_with_personas, random_case_with_personas

Dict = dict[str, Any]


def centres(model: Dict, version: int, features: tuple[str, ...]) -> Centres:
    numbers = tuple(number for number, _ in model["personas"])
    points = tuple(tuple(map(float, centre)) for _, centre in model["personas"])
    return Centres(version, features, numbers, tuple(map(float, model["scales"])), points)


def run(
    definitions: Dict, events: list[Dict], until: int | None, models: list[Dict], batch: int, seed: int
) -> list[Dict]:
    """The changes as the engine makes them; ``seed`` decides when the partition moves into a new process (0: never)."""
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
            for some in partition.apply_model(model, effective_ms):
                changes.extend(some.records)
            present = model

    def flush(lines: list[bytes]) -> None:
        nonlocal partition
        columns, rejections = decoder.decode_mixed(lines)
        assert not rejections
        changes.extend(partition.apply(columns).changes.records)
        if seed and random.random() < 0.3:
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
    return sorted(changes, key=lambda change: (change["customer_id"], change["sequence"]))


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
    second = Centres(2, partition.plan.personas.features, (1, 3), (1.0, 1.0), ((0.0, 0.0), (0.0, 2.0)))
    at_ms = 101 * DAY_MS
    told = [one for part in partition.apply_model(second, at_ms) for one in part.records]
    assert [(one["segment"], one["change"], one["cause"], parse_instant(one["at"])) for one in told] == [
        ("persona_p2", "exited", "model", at_ms),
        ("persona_p3", "entered", "model", at_ms),
        ("fans", "exited", "model", at_ms),
    ]
    assert [one for part in partition.apply_model(second, at_ms) for one in part.records] == []
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
