"""A new version of the personas over very many customers: how long it takes, and how long events wait meanwhile.

``python -m benchmarks.persona_version``. The owners of eight partitions work as in one worker, in one process and on
one loop, on an Apache Kafka of their own; all that they write is acknowledged. It is the second version: the first one,
by which everybody is in some persona, goes the same way. Small batches of events come all the time, with and without a
version under way.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks import brokers
from benchmarks.hardware import describe
from benchmarks.report import commit, head, show
from stream.contract import Kind
from stream.engine.centres import Centres
from stream.engine.plan import Plan, compile_plan
from stream.events.bytestrings import Bytestrings
from stream.events.decoder import Decoder
from stream.garbage import collect_rarely
from stream.kafka.topics import all_topics, changelog_name
from stream.language.checker import check
from stream.live.clock import SystemTime
from stream.live.producer import LogProducer
from stream.live.reader import LogReader
from stream.live.record_batches import unpack_stored
from stream.live.status import Counters
from stream.preparation import prepare
from stream.worker.interfaces import Span, StoredRecord, World
from stream.worker.models import Models
from stream.worker.owner import Owner
from stream.worker.partitioning import partitions_of
from stream.worker.received import Received
from stream.worker.settings import ClockMode, Settings, StreamClock
from stream.worker.topics import SOURCES

_START_MS = 1_772_323_200_000
_DAY_MS = 86_400_000
#: Batches of so many events come to each partition so often, for so long before and after the version.
_BATCH, _EVERY_S, _AROUND_S = 20, 0.1, 4.0
#: The customers of a partition who have events then: all that these bring about is over before it.
_AT_WORK = 200
#: So often a worker looks whether it is a partition's turn.
_TURN_S = 0.05
_FOLDER = Path(__file__).parent


class _Sources:
    """Topics that begin empty; what is committed counts."""

    async def spans(self) -> Mapping[str, Span]:
        return {topic: Span(0, 0, None) for topic in SOURCES}

    async def commit(self, offsets: Mapping[str, int]) -> bool:
        return bool(offsets)


def _plan() -> Plan:
    """The ready definitions, with the personas of `benchmarks/personas.yaml`."""
    file: dict[str, Any] = yaml.safe_load((brokers.ROOT / "stream" / "segments.yaml").read_text(encoding="utf-8"))
    own = yaml.safe_load((_FOLDER / "personas.yaml").read_text(encoding="utf-8"))
    file["personas"] = own["personas"]
    checked = check(json.dumps(file).encode(), "ready definitions with personas")
    assert checked.definitions is not None, checked.problems
    return compile_plan(checked.definitions)


def _event(customer: str, kind: Kind, number: int, at_ms: int, total: float) -> bytes:
    event = {"event_id": f"e{number}", "customer_id": customer, "timestamp": at_ms}
    if kind is Kind.PURCHASE:
        return json.dumps({**event, "order_id": f"o{number}", "total": round(total, 2)}).encode()
    return json.dumps({**event, "action": "search"}).encode()  # no feature counts it


def _customers(count: int) -> list[list[str]]:
    """So many in all, by partition."""
    found: list[list[str]] = [[] for _ in range(brokers.PARTITIONS)]
    names = [f"c{number:07}" for number in range(count)]
    partitions = partitions_of(Bytestrings.of([name.encode() for name in names]), brokers.PARTITIONS)
    for name, partition in zip(names, partitions.tolist(), strict=True):
        found[partition].append(name)
    return found


def _fill(owner: Owner, customers: Sequence[str], random: np.random.Generator) -> None:
    """Gives each customer a purchase, and some of them clicks: straight into the engine, not into the changelog."""
    decoder = Decoder(owner.plan.wanted)
    for kind in (Kind.PURCHASE, Kind.CLICK):
        for start in range(0, len(customers), 20_000):
            part = customers[start : start + 20_000]
            totals = np.exp(random.normal(3.5, 1.0, len(part))).tolist()
            named = enumerate(zip(part, totals, strict=True), start)
            lines = [_event(customer, kind, i, _START_MS, total) for i, (customer, total) in named]
            keys = [c.encode() for c in part]
            times = np.full(len(part), _START_MS)
            events, refused = decoder.decode(kind, Bytestrings.of(lines), times, Bytestrings.of(keys), _DAY_MS)
            assert not refused
            owner.partition.apply(events)


def _models(owner: Owner, share: float) -> tuple[Centres, Centres]:
    """Two versions, such that about this share of the customers is in another persona by the second one."""
    plan = owner.plan.personas
    assert plan is not None
    rows = owner.partition.profiles.rows_by_hash()[:20_000]
    raw = owner.partition.vectors(rows, _START_MS)
    places = np.sign(raw) * np.log1p(np.abs(raw))
    spend = places[:, plan.features.index("sum(purchase.total, 30d)")]
    at = plan.features.index("sum(purchase.total, 30d)")
    scales = tuple(np.maximum(places.std(axis=0), 0.3).tolist())
    quantiles = np.quantile(spend, np.linspace(0.05, 0.95, 7))

    def centres(version: int, moved: float, effective_ms: int) -> Centres:
        points = np.tile(places.mean(axis=0), (7, 1))
        points[:, at] = quantiles + moved
        return Centres(
            version,
            plan.features,
            tuple(range(1, 8)),
            scales,
            tuple(map(tuple, points.tolist())),
            effective_ms=effective_ms,
        )

    def switched(moved: float) -> float:
        """The share that is in another persona, the margin of a tenth included."""
        before = np.abs(spend[:, None] - quantiles)
        after = np.abs(spend[:, None] - quantiles - moved)
        present = before.argmin(axis=1)
        rows = np.arange(len(spend))
        return float((after.min(axis=1) < 0.9 * after[rows, present]).mean())

    low, high = 0.0, 2.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if switched(middle) < share else (low, middle)
    return centres(1, 0.0, _START_MS), centres(2, high, _START_MS + 60_000)


def _batch(customers: Sequence[str], numbers: Iterator[int], at_ms: int) -> list[tuple[bytes, bytes, int]]:
    """Keys, values and instants of a batch of clicks that no feature counts."""
    return [
        (customer.encode(), _event(customer, Kind.CLICK, number, at_ms, 0.0), at_ms)
        for number, customer in ((number, customers[number % _AT_WORK]) for number in itertools.islice(numbers, _BATCH))
    ]


class _Partition:
    """One owner with events that come all the time: each batch has been encoded before."""

    def __init__(self, owner: Owner, customers: Sequence[str], instants: tuple[int, int]) -> None:
        self.owner = owner
        self.waits: list[tuple[float, float]] = []  # when a batch came, and how long it took until it was done
        self._offset = 0
        self._stepped = asyncio.Condition()
        # Some before the version's instant, and enough for as long as it may take after it.
        before, after = (itertools.count(number) for number in (10_000_000, 20_000_000))
        most = int(_AROUND_S / _EVERY_S)
        self._before = [_batch(customers, before, instants[0]) for _ in range(2 * most)]
        self._after = [_batch(customers, after, instants[1]) for _ in range(8 * most)]
        self.is_after = False

    def push(self, batches: int) -> None:
        """What has come since the last step, as a worker hands it on: together."""
        left = self._after if self.is_after else self._before
        records = []
        for key, value, at_ms in itertools.chain.from_iterable(left.pop() for _ in range(batches)):
            records.append(StoredRecord(self._offset, at_ms, key, value))
            self._offset += 1
        self.owner.push(Kind.CLICK, Received.of(records), self._offset)

    async def is_assigned(self, version: int) -> None:
        """Waits until everybody has been assigned by a version, and what came of it is acknowledged."""
        partition = self.owner.partition
        async with self._stepped:
            await self._stepped.wait_for(lambda: partition.model_version == version and not partition.is_assigning)

    async def run(self, until: asyncio.Event) -> None:
        came = time.perf_counter()
        while not until.is_set():
            now = time.perf_counter()
            if now < came:
                worked = await self.owner.step()
                # As a worker's loop: at once, soon if it may be our turn, else when events come.
                async with self._stepped:
                    self._stepped.notify_all()
                pause = 0.0 if worked else came - now
                await asyncio.sleep(min(pause, _TURN_S) if self.owner.reassignment.is_under_way else pause)
                continue
            # All that has come by now is pushed, each with its own instant of coming.
            arrived = []
            while came <= now:
                arrived.append(came)
                came += _EVERY_S
            self.push(len(arrived))
            await self.owner.step()
            await asyncio.sleep(0)
            done = time.perf_counter()
            self.waits += [(at, done - at) for at in arrived]


async def _measure(plan: Plan, address: str, count: int, share: float) -> Iterator[str]:
    partitions = {topic.name: topic.partitions or brokers.PARTITIONS for topic in all_topics()}
    reader, producer = LogReader(address, unpack_stored), LogProducer(address, partitions, 20.0, Counters())
    await reader.start()
    await producer.start()
    models = Models()
    random = np.random.default_rng(1)
    owners = []
    for number, customers in enumerate(_customers(count)):
        settings = Settings(number, brokers.PARTITIONS, clock=StreamClock(ClockMode.EVENT))
        world = World(producer, reader, _Sources(), SystemTime())
        owner = Owner(plan, settings, world, lambda: uuid.uuid4().hex, models=models)
        await owner.assign()
        _fill(owner, customers, random)
        owners.append((owner, customers))
    first, second = _models(owners[0][0], share)
    found = [_Partition(owner, customers, (_START_MS + 2, second.effective_ms + 1)) for owner, customers in owners]
    collect_rarely()  # as in a worker
    models.add(first)
    # Everybody's first persona is not what is measured, but goes the same way: a broker that has just been started
    # has its own code to compile first.
    for owner, _ in owners:
        while await owner.step() or owner.partition.model_version < first.version:
            pass
        await owner.drain()
    stop = asyncio.Event()
    running = [asyncio.create_task(one.run(stop)) for one in found]
    await asyncio.sleep(_AROUND_S)
    log = [await reader.end(changelog_name("segstream"), number) for number in range(brokers.PARTITIONS)]
    changes = [await reader.end("segment-changes", number) for number in range(brokers.PARTITIONS)]
    models.add(second)
    began = time.perf_counter()
    for one in found:
        one.is_after = True
    await asyncio.gather(*[one.is_assigned(2) for one in found])
    took = time.perf_counter() - began
    written = [await reader.end(changelog_name("segstream"), number) for number in range(brokers.PARTITIONS)]
    told = [await reader.end("segment-changes", number) for number in range(brokers.PARTITIONS)]
    await asyncio.sleep(_AROUND_S)
    stop.set()
    await asyncio.gather(*running)
    await producer.stop()
    await reader.stop()
    waits = [wait for one in found for wait in one.waits]
    before = [1_000 * wait for at, wait in waits if at < began - 0.1]
    during = [1_000 * wait for at, wait in waits if began - 0.1 <= at < began + took]
    return iter(
        [
            f"{took:.2f} s, {sum(written) - sum(log):,} rows and {sum(told) - sum(changes):,} changes written",
            f"p50 {np.median(before):.1f}, p99 {np.quantile(before, 0.99):.1f}, most {max(before):.1f} ms",
            f"p50 {np.median(during):.1f}, p99 {np.quantile(during, 0.99):.1f}, most {max(during):.1f} ms",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--share", type=float, default=0.02, help="of the customers, who are in another persona then")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--broker", help="one that is empty; without it an Apache Kafka is started")
    options = parser.parse_args()
    brokers.refuse_topics(options.broker)
    print(f"{describe()}\ncommit {commit()}")
    plan = _plan()
    prepare(plan)
    head("A version of the personas", f"python -m benchmarks.persona_version --customers {options.customers}")
    for _ in range(options.rounds):
        with brokers.fresh_broker(options.broker) as address:
            brokers.make_topics(address, [one for one in all_topics() if one.name not in SOURCES])
            took, before, during = asyncio.run(_measure(plan, address, options.customers, options.share))
        show("until everybody was assigned, and all was acknowledged", took)
        show("how long a batch took before", before)
        show("how long a batch took meanwhile", during)


if __name__ == "__main__":
    main()
