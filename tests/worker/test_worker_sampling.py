"""Samples of a partition's customers: as many as the file asks for, and of each customer equally many."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from stream.engine.partition import Partition
from stream.events.decoder import Decoder
from stream.personas.messages import Samples, parse_samples
from stream.worker.sampling import Sampler
from tests.engine.driver import plan_of

DAY_MS = 86_400_000
MINUTE_MS = 60_000
ASKED_MS = 10 * MINUTE_MS
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


def samples_of(sampler: Sampler) -> list[Samples]:
    records = sampler.take()
    assert [record.key for record in records] == [None] * len(records)
    return [parse_samples(record.value) for record in records]


@pytest.mark.parametrize("partitions", [1, 3])
def test_each_customer_is_sampled_equally_often(partitions: int) -> None:
    filled = partition(samples=1_000)
    sampler = Sampler(filled.plan, 2, partitions)
    found: Counter[float] = Counter()
    told: list[tuple[int, int]] = []
    for minute in range(0, 10 * 24 * 60 + 15, 5):
        sampler.draw(filled, minute * MINUTE_MS)
        assert sampler.next_ms == (minute * MINUTE_MS // DAY_MS + 1) * DAY_MS
        for samples in samples_of(sampler):
            assert samples.partition == 2
            vectors = samples.array()
            assert np.isnan(vectors[:, 1]).all()
            found.update(vectors[:, 0].tolist())
            if told and told[-1][0] == samples.at_ms:
                told[-1] = (samples.at_ms, told[-1][1] + len(vectors))
            else:
                told.append((samples.at_ms, len(vectors)))
    assert found.total() == 10 * (1_000 // partitions)
    assert len(found) == CUSTOMERS
    assert max(found.values()) - min(found.values()) <= 1
    # A version is asked for ten minutes after the samples for it.
    each = 1_000 // partitions
    days = [day * DAY_MS for day in range(1, 11)]
    assert told == [(ASKED_MS, 0), *(pair for at_ms in days for pair in ((at_ms, each), (at_ms + ASKED_MS, 0)))]
    assert samples_of(sampler) == []


def test_of_days_that_pass_at_once_the_last_one_counts() -> None:
    filled = partition(samples=40)
    sampler = Sampler(filled.plan, 0, 1)
    sampler.draw(filled, MINUTE_MS)
    sampler.draw(filled, 4 * DAY_MS + MINUTE_MS)
    told = [(samples.at_ms, len(samples)) for samples in samples_of(sampler)]
    assert told == [(3 * DAY_MS + ASKED_MS, 0), (4 * DAY_MS, 40)]
    sampler.draw(filled, 4 * DAY_MS + ASKED_MS)
    assert [(samples.at_ms, len(samples)) for samples in samples_of(sampler)] == [(4 * DAY_MS + ASKED_MS, 0)]


def test_what_became_due_while_nobody_worked_is_drawn() -> None:
    filled = partition(samples=40)
    sampler = Sampler(filled.plan, 0, 1)
    assert filled.latest_ms == 0
    sampler.draw(filled, DAY_MS + 5)
    told = [(samples.at_ms, len(samples)) for samples in samples_of(sampler)]
    assert told == [(ASKED_MS, 0), (DAY_MS, 40)]


def test_it_begins_with_a_partition_that_is_new() -> None:
    new = Partition(plan_of(file(samples=40)))
    sampler = Sampler(new.plan, 0, 1)
    assert sampler.next_ms is None
    sampler.draw(new, 3 * DAY_MS + 5)
    assert samples_of(sampler) == []
    assert sampler.next_ms == 4 * DAY_MS


def test_who_is_not_active_is_not_sampled() -> None:
    filled = partition(samples=1_000)
    sampler = Sampler(filled.plan, 0, 1)
    sampler.draw(filled, 40 * DAY_MS)
    sampler.draw(filled, 41 * DAY_MS + 2 * ASKED_MS)
    assert {len(samples) for samples in samples_of(sampler)} == {0}


def test_without_personas_there_are_none() -> None:
    filled = Partition(plan_of({"version": 1, "segments": {"seen": {"enter": "count(click) >= 1"}}}))
    sampler = Sampler(filled.plan, 0, 1)
    sampler.draw(filled, DAY_MS)
    sampler.draw(filled, 3 * DAY_MS)
    assert (sampler.take(), sampler.next_ms) == ([], None)
