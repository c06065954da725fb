"""What a worker says of itself each second on a topic, for dashboards and whoever asks which workers there are."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
from aiokafka import AIOKafkaProducer

from stream.contract import TOPICS, Kind
from stream.errors import TopicsError
from stream.kafka.administration import create_topics, find_topics
from stream.kafka.connection import connected_admin
from stream.kafka.topics import WORKERS, workers_topic
from stream.kafka.workers import Announcement, PartitionState, Percentiles
from stream.live.metrics import Durations, Histogram
from stream.live.status import PartitionStatus, Phase, Status
from stream.worker.interfaces import Time

_EVERY_S = 1.0
#: Rates and delays are of the last so many announcements.
_SPAN = 5
#: A broker has so long to take one; and to make the topic, once a minute.
_SENT_WITHIN_S = 5.0
_MADE_WITHIN_S = 15.0
_MADE_AGAIN_AFTER_S = 60.0
#: The last word: a worker that ends waits no longer for it.
_ENDED_WITHIN_S = 2.0

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


class _Sample(NamedTuple):
    """What had been counted at an instant of the steady clock."""

    steady_ms: int
    events: int
    changes: int
    delays: tuple[int, ...]


class Announcements:
    """Makes a worker's announcements out of its status; ``url`` is where others find it."""

    def __init__(self, status: Status, durations: Durations, time: Time, url: str | None) -> None:
        self.instance = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._status = status
        self._durations = durations
        self._time = time
        self._url = url
        self._samples: deque[_Sample] = deque([self._sample()], maxlen=_SPAN + 1)

    def _sample(self) -> _Sample:
        counters = self._status.counters
        return _Sample(
            self._time.steady_ms(),
            counters.events.total(),
            counters.changes.total(),
            self._durations.change_delay.counts,
        )

    def next(self) -> Announcement:
        """How things stand now, with the rates since the announcements of some seconds ago."""
        now = self._sample()
        self._samples.append(now)
        then, status = self._samples[0], self._status
        seconds = max(now.steady_ms - then.steady_ms, 1) / 1_000
        delays = [after - before for before, after in zip(then.delays, now.delays, strict=True)]
        partitions = [one for one in status.partitions.values() if one.phase is not Phase.LOST]
        return Announcement(
            instance=self.instance,
            worker=status.worker_id,
            url=self._url,
            at_ms=self._time.wall_ms(),
            definitions=status.definitions,
            version=status.version,
            partitions=[_state(one) for one in sorted(partitions, key=lambda one: one.partition)],
            events_per_s=round((now.events - then.events) / seconds, 1),
            changes_per_s=round((now.changes - then.changes) / seconds, 1),
            change_delay_ms=Percentiles(
                _percentile(self._durations.change_delay, delays, 0.5),
                _percentile(self._durations.change_delay, delays, 0.99),
            ),
            dead_letters_total=status.counters.dead_letters.total(),
        )


def _state(status: PartitionStatus) -> PartitionState:
    return PartitionState(
        partition=status.partition,
        phase=status.phase.value,
        stream_ms=status.stream_ms if status.stream_ms >= 0 else None,
        lag_records=dict(status.lag_records),
        profiles=status.profiles,
        members=dict(status.members),
        remaining_records=status.remaining_records,
    )


def _percentile(histogram: Histogram, counts: Sequence[int], share: float) -> float | None:
    """Milliseconds that ``share`` of what lies in buckets took no longer than, as Prometheus reckons it.

    Within a bucket it goes up evenly; what lies above the last bound is told as that.
    """
    rank, bounds = share * sum(counts), histogram.bounds
    if not rank:
        return None
    below, lower = 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if below + count >= rank:
            return round(1_000 * (lower + (bound - lower) * (rank - below) / count), 1)
        below, lower = below + count, bound
    return round(1_000 * bounds[-1], 1)


class Announcer:
    """Sends announcements while it is entered (``async with``), and at an orderly end that there will be none.

    The worker never waits for it. What fails is logged once, and tried again.
    """

    def __init__(self, broker: str, announcements: Announcements) -> None:
        self._broker = broker
        self._announcements = announcements
        self._producer: AIOKafkaProducer | None = None
        self._has_failed = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="announcements")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None, "it has been entered"
        self._task.cancel()
        await asyncio.wait([self._task])
        if self._producer is None:
            return
        try:
            async with asyncio.timeout(_ENDED_WITHIN_S):
                if error is None:
                    await self._send(None)
                await self._producer.stop()
        except Exception as failure:  # noqa: BLE001 (others notice after some seconds)
            _log.info("that this worker ends could not be announced: %s", _why(failure))

    async def _run(self) -> None:
        is_made = await self._is_made()
        while not is_made:
            await asyncio.sleep(_MADE_AGAIN_AFTER_S)
            is_made = await self._is_made()
        while True:
            try:
                async with asyncio.timeout(_SENT_WITHIN_S):
                    await self._send(_encode(self._announcements.next()))
            except Exception as failure:  # noqa: BLE001 (whatever it is, the worker goes on without)
                self._failed("the worker can't announce itself, and goes on trying", failure)
            else:
                self._has_failed = False
            await asyncio.sleep(_EVERY_S)

    async def _is_made(self) -> bool:
        """Whether the topic is there, or could be made: a group may be older than it."""
        topic = workers_topic()
        try:
            async with asyncio.timeout(_MADE_WITHIN_S), connected_admin(self._broker) as admin:
                sources = [TOPICS[kind] for kind in Kind]
                found = await find_topics(admin, [topic.name, *sources])
                if topic.name not in found:
                    replication = min((found[name].replication for name in sources if name in found), default=1)
                    await create_topics(admin, [topic], 1, replication)
        except Exception as failure:  # noqa: BLE001 (as above)
            what = f"topic {topic.name} can't be made, so nobody learns of this worker"
            if isinstance(failure, TopicsError):
                what += "; `segstream topics create` makes it, where you may"
            self._failed(what, failure)
            return False
        self._has_failed = False
        return True

    def _failed(self, what: str, failure: Exception) -> None:
        if not self._has_failed:
            _log.warning("%s: %s", what, _why(failure))
        self._has_failed = True

    async def _send(self, value: bytes | None) -> None:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._broker,
                acks=1,
                compression_type="gzip",
                request_timeout_ms=int(_SENT_WITHIN_S * 1_000),
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        key = self._announcements.instance.encode()
        await self._producer.send_and_wait(WORKERS, value, key=key, partition=0)


def _why(failure: Exception) -> str:
    return str(failure) or type(failure).__name__
