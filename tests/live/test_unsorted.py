"""Traffic as it comes, in any order, while workers come: whatever the order was, everything has counted once."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from pathlib import Path

from stream.brokers.process import BrokerProcess
from stream.simulate import Simulation
from tests.effort import FIRST_SEED, STRESS
from tests.kafka.kafka_records import make_topics
from tests.live.totals import (
    DAY_MS,
    assert_same_totals,
    definitions_with_totals,
    totals_in_changelog,
    totals_of_reference,
    without_ties,
)
from tests.live.workers import PARTITIONS, Worker, send_some, until_all_committed

EVENTS, RATE = (6_000, 1_500) if not STRESS else (100_000, 5_000)
#: No customer has more events, so that a repeat is known however much comes in between.
REMEMBERED = 64
AFTER_DAYS = 100


def traffic(events: int, seed: int) -> list[bytes]:
    """Events of the last weeks, each customer's at different instants, and some of them twice.

    Where no two events share an instant, what is counted does not depend on the order in which they come.
    """
    start_ms = time.time_ns() // 1_000_000 - 40 * DAY_MS
    customers = max(1, events // 6)
    simulation = Simulation(events=events, customers=customers, days=30, start_ms=start_ms, seed=seed, duplicates=0.03)
    lines = without_ties(b"".join(simulation.chunks()).splitlines(keepends=True))
    counts = Counter(json.loads(line)["customer_id"] for line in set(lines))
    kept = [line for line in lines if counts[json.loads(line)["customer_id"]] <= REMEMBERED]
    assert len(kept) > len(set(kept)) > events // 2
    return kept


def test_in_any_order_everything_counts_once(broker: BrokerProcess, tmp_path: Path) -> None:
    """By the wall clock, as a shop would run it: it fires timers between the events, which must not matter either."""
    lines = traffic(EVENTS, FIRST_SEED)
    random.Random(FIRST_SEED).shuffle(lines)
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"".join(lines))
    definitions = definitions_with_totals(tmp_path, AFTER_DAYS, remembered=REMEMBERED)
    make_topics(broker.address, PARTITIONS)
    with Worker(broker.address, tmp_path / "first.log", definitions=definitions) as first:
        first.has_said("partitions: 0, 1, 2, 3, 4, 5, 6, 7")
        with Worker(broker.address, tmp_path / "second.log", definitions=definitions) as second:
            asyncio.run(send_some(broker.address, events, rate=RATE))
            second.has_said("partitions: ")
            until_all_committed(broker.address)
            for worker in (first, second):
                worker.ask_to_stop()
            assert [first.exit_code(), second.exit_code()] == [0, 0]
    found = totals_in_changelog(broker.address, definitions, time.time_ns() // 1_000_000 + AFTER_DAYS * DAY_MS)
    assert_same_totals(found, totals_of_reference(lines, AFTER_DAYS, REMEMBERED))
