"""Trainers beside workers: versions that anybody gets who learns the same samples, whoever is killed."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from stream.brokers.process import BrokerProcess
from stream.engine.plan import Plan
from stream.kafka.models import published_models
from stream.kafka.topics import PERSONA_EVENTS, PROFILE_SAMPLES
from stream.personas.messages import Published, Samples, parse_samples
from stream.personas.model import Model, encode
from stream.simulate import Simulation
from stream.trainer.learner import AHEAD_MS, Learner
from stream.trainer.status import TrainerStatus
from tests.cli.commands import COMMAND, environment, invoke
from tests.docs.pages import code, rows_of
from tests.kafka.kafka_records import make_topics
from tests.live.personas import definitions
from tests.live.workers import PARTITIONS, SESSION_S, log_of, prepared_plan, send_some, until_all_committed, workers

DAY_MS = 86_400_000
WITHIN_S = 120.0


class TrainerProcess:
    """``segstream trainer`` in a process."""

    def __init__(self, address: str, file: Path, log: Path) -> None:
        self.log = log
        command = [*COMMAND, "trainer", str(file), "--broker", address, "--session-timeout", str(SESSION_S)]
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment()
            )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def says(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def has_said(self, text: str) -> None:
        """Waits until it has."""
        deadline = time.monotonic() + WITHIN_S
        while text not in self.says():
            assert self._process.poll() is None, f"it has ended:\n{self.says()}"
            assert time.monotonic() < deadline, f"it does not say {text!r}, but:\n{self.says()}"
            time.sleep(0.05)

    def stop(self) -> int:
        """Ends it in order."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(WITHIN_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def published(address: str) -> Published:
    return asyncio.run(published_models(address))


def wait_for(address: str, version: int) -> list[Model]:
    """All versions, when this one is there."""
    deadline = time.monotonic() + WITHIN_S
    while version not in (found := published(address)).versions:
        assert time.monotonic() < deadline, f"no version {version}: {sorted(found.versions)}"
        time.sleep(0.1)
    return [found.versions[number] for number in sorted(found.versions)]


def learned(plan: Plan, records: list[tuple[int, Samples]], last: Model | None = None) -> Iterator[Model]:
    """The versions that come of samples, from the last one's offset on."""
    learner = Learner(plan, last)
    for offset, samples in records:
        if offset >= learner.offset:
            found = learner.take(offset, samples)
            if found is not None and found[0].model is not None:
                yield found[0].model


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return definitions(tmp_path_factory.mktemp("definitions"))


@pytest.fixture(scope="module")
def plan(file: Path) -> Plan:
    return prepared_plan(file)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two weeks of events, some days in each file."""
    folder = tmp_path_factory.mktemp("events")
    lines = b"".join(Simulation(customers=300, days=14, seed=5, habits="personas").chunks()).splitlines(keepends=True)
    lines.sort(key=lambda line: int(json.loads(line)["timestamp"]))
    first = int(json.loads(lines[0])["timestamp"])
    parts: dict[int, list[bytes]] = {}
    for line in lines:
        parts.setdefault((int(json.loads(line)["timestamp"]) - first) // (2 * DAY_MS), []).append(line)
    for number, part in parts.items():
        (folder / f"{number}.jsonl").write_bytes(b"".join(part))
    return [folder / f"{number}.jsonl" for number in sorted(parts)]


def send_day_by_day(address: str, days: list[Path]) -> None:
    """Each file when the workers have done with the one before."""
    for part in days:
        asyncio.run(send_some(address, part, sort=True))
        until_all_committed(address)


def test_a_trainer_that_was_killed_goes_on_from_its_last_version(
    broker: BrokerProcess, file: Path, plan: Plan, days: list[Path], tmp_path: Path
) -> None:
    make_topics(broker.address, PARTITIONS)
    with workers(1, broker.address, tmp_path, "--clock", "event", definitions=file) as (one,):
        send_day_by_day(broker.address, days)
        one.ask_to_stop()
        assert one.exit_code() == 0
    records = [(one.offset, parse_samples(one.value)) for one in log_of(broker.address, PROFILE_SAMPLES, 1)]
    assert sum(len(samples) for _, samples in records) > 3_000
    assert b"customer" not in b"".join(one.value or b"" for one in log_of(broker.address, PROFILE_SAMPLES, 1))
    expected = [encode(model) for model in learned(plan, records)]
    assert len(expected) > 2

    with TrainerProcess(broker.address, file, tmp_path / "first.log") as first:
        first.has_said("version 1 from")
        first.kill()
    with TrainerProcess(broker.address, file, tmp_path / "second.log") as second:
        found = wait_for(broker.address, len(expected))
        second.has_said("going on from version")
        assert second.stop() == 0, second.says()
    assert [encode(model) for model in found] == expected

    told: list[dict[str, Any]] = [json.loads(one.value or b"") for one in log_of(broker.address, PERSONA_EVENTS, 1)]
    births = {one["persona"] for one in told if one["event"] == "birth"}
    assert births >= {f"p{persona.number}" for persona in found[-1].personas}
    assert all(one["id"] and one["at"] and one["version"] for one in told)


def test_workers_take_what_a_trainer_publishes_and_a_pin_goes_back(
    broker: BrokerProcess, file: Path, days: list[Path], tmp_path: Path
) -> None:
    """While a worker is running: it takes each version, the one that repeats an earlier version too."""
    address = broker.address
    assert invoke("personas", "pin", "1", "--broker", address).exit_code == 64  # there are no topics yet
    make_topics(address, PARTITIONS)
    with (
        workers(1, address, tmp_path, "--clock", "event", definitions=file) as (worker,),
        TrainerProcess(address, file, tmp_path / "first.log") as first,
        TrainerProcess(address, file, tmp_path / "second.log") as second,
    ):
        send_day_by_day(address, days)
        before = wait_for(address, 2)
        pinned = invoke("personas", "pin", "1", "--broker", address)
        assert "stay at version 1" in pinned.stdout
        deadline = time.monotonic() + WITHIN_S
        while (last := max((found := published(address)).versions.values(), key=lambda one: one.version)).copy_of != 1:
            assert time.monotonic() < deadline, f"{sorted(found.versions)}\n{first.says()}\n{second.says()}"
            time.sleep(0.1)
        assert last.personas == before[0].personas
        assert last.version > 2
        worker.has_said(f"model {last.version} of personas")
        assert "another trainer is learning" in first.says() + second.says()
        assert invoke("personas", "unpin", "--broker", address).stdout == "personas are learned again\n"
        worker.ask_to_stop()
        assert worker.exit_code() == 0
        assert {first.stop(), second.stop()} == {0}
    shown = invoke("personas", "show", "--version", str(last.version), "--broker", address).stdout
    assert f"version {last.version} of {last.effective_at} (again version 1)" in shown
    listed = invoke("personas", "models", "--broker", address).stdout
    assert [json.loads(line)["version"] for line in listed.splitlines()] == sorted(published(address).versions)
    assert invoke("personas", "unpin", "--broker", address).exit_code == 64  # none is pinned any more


def test_a_learner_gives_the_same_wherever_it_begins(plan: Plan) -> None:
    assert plan.personas is not None
    random = np.random.default_rng(5)
    records = []
    for offset in range(24 * 5):
        groups = random.integers(3, size=200)
        vectors = np.exp(random.normal(1, 0.2, size=(200, 5)) * (groups[:, None] + 1))
        at = f"2026-03-{1 + offset // 24:02}T{offset % 24:02}:00:00.000Z"
        columns = vectors.T.tolist()
        records.append((offset, Samples(at, 0, plan.personas.features, plan.personas.ranked, columns)))
    whole = list(learned(plan, records))
    # Samples come each hour: with those of one o'clock there is a version.
    assert [model.effective_ms % DAY_MS for model in whole] == [3_600_000 + AHEAD_MS] * 5
    for number, model in enumerate(whole, 1):
        assert [encode(one) for one in learned(plan, records, model)] == [encode(one) for one in whole[number:]]


def test_samples_of_other_definitions_are_passed_over(plan: Plan) -> None:
    learner = Learner(plan, None)
    assert learner.take(7, Samples("2026-03-01T00:00:00.000Z", 0, ("count(email)",), (), [[1.0]])) is None
    assert (learner.samples, learner.offset) == (0, 8)


def test_every_metric_is_described() -> None:
    families = list(TrainerStatus().registry.collect())
    names = {f"{one.name}_total" if one.type == "counter" else one.name: one.type for one in families}
    assert names == {code(metric): kind for metric, kind, *_ in rows_of("metrics", "of a trainer")}


def test_a_trainer_says_what_it_needs(tmp_path: Path) -> None:
    without = tmp_path / "without.yaml"
    without.write_text("version: 1\nsegments: {seen: {enter: 'count(click) >= 1'}}\n")
    said = invoke("trainer", without)
    assert said.exit_code == 64
    assert "there is no `personas:`" in said.stderr
