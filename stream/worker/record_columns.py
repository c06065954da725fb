"""Records to be written, by the thousand: their keys, values and headers as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from stream.events.bytestrings import Bytestrings
from stream.worker.interfaces import Headers, Record

Ints = npt.NDArray[np.int64]


def varint(number: int) -> bytes:
    r"""A number that is not negative as Kafka's records have it: zigzag, seven bits a byte, the lowest first.

    >>> varint(1), varint(64)
    (b'\x02', b'\x80\x01')
    """
    rest, out = 2 * number, bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


#: The usual ones, without reckoning.
_SIZES = [varint(size) for size in range(1_024)]
_NO_HEADERS = varint(0)


def sized(data: bytes) -> bytes:
    """Bytes behind their size, as the names and values of headers lie in a record."""
    size = len(data)
    return (_SIZES[size] if size < len(_SIZES) else varint(size)) + data


def encode_headers(headers: Headers) -> bytes:
    """Headers as they lie in a record: how many there are, then name and value of each behind their sizes."""
    if not headers:
        return _NO_HEADERS
    return b"".join([varint(len(headers)), *(sized(name.encode()) + sized(value) for name, value in headers)])


def decode_headers(data: bytes) -> Headers:
    """The headers that ``encode_headers`` was given."""
    place = 0

    def number() -> int:
        nonlocal place
        found = shift = 0
        while True:
            byte = data[place]
            place += 1
            found |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return found >> 1

    def taken() -> bytes:
        nonlocal place
        size = number()
        place += size
        return data[place - size : place]

    return tuple((taken().decode(), taken()) for _ in range(number()))


@dataclass(frozen=True, slots=True)
class RecordColumns(Sequence[Record]):
    """``n`` records: keys, values, and headers as ``encode_headers`` gives them."""

    keys: Bytestrings
    values: Bytestrings
    headers: Bytestrings

    @classmethod
    def of(cls, records: Sequence[Record]) -> RecordColumns:
        """The same of single records."""
        if isinstance(records, RecordColumns):
            return records
        return cls(
            Bytestrings.of([record.key for record in records]),
            Bytestrings.of([record.value for record in records]),
            Bytestrings.of([encode_headers(record.headers) for record in records]),
        )

    @classmethod
    def plain(cls, keys: Bytestrings, values: Bytestrings) -> RecordColumns:
        """Records without headers."""
        return cls(keys, values, Bytestrings.repeated(_NO_HEADERS, len(keys)))

    @classmethod
    def joined(cls, parts: Sequence[RecordColumns]) -> RecordColumns:
        """All of ``parts``, one at least, in order."""
        parts = [part for part in parts if len(part)] or parts[:1]
        if len(parts) == 1:
            return parts[0]
        return cls(
            Bytestrings.joined([part.keys for part in parts]),
            Bytestrings.joined([part.values for part in parts]),
            Bytestrings.joined([part.headers for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> RecordColumns: ...

    def __getitem__(self, index: int | slice) -> Record | RecordColumns:
        if isinstance(index, slice):
            return RecordColumns(self.keys[index], self.values[index], self.headers[index])
        return Record(self.keys[index], self.values[index], decode_headers(self.headers[index] or _NO_HEADERS))

    def select(self, places: Ints) -> RecordColumns:
        """Those at ``places`` (m,)."""
        return RecordColumns(self.keys.select(places), self.values.select(places), self.headers.select(places))

    def with_headers(self, headers: Bytestrings) -> RecordColumns:
        """The same with other headers."""
        return RecordColumns(self.keys, self.values, headers)
