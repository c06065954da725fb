"""What an owner asks of the world outside: records, a log of them, the sources' offsets, and the time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

Headers = tuple[tuple[str, bytes], ...]


class Record(NamedTuple):
    """A record to be written. ``value`` None is a tombstone."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class StoredRecord(NamedTuple):
    """A record as it was read. ``timestamp_ms`` is negative where the record has none."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Batch(NamedTuple):
    """Records for one topic, in order; ``partition`` None: each by its key."""

    topic: str
    partition: int | None
    records: Sequence[Record]


class Producer(Protocol):
    """Writes records."""

    async def write(self, batches: Sequence[Batch]) -> list[Sequence[int]]:
        """Writes all batches and returns, for each, the offset of each record, once all are acknowledged.

        Batches may be written at the same time. Within one, nothing is sent to a partition before all that lies before
        it there has been acknowledged: what follows a failed record is never written. Raises for the first failure,
        whatever it is; the owner then ends for good. Retries within are fine, also those that write twice.
        """
        ...


class Reader(Protocol):
    """Reads logs that owners write."""

    def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncIterator[Sequence[StoredRecord]]:
        """The records at offsets ``start`` ... ``stop - 1`` that are there, in order, in pieces.

        It ends only when the position has come to ``stop``: a record below ``stop`` that was acknowledged is seen.
        """
        ...

    async def end(self, topic: str, partition: int) -> int:
        """The offset behind the last record: the larger of what the broker lists and the high watermark of a fetch."""
        ...


class Span(NamedTuple):
    """Where a partition of a source topic begins and ends, and what the group has committed of it."""

    start: int
    end: int
    committed: int | None


class Sources(Protocol):
    """The partition's source topics, as the consumer group has them."""

    async def spans(self) -> Mapping[str, Span]:
        """A span for each source topic. ``end`` must not be too low: offsets beyond it stop the worker."""
        ...

    async def commit(self, offsets: Mapping[str, int]) -> bool:
        """Commits the offsets of the next records to read; False when the group has moved on and they do not count."""
        ...


class Time(Protocol):
    """Both kinds of time. A method each, so that tests can move them."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...

    def steady_ms(self) -> int:
        """Milliseconds that only ever grow, for intervals."""
        ...


@dataclass(frozen=True)
class World:
    """All of it, for one partition."""

    producer: Producer
    reader: Reader
    sources: Sources
    time: Time
