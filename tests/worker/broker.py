"""A broker in memory: logs with offsets, a cleaner, one consumer group; and what each host sees of it.

Every wait of a host is a ``Pause``: there the scheduler may stop it for a while or for ever. Writes are acknowledged
late, come twice (at once, or after what follows), or fail half done.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from stream.worker.interfaces import Batch, Record, Span, StoredRecord
from stream.worker.topics import SOURCES


class Pause:
    """A place where a host may be stopped."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __await__(self) -> Generator[str, None, None]:
        yield self.what


class SendError(Exception):
    """A write that failed."""


@dataclass
class Log:
    """One partition of a topic. ``history`` keeps what the cleaner has taken away."""

    next: int = 0
    records: list[StoredRecord] = field(default_factory=list)
    history: list[StoredRecord] = field(default_factory=list)

    def append(self, record: Record, now_ms: int) -> int:
        stored = StoredRecord(self.next, now_ms, *record)
        self.records.append(stored)
        self.history.append(stored)
        self.next += 1
        return stored.offset

    def skip(self, count: int) -> None:
        """Offsets that no record has, as behind a transaction."""
        self.next += count

    def compact(self, older_than_ms: int) -> None:
        """Of a key's records older than that only the latest stays; a tombstone that is the latest goes, too."""
        kept, seen = [], set()
        for record in reversed(self.records):
            old = record.timestamp_ms < older_than_ms
            if not (old and (record.key in seen or record.value is None)):
                kept.append(record)
            seen.add(record.key)
        self.records = kept[::-1]


@dataclass
class Broker:
    """All topics; only partition 0 of each is looked at."""

    random: Random
    lag_ms: int
    now_ms: int = 0
    logs: dict[str, Log] = field(default_factory=dict)
    committed: dict[str, int] = field(default_factory=dict)
    generation: int = 0
    late: list[tuple[int, str, list[Record]]] = field(default_factory=list)  # copies of batches on their way
    calm: bool = False  # nothing fails any more
    notes: list[str] = field(default_factory=list)

    def log(self, topic: str) -> Log:
        return self.logs.setdefault(topic, Log())

    def tick(self, step_ms: int, compacted: Sequence[str]) -> bool:
        """Time passes; now and then the cleaner comes; copies arrive: True when one has."""
        self.now_ms += step_ms
        if self.random.random() < 0.05:
            for topic in compacted:
                self.log(topic).compact(self.now_ms - self.lag_ms)
        arrived = [copy for copy in self.late if copy[0] <= self.now_ms]
        for copy in arrived:
            self.late.remove(copy)
            for record in copy[2]:
                offset = self.log(copy[1]).append(record, self.now_ms)
                self.notes.append(f"late copy in {copy[1]} @{offset} {record.key!r}")
        return bool(arrived)


class HostTime:
    """The time as a host has it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def wall_ms(self) -> int:
        return self._broker.now_ms

    def steady_ms(self) -> int:
        return self._broker.now_ms


class HostProducer:
    """One host's producer."""

    def __init__(self, broker: Broker, name: str, trouble: float) -> None:
        self._broker = broker
        self._name = name
        self._trouble = trouble  # how often something goes wrong with a write

    async def write(self, batches: Sequence[Batch]) -> list[Sequence[int]]:
        broker, random = self._broker, self._broker.random
        offsets: list[list[int]] = [[] for _ in batches]
        await Pause("write")
        open_batches = [i for i, batch in enumerate(batches) if batch.records]
        while open_batches:
            i = random.choice(open_batches)
            batch, done = batches[i], len(offsets[i])
            count = min(random.choice([1, 2, 5, 100]), len(batch.records) - done)
            records = list(batch.records[done : done + count])
            trouble = (
                "" if broker.calm or random.random() >= self._trouble else random.choice(["fail", "twice", "late"])
            )
            if trouble == "fail" and random.random() < 0.5:
                raise SendError(f"{self._name}: {batch.topic}: not written")
            offsets[i] += self._append(batch.topic, records)
            if trouble == "fail":
                raise SendError(f"{self._name}: {batch.topic}: written, not acknowledged")
            if trouble == "twice":
                offsets[i][done:] = self._append(batch.topic, records)
            if trouble == "late":
                broker.late.append((broker.now_ms + random.choice([5, 50, 500]), batch.topic, records))
            if len(offsets[i]) == len(batch.records):
                open_batches.remove(i)
            if random.random() < 0.6:
                await Pause(f"acknowledged in {batch.topic}")
        return list(offsets)

    def _append(self, topic: str, records: Sequence[Record]) -> list[int]:
        broker = self._broker
        offsets = [broker.log(topic).append(record, broker.now_ms) for record in records]
        broker.notes.append(f"{self._name} writes {topic} @{offsets} {[r.key for r in records]}")
        return offsets


class _Reading:
    """The records of a log from ``start`` to before ``stop``, in pieces, as they are when they are asked for."""

    def __init__(self, broker: Broker, log: Log, start: int, stop: int) -> None:
        self._broker, self._log, self._at, self._stop = broker, log, start, stop

    def __aiter__(self) -> _Reading:
        return self

    async def __anext__(self) -> Sequence[StoredRecord]:
        await Pause("read")
        if self._at >= self._stop:
            raise StopAsyncIteration
        piece = [r for r in self._log.records if self._at <= r.offset < self._stop]
        piece = piece[: self._broker.random.choice([1, 3, 10, 1000])]
        self._at = piece[-1].offset + 1 if piece else self._stop
        return piece


class HostReader:
    """One host's reader of logs."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def read(self, topic: str, partition: int, start: int, stop: int) -> _Reading:
        assert partition == 0
        assert stop <= self._broker.log(topic).next, "it would wait for ever"
        return _Reading(self._broker, self._broker.log(topic), start, stop)

    async def end(self, topic: str, partition: int) -> int:
        assert partition == 0
        await Pause("end")
        return self._broker.log(topic).next


class HostSources:
    """The consumer group as one member of one generation has it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.generation = -1

    async def spans(self) -> Mapping[str, Span]:
        await Pause("spans")
        broker = self._broker
        return {topic: Span(0, broker.log(topic).next, broker.committed.get(topic)) for topic in SOURCES}

    async def commit(self, offsets: Mapping[str, int]) -> bool:
        await Pause("commit")
        broker = self._broker
        if self.generation != broker.generation:
            return False
        for topic, offset in offsets.items():
            assert offset >= broker.committed.get(topic, 0), f"the commit of {topic} goes back"
            broker.committed[topic] = offset
        broker.notes.append(f"commit {dict(offsets)}")
        if broker.random.random() < 0.5:
            await Pause("committed")
        return True
