"""All partitions of a worker: whose turn it is at a rebalance, and when the worker is done or has failed."""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from faust.types import TP

from stream.engine.partition import Clock, Partition
from stream.engine.plan import Plan
from stream.events.decoder import Decoder
from stream.live.consumer import BatchConsumer
from stream.live.counting import CountingPartition
from stream.live.fetched import Fetched
from stream.live.finish import all_stand
from stream.live.metrics import Durations
from stream.live.producer import LogProducer
from stream.live.progress import ToldProducer, ToldReader
from stream.live.reader import LogReader
from stream.live.runner import Runner
from stream.live.snapshot_folder import PartitionSnapshots, SnapshotFolder
from stream.live.sources import GroupSources
from stream.live.standby import Standbys
from stream.live.status import Status
from stream.worker.interfaces import Time, World
from stream.worker.models import Models
from stream.worker.owner import Owner
from stream.worker.replica import Replica
from stream.worker.settings import Settings
from stream.worker.topics import SOURCES

#: So often one looks whether other workers' partitions are done.
_ASK_EVERY_MS = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Connections:
    """What all partitions share. The consumer is Faust's."""

    producer: LogProducer
    reader: LogReader
    time: Time
    models: Models
    snapshots: SnapshotFolder | None = None


class Fleet:
    """The runners of the assigned partitions.

    ``settings`` are those of partition 0; only the number differs. ``ended`` is set when the worker has nothing more to
    do: by an error (``error``), or because all that it has is done.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        connections: Connections,
        status: Status,
        durations: Durations,
        *,
        drained_within_s: float,
        exit_when_done: bool,
    ) -> None:
        self.ended = asyncio.Event()
        self.error: BaseException | None = None
        self.status = status
        self._durations = durations
        self._plan = plan
        self._decoder = Decoder(plan.wanted)
        self._settings = settings
        self._connections = connections
        self._drained_within_s = drained_within_s
        self._exit_when_done = exit_when_done
        self._consumer: BatchConsumer | None = None
        self._runners: dict[int, Runner] = {}
        self._standbys = Standbys(
            self._make_replica, settings.changelog, connections.reader, connections.time, self.fail
        )
        self.status.standby_lags = self._standbys.lags
        self._snapshots: dict[int, PartitionSnapshots] = {}
        self._assigned: set[int] = set()
        self._is_stopping = False
        self._asked_at_ms = 0
        self._rejoins: set[asyncio.Task[None]] = set()

    def attach(self, consumer: BatchConsumer) -> None:
        """Says where records come from."""
        self._consumer = consumer

    def fail(self, error: BaseException) -> None:
        """Ends the worker; nothing is committed any more."""
        if self.error is None and not self.ended.is_set():
            self.error = error
            self._is_stopping = True
            for runner in self._runners.values():
                runner.abandon()
        self.ended.set()

    # --- rebalances ---

    async def revoke(self) -> None:
        """The group takes all partitions back: applied events are made durable and committed."""
        if self._consumer is not None:
            self._consumer.hold_all()
        for task in self._rejoins:
            task.cancel()
        runners = [self._runners[partition] for partition in self._assigned]
        self._assigned = set()
        self.status.partitions.clear()
        self.status.unassigned_ms = self._connections.time.steady_ms()
        await asyncio.gather(*[runner.stop(self._drained_within_s) for runner in runners])

    async def assign(self, assigned: Iterable[TP], standbys: Iterable[TP], generation: int) -> None:
        """The group has given these partitions; all earlier ones have been revoked.

        ``standbys`` are changelogs to follow for the case that their owners go.
        """
        assert not self._assigned, "they have been revoked"
        self.status.counters.rebalances += 1
        self.status.unassigned_ms = None
        numbers = [{place.partition for place in assigned if place.topic == topic} for topic in SOURCES]
        if any(found != numbers[0] for found in numbers):
            self.fail(AssertionError(f"partitions of the topics {SOURCES} must be assigned together: {numbers}"))
        replicas = await self._standbys.follow({place.partition for place in standbys} - numbers[0])
        if self._is_stopping:
            return
        self._assigned = numbers[0]
        _log.info("partitions: %s", ", ".join(map(str, sorted(self._assigned))) or "none")
        for partition, runner in self._runners.items():
            if partition not in self._assigned:
                runner.forget()
        for partition in sorted(self._assigned):
            runner = self._runners.get(partition) or self._make_runner(partition)
            self._runners[partition] = runner
            runner.start(generation, replicas.get(partition))
            self.status.partitions[partition] = runner.status

    async def stop(self) -> None:
        """Drains all partitions for good."""
        self._is_stopping = True
        await self._standbys.stop()
        await self.revoke()
        self.status.unassigned_ms = None

    async def save(self) -> None:
        """Keeps a snapshot of each partition that was drained; call it when the group has been left."""
        for partition, runner in self._runners.items():
            snapshots = self._snapshots.get(partition)
            if snapshots is not None:
                await snapshots.kept()
                runner.save()
                await snapshots.kept()

    def _make_runner(self, partition: int) -> Runner:
        assert self._consumer is not None
        sources = GroupSources(partition, self._consumer, self._connections.reader)
        time = self._connections.time
        return Runner(
            partition,
            functools.partial(self._make_owner, partition, sources),
            sources,
            self._consumer,
            time,
            self._durations,
            self._settings.clock.mode,
            self.fail,
            self._rejoin_after_fence,
        )

    def _make_owner(self, partition: int, sources: GroupSources, told: Callable[[int], None]) -> Owner:
        connections = self._connections
        if connections.snapshots is not None and partition not in self._snapshots:
            self._snapshots[partition] = connections.snapshots.of(self._settings.changelog, partition)
        producer, reader = ToldProducer(connections.producer, told), ToldReader(connections.reader, told)
        world = World(producer, reader, sources, connections.time)

        settings = replace(self._settings, partition=partition)
        return Owner(
            self._plan,
            settings,
            world,
            lambda: uuid.uuid4().hex,
            self._decoder,
            self._make_partition,
            self._snapshots.get(partition),
            connections.models,
        )

    def _make_partition(self, plan: Plan, clock: Clock, lateness_ms: int) -> Partition:
        return CountingPartition(plan, clock, lateness_ms, self.status.counters)

    def _make_replica(self) -> Replica:
        return Replica.empty(self._plan, self._settings, self._make_partition)

    def _rejoin_after_fence(self, partition: int) -> None:
        """Another worker has the partition; where the group has not told us so by then, asks it again."""
        task = asyncio.create_task(self._rejoin_later(partition), name=f"rejoin for partition {partition}")
        self._rejoins.add(task)
        task.add_done_callback(self._rejoins.discard)

    async def _rejoin_later(self, partition: int) -> None:
        assert self._consumer is not None
        await asyncio.sleep(self._drained_within_s)
        if partition in self._assigned and not self._is_stopping:
            await self._consumer.rejoin()

    def runner(self, partition: int) -> Runner | None:
        """The runner of a partition that is assigned to this worker."""
        return self._runners[partition] if partition in self._assigned else None

    # --- events ---

    def deliver(self, fetched: Fetched) -> None:
        """Hands on what was fetched; never waits."""
        if fetched.partition not in self._assigned:
            return
        try:
            self._runners[fetched.partition].deliver(fetched)
        except Exception as error:  # noqa: BLE001 (Faust would take the message for done)
            self.fail(error)

    # --- progress ---

    async def look(self) -> None:
        """Looks after what all partitions have done; call it now and then."""
        runners = [self._runners[partition] for partition in self._assigned]
        now_ms = self._connections.time.wall_ms()
        steady_ms = self._connections.time.steady_ms()
        if runners:
            since_ms = min(steady_ms - runner.status.progress_ms for runner in runners)
            self.status.progress_ms = max(self.status.progress_ms, now_ms - since_ms)
        is_done = self._exit_when_done and self.status.counters.rebalances > 0
        if is_done and all(runner.is_done for runner in runners) and steady_ms - self._asked_at_ms >= _ASK_EVERY_MS:
            self._asked_at_ms = steady_ms
            if await self._all_stand():
                self.ended.set()

    async def _all_stand(self) -> bool:
        """Whether other workers' partitions are done too: were one of those to die, its work would be ours."""
        settings = self._settings
        instant_ms = settings.clock.instant_ms
        return await all_stand(self._connections.reader, settings.changelog, settings.partitions, instant_ms)
