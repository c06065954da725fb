"""The sender's own rules, with a producer that answers when the test says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder

from stream.errors import BrokerUnreachableError, SegstreamError, TopicsError
from stream.kafka.sending import Sender

LARGE = b"x" * 700  # one fits into a batch, two do not


class SlowProducer:
    """Keeps what it is given, with the futures that acknowledge it."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int, asyncio.Future[Any]]] = []

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(1_000, 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self.batches.append((partition, batch.record_count(), future))
        return future


async def turns() -> None:
    """Lets everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_partition_has_one_batch_on_its_way() -> None:
    async def main() -> None:
        producer = SlowProducer()
        sender = Sender(producer, "b:1")
        await sender.send("t", 0, [(b"k", LARGE), (b"k", LARGE)])  # the second waits for its batch to be full
        await sender.send("t", 1, [(b"k", LARGE), (b"k", LARGE)])
        flushing = asyncio.create_task(sender.flush())
        await turns()
        assert [partition for partition, *_ in producer.batches] == [0, 1], "others need not wait"
        producer.batches[0][2].set_result(None)
        producer.batches[1][2].set_result(None)
        await turns()
        assert [partition for partition, *_ in producer.batches] == [0, 1, 0, 1]
        assert not flushing.done()
        producer.batches[2][2].set_result(None)
        await turns()
        assert not flushing.done()
        assert sender.acknowledged == 3
        producer.batches[3][2].set_result(None)
        await flushing
        assert sender.acknowledged == 4

    asyncio.run(main())


@pytest.mark.parametrize(
    ("failure", "error"), [(KafkaConnectionError(), BrokerUnreachableError), (MessageSizeTooLargeError(), TopicsError)]
)
def test_nothing_follows_a_batch_that_is_lost(failure: Exception, error: type[SegstreamError]) -> None:
    async def main() -> None:
        producer = SlowProducer()
        sender = Sender(producer, "b:1")
        await sender.send("t", 0, [(b"k", LARGE), (b"k", LARGE)])
        producer.batches[0][2].set_exception(failure)
        with pytest.raises(error, match="b:1"):
            await sender.flush()
        sender.abandon()
        assert len(producer.batches) == 1
        assert sender.acknowledged == 0

    asyncio.run(main())


def test_records_are_sent_when_asked_for_before_their_batch_is_full() -> None:
    async def main() -> None:
        producer = SlowProducer()
        sender = Sender(producer, "b:1")
        await sender.send("t", 0, [(b"k", b"1"), (b"k", b"2")])
        await sender.send("t", 0, [(b"k", b"3")])
        assert producer.batches == []
        await sender.submit()
        assert [(partition, count) for partition, count, _ in producer.batches] == [(0, 3)]

    asyncio.run(main())
