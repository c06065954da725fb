"""Rows of words as bytes and back: most words are 0 or `NONE`, and take a quarter of a byte.

Of each word two bits come first, four words a byte, the first one lowest: 0 the word is 0, 1 it is `NONE`, 2 it is
given in 4 bytes, 3 in 8; then these, little-endian and signed, in the words' order.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from stream.compiled import compiled, pasted
from stream.engine import opcodes as op
from stream.events.bytestrings import Bytestrings
from stream.events.bytewise import Bytes, byte_at, copy_bytes, frozen, put_word, word_at

Ints = npt.NDArray[np.int64]

_ZERO, _NONE, _SHORT, _LONG = range(4)
_HALF: Final = 1 << 31
_LOW: Final = (1 << 32) - 1
_LONGEST: Final = 8

assert op.NONE == -1


def pack(words: Ints, begin: bytes, ends: Bytestrings, which: Ints) -> Bytestrings:
    """Each row of ``words`` (n, w): ``begin``, the words, then the one of ``ends`` that ``which`` (n,) says."""
    count, width = words.shape
    most = len(begin) + -(-width // 4) + _LONGEST * width
    out = np.empty(count * most + int(ends.sizes[which].sum()) + _LONGEST, np.uint8)
    starts = np.empty(count + 1, np.int64)
    _pack(words, np.frombuffer(begin, np.uint8), ends.data, ends.starts[which], ends.sizes[which], out, starts)
    return Bytestrings(out[: starts[-1]], starts[:-1], np.diff(starts))


def unpack(rows: Bytestrings, skipped: int, out: Ints) -> Ints:
    """Fills ``out`` (n, w) with the words of ``rows``, which begin with so many other bytes.

    Returns how many bytes of each row were used (n,), -1 for one that is cut off.
    """
    used = np.empty(len(rows), np.int64)
    data = rows.data
    if len(rows) and int((rows.starts + rows.sizes).max()) + _LONGEST > len(data):
        data = frozen(np.concatenate([data, np.zeros(_LONGEST, np.uint8)]))
    _unpack(data, rows.starts, rows.sizes, skipped, out, used)
    return used


@pasted
def _size(tag: int) -> int:
    """The bytes that a word of this tag is given in: 0, 0, 4 or 8."""
    return (tag >> 1) << (2 + (tag & 1))


@compiled
def _pack(words: Ints, begin: Bytes, ends: Bytes, ends_at: Ints, ends_size: Ints, out: Bytes, starts: Ints) -> None:
    """Writes all rows; ``starts`` (n + 1,) says where each begins, and where the last one ends."""
    at = 0
    width = words.shape[1]
    for i in range(words.shape[0]):
        starts[i] = at
        copy_bytes(begin, 0, len(begin), out, at)
        tags_at = at + len(begin)
        at = tags_at + (width + 3 >> 2)
        tags = 0
        for k in range(width):
            # No branch in here: which words are there can't be foretold.
            word = words[i, k]
            tag = _SHORT if -_HALF <= word < _HALF else _LONG
            tag = _NONE if word == op.NONE else tag
            tag = _ZERO if word == 0 else tag
            put_word(word, out, at)
            at += _size(tag)
            tags |= tag << 2 * (k & 3)
            if k & 3 == 3 or k == width - 1:
                out[tags_at + (k >> 2)] = tags
                tags = 0
        copy_bytes(ends, ends_at[i], ends_size[i], out, at)
        at += ends_size[i]
    starts[words.shape[0]] = at


@compiled
def _unpack(data: Bytes, starts: Ints, sizes: Ints, skipped: int, out: Ints, used: Ints) -> None:
    """Reads all rows, and says how far."""
    width = out.shape[1]
    for i in range(out.shape[0]):
        tags_at = starts[i] + skipped
        at = tags_at + (width + 3 >> 2)
        end = starts[i] + sizes[i]
        used[i] = -1
        if at > end:
            continue
        tags = 0
        for k in range(width):
            if k & 3 == 0:
                tags = byte_at(data, tags_at + (k >> 2))
            tag = tags >> 2 * (k & 3) & 3
            given = word_at(data, min(at, end))
            low = given & _LOW
            word = low - ((low & _HALF) << 1) if tag == _SHORT else given
            word = -(tag & 1) if tag < _SHORT else word
            out[i, k] = word
            at += _size(tag)
        if at <= end:
            used[i] = at - starts[i]
