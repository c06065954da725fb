"""Personas in the engine: they agree with the reference on random definitions, events and models, in all ways."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from stream.engine.centres import Centres
from stream.engine.partition import Partition
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
