"""Which partition a key belongs to, as Kafka's own clients say: murmur2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from stream.compiled import compiled
from stream.events.bytestrings import Bytestrings
from stream.events.bytewise import Bytes, byte_at

Ints = npt.NDArray[np.int64]

_M: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C
_MASK: Final = 0xFFFFFFFF


def murmur2(keys: Sequence[bytes | None]) -> npt.NDArray[np.int32]:
    """Kafka's hash of each key, (n,) int32. One that is missing counts as empty.

    >>> murmur2([b"21", b"foobar"]).tolist()
    [-973932308, -790332482]
    """
    strings = Bytestrings.of(keys)
    out = np.empty(len(strings), np.int64)
    _murmur2(strings.data, strings.starts, strings.sizes, out)
    return out.astype(np.uint32).view(np.int32)


def partitions_of(keys: Sequence[bytes | None], partitions: int) -> Ints:
    """The partition of each key, (n,) int64, among ``partitions``."""
    return (murmur2(keys) & 0x7FFFFFFF).astype(np.int64) % partitions


@compiled
def _murmur2(data: Bytes, starts: Ints, sizes: Ints, out: Ints) -> None:
    """The unsigned hash of each string; the products of 32 bits fit into 64."""
    for number in range(len(sizes)):
        at, size = starts[number], max(sizes[number], 0)
        h = _SEED ^ size
        for _ in range(size // 4):
            k = (
                byte_at(data, at)
                | byte_at(data, at + 1) << 8
                | byte_at(data, at + 2) << 16
                | byte_at(data, at + 3) << 24
            )
            k = k * _M & _MASK
            k ^= k >> 24
            k = k * _M & _MASK
            h = (h * _M & _MASK) ^ k
            at += 4
        rest = size % 4
        if rest:
            for place in range(rest):
                h ^= byte_at(data, at + place) << 8 * place
            h = h * _M & _MASK
        h ^= h >> 13
        h = h * _M & _MASK
        out[number] = h ^ h >> 15
