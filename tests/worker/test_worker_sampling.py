"""Samples of a partition's customers: as many as the file asks for, and of each customer equally many."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from stream.engine.partition import Partition
from stream.events.decoder import Decoder
from stream.personas.messages import parse_samples
from stream.worker.sampling import Sampler
from tests.engine.driver import plan_of

DAY_MS = 86_400_000
CUSTOMERS = 50


def file(samples: int) -> dict[str, object]:
    return {
        "version": 1,
        "personas": {"features": {"spend": "sum(purchase.total)"}, "k": 2, "active_within": "30d", "samples": samples},
        "segments": {"top": {"enter": "rank(last(click)) >= 0.9"}},
    }


def partition(samples: int) -> Partition:
    """Customers of whom each has spent another sum, and nobody has clicked."""
    plan = plan_of(file(samples))
    filled = Partition(plan)
    event = {"type": "purchase", "timestamp": 0}
    lines = [
        json.dumps({**event, "event_id": f"e{i}", "customer_id": f"c{i}", "order_id": f"o{i}", "total": i}).encode()
        for i in range(CUSTOMERS)
    ]
    events, refused = Decoder(plan.wanted).decode_mixed(lines)
    assert not refused
    filled.apply(events)
    return filled


@pytest.mark.parametrize("partitions", [1, 3])
def test_each_customer_is_sampled_equally_often(partitions: int) -> None:
    filled = partition(samples=1_000)
    sampler = Sampler(filled.plan, 2, partitions)
    assert sampler.is_drawing
    found: Counter[float] = Counter()
    instants: list[int] = []
    for hour in range(10 * 24 + 1):
        sampler.draw(filled, hour * 3_600_000)
        assert sampler.draw_after(hour * 3_600_000) == (hour + 1) * 3_600_000
        sampler.draw(filled, hour * 3_600_000 + 1_800_000)  # nothing is due in between
        for record in sampler.take():
            assert record.key is None
            samples = parse_samples(record.value)
            assert samples.partition == 2
            vectors = samples.array()
            assert np.isnan(vectors[:, 1]).all()
            found.update(vectors[:, 0].tolist())
            instants.append(samples.at_ms)
    assert abs(found.total() - 10_000 / partitions) < CUSTOMERS
    assert len(found) == CUSTOMERS
    assert max(found.values()) - min(found.values()) <= 1
    assert set(instants) == {hour * 3_600_000 for hour in range(1, 10 * 24 + 1)}
    assert sampler.take() == []


def test_a_jump_of_the_clock_is_made_up_for() -> None:
    filled = partition(samples=240)
    sampler = Sampler(filled.plan, 0, 1)
    sampler.draw(filled, 0)
    sampler.draw(filled, 4 * 3_600_000 + 5)
    (record,) = sampler.take()
    samples = parse_samples(record.value)
    assert (samples.at_ms, len(samples.vectors)) == (4 * 3_600_000, 40)


def test_who_is_not_active_is_not_sampled() -> None:
    filled = partition(samples=1_000)
    sampler = Sampler(filled.plan, 0, 1)
    sampler.draw(filled, 40 * DAY_MS)
    sampler.draw(filled, 41 * DAY_MS)
    assert sampler.take() == []


def test_without_personas_there_are_none() -> None:
    filled = Partition(plan_of({"version": 1, "segments": {"seen": {"enter": "count(click) >= 1"}}}))
    sampler = Sampler(filled.plan, 0, 1)
    sampler.draw(filled, DAY_MS)
    sampler.draw(filled, 3 * DAY_MS)
    assert (sampler.take(), sampler.is_drawing) == ([], False)
