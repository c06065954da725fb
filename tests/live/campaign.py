"""Real workers on a real broker, killed again and again: ``python -m tests.live.campaign --kills 20 --seed 1``.

Two workers share the partitions. They are killed, stalled and joined by a third one, and leave in order, and Apache
Kafka is started anew once. Each of that waits until there are more changes than before, so that it meets work under
way. What is left on the broker must be what a replay gives.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.process import BrokerProcess
from stream.kafka.partitioning import partition_of
from stream.simulate import Simulation
from tests.brokers import KINDS, MISSING
from tests.live.following import ChangesSoFar
from tests.live.totals import DAY_MS, days_of, definitions_with_totals
from tests.live.workers import PARTITIONS, SESSION_S, Expected, Worker, assert_same, last_ms, send

#: Without a new change for so long something hangs.
PROGRESS_WITHIN_S = 180.0
_LOOK_S = 0.01
#: A kill comes at any moment within so long after the changes that it waits for.
_MOMENT_S = 0.03
#: When all is done, who has been given nothing for so long is asked to leave; see `Campaign._send_home`.
_UNASSIGNED_S = 30.0
_LINES_SHOWN = 30
_EXIT_UNREACHABLE = 69


class CampaignError(AssertionError):
    """A worker ended as it must not, or the end is not reached."""


@dataclass
class Tally:
    """What happened."""

    events: int = 0
    kills: int = 0
    kills_at_work: int = 0
    stalls: int = 0
    joins: int = 0
    leaves: int = 0
    broker_restarts: int = 0
    revived: int = 0
    assignments: int = 0
    changes: int = 0
    repeats: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.events:,} events in {self.seconds:.0f} s: {self.kills} kills ({self.kills_at_work} with changes "
            f"still to come), {self.stalls} stalls, {self.joins} joins, {self.leaves} leaves, {self.broker_restarts} "
            f"restarts of the broker ({self.revived} workers started again), {self.assignments} assignments; "
            f"{self.changes:,} changes and {self.repeats:,} repeats on the wire"
        )


class Campaign:
    """One campaign over events that lie in their topics."""

    def __init__(
        self, broker: BrokerProcess, folder: Path, definitions: Path, until_ms: int, changes: Iterable[str], seed: int
    ) -> None:
        self.tally = Tally()
        self._broker = broker
        self._folder = folder
        self._definitions = definitions
        self._until_ms = until_ms
        self._changes = set(changes)  # by id
        self._rng = random.Random(seed)
        self._stack = ExitStack()
        self._logs: list[Path] = []
        self._running: list[Worker] = []
        self._leaving: list[Worker] = []
        self._stalled: tuple[Worker, float] | None = None
        self._were_stalled: set[Worker] = set()

    def run(self, kills: int) -> None:
        """Raises ``CampaignError`` when a worker ends as it must not, or the end is not reached."""
        began = time.monotonic()
        with self._stack:
            try:
                self._so_far = self._stack.enter_context(ChangesSoFar(self._broker.address, PARTITIONS))
                self._start()
                self._start()
                steps = self._steps(kills)
                for left, step in zip(range(len(steps), 0, -1), steps, strict=True):
                    self._until_more_changes(left)
                    step()
                self._until_ended()
            except CampaignError as error:
                parts = f"after {self._counted(began)}", *self._differences(), *self._tails()
                raise CampaignError("\n".join([str(error), *parts])) from None
            self._counted(began)

    def _counted(self, began: float) -> Tally:
        """The tally, with what is counted in the end."""
        tally = self.tally
        tally.changes, tally.repeats = len(self._so_far.ids), self._so_far.repeats
        tally.assignments = sum(_says(log).count("partitions: ") for log in self._logs)
        tally.seconds = time.monotonic() - began
        return tally

    def _steps(self, kills: int) -> list[Callable[[], None]]:
        """What will be done, one after the other: kills, with the rest at random places between them."""
        found: list[Callable[[], None]] = [self._kill] * kills
        for _ in range(max(1, kills // 10)):
            first, second = sorted(self._rng.choices(range(len(found) + 1), k=2))
            found.insert(second, self._ask_to_leave)
            found.insert(first, self._join)
            found.insert(self._rng.randrange(len(found) // 2 + 1), self._stall)
        if not isinstance(self._broker, EmbeddedBroker):  # which forgets everything
            found.insert(self._rng.randrange(len(found) // 2 + 1), self._restart_broker)
        return found

    # --- steps ---

    def _start(self) -> None:
        log = self._folder / f"worker-{len(self._logs)}.log"
        self._logs.append(log)
        options = ("--clock", str(self._until_ms), "--exit-when-done")
        worker = Worker(self._broker.address, log, *options, definitions=self._definitions)
        self._running.append(self._stack.enter_context(worker))

    def _kill(self) -> None:
        victim = self._one_at_work()
        if victim is None:
            return
        time.sleep(self._rng.random() * _MOMENT_S)  # the moment is what is random
        if victim.is_running():
            victim.kill()
            self._running.remove(victim)
            self._so_far.look()
            self.tally.kills += 1
            self.tally.kills_at_work += not self._is_over()
            self._start()

    def _stall(self) -> None:
        victim = self._one_at_work()
        if victim is not None and self._stalled is None and victim.is_running():
            victim.pause()
            self._running.remove(victim)
            self._stalled = victim, time.monotonic()
            self._were_stalled.add(victim)
            self.tally.stalls += 1

    def _join(self) -> None:
        self._start()
        self.tally.joins += 1

    def _ask_to_leave(self) -> None:
        one = self._one_at_work()
        if one is not None and len(self._running) > 1:
            one.ask_to_stop()
            self._running.remove(one)
            self._leaving.append(one)
            self.tally.leaves += 1

    def _restart_broker(self) -> None:
        self._broker.stop()
        self._broker.start()
        self.tally.broker_restarts += 1

    def _one_at_work(self) -> Worker | None:
        """A worker whose changes have just come if there is one, else one that has partitions; None: all is over."""
        for _ in self._looks():
            having = {worker: _partitions(worker.says()) for worker in self._running}
            writing = [worker for worker, partitions in having.items() if partitions & self._so_far.grown]
            choice = writing or [worker for worker, partitions in having.items() if partitions]
            if choice:
                return self._rng.choice(choice)
            if self._is_over() and not self._running:
                break
        return None

    # --- between them ---

    def _until_more_changes(self, steps_left: int) -> None:
        """Waits until a random part of what is left has come."""
        left = len(self._changes - self._so_far.ids)
        # So small that there is something left for all steps: as much comes while one looks.
        enough = len(self._so_far.ids) + max(1, int(self._rng.random() * left / 2 / (steps_left + 1)))
        for _ in self._looks():
            if len(self._so_far.ids) >= enough or self._is_over():
                return

    def _until_ended(self) -> None:
        over_since = None
        for _ in self._looks():
            if not (self._running or self._leaving or self._stalled):
                return
            if over_since is None and self._is_over():
                over_since = time.monotonic()
            if over_since is not None and time.monotonic() > over_since + _UNASSIGNED_S:
                self._send_home()

    def _send_home(self) -> None:
        """Asks workers to leave that the embedded broker will never give partitions to.

        There a leader that leaves while its group forms stays the leader, though no member any more: who joins then
        waits for it for ever. So it goes when workers that are done leave while another one starts.
        """
        if isinstance(self._broker, EmbeddedBroker):
            for worker in [one for one in self._running if not _partitions(one.says())]:
                worker.ask_to_stop()
                self._running.remove(worker)
                self._leaving.append(worker)

    def _looks(self) -> Iterator[None]:
        """Looks at the changes and after the workers, again and again."""
        deadline = time.monotonic() + PROGRESS_WITHIN_S
        while True:
            self._so_far.look()
            self._tend()
            if self._so_far.grown:
                deadline = time.monotonic() + PROGRESS_WITHIN_S
            if time.monotonic() > deadline:
                raise CampaignError(f"no change for {PROGRESS_WITHIN_S:g} s")
            yield
            time.sleep(_LOOK_S)

    def _tend(self) -> None:
        """Does what a supervisor would: looks at who has ended, and starts what lost its broker again."""
        for worker in [one for one in self._running if not one.is_running()]:
            self._running.remove(worker)
            self._ended(worker, worker.exit_code())
        for worker in [one for one in self._leaving if not one.is_running()]:
            self._leaving.remove(worker)
            if worker.exit_code() != 0:
                self._ended(worker, worker.exit_code())
        self._go_on_after_stall()

    def _ended(self, worker: Worker, code: int) -> None:
        is_expected = self.tally.broker_restarts > 0 or worker in self._were_stalled
        if code == _EXIT_UNREACHABLE and is_expected:
            self.tally.revived += 1
            self._start()
            return
        if code:
            raise CampaignError(f"{worker.log.name}: the worker has ended with {code}")
        self._so_far.look()
        if not self._is_over():
            raise CampaignError(f"{worker.log.name}: the worker says that all is done, and it is not")

    def _go_on_after_stall(self) -> None:
        """Lets the stalled worker go on when the others have all of the partitions."""
        if self._stalled is None:
            return
        worker, since = self._stalled
        having = [_partitions(one.says()) for one in self._running]
        are_taken = len(set().union(*having)) == PARTITIONS
        if time.monotonic() > since + SESSION_S + 1 and (are_taken or self._is_over()):
            worker.go_on()
            self._running.append(worker)
            self._stalled = None

    def _is_over(self) -> bool:
        return self._changes <= self._so_far.ids

    # --- what has gone wrong ---

    def _differences(self) -> Iterator[str]:
        """Each partition's stream clock, and what is missing and what is too much there."""
        for partition, stream_ms in self._so_far.stream_clocks().items():
            missing, extra = (
                [id_ for id_ in sorted(ids) if partition_of(id_.rpartition(":")[0].encode(), PARTITIONS) == partition]
                for ids in (self._changes - self._so_far.ids, self._so_far.ids - self._changes)
            )
            until = "where it ends" if stream_ms == self._until_ms else f"at {stream_ms}, to end at {self._until_ms}"
            yield (
                f"partition {partition}: the stream clock stands {until}; {len(missing)} changes are missing "
                f"{missing[:3]}, {len(extra)} too many {extra[:3]}"
            )

    def _tails(self) -> Iterator[str]:
        """The end of what each worker says."""
        for log in self._logs:
            yield "\n".join([f"--- {log.name}", *_says(log).splitlines()[-_LINES_SHOWN:]])


def _says(log: Path) -> str:
    return log.read_text(encoding="utf-8")


def _partitions(said: str) -> set[int]:
    """The partitions that a worker was given at last."""
    _, found, rest = said.rpartition("partitions: ")
    line = rest.partition("\n")[0]
    return {int(number) for number in line.split(", ")} if found and line != "none" else set()


def campaign(broker: BrokerProcess, folder: Path, *, events: int, kills: int, seed: int) -> Tally:
    """Sends simulated events, runs a campaign and compares all that it has left with a replay's."""
    path = folder / "events.jsonl"
    simulation = Simulation(
        events=events, customers=max(1, events // 20), days=60, seed=seed, duplicates=0.02, late=0.03
    )
    path.write_bytes(b"".join(simulation.chunks()))
    days = days_of(path)
    definitions = definitions_with_totals(folder, days)
    until_ms = last_ms(path) + (days + 1) * DAY_MS
    expected = Expected(path, until_ms, definitions)
    send(broker.address, path)
    one = Campaign(broker, folder, definitions, until_ms, expected.changes, seed)
    one.tally.events = events
    one.run(kills)
    assert_same(broker.address, expected)
    return one.tally


def main() -> int:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every attempt
    parser = argparse.ArgumentParser(description="Kills real workers on a real broker, and compares with a replay.")
    parser.add_argument("--events", type=int, default=600_000)  # so that each kill meets work
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--broker", choices=list(KINDS), action="append", help="default: all that can run here")
    arguments = parser.parse_args()
    failed = 0
    for kind in arguments.broker or [kind for kind in KINDS if kind != "apache" or not MISSING]:
        folder = Path(tempfile.mkdtemp(prefix="segstream-campaign-"))
        print(f"{kind}, seed {arguments.seed}: logs in {folder}", flush=True)
        try:
            with KINDS[kind]() as broker:
                tally = campaign(broker, folder, events=arguments.events, kills=arguments.kills, seed=arguments.seed)
            if tally.kills_at_work < arguments.kills:
                raise CampaignError(f"the work was over too soon, take more events: {tally}")
        except AssertionError as error:
            failed += 1
            print(f"{kind}, seed {arguments.seed}: FAILED: {error}", flush=True)
            continue
        print(f"{kind}, seed {arguments.seed}: as the replay; {tally}", flush=True)
        shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
