"""Which workers there are, and how they are, as they say each second on a topic of their own."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream.errors import BrokerUnreachableError, TopicsError
from stream.kafka.reading import places_of, stop_consumer
from stream.kafka.topics import WORKERS

#: A worker that has said nothing for so long is gone.
GONE_AFTER_S = 10.0
#: Of each partition so many of the latest records are read to begin with: whoever is there speaks within a second.
_RECENT_RECORDS = 256
_FETCH_WAIT_MS = 200
#: So long after a failure one tries again.
_RETRY_S = 1.0

_log = logging.getLogger(__name__)


class PartitionState(msgspec.Struct, frozen=True):
    """One partition of a worker. ``phase`` is ``restoring``, ``behind`` or ``live``."""

    partition: int
    phase: str
    stream_ms: int | None  # None: before the first event
    lag_records: dict[str, int]  # by topic
    profiles: int
    members: dict[str, int]  # by segment, held out or not
    remaining_records: int  # of the changelog, while it is being restored


class Percentiles(msgspec.Struct, frozen=True):
    """Of what was observed lately; None where nothing was."""

    p50: float | None
    p99: float | None


class Announcement(msgspec.Struct, frozen=True):
    """What a worker says; ``schemas/worker.schema.json`` describes it on the wire."""

    instance: str
    worker: str
    url: str | None
    at_ms: int
    definitions: str
    version: str
    partitions: list[PartitionState]
    events_per_s: float
    changes_per_s: float
    change_delay_ms: Percentiles
    dead_letters_total: int


_ANNOUNCEMENTS = msgspec.json.Decoder(Announcement)


class PresentWorkers:
    """The workers that have spoken lately. ``now_s`` is any clock that goes on steadily, the same each time.

    Workers' clocks are compared with the newest of them, not with ours; ours only tells how much time has passed since.
    """

    def __init__(self) -> None:
        self._latest: dict[str, Announcement] = {}
        self._newest_ms = 0
        self._newest_at_s = 0.0

    def take(self, key: bytes | None, value: bytes | None, now_s: float) -> None:
        """A record of the topic; without a value the worker has ended. What is no announcement is passed over."""
        instance = (key or b"").decode("utf-8", "replace")
        if value is None:
            self._latest.pop(instance, None)
            return
        try:
            told = _ANNOUNCEMENTS.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            _log.warning("%s: a record of %r is no announcement: %s", WORKERS, instance, error)
            return
        if told.at_ms >= self._newest_ms:
            self._newest_ms, self._newest_at_s = told.at_ms, now_s
        self._latest[instance] = told

    def present(self, now_s: float) -> list[Announcement]:
        """The last word of each one, in the order of their names."""
        bound_ms = self._newest_ms + 1_000 * (now_s - self._newest_at_s - GONE_AFTER_S)
        self._latest = {instance: told for instance, told in self._latest.items() if told.at_ms >= bound_ms}
        return [self._latest[instance] for instance in sorted(self._latest)]


class FollowedWorkers:
    """Follows the topic while it is entered (``async with``); waits for a topic and a broker that are not there.

    ``problem`` says why nothing is known, for people; None when all is well. ``spoken`` is called after each batch.
    """

    def __init__(self, broker: str, spoken: Callable[[], None] = lambda: None) -> None:
        self.problem: str | None = "the workers' topic has not been read yet"
        self._broker = broker
        self._spoken = spoken
        self._workers = PresentWorkers()
        self._task: asyncio.Task[None] | None = None

    def present(self) -> list[Announcement]:
        """The workers that are there now, in the order of their names."""
        return self._workers.present(time.monotonic())

    async def __aenter__(self) -> Self:
        assert self._task is None, "it is being followed"
        self._task = asyncio.create_task(self._follow(), name="workers")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None, "it has been entered"
        while not self._task.done():  # stopping a consumer may swallow one
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_RETRY_S)
        self._task = None

    async def _follow(self) -> None:
        while True:
            try:
                (places,) = await places_of(self._broker, WORKERS)
                await self._read(places)
            except (KafkaError, BrokerUnreachableError, TopicsError, OSError, TimeoutError) as error:
                if str(error) != self.problem:
                    _log.warning("workers can't be followed: %s", error)
                self.problem = str(error) or type(error).__name__
            await asyncio.sleep(_RETRY_S)

    async def _read(self, places: list[TopicPartition]) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._broker,
            group_id=None,
            enable_auto_commit=False,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            consumer.assign(places)
            starts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
            for place in places:
                consumer.seek(place, max(starts[place], ends[place] - _RECENT_RECORDS))
            self.problem = None
            while True:
                fetched = await consumer.getmany(timeout_ms=_FETCH_WAIT_MS)
                now_s = time.monotonic()
                for records in fetched.values():
                    for record in records:
                        self._workers.take(record.key, record.value, now_s)
                if fetched:
                    self._spoken()
        finally:
            await stop_consumer(consumer)
