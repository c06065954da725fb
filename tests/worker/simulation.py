"""One world after another: an owner at work, crashes, stalls and returns, all decided by a seed.

``run(seed)`` gives None when everything came out right, or what is wrong.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Coroutine
from dataclasses import dataclass
from random import Random
from unittest import mock

import stream.engine.partition as partition_module
from stream.contract import Kind
from stream.engine.centres import Centres
from stream.events.decoder import Decoder
from stream.kafka.topics import CUSTOMER_ERASURES, MEMBERSHIPS
from stream.worker import recovery
from stream.worker.errors import EarlierDefinitionsError, FencedError
from stream.worker.interfaces import World
from stream.worker.models import Models
from stream.worker.owner import Owner
from stream.worker.received import Received
from stream.worker.replica import Replica
from stream.worker.settings import ClockMode, Limits, Pace, Settings, StreamClock
from stream.worker.snapshots import Saved
from stream.worker.topics import SOURCES
from tests.worker.broker import Broker, HostProducer, HostReader, HostSources, HostTime, Pause, SendError
from tests.worker.watched import Registry, WatchedErasures, WatchedPartition
from tests.worker.worlds import WITH_PERSONAS, Scenario, add_personas, make_scenario, plans

STEPS_MOST = 6_000
LAG_MS = 20_000
IDLE_MS_MAX = 1_500
#: Pauses at which a host reads no events: before the assignment is over, and when it is about to.
NOT_READING = ("start", "assigned", "poll", "drained", "ended")
#: What the changelog's cleaner works on.
COMPACTED = ("segstream-profiles-changelog", MEMBERSHIPS)


@functools.cache
def decoder_of(place: int) -> Decoder:
    return Decoder(plans()[place].wanted)


@dataclass
class Host:
    """One worker, for as long as it lives; it may get the partition several times."""

    simulation: Simulation
    name: str
    version: int

    def __post_init__(self) -> None:
        world = self.simulation
        broker = world.broker
        self.sources = HostSources(broker)
        self.positions: dict[str, int] = {}
        disk = world.kept_random.choice(world.disks)
        settings = Settings(
            partition=0,
            partitions=1,
            clock=StreamClock(world.scenario.mode, world.scenario.until_ms),
            pace=world.pace,
            limits=Limits(rows_at_once=world.rows_at_once, outbox_bytes=world.outbox_bytes),
            allow_empty=world.allow_empty,
        )
        self.owner = Owner(
            world.plans[self.version],
            settings,
            World(HostProducer(broker, self.name, world.trouble), HostReader(broker), self.sources, HostTime(broker)),
            world.token,
            decoder_of(world.scenario.files[self.version]),
            functools.partial(WatchedPartition, world.registry),
            disk if world.with_snapshots else None,
            world.models if world.scenario.files[self.version] == WITH_PERSONAS else None,
        )
        self.life: Coroutine[str, None, None] | None = None
        self.at = "start"

    def start(self) -> None:
        """The partition is assigned to it."""
        self.simulation.broker.generation += 1
        self.sources.generation = self.simulation.broker.generation
        self.positions = {}
        self.life = None
        self.at = "start"

    async def live(self) -> None:
        await Pause("assigned")
        await self.owner.assign(self.simulation.standby_of(self))
        self.positions = self.owner.intake.positions()
        while True:
            await Pause("poll")
            if self.simulation.is_draining and self.simulation.random.random() < 0.3:
                await self.owner.drain()
                self.owner.save()
                await Pause("drained")
            self._fetch()
            await self.owner.step()

    def _fetch(self) -> None:
        """Reads some records of some topics."""
        random, broker = self.simulation.random, self.simulation.broker
        for kind in Kind:
            if random.random() < 0.5 or self.owner.intake.is_full(kind):
                continue
            log, start = broker.log(kind.topic), self.positions[kind.topic]
            records = [r for r in log.records if r.offset >= start][: random.randint(1, self.simulation.fetched_most)]
            stop = records[-1].offset + 1 if records else start
            if not any(r.offset >= stop for r in log.records):
                stop = log.next  # over offsets that no record has
            if records:
                self.owner.push(kind, Received.of(records), log.next)
            self.owner.intake.skip(kind, stop, log.next)
            self.positions[kind.topic] = stop
        if random.random() < 0.5:
            log, start = broker.log(CUSTOMER_ERASURES), self.positions[CUSTOMER_ERASURES]
            records = [r for r in log.records if r.offset >= start][: random.randint(1, self.simulation.fetched_most)]
            self.owner.push_requests(records, log.next)
            self.positions[CUSTOMER_ERASURES] = records[-1].offset + 1 if records else start

    def go_on(self) -> str:
        """To its next pause. ``ended``: it gave up, as it should when it is fenced or a write fails."""
        if self.life is None:
            self.life = self.live()
        if self.at not in NOT_READING and self.positions and self.simulation.random.random() < 0.05:
            self._fetch()  # while a step is under way
        try:
            self.at = self.life.send(None)
        except FencedError as error:
            self.at = "ended"
            self.simulation.note(f"{self.name} is fenced: {error}")
        except (SendError, EarlierDefinitionsError) as error:
            self.at = "ended"
            self.simulation.note(f"{self.name} ends: {error}")
        return self.at


class Disk:
    """Where hosts keep snapshots of the partition, one after another; what was kept lasts."""

    is_busy = False

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._kept: list[Saved] = []

    def keep(self, saved: Saved) -> None:
        self._kept.append(saved)
        self._simulation.note(f"snapshot @{saved.head.offset}")

    async def load(self) -> Saved | None:
        await Pause("load")
        if not self._kept or self._simulation.kept_random.random() < 0.1:
            return None
        return self._simulation.kept_random.choice(self._kept[-3:])  # not all of it may have come to the disk

    def begun_with(self, saved: Saved) -> None:
        self._simulation.note(f"begins with a snapshot @{saved.head.offset}")

    def passed_over(self, why: str) -> None:
        self._simulation.note(f"snapshot passed over: {why}")


class Standby:
    """A replica that somebody keeps up with the changelog, now and then."""

    def __init__(self, simulation: Simulation, version: int) -> None:
        self.version = version
        self._broker = simulation.broker
        self._reader = HostReader(simulation.broker)
        host = Host(simulation, "standby", version)
        make_partition = functools.partial(WatchedPartition, simulation.registry)
        self.replica = Replica.empty(host.owner.plan, host.owner.settings, make_partition)
        self._reading: Coroutine[str, None, None] | None = None

    def go_on(self) -> None:
        """To the next pause."""
        if self._reading is None:
            log = self._broker.log(COMPACTED[0])
            self._reading = self.replica.read(self._reader, COMPACTED[0], 0, log.next, self._broker.now_ms)
        try:
            self._reading.send(None)
        except StopIteration:
            self._reading = None

    def close(self) -> Replica:
        """Gives up reading, wherever it is."""
        if self._reading is not None:
            self._reading.close()
        return self.replica


class Simulation:
    """One world, from its beginning until everything is settled."""

    def __init__(
        self,
        seed: int,
        *,
        trace: bool = False,
        rough: bool = False,
        with_snapshots: bool | None = None,
        with_personas: bool | None = None,
    ) -> None:
        self.seed = seed
        # A source of its own, so that a world is the same with snapshots and standbys and without.
        self.kept_random = kept_random = Random(f"{seed}, what is kept")
        self.with_snapshots = seed % 2 == 1 if with_snapshots is None else with_snapshots
        self.random = random = Random(seed)
        self.scenario: Scenario = make_scenario(random)
        self.models = Models()
        self._models_random = Random(f"{seed}, models")
        if with_personas or (with_personas is None and seed % 5 == 0):
            add_personas(self.scenario, self._models_random)
        self._models_left: list[Centres] = list(self.scenario.models)
        self.plans = [plans()[i] for i in self.scenario.files]
        self.trouble = random.choice([0.02, 0.1, 0.3] if rough else [0, 0.02, 0.1])
        self.crash = random.choice([0.03, 0.1] if rough else [0, 0.02, 0.05, 0.1])
        behind_events = random.choice([2, 12])
        self.pace = Pace(
            live_ms=300,
            behind_ms=900,
            behind_events=behind_events,
            idle_ms_max=IDLE_MS_MAX,
            snapshot_ms=kept_random.choice([0, 500, 4_000]),
            snapshot_fresh_ms=LAG_MS // 2,
        )
        self.has_standbys = self.with_snapshots and kept_random.random() < 0.3
        self.disks = [Disk(self) for _ in range(kept_random.choice([1, 2]))]
        self.standby: Standby | None = None
        self.fetched_most = random.choice([2, 5, 50])
        self.rows_at_once = random.choice([1, 2, 100])
        self.registry = Registry(self.rows_at_once)
        self.outbox_bytes = random.choice([200, 1_500, 100_000])
        self.allow_empty = random.random() < 0.3
        self.is_draining = random.random() < 0.3
        self.is_rough = rough
        self.steps_troubled = random.randrange(50, 500)
        self.broker = Broker(random, LAG_MS)
        self.trace = trace
        self.notes = self.broker.notes
        self.live: Host | None = None
        self.zombies: list[Host] = []
        self.kept: list[Host] = []
        self.version = 0
        self._was_settled = False
        self._hosts = 0
        self._tokens = 0
        self._arrivals = list(self.scenario.arrivals)

    def token(self) -> str:
        self._tokens += 1
        return f"t{self._tokens}"

    def note(self, text: str) -> None:
        self.notes.append(text)

    # --- the course of events ---

    def run(self) -> None:
        """Until all is read, committed and quiet; raises ``AssertionError`` where that never happens."""
        if self.scenario.is_sorted:
            self._arrive(len(self._arrivals))
        if self.scenario.same_as_replay:
            self._publish(len(self._models_left))
        quiet_since: int | None = None
        for step in range(STEPS_MOST):
            self.broker.calm = step >= self.steps_troubled
            has_copy = self.broker.tick(self.random.choice([1, 10, 40, 100]), COMPACTED)
            if self._arrivals and (self.broker.calm or self.random.random() < 0.2):
                self._arrive(self.random.choice([1, 1, 2, 5]))
            if self._models_left and (self.broker.calm or self._models_random.random() < 0.02):
                self._publish(1)
            if self.random.random() < 0.01 or step == self.steps_troubled:
                self._next_version()
            if has_copy and self.is_rough and self.live and not self.broker.calm and self.random.random() < 0.5:
                self._lose()  # before it can see the copy
            self._step()
            if not self._is_settled():
                quiet_since = None
            elif quiet_since is None:
                quiet_since = self.broker.now_ms
            elif (
                self.broker.now_ms - quiet_since > 2 * IDLE_MS_MAX and self.live is not None and self.live.at == "poll"
            ):
                return
        raise AssertionError(f"not settled after {STEPS_MOST} steps, at {self.live and self.live.at}")

    def _arrive(self, count: int) -> None:
        for topic, record in self._arrivals[:count]:
            if record is None:
                self.broker.log(topic).skip(2)
            else:
                self.broker.log(topic).append(record, self.broker.now_ms)
        del self._arrivals[:count]

    def _publish(self, count: int) -> None:
        """Models become known to all hosts."""
        for version in self._models_left[:count]:
            self.models.add(version)
            self.note(f"[{self.broker.now_ms}] model {version.version} of {version.effective_ms}")
        del self._models_left[:count]

    def _next_version(self) -> None:
        """From now on hosts may start with the next definitions; when calm comes, they must."""
        if self.broker.calm:
            if self.version + 1 < len(self.plans) or (self.live and self.live.version != self.version):
                self.live = None
            self.version = len(self.plans) - 1
        elif self.broker.committed:  # before that, nobody could know which file is the earlier one
            self.version = min(self.version + 1, len(self.plans) - 1)

    def standby_of(self, host: Host) -> Replica | None:
        """A standby that a host of the same definitions may take over."""
        standby = self.standby
        if standby is None or standby.version != host.version or self.kept_random.random() < 0.3:
            return None
        self.standby = None
        self.note(f"{host.name} begins with a standby at {standby.replica.position}")
        return standby.close()

    def _step(self) -> None:
        random = self.random
        if self.has_standbys and self.kept_random.random() < 0.1:
            if self.standby is None or self.kept_random.random() < 0.02:
                self.standby = Standby(self, self.version)
            self.standby.go_on()
        if self.live is None:
            self.live = self._new_host()
            self.note(f"[{self.broker.now_ms}] {self.live.name} is assigned")
            self.live.start()
        if self.zombies and not self.broker.calm and random.random() < 0.25:
            zombie = random.choice(self.zombies)
            self.note(f"[{self.broker.now_ms}] zombie {zombie.name} goes on from {zombie.at}")
            if zombie.go_on() == "ended":
                self.zombies.remove(zombie)
        if not self.broker.calm and random.random() < self.crash:
            self._lose()
            return
        if self.live.go_on() == "ended":
            self.live = None
        elif self.trace:
            self.note(f"[{self.broker.now_ms}] {self.live.name}: {self.live.at}")

    def _new_host(self) -> Host:
        if self.kept and self.random.random() < 0.6:
            host = self.kept.pop()
            if host.version == self.version or not self.broker.calm:
                return host
        self._hosts += 1
        is_old = not self.broker.calm and self.random.random() < 0.3
        return Host(self, f"host{self._hosts}", 0 if is_old else self.version)

    def _lose(self) -> None:
        """The live host lets go, stalls or dies."""
        assert self.live is not None
        host, self.live = self.live, None
        if host.at == "poll" and self.random.random() < 0.6:
            how = "lets go"
            self.kept = [host]
        elif self.random.random() < 0.5:
            how = "stalls"
            self.zombies.append(host)
        else:
            how = "dies"
        self.note(f"[{self.broker.now_ms}] {host.name} {how} at {host.at}")

    def _is_settled(self) -> bool:
        """Whether all that was written has been read and committed, and no copy is on its way."""
        if not self.broker.calm or self.live is None or self._arrivals or self._models_left or self.broker.late:
            return False
        if self.live.at != "poll":
            return self._was_settled
        host, owner = self.live, self.live.owner
        ends = {topic: self.broker.log(topic).next for topic in SOURCES}
        if self.scenario.mode is ClockMode.FIXED:
            held = {kind.topic for kind in Kind if owner.intake.waiting(kind)}
            is_read = all(host.positions[topic] == end for topic, end in ends.items() if topic not in held)
            self._was_settled = is_read and owner.is_done
        else:
            committed = {topic: self.broker.committed.get(topic) for topic in SOURCES}
            self._was_settled = committed == ends and owner.intake.caught_up and not self._has_model_ahead(owner)
        return self._was_settled

    def _has_model_ahead(self, owner: Owner) -> bool:
        """Whether time alone will bring a model, or has just done so and no checkpoint says it yet."""
        if self.scenario.mode is not ClockMode.WALL or owner.plan.personas is None:
            return False
        return owner._checkpoint.model < len(self.scenario.models)

    def successor(self) -> WatchedPartition:
        """What a later owner would restore, even when the cleaner has taken all it may.

        Tombstones too: so it is long after any snapshot or standby would count.
        """
        self.disks, self.standby = [Disk(self)], None
        for topic in COMPACTED:
            self.broker.log(topic).compact(self.broker.now_ms + 1)
        host = Host(self, "successor", len(self.plans) - 1)
        host.start()
        while host.at != "poll":
            assert host.go_on() != "ended", self.notes[-1]
        partition = host.owner.partition
        assert isinstance(partition, WatchedPartition)
        self.residues = dict(host.owner.writer.erasures.residues)
        return partition


def simulate(
    seed: int,
    *,
    trace: bool = False,
    rough: bool = False,
    with_snapshots: bool | None = None,
    with_personas: bool | None = None,
) -> tuple[Simulation, str | None]:
    """One world and what went wrong in it. ``rough``: more goes wrong than usual.

    Every other world has snapshots and standbys, unless ``with_snapshots`` says; every fifth has personas, likewise.
    """
    from tests.worker.checks import check

    simulation = Simulation(seed, trace=trace, rough=rough, with_snapshots=with_snapshots, with_personas=with_personas)
    try:
        with (
            mock.patch.object(recovery, "Erasures", WatchedErasures),
            mock.patch.object(partition_module, "_ASSIGNED_AT_ONCE", simulation.rows_at_once),
        ):
            simulation.run()
            check(simulation)
    except AssertionError as error:
        return simulation, str(error) or "".join(traceback.format_exception(error))
    except Exception as error:  # noqa: BLE001  # whatever it is, it should not happen
        return simulation, "".join(traceback.format_exception(error))
    return simulation, None


def run(seed: int, *, rough: bool = False) -> str | None:
    return simulate(seed, rough=rough)[1]
