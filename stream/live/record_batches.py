"""What a fetch brings, Kafka's record batches, taken apart at once: no object for each record.

The format is that of Kafka 0.11 and later (magic 2): https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from aiokafka import codec
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from google_crc32c import value as crc32c

from stream.compiled import compiled, pasted
from stream.events.bytestrings import Bytestrings
from stream.events.bytewise import Bytes, byte_at
from stream.live.reader import single_records
from stream.worker.received import Received
from stream.worker.record_columns import RecordColumns
from stream.worker.stored_columns import StoredColumns

Ints = npt.NDArray[np.int64]

_MAGIC = 2
#: Base offset, length, leader epoch, magic, CRC; attributes, last offset's delta, first and largest timestamp, producer
#: id and epoch, base sequence, number of records.
_HEADER = struct.Struct(">qiibIhiqqqhii")
_MAGIC_AT, _BEFORE_LENGTH, _CHECKED_FROM = 16, 12, 21
_CODEC, _APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20
_CODECS: dict[int, tuple[str, Callable[[], bool], Callable[[bytes], bytes]]] = {
    1: ("gzip", codec.has_gzip, codec.gzip_decode),
    2: ("snappy", codec.has_snappy, codec.snappy_decode),
    3: ("lz4", codec.has_lz4, codec.lz4_decode),
    4: ("zstd", codec.has_zstd, codec.zstd_decode),
}

#: Of a batch in `_unpack`: where its records begin and end, how many there are, the offset and the time that theirs
#: count from, and the time of all of them, or `_EACH`.
_BEGIN, _END, _COUNT, _OFFSET, _TIME, _ALL_TIME = range(6)
_EACH = -2
#: A varint has so many bytes at most.
_VARINT_BYTES = 10


class _Batches(NamedTuple):
    """The batches of a fetch, (n, 6), their bytes, and the offset behind the last one."""

    table: Ints
    data: bytes
    behind: int


def unpack(data: bytes, position: int, where: str) -> tuple[Received, int]:
    """The records at ``position`` and later, and where reading goes on. ``where`` tells a reader what was read.

    A batch that is cut off at the end is left out. Raises ``CorruptRecordException`` and ``UnsupportedCodecError``.
    """
    stored, behind = unpack_stored(data, position, where)
    return Received(stored.offsets, stored.times_ms, stored.records.keys, stored.records.values), behind


def unpack_stored(data: bytes, position: int, where: str) -> tuple[StoredColumns, int]:
    """The same with the records' headers."""
    if len(data) > _MAGIC_AT and data[_MAGIC_AT] < _MAGIC:
        old, behind = single_records(data, position, where)
        return StoredColumns.of(old), behind
    found = _batches(data, where)
    count = int(found.table[:, _COUNT].sum())
    columns = np.empty((8, count), np.int64)
    raw = np.frombuffer(found.data, np.uint8)
    taken = _unpack(raw, found.table, position, columns)
    if taken < 0:
        raise _damaged(where, int(found.table[-taken - 1, _OFFSET]))
    offsets, times_ms, *places = columns[:, :taken]
    records = RecordColumns(*(Bytestrings(raw, places[i], places[i + 1]) for i in (0, 2, 4)))
    return StoredColumns(offsets, times_ms, records), max(position, found.behind)


def _batches(data: bytes, where: str) -> _Batches:
    """The batches in ``data``; what is compressed is laid behind it."""
    at, behind = 0, 0
    rows: list[tuple[int, int, int, int, int, int]] = []
    decompressed: list[bytes] = []
    size = len(data)
    while at + _HEADER.size <= len(data):
        (
            offset, length, _, magic, crc, attributes, last_delta, first_ms, largest_ms, _, _, _, count,
        ) = _HEADER.unpack_from(data, at)  # fmt: skip
        end = at + _BEFORE_LENGTH + length
        if end > len(data):
            break
        begin = at + _HEADER.size
        if magic != _MAGIC or length < _HEADER.size - _BEFORE_LENGTH or not 0 <= count <= end - begin:
            raise _damaged(where, offset)
        if crc32c(data[at + _CHECKED_FROM : end]) != crc:
            raise _damaged(where, offset)
        if not attributes & _CONTROL:
            if attributes & _CODEC:
                decompressed.append(_decompressed(attributes & _CODEC, data[begin:end], where))
                begin, end_of_records = size, size + len(decompressed[-1])
                size = end_of_records
            else:
                end_of_records = end
            rows.append(
                (begin, end_of_records, count, offset, first_ms, largest_ms if attributes & _APPEND_TIME else _EACH)
            )
        behind = offset + last_delta + 1
        at = end
    table = np.array(rows, np.int64).reshape(-1, 6)
    return _Batches(table, b"".join([data, *decompressed]) if decompressed else data, behind)


def _decompressed(number: int, data: bytes, where: str) -> bytes:
    try:
        name, is_there, decode = _CODECS[number]
    except KeyError:
        raise UnsupportedCodecError(f"{where}: compressed in a way that has no name: {number}") from None
    if not is_there():
        raise UnsupportedCodecError(f"{where}: compressed with {name}, for which a library is missing (cramjam)")
    return decode(data)


def _damaged(where: str, offset: int) -> CorruptRecordException:
    return CorruptRecordException(f"{where}: the batch of records at offset {offset} is damaged")


@pasted
def _varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """The zigzag number at ``at`` and where the next one is, which is -1 where there is none before ``end``."""
    number, shift = 0, 0
    behind = -1
    while at < end and shift < 7 * _VARINT_BYTES:
        byte = byte_at(data, at)
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            behind = at
            break
    return (number >> 1) ^ -(number & 1), behind


@compiled
def _unpack(data: Bytes, batches: Ints, position: int, out: Ints) -> int:
    """Enters offsets, times, keys, values and headers of all records from ``position`` on.

    Returns how many there are, or, where batch ``i`` is damaged, ``-i - 1``.
    """
    taken = 0
    for number in range(len(batches)):
        at, end = batches[number, _BEGIN], batches[number, _END]
        for _ in range(batches[number, _COUNT]):
            length, at = _varint(data, at, end)
            behind = at + length
            if at < 0 or length < 1 or behind > end:
                return -number - 1
            time_delta, at = _varint(data, at + 1, behind)  # behind the attributes, which mean nothing
            offset_delta, at = _varint(data, at, behind) if at >= 0 else (0, at)
            key_size, at = _varint(data, at, behind) if at >= 0 else (0, at)
            key_at = at
            if at < 0 or key_size < -1 or at + max(key_size, 0) > behind:
                return -number - 1
            value_size, at = _varint(data, at + max(key_size, 0), behind)
            if at < 0 or value_size < -1 or at + max(value_size, 0) > behind:
                return -number - 1
            offset = batches[number, _OFFSET] + offset_delta
            if offset >= position:
                out[0, taken] = offset
                out[1, taken] = (
                    batches[number, _TIME] + time_delta
                    if batches[number, _ALL_TIME] == _EACH
                    else batches[number, _ALL_TIME]
                )
                out[2, taken] = key_at
                out[3, taken] = key_size
                out[4, taken] = at
                out[5, taken] = value_size
                out[6, taken] = at + max(value_size, 0)
                out[7, taken] = behind - out[6, taken]
                taken += 1
            at = behind
        if at != end:
            return -number - 1
    return taken


def prepare() -> None:
    """Loads the compiled code, or compiles it."""
    unpack(b"", 0, "nowhere")
