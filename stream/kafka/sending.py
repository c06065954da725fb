"""Sending many records fast, in order, with an end that means: all of them are there."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from stream.errors import BrokerUnreachableError, TopicsError
from stream.kafka.connection import unreachable

#: A batch is sent when it has so many bytes. One request takes one batch for each partition; with half as many bytes it
#: took a fifth more time, with twice as many no less.
BATCH_BYTES = 256 << 10
#: So long the broker may take to acknowledge a batch, retries included.
ACKNOWLEDGED_WITHIN_S = 30.0

_Place = tuple[str, int]  # a topic and a partition


class Sender:
    """Sends records to partitions that the caller chooses; those of one partition keep their order.

    Of each partition one batch is on its way and one is being filled, so nothing overtakes a batch that is lost: the
    failure comes first. A batch that is sent again because its acknowledgement was lost may lie there twice.

    `send` and `flush` raise ``BrokerUnreachableError`` when the broker does not acknowledge a batch, and
    ``TopicsError`` when it refuses one.
    """

    def __init__(self, producer: AIOKafkaProducer, broker: str) -> None:
        self.acknowledged = 0
        self._producer = producer
        self._broker = broker
        self._filling: dict[_Place, BatchBuilder] = {}
        self._on_its_way: dict[_Place, tuple[asyncio.Future[RecordMetadata], int]] = {}

    async def send(self, topic: str, partition: int, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Takes keys and values; their timestamp is now. They may wait for a batch to be full."""
        now_ms = time.time_ns() // 1_000_000
        place = (topic, partition)
        if place not in self._filling:
            self._filling[place] = self._producer.create_batch()
        append = self._filling[place].append
        for key, value in records:
            if append(timestamp=now_ms, key=key, value=value, headers=[]) is None:  # it is full
                await self._submit(place)
                self._filling[place] = self._producer.create_batch()
                append = self._filling[place].append
                taken = append(timestamp=now_ms, key=key, value=value, headers=[])
                assert taken is not None, "an empty batch takes any record"

    async def submit(self) -> None:
        """Sends what waits for a batch to be full."""
        for place in list(self._filling):
            await self._submit(place)

    async def flush(self) -> None:
        """Sends all, and returns when all is acknowledged."""
        await self.submit()
        for place in list(self._on_its_way):
            await self._acknowledgement(place)

    def abandon(self) -> None:
        """Forgets what has not been acknowledged."""
        for future, _ in self._on_its_way.values():
            future.cancel()

    async def _submit(self, place: _Place) -> None:
        await self._acknowledgement(place)
        batch = self._filling.pop(place)
        count = batch.record_count()
        topic, partition = place
        with self._told_failures():
            self._on_its_way[place] = (await self._producer.send_batch(batch, topic, partition=partition), count)

    async def _acknowledgement(self, place: _Place) -> None:
        """Waits until what is on its way to the partition is there."""
        if place in self._on_its_way:
            future, count = self._on_its_way[place]
            with self._told_failures():
                await future
            del self._on_its_way[place]
            self.acknowledged += count

    @contextlib.contextmanager
    def _told_failures(self) -> Iterator[None]:
        try:
            yield
        except KafkaError as error:
            if error.retriable or isinstance(error, KafkaTimeoutError):  # it was tried until the time was over
                raise BrokerUnreachableError(
                    f"the broker at {self._broker} has acknowledged nothing for {ACKNOWLEDGED_WITHIN_S:g} s: is it "
                    f"still running? {self.acknowledged:,} records, perhaps a few more, are there"
                ) from error
            raise TopicsError([f"the broker at {self._broker} refuses what is sent: {error}"]) from error


@contextlib.asynccontextmanager
async def connected_sender(broker: str, compression: str | None = None) -> AsyncIterator[Sender]:
    """A sender to a broker that is known to answer; ``compression`` is one of `stream.kafka.compression.CODECS`."""
    producer = AIOKafkaProducer(
        bootstrap_servers=broker,
        acks="all",
        compression_type=compression,
        max_batch_size=BATCH_BYTES,
        request_timeout_ms=int(ACKNOWLEDGED_WITHIN_S * 1_000),
    )
    try:
        await producer.start()
    except KafkaConnectionError as error:
        await producer.stop()
        raise unreachable(broker) from error
    sender = Sender(producer, broker)
    try:
        yield sender
    finally:
        sender.abandon()
        await producer.stop()
