"""Workers give what a replay of the same events gives: change for change, with the evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stream.brokers.process import BrokerProcess
from stream.kafka.topics import DEAD_LETTERS
from stream.simulate import Simulation
from tests.effort import STRESS
from tests.kafka.kafka_records import records_of
from tests.live.workers import PARTITIONS, Expected, assert_same, last_ms, send, workers
from tests.shared_data import shared_lines

EVENTS = 4_000 if not STRESS else 200_000
#: So many lines of the real files; they are sorted by time.
LINES = 3_000 if not STRESS else 1_000_000
REAL = ["rees46.jsonl.gz", "cdnow_sample.jsonl.gz"]
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of traffic, some of it late, some of it twice."""
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    simulation = Simulation(events=EVENTS, customers=EVENTS // 20, days=60, seed=7, duplicates=0.02, late=0.03)
    path.write_bytes(b"".join(simulation.chunks()))
    return path


def assert_same_as_replay(broker: BrokerProcess, events: Path, folder: Path, count: int) -> int:
    """So many workers give what the replay gives; how many changes these are."""
    until_ms = last_ms(events) + 3 * DAY_MS  # what is due by then fires
    expected = Expected(events, until_ms)
    send(broker.address, events)
    with workers(count, broker.address, folder, "--clock", str(until_ms), "--exit-when-done") as started:
        assert [worker.exit_code() for worker in started] == [0] * count
    assert_same(broker.address, expected)
    assert records_of(broker.address, DEAD_LETTERS, partitions=PARTITIONS) == []
    return len(expected.changes)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_workers_gives_what_the_replay_gives(
    broker: BrokerProcess, events: Path, tmp_path: Path, count: int
) -> None:
    assert assert_same_as_replay(broker, events, tmp_path, count) > EVENTS // 50


@pytest.mark.parametrize("count", [1, 2, 3] if STRESS else [2])
@pytest.mark.parametrize("name", REAL)
def test_real_events_give_what_the_replay_gives(broker: BrokerProcess, name: str, tmp_path: Path, count: int) -> None:
    part = tmp_path / "events.jsonl"
    part.write_bytes(b"".join(line + b"\n" for line in shared_lines(name)[:LINES]))
    assert assert_same_as_replay(broker, part, tmp_path, count) > 100


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


def test_a_file_with_personas_works_while_there_is_no_model(
    broker: BrokerProcess, events: Path, tmp_path: Path
) -> None:
    """``persona`` and ranks are null then; what else the conditions say holds."""
    definitions = tmp_path / "personas.yaml"
    definitions.write_text(
        "version: 1\n"
        "segments:\n"
        "  buyer: {enter: 'count(purchase, 30d) >= 1'}\n"
        "  named: {enter: 'persona == \"p1\"'}\n"
        "  top: {enter: 'rank(sum(purchase.total, 30d)) >= 0.9'}\n"
        "  best: {enter: 'rfm(purchase, 30d) in [\"555\"] or rfm(purchase, 30d) exists'}\n"
        "  nobody_yet: {enter: 'count(click) >= 3 and not persona exists'}\n"
        "personas:\n"
        "  features: {orders: 'count(purchase, 30d)', seen: last(click)}\n"
        "  k: 4\n"
    )
    until_ms = last_ms(events) + 3 * DAY_MS
    expected = Expected(events, until_ms, definitions)
    send(broker.address, events)
    options = ("--clock", str(until_ms), "--exit-when-done")
    with workers(2, broker.address, tmp_path, *options, definitions=definitions) as started:
        assert [worker.exit_code() for worker in started] == [0, 0]
    assert_same(broker.address, expected)
    segments = {json.loads(line)["segment"] for line in expected.changes.values()}
    assert segments == {"buyer", "nobody_yet"}
