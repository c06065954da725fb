"""Kafka's record batches are taken apart as aiokafka does it, record for record; damage is seen."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from stream.live.record_batches import unpack
from stream.worker.interfaces import StoredRecord

BYTES = st.none() | st.binary(max_size=40) | st.binary(min_size=120, max_size=300)
HEADERS = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=3)
RECORDS = st.lists(st.tuples(st.integers(0, 1 << 42), BYTES, BYTES, HEADERS), min_size=1, max_size=12)
GZIP, LZ4, ZSTD = 1, 3, 4


def batch(records: Any, base: int = 0, compression: int = 0) -> bytes:
    """One batch whose first record has offset ``base``."""
    builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 1 << 20)
    for offset, (time_ms, key, value, headers) in enumerate(records):
        assert builder.append(offset, time_ms, key, value, headers) is not None
    built = bytearray(builder.build())
    built[:8] = base.to_bytes(8, "big")  # as the broker does; no checksum is over it
    return bytes(built)


def singly(data: bytes, position: int) -> list[StoredRecord]:
    """The same by aiokafka."""
    found, batches = [], MemoryRecords(data)
    while batches.has_next():
        found += [
            StoredRecord(record.offset, record.timestamp, record.key, record.value)
            for record in batches.next_batch()
            if record.offset >= position
        ]
    return found


@given(
    st.lists(st.tuples(RECORDS, st.integers(0, 3), st.sampled_from([0, 0, GZIP])), min_size=1, max_size=4), st.data()
)
def test_records_are_those_of_aiokafka(batches: Any, data: Any) -> None:
    written, base = b"", data.draw(st.integers(0, 1 << 40))
    first = base
    for records, skipped, compression in batches:
        written += batch(records, base + skipped, compression)
        base += skipped + len(records)
    position = data.draw(st.integers(first, base))
    cut = data.draw(st.integers(0, 60))
    received, behind = unpack(written + batch([(0, None, b"x" * 100, [])], base)[:cut], position, "here")
    assert received.records() == singly(written, position)
    assert behind == base


@pytest.mark.parametrize("compression", [0, GZIP, 2, LZ4, ZSTD])
def test_compressed_batches(compression: int) -> None:
    pytest.importorskip("cramjam") if compression > GZIP else None
    data = batch([(5, b"k", b"v" * 500, []), (6, None, None, [])], 7, compression) + batch([(7, b"", b"", [])], 9)
    received, behind = unpack(data, 8, "here")
    assert received.records() == [StoredRecord(8, 6, None, None), StoredRecord(9, 7, b"", b"")]
    assert behind == 10


def test_a_way_of_compressing_that_nobody_knows() -> None:
    data = bytearray(batch([(5, b"k", b"v", [])]))
    data[22] = 6
    checked = with_checksum(bytes(data))
    with pytest.raises(UnsupportedCodecError, match="here: compressed in a way that has no name: 6"):
        unpack(checked, 0, "here")


def with_checksum(data: bytes) -> bytes:
    from aiokafka.record.util import calc_crc32c

    return data[:17] + calc_crc32c(data[21:]).to_bytes(4, "big") + data[21:]


def test_the_time_of_appending_counts_where_the_topic_says_so() -> None:
    data = bytearray(batch([(5, b"k", b"v", []), (9, b"k", b"v", [])]))
    data[22] |= 8
    received, _ = unpack(with_checksum(bytes(data)), 0, "here")
    assert received.times_ms.tolist() == [9, 9]


def test_control_batches_are_stepped_over() -> None:
    data = bytearray(batch([(5, b"k", b"v", [])], 3))
    data[22] |= 0x20
    received, behind = unpack(with_checksum(bytes(data)) + batch([(6, b"k", b"w", [])], 4), 3, "here")
    assert [record.value for record in received.records()] == [b"w"]
    assert behind == 5
    received, behind = unpack(with_checksum(bytes(data)), 3, "here")
    assert (len(received), behind) == (0, 4)


def test_a_damaged_byte_is_seen() -> None:
    whole = batch([(5, b"key", b"value", [("h", b"x")])], 3)
    for at in range(12, len(whole)):
        if at in range(12, 16):  # the leader's epoch has no checksum
            continue
        data = bytearray(whole)
        data[at] ^= 0x11
        with pytest.raises(CorruptRecordException, match="topic t, partition 1: the batch of records at offset"):
            unpack(
                bytes(data) if at != 16 else bytes(data[:16]) + bytes([7]) + bytes(data[17:]), 0, "topic t, partition 1"
            )


@given(st.data())
def test_what_a_writer_got_wrong_is_seen_or_read(data: Any) -> None:
    """With a checksum that is right, no bytes lead to anything but records or the error."""
    whole = bytearray(batch([(5, b"key", b"value", [("h", b"x")]), (6, b"k", None, [])], 3))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(57, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        received, _ = unpack(with_checksum(bytes(whole)), 0, "here")
    except CorruptRecordException:
        return
    assert len(received) <= int.from_bytes(whole[57:61], "big")
    for record in received.records():
        assert len(record.key or b"") + len(record.value or b"") < len(whole)


def test_old_formats_are_read() -> None:
    builder = LegacyRecordBatchBuilder(1, 0, 1 << 20)
    for offset in range(3):
        builder.append(offset, 5 + offset, b"k", b"v%d" % offset)
    received, behind = unpack(bytes(builder.build()), 1, "here")
    assert received.records() == [StoredRecord(1, 6, b"k", b"v1"), StoredRecord(2, 7, b"k", b"v2")]
    assert behind == 3


def test_nothing() -> None:
    received, behind = unpack(b"", 4, "here")
    assert (len(received), behind) == (0, 4)
