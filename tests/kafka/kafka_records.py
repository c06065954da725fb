"""Topics with records in them, and all the records of topics."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from stream.kafka.administration import create_topics
from stream.kafka.connection import connected_admin
from stream.kafka.topics import Topic, all_topics


def make_topics(address: str, partitions: int = 8, topics: Sequence[Topic] | None = None) -> None:
    async def make() -> None:
        async with connected_admin(address) as admin:
            await create_topics(admin, topics or all_topics(), partitions, 1)

    asyncio.run(make())


def put(address: str, topic: str, batches: Sequence[tuple[int, Sequence[tuple[bytes | None, bytes | None]]]]) -> None:
    """Writes batches of keys and values to partitions, one batch after the other."""

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=address, max_batch_size=1_000_000)
        await producer.start()
        try:
            for partition, records in batches:
                batch = producer.create_batch()
                for key, value in records:
                    assert batch.append(timestamp=None, key=key, value=value) is not None
                await (await producer.send_batch(batch, topic, partition=partition))
        finally:
            await producer.stop()

    asyncio.run(send())


def records_of(address: str, *topics: str, partitions: int = 8) -> list[ConsumerRecord]:
    """All records, in the order of topics, partitions and offsets."""

    async def read() -> list[ConsumerRecord]:
        places = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
        consumer = AIOKafkaConsumer(bootstrap_servers=address, fetch_max_wait_ms=100)
        found: list[ConsumerRecord] = []
        await consumer.start()
        try:
            consumer.assign(places)
            await consumer.seek_to_beginning()
            while True:
                for part in (await consumer.getmany(timeout_ms=200)).values():
                    found += part
                ends = [consumer.highwater(place) for place in places]
                if all(
                    [end is not None and await consumer.position(p) >= end for p, end in zip(places, ends, strict=True)]
                ):
                    break
        finally:
            await consumer.stop()
        return sorted(found, key=lambda record: (topics.index(record.topic), record.partition, record.offset))

    return asyncio.run(read())
