"""Which partition a key belongs to: murmur2, as Kafka's own producers have it."""

from __future__ import annotations

from aiokafka.partitioner import murmur2


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a record with this key, in a topic with so many.

    >>> partition_of(b"ada", 8), partition_of("zoë".encode(), 8)
    (5, 4)
    """
    number: int = murmur2(key)
    return (number & 0x7FFF_FFFF) % partitions
