"""Workers with models of personas give what a replay with the same models gives, whatever happens to the workers."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from stream.brokers.process import BrokerProcess
from stream.personas.model import Model
from stream.simulate import Simulation
from tests.effort import FACTOR, FIRST_SEED
from tests.live.personas import definitions, publish, trained
from tests.live.workers import Expected, Worker, assert_same, last_ms, send, workers

CUSTOMERS = 300 * FACTOR
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("personas")


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    return definitions(folder)


@pytest.fixture(scope="module")
def events(folder: Path) -> Path:
    path = folder / "events.jsonl"
    simulation = Simulation(customers=CUSTOMERS, days=30, seed=3, habits="personas")
    path.write_bytes(b"".join(simulation.chunks()))
    return path


@pytest.fixture(scope="module")
def models(file: Path, events: Path) -> list[Model]:
    return trained(file, events)


@pytest.fixture(scope="module")
def until_ms(events: Path) -> int:
    return last_ms(events) + 3 * DAY_MS


@pytest.fixture(scope="module")
def expected(file: Path, events: Path, models: list[Model], until_ms: int) -> Expected:
    found = Expected(events, until_ms, file, models)
    causes = Counter(
        change["cause"]
        for change in map(json.loads, found.changes.values())
        if change["segment"].startswith("persona_")
    )
    assert min(causes[cause] for cause in ("event", "timer", "model")) > 10
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_workers_gives_what_the_replay_gives(
    broker: BrokerProcess,
    file: Path,
    events: Path,
    models: list[Model],
    until_ms: int,
    expected: Expected,
    tmp_path: Path,
    count: int,
) -> None:
    send(broker.address, events)
    asyncio.run(publish(broker.address, models))
    options = ("--clock", str(until_ms), "--exit-when-done")
    with workers(count, broker.address, tmp_path, *options, definitions=file) as started:
        assert [worker.exit_code() for worker in started] == [0] * count
    assert_same(broker.address, expected)


def test_workers_that_are_killed_leave_no_trace(
    broker: BrokerProcess,
    file: Path,
    events: Path,
    models: list[Model],
    until_ms: int,
    expected: Expected,
    tmp_path: Path,
) -> None:
    send(broker.address, events)
    asyncio.run(publish(broker.address, models))
    moments = random.Random(FIRST_SEED)
    options = ("--clock", str(until_ms))
    for life in range(3):
        with Worker(broker.address, tmp_path / f"{life}.log", *options, definitions=file) as worker:
            worker.has_said("partitions: 0")
            time.sleep(0.3 + moments.random())  # somewhere in the midst of its work
            worker.kill()
    with Worker(broker.address, tmp_path / "last.log", *options, "--exit-when-done", definitions=file) as worker:
        assert worker.exit_code() == 0, worker.says()
    assert_same(broker.address, expected)
