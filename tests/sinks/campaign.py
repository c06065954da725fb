"""Redis tells the truth, whatever happens: ``python -m tests.sinks.campaign --events 200000 --seed 1``.

A worker applies simulated events while a sink writes what comes of them to Redis. Workers are killed twice, Redis is
killed and started again from an older save, Redis is lost whole, and the sink is killed. What lies in Redis in the end
must be what a replay gives.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.process import BrokerProcess
from stream.brokers.redis_server import RedisServer
from stream.instants import parse_instant
from stream.simulate import Simulation
from tests.live.workers import Expected, Worker, last_ms, send
from tests.sinks.model import Model, found, memberships_in_keys
from tests.sinks.servers import MISSING, VERSIONS, client_of, server_of
from tests.sinks.sinks import Sink, offsets_in, until_lag_0

#: Without anything new in Redis for so long something hangs.
PROGRESS_WITHIN_S = 120.0
DAY_MS = 86_400_000
_LOOK_S = 0.03


@dataclass
class Tally:
    """What happened, and when: how many changes Redis had, of how many."""

    events: int = 0
    changes: int = 0
    steps: tuple[tuple[str, int], ...] = ()
    seconds: float = 0.0

    def at_work(self) -> int:
        """How many steps met changes that were still to come."""
        return sum(applied < self.changes for _, applied in self.steps)

    def __str__(self) -> str:
        steps = ", ".join(f"{name} at {applied:,}" for name, applied in self.steps)
        return f"{self.events:,} events, {self.changes:,} changes in {self.seconds:.0f} s: {steps}"


class Campaign:
    """One campaign over events that lie in their topics."""

    def __init__(
        self, broker: BrokerProcess, server: RedisServer, folder: Path, until_ms: int, changes: int, seed: int
    ) -> None:
        self._broker = broker
        self._server = server
        self._folder = folder
        self._until_ms = until_ms
        self._changes = changes
        self._rng = random.Random(seed)
        self._stack = ExitStack()
        self._logs = 0
        self.steps: list[tuple[str, int]] = []

    def run(self, *, worker_kills: int, lose: bool) -> None:
        """Returns when all has been applied; ``lose``: Redis is lost whole in between."""
        with self._stack:
            self._start_worker()
            self._start_sink()
            steps: list[tuple[str, Callable[[], None]]] = [("sink killed", self._kill_sink)]
            steps += [("worker killed", self._kill_worker)] * worker_kills
            self._rng.shuffle(steps)
            saved = self._rng.randrange(len(steps))
            restarted = self._rng.randrange(saved + 1, len(steps) + 1) + 1
            steps.insert(saved, ("Redis saved", self._save))
            steps.insert(restarted, ("Redis restarted from there", self._restart))
            if lose:  # not in between, for the save is lost then too
                places = [*range(saved + 1), *range(restarted + 1, len(steps) + 1)]
                steps.insert(self._rng.choice(places), ("Redis lost whole", self._lose))
            for left, (name, step) in zip(range(len(steps), 0, -1), steps, strict=True):
                self._until_more(left)
                self.steps.append((name, self._applied()))
                step()
            assert self._worker.exit_code() == 0, self._worker.says()
            until_lag_0(self._broker.address, self._server, self._sink)
            self._sink.ask_to_stop()
            assert self._sink.exit_code() == 0, self._sink.says()

    # --- steps ---

    def _start_worker(self) -> None:
        options = ("--clock", str(self._until_ms), "--exit-when-done")
        self._worker = self._stack.enter_context(Worker(self._broker.address, self._log("worker"), *options))

    def _start_sink(self) -> None:
        self._sink = self._stack.enter_context(Sink(self._broker.address, self._server, self._log("sink")))

    def _kill_worker(self) -> None:
        self._worker.kill()
        self._start_worker()

    def _kill_sink(self) -> None:
        self._sink.kill()
        self._start_sink()

    def _save(self) -> None:
        with client_of(self._server) as client:
            client.save()

    def _restart(self) -> None:
        self._server.kill()
        self._server.start()

    def _lose(self) -> None:
        self._server.kill()
        (self._server.directory / "dump.rdb").unlink(missing_ok=True)
        self._server.start()

    # --- between them ---

    def _applied(self) -> int:
        return sum(offsets_in(self._server).values())

    def _until_more(self, steps_left: int) -> None:
        """Waits until a random part of what is left has come."""
        before = self._applied()
        enough = before + max(1, int(self._rng.random() * (self._changes - before) / (steps_left + 1)))
        for _ in self._looks():
            if self._applied() >= min(enough, self._changes):
                return

    def _looks(self) -> Iterator[None]:
        deadline, latest = time.monotonic() + PROGRESS_WITHIN_S, -1
        while True:
            assert self._sink.is_running(), self._sink.says()
            if not self._worker.is_running():
                assert self._worker.exit_code() == 0, self._worker.says()
            if self._applied() > latest:
                latest, deadline = self._applied(), time.monotonic() + PROGRESS_WITHIN_S
            assert time.monotonic() < deadline, f"nothing new in Redis:\n{self._sink.says()}\n{self._worker.says()}"
            yield
            time.sleep(_LOOK_S)

    def _log(self, what: str) -> Path:
        self._logs += 1
        return self._folder / f"{self._logs:02}-{what}.log"


def campaign(
    broker: BrokerProcess,
    server: RedisServer,
    folder: Path,
    *,
    events: int,
    seed: int,
    worker_kills: int = 2,
    lose: bool = True,
) -> Tally:
    """Sends simulated events, runs a campaign, and compares what lies in Redis with a replay's final memberships."""
    path = folder / "events.jsonl"
    simulation = Simulation(
        events=events, customers=max(1, events // 20), days=60, seed=seed, duplicates=0.02, late=0.03
    )
    path.write_bytes(b"".join(simulation.chunks()))
    until_ms = last_ms(path) + 3 * DAY_MS
    expected = Expected(path, until_ms)
    send(broker.address, path)
    tally = Tally(events, len(expected.changes))
    began = time.monotonic()
    one = Campaign(broker, server, folder, until_ms, len(expected.changes), seed)
    one.run(worker_kills=worker_kills, lose=lose)
    tally.steps, tally.seconds = tuple(one.steps), time.monotonic() - began
    with client_of(server) as client:
        there = found(client)
    assert_memberships(there, expected)
    if not lose:
        assert_history(there, expected)
    return tally


def assert_memberships(there: dict[str, Any], expected: Expected) -> None:
    """Sets, entry times, holdouts, overlaps and sequences are the replay's."""
    people = {
        customer: {name: (parse_instant(one["since"]), one["holdout"]) for name, one in record["segments"].items()}
        for customer, record in expected.members.items()
    }
    assert sum(map(len, people.values())) > 0
    for name, value in memberships_in_keys(people).items():
        assert there[name] == value, name
    assert there["sequences"] == {customer: record["sequence"] for customer, record in expected.members.items()}
    assert there["gaps"] == (0, 0, None)
    assert there["erased"] == {}


def assert_history(there: dict[str, Any], expected: Expected) -> None:
    """All else is what the changes come to, where Redis was never lost whole."""
    model = Model()
    for line in expected.changes.values():
        model.apply(line)
    for name, value in model.expected().items():
        if name not in ("feed", "history_from_ms"):  # in the order of partitions
            assert there[name] == value, name


def main() -> int:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every attempt
    parser = argparse.ArgumentParser(description="Kills workers, Redis and sinks, and compares with a replay.")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--redis", choices=VERSIONS, action="append", help="default: all that are here")
    arguments = parser.parse_args()
    failed = 0
    for version in arguments.redis or [one for one in VERSIONS if one not in MISSING]:
        folder = Path(tempfile.mkdtemp(prefix="segstream-sink-campaign-"))
        title = f"Redis {version}, seed {arguments.seed}"
        print(f"{title}: logs in {folder}", flush=True)
        try:
            with EmbeddedBroker() as broker, server_of(version) as server:
                tally = campaign(broker, server, folder, events=arguments.events, seed=arguments.seed)
            assert tally.at_work() >= 4, f"the work was over too soon, take more events: {tally}"
        except AssertionError as error:
            failed += 1
            print(f"{title}: FAILED: {error}", flush=True)
            continue
        print(f"{title}: as the replay; {tally}", flush=True)
        shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
