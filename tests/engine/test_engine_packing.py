"""Rows of words as bytes: what was packed is unpacked, and what is cut off is told."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from stream.engine import opcodes as op
from stream.engine.packing import pack, unpack
from stream.events.bytestrings import Bytestrings

Ints = npt.NDArray[np.int64]

ENDS = Bytestrings.of([b"", b"texts", b"\xff" * 9])
EDGES = [0, op.NONE, 1, -2, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**62, -(2**63), 2**63 - 1]


def words(rng: np.random.Generator, rows: int, width: int) -> Ints:
    """Rows as they are, mostly nothing, with all that may be special among them."""
    found = rng.choice(np.array(EDGES), size=(rows, width))
    anything = rng.integers(-(2**63), 2**63 - 1, size=(rows, width))
    return np.where(rng.random((rows, width)) < 0.2, anything, np.where(rng.random((rows, width)) < 0.5, 0, found))


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 150])
def test_what_was_packed_is_unpacked(width: int) -> None:
    rng = np.random.default_rng(width)
    for rows in (0, 1, 50):
        given, which = words(rng, rows, width), rng.integers(0, len(ENDS), rows)
        packed = pack(given, b"begin", ENDS, which)
        found = np.full_like(given, 7)
        used = unpack(packed, len(b"begin"), found)
        assert (found == given).all()
        for row, count, end in zip(packed, used.tolist(), which.tolist(), strict=True):
            assert row is not None
            assert row.startswith(b"begin")
            assert row[count:] == ENDS[end]


def test_what_is_nothing_takes_a_quarter_of_a_byte() -> None:
    row = np.array([[0, op.NONE] * 8 + [5, 2**40]])
    assert pack(row, b"", Bytestrings.of([b""]), np.zeros(1, np.int64)).sizes.tolist() == [5 + 4 + 8]


def test_what_is_cut_off_is_told_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    given = words(rng, 40, 30)
    packed = pack(given, b"begin", Bytestrings.of([b""]), np.zeros(len(given), np.int64))
    for row, size in enumerate(packed.sizes.tolist()):
        for length in range(len(b"begin"), size):
            sizes = packed.sizes.copy()
            sizes[row] = length
            found = np.empty_like(given)
            used = unpack(Bytestrings(packed.data, packed.starts, sizes), len(b"begin"), found)
            assert used[row] == -1
            assert (np.delete(used, row) >= 0).all()
            assert (np.delete(found, row, axis=0) == np.delete(given, row, axis=0)).all()
