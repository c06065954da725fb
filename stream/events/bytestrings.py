"""Byte strings by the thousand: one array of bytes, and where each of them lies in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from stream.compiled import compiled
from stream.events.bytewise import PADDING, SHORT, Bytes, byte_at, copy_bytes, frozen, short_hash
from stream.events.spans import MISSING, SIZE_BITS, SIZE_MASK, hash_all

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

#: The size of one that is not there.
NONE = -1


class Bytestrings(Sequence[bytes | None]):
    """``n`` byte strings in ``data``: ``starts`` (n,) int64, and ``sizes`` (n,) int64 in bytes, `NONE`: none there."""

    __slots__ = ("data", "sizes", "starts")

    def __init__(self, data: Bytes, starts: Ints, sizes: Ints) -> None:
        self.data = frozen(data)
        self.starts = starts
        self.sizes = sizes

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> Bytestrings:
        """These, laid one behind the other."""
        if isinstance(values, Bytestrings):
            return values
        present = [value for value in values if value is not None]
        sizes = np.fromiter(map(len, present), np.int64, len(present))
        if len(present) < len(values):
            some = np.array([value is not None for value in values], np.bool_)
            sizes_of_some, sizes = sizes, np.full(len(values), NONE, np.int64)
            sizes[some] = sizes_of_some
        taken = np.maximum(sizes, 0)
        return cls(np.frombuffer(b"".join(present), np.uint8), np.cumsum(taken) - taken, sizes)

    @classmethod
    def joined(cls, parts: Sequence[Bytestrings]) -> Bytestrings:
        """All of ``parts``, in order. Parts that share their bytes go on sharing them."""
        if all(part.data is parts[0].data for part in parts):
            data, shifts = parts[0].data, [0] * len(parts)
        else:
            data = np.concatenate([part.data for part in parts])
            ends = np.cumsum([len(part.data) for part in parts])
            shifts = [0, *ends[:-1].tolist()]
        starts = np.concatenate([part.starts + shift for part, shift in zip(parts, shifts, strict=True)])
        return cls(data, starts, np.concatenate([part.sizes for part in parts]))

    @classmethod
    def repeated(cls, value: bytes, count: int) -> Bytestrings:
        """The same ``count`` times."""
        return cls(np.frombuffer(value, np.uint8), np.zeros(count, np.int64), np.full(count, len(value), np.int64))

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, index: int) -> bytes | None: ...

    @overload
    def __getitem__(self, index: slice) -> Bytestrings: ...

    def __getitem__(self, index: int | slice) -> bytes | Bytestrings | None:
        if isinstance(index, slice):
            return Bytestrings(self.data, self.starts[index], self.sizes[index])
        start, size = int(self.starts[index]), int(self.sizes[index])
        return None if size == NONE else self.data[start : start + size].tobytes()

    def __iter__(self) -> Iterator[bytes | None]:
        """All of them, cut from one copy: many times as fast as one by one."""
        if not len(self):
            return
        ends = self.starts + self.sizes
        first = int(self.starts.min())
        data = self.data[first : max(first, int(ends.max()))].tobytes()
        for start, end in zip((self.starts - first).tolist(), (ends - first).tolist(), strict=True):
            yield None if end < start else data[start:end]

    def select(self, places: Ints) -> Bytestrings:
        """Those at ``places`` (m,)."""
        return Bytestrings(self.data, self.starts[places], self.sizes[places])

    def spans(self) -> tuple[Bytes, Ints, Hashes]:
        """As `stream.events.spans.make_spans` gives them: bytes, spans (n,) and hashes (n,).

        Raises `ValueError` where one is longer than a text may be.
        """
        if not len(self):
            return np.zeros(PADDING, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.uint64)
        if int(self.sizes.max()) > SIZE_MASK:
            raise ValueError(f"{int(self.sizes.max())} bytes are more than a text may have")
        # A copy, which could be written to: compiled code is made for one kind of bytes.
        data = np.concatenate([self.data, np.zeros(PADDING, np.uint8)])
        hashes = np.empty(len(self), np.int64)
        _hash_short(data, self.starts, self.sizes, hashes)
        for place in np.flatnonzero(self.sizes > SHORT).tolist():
            hashes[place : place + 1] = hash_all([self[place] or b""]).view(np.int64)
        spans = np.where(self.sizes == NONE, MISSING, self.starts << SIZE_BITS | self.sizes)
        return data, spans, hashes.view(np.uint64)

    def check_utf8(self) -> None:
        """Raises `UnicodeDecodeError` where one is no text."""
        if _are_ascii(self.data, self.starts, self.sizes):
            return
        for value in self:
            (value or b"").decode()

    def separated(self) -> Bytes:
        """All of them, a NUL between two, and `stream.events.bytewise.PADDING` NULs and one more behind the last.

        Raises `TypeError` where one is missing, and `ValueError` where one has a NUL in it or is no UTF-8.
        """
        if len(self) and int(self.sizes.min()) == NONE:
            raise TypeError("a message is missing")
        out = np.empty(int(self.sizes.sum()) + len(self) + PADDING, np.uint8)
        _join(self.data, self.starts, self.sizes, out)
        out[-PADDING:] = 0
        if len(out) - np.count_nonzero(out) != len(self) + PADDING:
            raise ValueError("a message contains what separates messages")
        if int(out.view(np.int8).min()) < 0:
            out.tobytes().decode()
        return out

    def differing(self, data: Bytes, spans: Ints, which: Ints) -> Ints:
        """The places among ``n`` spans in ``data`` (`stream.events.spans`) whose text is not string ``which`` (n,)."""
        differs = np.empty(len(spans), np.bool_)
        if not _compare(self.data, self.starts, self.sizes, data, spans, which, differs):
            return np.zeros(0, np.int64)
        return np.flatnonzero(differs)


@compiled
def _hash_short(data: Bytes, starts: Ints, sizes: Ints, hashes: Ints) -> None:
    """Enters the hash of each that is short and there, as `stream.events.spans.hash_all` gives it."""
    for number in range(len(sizes)):
        hashes[number] = 0
        if 0 <= sizes[number] <= SHORT:
            hash_ = short_hash(data, starts[number], sizes[number])
            hashes[number] = 1 if hash_ == 0 else hash_


@compiled
def _are_ascii(data: Bytes, starts: Ints, sizes: Ints) -> bool:
    above = 0
    for number in range(len(sizes)):
        for place in range(starts[number], starts[number] + sizes[number]):
            above |= byte_at(data, place)
    return above < 0x80


@compiled
def _join(data: Bytes, starts: Ints, sizes: Ints, out: Bytes) -> None:
    """Copies all strings, a NUL behind each."""
    at = 0
    for number in range(len(sizes)):
        size = sizes[number]
        copy_bytes(data, starts[number], size, out, at)
        out[at + size] = 0
        at += size + 1


@compiled
def _compare(
    data: Bytes, starts: Ints, sizes: Ints, texts: Bytes, spans: Ints, which: Ints, differs: npt.NDArray[np.bool_]
) -> int:
    """Enters whether each text differs from its string; says how many do."""
    count = 0
    for i in range(len(spans)):
        size, start = sizes[which[i]], starts[which[i]]
        at = spans[i] >> SIZE_BITS
        differs[i] = size != spans[i] & SIZE_MASK
        if not differs[i]:
            for k in range(size):
                if byte_at(data, start + k) != byte_at(texts, at + k):
                    differs[i] = True
                    break
        count += differs[i]
    return count
