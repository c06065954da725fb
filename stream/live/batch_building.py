"""Record batches as a producer sends them, built from columns: the reverse of `stream.live.record_batches`."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from aiokafka import codec
from google_crc32c import value as crc32c

from stream.compiled import compiled, pasted
from stream.events.bytestrings import Bytestrings
from stream.events.bytewise import Bytes, copy_bytes
from stream.worker.record_columns import RecordColumns

Ints = npt.NDArray[np.int64]

#: Base offset, length, leader epoch, magic, CRC.
_HEAD = struct.Struct(">qiibI")
#: Attributes, last offset's delta, first and largest time, producer id and epoch, base sequence, number of records.
_CHECKED = struct.Struct(">hiqqqhii")
_BEFORE_RECORDS = _HEAD.size + _CHECKED.size
_MAGIC = 2
_NOBODY = -1  # the producer id, epoch and sequence of one that is not idempotent
_BEFORE_LENGTH = 12
#: What a record takes at most besides key, value and headers: its length, attributes, time, offset, and two sizes.
_OVERHEAD = 5 + 1 + 1 + 5 + 5 + 5

_CODECS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "gzip": (1, codec.gzip_encode),
    "snappy": (2, codec.snappy_encode),
    "lz4": (3, codec.lz4_encode),
    "zstd": (4, codec.zstd_encode),
}


class BuiltBatch:
    """One batch that is ready to be sent: what aiokafka's producer asks of a ``BatchBuilder``."""

    def __init__(self, data: bytes, count: int) -> None:
        self._data = data
        self._count = count

    def record_count(self) -> int:
        return self._count

    def size(self) -> int:
        return len(self._data)

    def closed(self) -> bool:
        return True

    def close(self) -> None:
        """It is."""

    def _build(self) -> bytes:
        return self._data


def built(records: RecordColumns, now_ms: int, bytes_most: int, compression: str | None = None) -> Iterator[BuiltBatch]:
    """All records in batches of so many bytes, before they are compressed, and of one record at least.

    ``now_ms`` is the time of all of them.
    """
    columns = (records.keys, records.values, records.headers)
    sizes = sum((np.maximum(column.sizes, 0) for column in columns), np.full(len(records), _OVERHEAD, np.int64))
    ends = np.cumsum(sizes)
    start = 0
    while start < len(records):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + bytes_most, side="right")))
        keys, values, headers = (column[start:stop] for column in columns)
        out = np.empty(_BEFORE_RECORDS + int(ends[stop - 1]) - before, np.uint8)
        end = _fill(
            keys.data, keys.starts, keys.sizes, values.data, values.starts, values.sizes,
            headers.data, headers.starts, headers.sizes, out, _BEFORE_RECORDS,
        )  # fmt: skip
        yield BuiltBatch(_framed(out[:end], stop - start, now_ms, compression), stop - start)
        start = stop


def _framed(batch: Bytes, count: int, now_ms: int, compression: str | None) -> bytes:
    """A batch whose first bytes are not there yet, with them."""
    attributes = 0
    if compression is not None:
        attributes, encode = _CODECS[compression]
        records = np.frombuffer(encode(batch[_BEFORE_RECORDS:].tobytes()), np.uint8)
        batch = np.concatenate([batch[:_BEFORE_RECORDS], records])
    view = memoryview(batch)  # type: ignore[arg-type]  # an array is a buffer
    _CHECKED.pack_into(view, _HEAD.size, attributes, count - 1, now_ms, now_ms, _NOBODY, _NOBODY, _NOBODY, count)
    checked = view[_HEAD.size :].tobytes()
    return _HEAD.pack(0, len(view) - _BEFORE_LENGTH, 0, _MAGIC, crc32c(checked)) + checked


@pasted
def _varint_size(number: int) -> int:
    """The bytes that a number takes, zigzag and seven bits each."""
    rest = number << 1 ^ number >> 63
    size = 1
    while rest > 0x7F:
        rest >>= 7
        size += 1
    return size


@pasted
def _put_varint(number: int, out: Bytes, at: int) -> int:
    """Writes it, and says where the next thing goes."""
    rest = number << 1 ^ number >> 63
    while rest > 0x7F:
        out[at] = rest & 0x7F | 0x80
        rest >>= 7
        at += 1
    out[at] = rest
    return at + 1


@compiled
def _fill(
    keys: Bytes, key_at: Ints, key_size: Ints, values: Bytes, value_at: Ints, value_size: Ints,
    headers: Bytes, header_at: Ints, header_size: Ints, out: Bytes, at: int,
) -> int:  # fmt: skip
    """Writes all records, one behind the other from ``at`` on, and says where the last one ends."""
    for i in range(len(key_size)):
        key, value, header = max(key_size[i], 0), max(value_size[i], 0), header_size[i]
        length = 2 + _varint_size(i) + _varint_size(key_size[i]) + key + _varint_size(value_size[i]) + value + header
        at = _put_varint(length, out, at)
        out[at] = 0  # attributes: none are known
        out[at + 1] = 0  # the time, as the first one's
        at = _put_varint(i, out, at + 2)
        at = _put_varint(key_size[i], out, at)
        copy_bytes(keys, key_at[i], key, out, at)
        at = _put_varint(value_size[i], out, at + key)
        copy_bytes(values, value_at[i], value, out, at)
        at += value
        copy_bytes(headers, header_at[i], header, out, at)
        at += header
    return at


def prepare() -> None:
    """Loads the compiled code, or compiles it."""
    nothing = Bytestrings.of([b"", None])
    list(built(RecordColumns(nothing, nothing, Bytestrings.of([b"\0", b"\0"])), 0, 1))
