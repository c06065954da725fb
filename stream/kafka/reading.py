"""A topic's records from its beginning, to its end or for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError

from stream.errors import TopicsError
from stream.kafka.administration import find_topics
from stream.kafka.connection import connected_admin, unreachable
from stream.kafka.topics import Topic, problems

#: An answer to a fetch comes after this at the latest, also when there is nothing new.
_FETCH_WAIT_MS = 200
#: Without any progress for so long the broker is taken for gone.
STALLED_AFTER_S = 30.0


async def read_topic(broker: str, topic: str, *, follow: bool = False) -> AsyncGenerator[list[ConsumerRecord]]:
    """The records from the topic's beginning, a partition's in order.

    It ends at the end that the topic had when this began, or, with ``follow``, never. Raises ``TopicsError`` and
    ``BrokerUnreachableError``.
    """
    (partitions,) = await places_of(broker, topic)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker, group_id=None, enable_auto_commit=False, fetch_max_wait_ms=_FETCH_WAIT_MS
    )
    try:
        await consumer.start()
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = Ends(consumer, await consumer.end_offsets(partitions))
        last_progress = time.monotonic()
        while follow or not await ends.are_reached():
            fetched = await consumer.getmany(timeout_ms=_FETCH_WAIT_MS)
            ends.learn()
            if fetched:
                yield [record for part in fetched.values() for record in part if follow or ends.is_before(record)]
                last_progress = time.monotonic()
            elif not follow and time.monotonic() - last_progress > STALLED_AFTER_S:
                raise unreachable(broker, STALLED_AFTER_S)
    except KafkaConnectionError as error:
        raise unreachable(broker) from error
    finally:
        await stop_consumer(consumer)


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Lets go of the connections, whatever the consumer is doing."""
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        # Of a fetch that was about to be tried again. It ends the stopping too, before the last thing to do.
        await consumer._client.close()  # noqa: SLF001


async def places_of(broker: str, *topics: str) -> list[list[TopicPartition]]:
    """The partitions of each topic. Raises ``TopicsError`` where one is missing."""
    async with connected_admin(broker) as admin:
        found = await find_topics(admin, list(topics))
    wrong = problems([Topic(topic, "") for topic in topics], found)
    if wrong:
        raise TopicsError(wrong)
    return [[TopicPartition(topic, number) for number in range(found[topic].partitions)] for topic in topics]


class Ends:
    """Where the partitions ended when reading began.

    The answer to "latest offset" may be too low: the embedded broker's is within the last batch. The high watermark of
    the first fetch is right.
    """

    def __init__(self, consumer: AIOKafkaConsumer, latest: Mapping[TopicPartition, int]) -> None:
        self._consumer = consumer
        self._ends = dict(latest)
        self._unsure = set(latest)

    def learn(self) -> None:
        """Looks at the high watermarks of partitions that have been fetched from for the first time."""
        for partition in list(self._unsure):
            watermark = self._consumer.highwater(partition)
            if watermark is not None:
                self._ends[partition] = max(self._ends[partition], watermark)
                self._unsure.remove(partition)

    def is_before(self, record: ConsumerRecord) -> bool:
        end = self._ends[TopicPartition(record.topic, record.partition)]
        return bool(record.offset < end)

    async def are_reached(self) -> bool:
        if self._unsure:
            return False
        return all([await self._consumer.position(partition) >= end for partition, end in self._ends.items()])
