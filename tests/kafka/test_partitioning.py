"""Keys fall into the partitions that Kafka's own producers choose."""

from __future__ import annotations

import pytest

from stream.kafka.partitioning import partition_of

# The hashes are those of the tests of Kafka's own murmur2.
KAFKAS = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


@pytest.mark.parametrize(("key", "number"), KAFKAS)
@pytest.mark.parametrize("partitions", [1, 2, 8, 12, 100, 2147483647])
def test_keys_fall_where_kafka_puts_them(key: bytes, number: int, partitions: int) -> None:
    assert partition_of(key, partitions) == (number & 0x7FFFFFFF) % partitions
