"""Changes from their topic to the script, batch after batch, from the offsets that Redis holds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError

from stream.kafka.connection import unreachable
from stream.kafka.reading import stop_consumer
from stream.kafka.topics import SEGMENT_CHANGES
from stream.live.reader import LogReader
from stream.sinks.records import Change, parse_change
from stream.sinks.redis.keys import FEED_LENGTH
from stream.sinks.redis.script import Applied, Place, Script, batch_request
from stream.sinks.redis.status import SinkStatus

#: A batch keeps Redis from answering others while it is applied, so it is not larger.
BATCH = 500
_POLL_RECORDS = 10 * BATCH
#: After so many turns of the loop a request has been sent: Redis works on it while the next one is made.
_TURNS_TO_SEND = 3
_POLL_MS = 200
#: When nothing comes, it is looked so often whether Redis is as it was, and whether the broker still answers.
_LOOK_S = 1.0
_ASK_BROKER_S = 10.0

_log = logging.getLogger(__name__)


class Following:
    """Reads all partitions of the changes; ``offsets`` are where.

    At most one batch is on its way to Redis while the next is being prepared.
    """

    def __init__(
        self,
        broker: str,
        reader: LogReader,
        script: Script,
        status: SinkStatus,
        offsets: Mapping[int, int],
        topic: str,
        *,
        client_id: str,
        keep_evidence: bool,
    ) -> None:
        self._broker = broker
        self._reader = reader
        self._script = script
        self._status = status
        self._topic = topic
        self._keep_evidence = keep_evidence
        self._offsets = dict(offsets)  # as they will be when all that is on its way has been applied
        self._pending: asyncio.Task[None] | None = None
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=broker,
            client_id=client_id,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=_POLL_MS,
            max_partition_fetch_bytes=4 << 20,
        )

    @property
    def offsets(self) -> Mapping[int, int]:
        return self._offsets

    async def start(self) -> None:
        try:
            await self._consumer.start()
        except KafkaConnectionError as error:
            await self._consumer.stop()
            raise unreachable(self._broker) from error
        places = {TopicPartition(SEGMENT_CHANGES, partition): offset for partition, offset in self._offsets.items()}
        self._consumer.assign(list(places))
        for place, offset in places.items():
            self._consumer.seek(place, offset)

    async def stop(self) -> None:
        """Lets what is on its way arrive, and the consumer go."""
        pending, self._pending = self._pending, None
        if pending is not None:
            await asyncio.wait([pending])
            if not pending.cancelled() and pending.exception() is not None:
                _log.debug("given up: %s", pending.exception())
        await stop_consumer(self._consumer)

    async def run(self, ended: Callable[[], bool], look: Callable[[Mapping[int, int]], Awaitable[None]]) -> None:
        """Goes on until it has ``ended``, or something is raised. ``look`` is called when there is nothing to do."""
        looked_at = asked_at = time.monotonic()
        while not ended():
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)
            records = [record for of_partition in fetched.values() for record in of_partition]
            for first in range(0, len(records), BATCH):
                await self._submit(records[first : first + BATCH])
            self._tell_lags()
            if fetched:
                asked_at = time.monotonic()
                continue
            await self._arrived()
            self._status.progress()
            if time.monotonic() - looked_at > _LOOK_S:
                await look(self._offsets)
                looked_at = time.monotonic()
            if time.monotonic() - asked_at > _ASK_BROKER_S:
                await self._reader.end(SEGMENT_CHANGES, 0)  # raises when nobody answers
                asked_at = time.monotonic()
        await self._arrived()

    async def _submit(self, records: Sequence[ConsumerRecord]) -> None:
        starts: dict[int, int] = {}
        stops: dict[int, int] = {}
        changes: list[tuple[Change, bytes]] = []
        for record in records:
            starts.setdefault(record.partition, self._offsets[record.partition])
            stops[record.partition] = record.offset + 1
            try:
                changes.append((parse_change(record.value), record.value))
            except ValueError as error:
                self._status.count_foreign()
                where = f"{record.topic}, partition {record.partition}, offset {record.offset}"
                _log.warning("%s: passed over, it is no change: %s", where, error)
        places = [Place(partition, start, stops[partition]) for partition, start in starts.items()]
        # What so many others come after would only be written to the feed to be trimmed again.
        is_latest = self._behind() < 2 * FEED_LENGTH
        request = batch_request(self._topic, places, changes, keep_evidence=self._keep_evidence, feed=is_latest)
        await self._arrived()
        self._offsets.update(stops)
        self._pending = asyncio.create_task(self._apply(request), name="batch")
        for _ in range(_TURNS_TO_SEND):
            await asyncio.sleep(0)

    async def _arrived(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            await pending

    async def _apply(self, request: bytes) -> None:
        began = time.perf_counter()
        applied: Applied = await self._script.apply(request)
        self._status.count(applied, time.perf_counter() - began)
        if applied.gaps:
            _log.warning("%d changes never came: a customer's numbers jump (see docs/redis.md, gaps)", applied.gaps)

    def _lags(self) -> dict[int, int]:
        """The records that exist and have not been sent to Redis, of partitions that have been fetched from."""
        ends = {n: self._consumer.highwater(TopicPartition(SEGMENT_CHANGES, n)) for n in self._offsets}
        return {n: max(0, end - self._offsets[n]) for n, end in ends.items() if end is not None}

    def _behind(self) -> int:
        return sum(self._lags().values())

    def _tell_lags(self) -> None:
        for partition, records in self._lags().items():
            self._status.lags(partition, records)
