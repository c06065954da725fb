"""Built record batches: aiokafka reads out of them what was put in."""

from __future__ import annotations

from random import Random

import pytest
from aiokafka.record.memory_records import MemoryRecords

from stream.live.batch_building import BuiltBatch, built
from stream.live.record_batches import unpack
from stream.worker.interfaces import Record
from stream.worker.record_columns import RecordColumns, decode_headers, encode_headers, varint

NOW_MS = 1_790_000_000_000


def random_record(random: Random) -> Record:
    def some(most: int) -> bytes:
        return random.randbytes(random.choice([0, 1, 63, 64, 127, 128, random.randrange(most)]))

    headers = tuple((f"näme-{i}", some(300)) for i in range(random.choice([0, 0, 1, 6])))
    key, value = (None if random.random() < 0.1 else some(9_000) for _ in range(2))
    return Record(key, value, headers)


def read(batches: list[BuiltBatch]) -> list[list[Record]]:
    """The records of each batch, as aiokafka's own code says."""
    found = []
    for built_batch in batches:
        data = built_batch._build()
        assert len(data) == built_batch.size()
        records = MemoryRecords(data)
        batch = records.next_batch()
        assert not records.has_next()
        assert batch.validate_crc()
        entries = list(batch)
        assert [entry.offset for entry in entries] == list(range(built_batch.record_count()))
        assert {entry.timestamp for entry in entries} == {NOW_MS}
        found.append([Record(entry.key, entry.value, tuple(entry.headers)) for entry in entries])
    return found


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("seed", range(5))
def test_any_records(seed: int, compression: str | None) -> None:
    random = Random(seed)
    records = [random_record(random) for _ in range(random.choice([1, 70, 400]))]
    most = random.choice([1, 20_000, 1 << 20])
    batches = list(built(RecordColumns.of(records), NOW_MS, most, compression))
    found = read(batches)
    assert [record for batch in found for record in batch] == records
    if compression is None:
        assert all(batch.size() <= most + 61 or batch.record_count() == 1 for batch in batches)
        joined = b"".join(batch._build() for batch in batches[:1])
        received, behind = unpack(joined, 0, "here")
        assert behind == len(found[0])
        assert [(received.keys[i], received.values[i]) for i in range(behind)] == [(r[0], r[1]) for r in found[0]]


def test_no_records_make_no_batch() -> None:
    assert list(built(RecordColumns.of([]), NOW_MS, 100)) == []


def test_columns_are_the_records() -> None:
    random = Random(7)
    records = [random_record(random) for _ in range(50)]
    columns = RecordColumns.of(records)
    assert list(columns) == records
    assert RecordColumns.of(columns) is columns
    assert list(columns[10:20]) == records[10:20]
    assert list(RecordColumns.joined([columns[:0], columns[:5], RecordColumns.of(records[5:])])) == records


@pytest.mark.parametrize("number", [0, 1, 63, 64, 8_191, 8_192, 1 << 30])
def test_numbers_and_headers_come_back(number: int) -> None:
    assert decode_headers(varint(1) + varint(1) + b"n" + varint(3) + b"abc") == (("n", b"abc"),)
    value = bytes(min(number, 10_000))
    assert decode_headers(encode_headers((("a", value), ("", b"")))) == (("a", value), ("", b""))
