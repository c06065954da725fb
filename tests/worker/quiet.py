"""An owner in a world where nothing goes wrong, driven by hand."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any

from stream.contract import KINDS, Kind
from stream.kafka.topics import CUSTOMER_ERASURES, SEGMENT_CHANGES
from stream.worker.interfaces import Record, StoredRecord, World
from stream.worker.owner import Owner
from stream.worker.received import Received
from stream.worker.settings import Settings
from stream.worker.snapshots import Saved
from tests.engine.driver import plan_of
from tests.worker.broker import Broker, HostProducer, HostReader, HostSources, HostTime

Dict = dict[str, Any]
CHANGELOG = "segstream-profiles-changelog"


def finish(work: Coroutine[Any, None, Any]) -> Any:
    """Runs to the end without a stop."""
    while True:
        try:
            work.send(None)
        except StopIteration as stop:
            return stop.value


class Shelf:
    """Keeps one snapshot, and why it was passed over."""

    is_busy = False

    def __init__(self) -> None:
        self.saved: Saved | None = None
        self.why: str | None = None
        self.begun = 0

    def keep(self, saved: Saved) -> None:
        self.saved = saved

    async def load(self) -> Saved | None:
        return self.saved

    def begun_with(self, saved: Saved) -> None:
        self.begun += 1

    def passed_over(self, why: str) -> None:
        self.why = why


class Quiet:
    """One broker, and one owner after another. With a ``shelf`` they keep snapshots there."""

    def __init__(self, definitions: Dict, shelf: Shelf | None = None, **settings: Any) -> None:
        self.shelf = shelf
        self.broker = Broker(Random(0), lag_ms=1_000_000, calm=True)
        self._tokens = itertools.count()
        self.owner = self.start(definitions, **settings)

    def make(self, definitions: Dict, **settings: Any) -> Owner:
        """An owner that has not been assigned the partition yet."""
        broker = self.broker
        sources = HostSources(broker)
        broker.generation += 1
        sources.generation = broker.generation
        producer = HostProducer(broker, "owner", 0)
        world = World(producer, HostReader(broker), sources, HostTime(broker))
        chosen = Settings(**{"partition": 0, "partitions": 1, **settings})
        token = functools.partial(next, map("t{}".format, self._tokens))
        return Owner(plan_of(definitions), chosen, world, token, snapshots=self.shelf)

    def start(self, definitions: Dict, **settings: Any) -> Owner:
        """Another owner takes the partition; the one before is gone."""
        self.owner = self.make(definitions, **settings)
        finish(self.owner.assign())
        self._positions = self.owner.intake.positions()
        return self.owner

    def produce(self, *events: Dict) -> None:
        """Puts events into their topics."""
        for event in events:
            self.put(KINDS[event["type"]].topic, event["customer_id"].encode(), json.dumps(event).encode())

    def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        self.broker.log(topic).append(Record(key, value), self.broker.now_ms)

    def read(self) -> None:
        """Hands the owner all that it has not read."""
        for kind in Kind:
            records, end = self._next(kind.topic)
            self.owner.push(kind, Received.of(records), end)
        self.owner.push_requests(*self._next(CUSTOMER_ERASURES))

    def _next(self, topic: str) -> tuple[list[StoredRecord], int]:
        log = self.broker.log(topic)
        start, self._positions[topic] = self._positions[topic], log.next
        return [record for record in log.records if record.offset >= start], log.next

    def step(self, later_ms: int = 0) -> None:
        self.broker.now_ms += later_ms
        self.read()
        finish(self.owner.step())

    def values(self, topic: str = SEGMENT_CHANGES) -> list[Dict]:
        return [json.loads(record.value or b"null") for record in self.broker.log(topic).records]

    def keys(self, topic: str = CHANGELOG) -> list[bytes | None]:
        return [record.key for record in self.broker.log(topic).records]


def headers(record: StoredRecord) -> dict[str, bytes]:
    return dict(record.headers)


def brief(changes: Sequence[Dict]) -> list[tuple[str | None, str, str]]:
    return [(change["segment"], change["change"], change["cause"]) for change in changes]
