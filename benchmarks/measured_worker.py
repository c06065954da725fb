"""``segstream worker`` with a stopwatch: takes its options, and prints one JSON line when it has ended.

It runs the very command in this process, and notes when a few of its methods are called. With ``--stop-when-running``
it asks itself to stop, as SIGTERM does, once all its partitions have been restored. ``--warm-after N`` notes when so
many events had been applied.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from faust.types import TP

from benchmarks.hardware import peak_bytes, resident_bytes
from stream.cli import cli
from stream.live.consumer import BatchConsumer
from stream.live.fetched import Fetched
from stream.live.fleet import Fleet
from stream.worker.owner import Owner

_STOP = "--stop-when-running"
_WARM = "--warm-after"


class Moment(NamedTuple):
    """Now: since the epoch, on the steady clock, and in CPU seconds of this process."""

    at: float
    wall: float
    cpu: float


def now() -> Moment:
    return Moment(time.time(), time.perf_counter(), time.process_time())


class Stopwatch:
    """What happened when. The first event is read, and the last partition done: those are the two ends of the work."""

    def __init__(self, *, stops_when_running: bool, warm_after: int | None) -> None:
        self._stops_when_running = stops_when_running
        self._warm_after = warm_after
        self._events_when_warm = 0
        self._moments: dict[str, Moment] = {}
        self._base_bytes = 0
        self._fleet: Fleet | None = None
        self._owners: dict[int, Owner] = {}
        self._done: set[int] = set()
        self._running: set[int] = set()

    def watch(self) -> None:
        """From now on."""
        assign, begin, deliver, step = Fleet.assign, BatchConsumer.begin, Fleet.deliver, Owner.step

        async def watched_assign(fleet: Fleet, assigned: Iterable[TP], standbys: Iterable[TP], generation: int) -> None:
            if self._fleet is None:
                self._fleet, self._base_bytes = fleet, resident_bytes()
            self._running.clear()
            self._moments["assigned"] = now()
            await assign(fleet, assigned, standbys, generation)

        async def watched_begin(consumer: BatchConsumer, positions: Mapping[TP, int], generation: int) -> bool:
            begun = await begin(consumer, positions, generation)
            if begun:
                self._has_begun({place.partition for place in positions})
            return begun

        def watched_deliver(fleet: Fleet, fetched: Fetched) -> None:
            if fetched.records:
                self._moments["first"] = now()
                setattr(Fleet, "deliver", deliver)  # noqa: B010 (mypy sees no method there)
            deliver(fleet, fetched)

        async def watched_step(owner: Owner) -> bool:
            worked = await step(owner)
            number = owner.settings.partition
            self._owners[number] = owner
            self._look_whether_warm()
            if owner.is_done and number not in self._done:
                self._done.add(number)
                self._moments["done"] = now()
            return worked

        watched = (
            (Fleet, watched_assign),
            (Fleet, watched_deliver),
            (BatchConsumer, watched_begin),
            (Owner, watched_step),
        )
        for owning_class, method in watched:
            setattr(owning_class, method.__name__.removeprefix("watched_"), method)

    def _has_begun(self, partitions: set[int]) -> None:
        assert self._fleet is not None
        self._running |= partitions
        if self._running == set(self._fleet.status.partitions):
            self._moments["running"] = now()
            if self._stops_when_running:
                os.kill(os.getpid(), signal.SIGTERM)

    def _look_whether_warm(self) -> None:
        if self._warm_after is None or self._fleet is None or "warm" in self._moments:
            return
        events = self._fleet.status.counters.events.total()
        if events >= self._warm_after:
            self._moments["warm"] = now()
            self._events_when_warm = events

    def result(self, exit_code: object) -> dict[str, Any]:
        """All of it, as `benchmarks.workers.Measured` takes it."""
        resident = resident_bytes()  # first of all: looking takes memory too
        counters = None if self._fleet is None else self._fleet.status.counters
        return {
            "exit_code": exit_code,
            "events": counters.events.total() if counters else 0,
            "events_when_warm": self._events_when_warm,
            "changes": counters.changes.total() if counters else 0,
            "profiles": sum(len(owner.partition.profiles) for owner in self._owners.values()),
            "assignments": counters.rebalances if counters else 0,
            "base_bytes": self._base_bytes,
            "resident_bytes": resident,
            "peak_bytes": peak_bytes(),
            "moments": {name: moment._asdict() for name, moment in self._moments.items()},
        }


def main() -> None:
    arguments = sys.argv[1:]
    warm_after = None
    if _WARM in arguments:
        place = arguments.index(_WARM)
        warm_after = int(arguments[place + 1])
        del arguments[place : place + 2]
    stopwatch = Stopwatch(stops_when_running=_STOP in arguments, warm_after=warm_after)
    stopwatch.watch()
    exit_code: object = None
    try:
        cli.main(["worker", *(one for one in arguments if one != _STOP)], prog_name="segstream")
    except SystemExit as end:
        exit_code = end.code
    gc.collect()
    print(json.dumps(stopwatch.result(exit_code)), flush=True)


if __name__ == "__main__":
    main()
