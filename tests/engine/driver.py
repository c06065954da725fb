"""Drives the engine in all the ways that must make no difference to what comes out.

A ``Driver`` is given events as the reference is: mappings with their ``type``. It writes them as JSON, spreads them
over partitions by the hash of the customer's id, hands them on in batches, moves partitions into new processes (a
snapshot, its bytes, a fresh ``Partition``), and lets them crash and read again what they have read before.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

import msgspec
import numpy as np

from stream.contract import KINDS, hash64
from stream.engine.changes import Changes
from stream.engine.partition import Clock, Partition, Status
from stream.engine.plan import Plan, compile_plan
from stream.engine.snapshot import Snapshot
from stream.events.columns import Columns
from stream.events.decoder import Decoder
from stream.instants import parse_instant
from stream.language.checker import load

Dict = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """How events are handed to the engine.

    ``batch``: events at once (0: another number each time). ``restore``: after which batches a partition moves into a
    new process: ``never``, ``once`` in the middle, ``always``. ``crashes``: now and then a partition loses what it
    did since it was last saved; it starts from there, and its source begins with some events that are known already.
    ``seed`` decides all that is random here.
    """

    batch: int = 1_000
    partitions: int = 1
    restore: str = "never"
    crashes: bool = False
    seed: int = 0

    def __str__(self) -> str:
        words = [f"batches of {self.batch or 'any size'}", f"{self.partitions} partitions"]
        words += [f"restored {self.restore}"] * (self.restore != "never") + ["crashes"] * self.crashes
        return ", ".join(words)


#: What must make no difference, one by one and together.
WAYS = [
    Way(1),
    Way(7),
    Way(1_000),
    Way(0, partitions=3),
    Way(0, partitions=8),
    Way(3, restore="once"),
    Way(1, restore="always"),
    Way(0, partitions=3, restore="always"),
    Way(0, crashes=True),
    Way(0, partitions=3, crashes=True),
]


@lru_cache(maxsize=64)
def _plan(text: str) -> Plan:
    return compile_plan(load(text, "test"))


def plan_of(definitions: Dict | str) -> Plan:
    """The plan of a definitions file, given as its text or as its content."""
    return _plan(definitions if isinstance(definitions, str) else json.dumps(definitions))


def through_bytes(snapshot: Snapshot) -> Snapshot:
    """A snapshot as another process would read it."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot)


def partition_of(customer: str, partitions: int) -> int:
    return hash64(customer) % partitions


class Lane:
    """One partition and its source."""

    def __init__(self, plan: Plan, clock: Clock, lateness_ms: int | None, random: Random) -> None:
        self.plan = plan
        self.clock = clock
        self.lateness_ms = lateness_ms
        self.random = random
        self.partition = Partition(plan, clock, lateness_ms)
        self.decoder = Decoder(plan.wanted)
        self.messages: list[bytes] = []
        self.offsets: list[int] = []  # of each message in the topic of its kind
        self.next_offset = dict.fromkeys(KINDS, 0)
        self.position = 0  # messages read
        self.statuses: list[int] = []  # of each message when it was first read
        self.records: dict[str, Dict] = {}  # changes by their ids
        self.stays: dict[tuple[str, str], int] = {}  # by customer and segment: since when a member
        self.save()

    def write(self, event: Dict) -> None:
        """Puts an event at the end of the source. Some offsets are not used, as with Kafka's transactions."""
        kind = event["type"]
        offset = self.next_offset[kind] + self.random.choice([0, 0, 0, 2])
        self.next_offset[kind] = offset + 1
        self.offsets.append(offset)
        self.messages.append(json.dumps(event, ensure_ascii=False).encode())

    def read(self, count: int) -> list[Dict]:
        """Reads the next messages and applies them; what came out for the first time."""
        start, end = self.position, min(self.position + count, len(self.messages))
        columns, rejections = self.decoder.decode_mixed(self.messages[start:end])
        assert not rejections, [(rejection.reason, self.messages[start + rejection.index]) for rejection in rejections]
        applied = self.partition.apply(columns, np.array(self.offsets[start:end], dtype=np.int64))
        for place, status in enumerate(applied.status.tolist(), start):
            if place >= len(self.statuses):
                self.statuses.append(status)
            elif place < self.saved_position:
                assert status == Status.REPLAYED, (
                    f"event {place} is known since before the snapshot: {Status(status)!r}"
                )
        self.position = end
        return self.take(applied.changes)

    def columns(self, events: Iterable[Dict]) -> Columns:
        """Events as columns, without offsets: for tests that call the partition themselves."""
        columns, rejections = self.decoder.decode_mixed([json.dumps(event).encode() for event in events])
        assert not rejections
        return columns

    def take(self, changes: Changes) -> list[Dict]:
        """What came out for the first time; what comes again must be the same. The columns must fit the records."""
        fresh: list[Dict] = []
        names = [segment.name for segment in self.plan.definitions.segments]
        columns = zip(changes.segment.tolist(), changes.entered.tolist(), changes.stay_ms.tolist(), strict=True)
        for change, (segment, entered, stay_ms) in zip(changes.records, columns, strict=True):
            record: Dict = json.loads(json.dumps(change))
            assert record["definitions"] == self.plan.definitions_hash
            assert entered == (record["change"] == "entered")
            assert segment == (names.index(record["segment"]) if record["segment"] in names else -1)
            if record["id"] in self.records:
                assert record == self.records[record["id"]]
                continue
            at_ms, key = parse_instant(record["at"]), (record["customer_id"], record["segment"])
            if entered:
                assert stay_ms == -1
                assert key not in self.stays
                self.stays[key] = at_ms
            else:
                assert stay_ms == at_ms - self.stays.pop(key)
            self.records[record["id"]] = record
            fresh.append(record)
        return fresh

    # --- new processes ---

    def save(self) -> None:
        self.saved = through_bytes(self.partition.snapshot())
        self.saved_position = self.position

    def save_some(self) -> None:
        """Writes newer rows of some customers over those that are saved; the clocks and the position stay."""
        some = [customer for customer in self.partition.profiles if self.random.random() < 0.5]
        newer = through_bytes(self.partition.snapshot(some))
        rows = list((dict(self.saved.rows) | dict(newer.rows)).items())
        self.saved = dataclasses.replace(self.saved, rows=rows)

    def start(self, earlier: int = 0) -> None:
        """A new process from what is saved; its source begins ``earlier`` messages before that."""
        self.partition = Partition(self.plan, self.clock, self.lateness_ms)
        self.partition.restore(self.saved)
        self.position = max(0, self.saved_position - earlier)

    def redefine(self, plan: Plan, *, allow_empty: bool, quiet: bool) -> list[Dict]:
        """A new process with new definitions."""
        self.save()
        self.plan = plan
        self.decoder = Decoder(plan.wanted)
        self.start()
        fresh = self.take(self.partition.redefine(allow_empty=allow_empty, quiet=quiet))
        self.save()
        return fresh

    def remove(self, customer: str) -> bool:
        """Forgets a customer here and in what is saved."""
        self.records = {id_: record for id_, record in self.records.items() if record["customer_id"] != customer}
        self.stays = {key: since for key, since in self.stays.items() if key[0] != customer}
        removed = self.partition.remove(customer)
        self.save()
        return removed


class Driver:
    """The engine over one or several partitions, fed like ``tests.reference.Reference``.

    ``changes`` is all that came out, in order for each customer. ``between``, where given, is called with the
    partition after each batch.
    """

    def __init__(
        self,
        definitions: Dict | str,
        way: Way = Way(),
        *,
        clock: Clock = Clock.HELD,
        lateness_ms: int | None = None,
        between: Callable[[Partition], None] | None = None,
    ) -> None:
        self.way = way
        self.random = Random(way.seed)
        plan = plan_of(definitions)
        self.lanes = [Lane(plan, clock, lateness_ms, self.random) for _ in range(way.partitions)]
        self.between = between
        self.changes: list[Dict] = []

    def lane(self, customer: str) -> Lane:
        return self.lanes[partition_of(customer, len(self.lanes))]

    def apply(self, events: Iterable[Dict]) -> list[Dict]:
        """Applies valid events in their order."""
        for event in events:
            self.lane(event["customer_id"]).write(event)
        return self._out(change for lane in self.lanes for change in self._read(lane))

    def _read(self, lane: Lane) -> Iterable[Dict]:
        random, way = self.random, self.way
        middle = (lane.position + len(lane.messages)) // 2
        while lane.position < len(lane.messages):
            start = lane.position
            yield from lane.read(way.batch or random.choice([1, 1, 2, 3, 5, 8, 13, 200]))
            if self.between is not None:
                self.between(lane.partition)
            if way.restore == "always" or (way.restore == "once" and start <= middle < lane.position):
                lane.save()
                lane.start()
            if way.crashes:
                match random.choice(["save", "save some", "crash", "go on", "go on"]):
                    case "save":
                        lane.save()
                    case "save some":
                        lane.save_some()
                    case "crash":
                        lane.start(earlier=random.choice([0, 1, 5]))
        # Where the stream clock is ahead of the events, their timers are due: a worker fires them after each batch.
        yield from lane.take(lane.partition.advance(lane.partition.stream_ms))

    def advance(self, to_ms: int | None = None) -> list[Dict]:
        """Moves the stream clocks on: to ``to_ms``, or where a replay's end does, to the latest event of them all."""
        if to_ms is None:
            to_ms = max(lane.partition.latest_ms for lane in self.lanes)
        return self._out(change for lane in self.lanes for change in lane.take(lane.partition.advance(to_ms)))

    def redefine(self, definitions: Dict | str, *, allow_empty: bool = False, quiet: bool = False) -> list[Dict]:
        """Goes on under other definitions."""
        plan = plan_of(definitions)
        return self._out(
            change for lane in self.lanes for change in lane.redefine(plan, allow_empty=allow_empty, quiet=quiet)
        )

    def remove(self, customer: str) -> bool:
        """Forgets a customer, and what has come out for them."""
        self.changes = [change for change in self.changes if change["customer_id"] != customer]
        return self.lane(customer).remove(customer)

    def members(self) -> dict[str, int]:
        """How many customers are members of each segment now."""
        counts = [lane.partition.members() for lane in self.lanes]
        return {segment: sum(count[segment] for count in counts) for segment in counts[0]}

    def statuses(self) -> list[int]:
        """What became of each event, of a driver with one partition."""
        (lane,) = self.lanes
        return lane.statuses

    def _out(self, changes: Iterable[Dict]) -> list[Dict]:
        fresh = list(changes)
        self.changes += fresh
        return fresh


def replay(
    definitions: Dict | str, events: Iterable[Dict], until_ms: int | None = None, way: Way = Way(), **options: Any
) -> list[Dict]:
    """What a replay prints, customer by customer: as ``tests.reference.replay``."""
    driver = Driver(definitions, way, **options)
    if until_ms is not None:
        events = [event for event in events if _instant(event["timestamp"]) <= until_ms]
    driver.apply(events)
    driver.advance(until_ms)
    return by_customer(driver.changes)


def by_customer(changes: Iterable[Dict]) -> list[Dict]:
    """Changes customer by customer, in the order in which each one's came."""
    return sorted(changes, key=lambda change: change["customer_id"])


def _instant(timestamp: int | str) -> int:
    return parse_instant(timestamp) if isinstance(timestamp, str) else timestamp
