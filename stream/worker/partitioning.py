"""Which partition a key belongs to, as Kafka's own clients say: murmur2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_M = np.uint32(0x5BD1E995)
_SEED = 0x9747B28C


def murmur2(keys: Sequence[bytes]) -> npt.NDArray[np.int32]:
    """Kafka's hash of each key, (n,) int32.

    >>> murmur2([b"21", b"foobar"]).tolist()
    [-973932308, -790332482]
    """
    lengths = np.fromiter(map(len, keys), dtype=np.int64, count=len(keys))
    joined = np.frombuffer(b"".join(keys), dtype=np.uint8)
    starts = np.cumsum(lengths) - lengths
    out = np.empty(len(keys), dtype=np.uint32)
    # Keys of one length form a matrix; ids mostly have few lengths.
    for length in np.unique(lengths).tolist():
        chosen = np.flatnonzero(lengths == length)
        out[chosen] = _hash_matrix(joined[starts[chosen][:, None] + np.arange(length)])
    return out.view(np.int32)


def _hash_matrix(keys: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """The hashes of (n, length) bytes."""
    count, length = keys.shape
    words = length // 4
    h = np.full(count, (_SEED ^ length) & 0xFFFFFFFF, dtype=np.uint32)
    whole = np.ascontiguousarray(keys[:, : 4 * words]).view("<u4") if words else np.zeros((count, 0), dtype=np.uint32)
    for i in range(words):
        k = whole[:, i] * _M
        k ^= k >> np.uint32(24)
        k *= _M
        h *= _M
        h ^= k
    if length % 4:
        for place in range(length % 4):
            h ^= keys[:, 4 * words + place].astype(np.uint32) << np.uint32(8 * place)
        h *= _M
    h ^= h >> np.uint32(13)
    h *= _M
    h ^= h >> np.uint32(15)
    return h


def partitions_of(keys: Sequence[bytes], partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each key, (n,) int64, among ``partitions``."""
    return (murmur2(keys) & 0x7FFFFFFF).astype(np.int64) % partitions
