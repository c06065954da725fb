"""Workers give what a replay of the same events gives: change for change, with the evidence."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.brokers.process import BrokerProcess
from stream.kafka.topics import DEAD_LETTERS
from stream.simulate import Simulation
from tests.effort import FACTOR
from tests.kafka.kafka_records import records_of
from tests.live.workers import PARTITIONS, Expected, assert_same, last_ms, send, workers

EVENTS = 4_000 * FACTOR
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of traffic, some of it late, some of it twice."""
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    simulation = Simulation(events=EVENTS, customers=EVENTS // 20, days=60, seed=7, duplicates=0.02, late=0.03)
    path.write_bytes(b"".join(simulation.chunks()))
    return path


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_workers_gives_what_the_replay_gives(
    broker: BrokerProcess, events: Path, tmp_path: Path, count: int
) -> None:
    until_ms = last_ms(events) + 3 * DAY_MS  # what is due by then fires
    expected = Expected(events, until_ms)
    assert len(expected.changes) > EVENTS // 50
    send(broker.address, events)
    with workers(count, broker.address, tmp_path, "--clock", str(until_ms), "--exit-when-done") as started:
        assert [worker.exit_code() for worker in started] == [0] * count
    assert_same(broker.address, expected)
    assert records_of(broker.address, DEAD_LETTERS, partitions=PARTITIONS) == []


def test_a_clock_in_the_midst_leaves_what_lies_after_it_for_later(
    broker: BrokerProcess, events: Path, tmp_path: Path
) -> None:
    end_ms = last_ms(events) + 3 * DAY_MS
    middle_ms = last_ms(events) - 20 * DAY_MS
    send(broker.address, events)
    for until_ms in (middle_ms, end_ms):
        with workers(1, broker.address, tmp_path, "--clock", str(until_ms), "--exit-when-done") as (worker,):
            assert worker.exit_code() == 0
        assert_same(broker.address, Expected(events, until_ms))
