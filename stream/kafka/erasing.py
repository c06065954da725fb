"""Asking for a customer to be forgotten."""

from __future__ import annotations

import msgspec

from stream.kafka.administration import source_partitions
from stream.kafka.partitioning import partition_of
from stream.kafka.sending import connected_sender
from stream.kafka.topics import CUSTOMER_ERASURES


async def erase(broker: str, customer: str, at_ms: int | None = None) -> int:
    """Sends the request to forget ``customer``; returns, once it is acknowledged, the partition where it lies.

    Events up to ``at_ms`` are forgotten; None: up to the request's own timestamp, which is now. Raises
    ``TopicsError`` and ``BrokerUnreachableError``.
    """
    key = customer.encode()
    partition = partition_of(key, await source_partitions(broker))
    value = b"" if at_ms is None else msgspec.json.encode({"timestamp": at_ms})
    async with connected_sender(broker) as sender:
        await sender.send(CUSTOMER_ERASURES, partition, [(key, value)])
        await sender.flush()
    return partition
