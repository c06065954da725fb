"""Reading logs of known places, without a group: fetches from an offset, and where a partition begins and ends."""

from __future__ import annotations

import asyncio
import functools
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    CorruptRecordException,
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    OffsetOutOfRangeError,
    RequestTimedOutError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from stream.errors import BrokerUnreachableError
from stream.kafka.connection import unreachable
from stream.worker.interfaces import StoredRecord

#: Without an answer for so long the broker is taken for gone.
ANSWERED_WITHIN_S = 30.0
_FETCH_BYTES = 4 << 20
_FETCH_WAIT_MS = 200
_PAUSE_S = 0.1
_EARLIEST, _LATEST = -2, -1
_READ_UNCOMMITTED = 0

_NO_TIME = -1

T = TypeVar("T")
Unpack = Callable[[bytes, int, str], tuple[Sequence[StoredRecord], int]]


class _Answer(NamedTuple):
    highwater: int
    records: bytes | None


def single_records(data: bytes, position: int, where: str) -> tuple[Sequence[StoredRecord], int]:
    """The records in a fetch's bytes at ``position`` and later, one by one, and where reading goes on.

    Raises ``CorruptRecordException``; ``where`` tells a reader what was read.
    """
    found: list[StoredRecord] = []
    batches = MemoryRecords(data)
    while batches.has_next():
        batch = batches.next_batch()
        if not batch.validate_crc():
            raise CorruptRecordException(f"{where}: the batch of records behind offset {position - 1} is damaged")
        if not batch.is_control_batch:
            found += [
                StoredRecord(
                    record.offset,
                    _NO_TIME if record.timestamp is None else record.timestamp,
                    record.key,
                    record.value,
                    tuple(record.headers),
                )
                for record in batch
                if record.offset >= position
            ]
        position = max(position, batch.next_offset)
    return found, position


class LogReader:
    """`Reader` over Kafka's own requests. One serves all partitions of a worker.

    ``unpack`` takes a fetch's bytes apart, as `single_records` does and `stream.live.record_batches.unpack_stored` many
    times as fast, with compiled code, which takes a second to load.
    """

    def __init__(self, broker: str, unpack: Unpack = single_records) -> None:
        self._broker = broker
        self._unpack = unpack
        self._client = AIOKafkaClient(bootstrap_servers=broker, request_timeout_ms=int(ANSWERED_WITHIN_S * 1_000))

    async def start(self) -> None:
        try:
            await self._client.bootstrap()
        except KafkaConnectionError as error:
            await self._client.close()
            raise unreachable(self._broker) from error

    async def stop(self) -> None:
        await self._client.close()

    async def start_of(self, topic: str, partition: int) -> int:
        """The first offset that is there."""
        place = TopicPartition(topic, partition)
        return await self._persistently(lambda: self._listed(place, _EARLIEST))

    async def end(self, topic: str, partition: int) -> int:
        """The offset behind the last record: the larger of what the broker lists and a fetch's high watermark."""
        place = TopicPartition(topic, partition)

        async def find() -> int:
            listed = await self._listed(place, _LATEST)
            if not listed:
                return 0
            # The embedded broker lists the last batch's first offset plus one, and answers some fetches too early, with
            # nothing. The record before the listed end is there: an answer without it says nothing of the end either.
            try:
                answer = await self._fetch(place, listed - 1, _FETCH_WAIT_MS, size=1)
            except OffsetOutOfRangeError:  # all has been deleted
                return listed
            if not answer.records:
                raise RequestTimedOutError
            _, behind = self._records(answer, listed - 1, listed, place)
            return max(listed, answer.highwater, behind)

        return await self._persistently(find)

    async def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncIterator[Sequence[StoredRecord]]:
        """As `stream.worker.interfaces.Reader` says."""
        place = TopicPartition(topic, partition)
        position = start
        while position < stop:
            ask = functools.partial(self._fetch, place, position, _FETCH_WAIT_MS, _FETCH_BYTES)
            try:
                answer = await self._persistently(ask)
            except OffsetOutOfRangeError:
                first = await self.start_of(topic, partition)
                if first <= position:
                    raise
                position = first  # what lay before has been deleted
                continue
            records, position = self._records(answer, position, stop, place)
            if len(records):
                yield records

    def _records(
        self, answer: _Answer, position: int, stop: int, place: TopicPartition
    ) -> tuple[Sequence[StoredRecord], int]:
        """The records from ``position`` to before ``stop``, and where to go on."""
        where = f"topic {place.topic}, partition {place.partition}"
        records, behind = self._unpack(answer.records or b"", position, where)
        return records[: bisect_left(records, stop, key=lambda record: record.offset)], behind

    async def _persistently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Asks again while the broker is away, or the leader moves."""
        deadline = time.monotonic() + ANSWERED_WITHIN_S
        while True:
            try:
                return await ask()
            except (KafkaError, TimeoutError) as error:
                is_passing = isinstance(error, TimeoutError) or error.retriable
                if isinstance(error, OffsetOutOfRangeError) or not is_passing:
                    raise
                if time.monotonic() > deadline:
                    raise BrokerUnreachableError(
                        f"the broker at {self._broker} has not answered for {ANSWERED_WITHIN_S:g} s ({error})"
                    ) from error
            self._client.force_metadata_update()
            await asyncio.sleep(_PAUSE_S)

    async def _leader(self, place: TopicPartition) -> int:
        await self._client.add_topic(place.topic)
        leader = self._client.cluster.leader_for_partition(place)
        if leader is None or leader == -1:
            raise LeaderNotAvailableError(place)
        return int(leader)

    async def _listed(self, place: TopicPartition, which: int) -> int:
        request = OffsetRequest(-1, _READ_UNCOMMITTED, [(place.topic, [(place.partition, which)])])
        response = await self._client.send(await self._leader(place), request)
        ((_, ((_, code, *found),)),) = response.topics
        _check(code, place)
        return int(found[0][0] if response.API_VERSION == 0 else found[1])

    async def _fetch(self, place: TopicPartition, offset: int, wait_ms: int, size: int) -> _Answer:
        places = [(place.topic, [(place.partition, offset, size)])]
        request = FetchRequest(wait_ms, 1, size, _READ_UNCOMMITTED, places)
        response = await self._client.send(await self._leader(place), request)
        if not response.topics:  # the embedded broker's, where the time is over
            raise RequestTimedOutError
        ((_, ((_, code, highwater, *data),)),) = response.topics
        _check(code, place)
        return _Answer(highwater, data[-1])


def _check(code: int, place: TopicPartition) -> None:
    error = for_code(code)
    if code:
        raise error(f"{place.topic}, partition {place.partition}")
