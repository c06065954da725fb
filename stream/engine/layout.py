"""Where each thing lies in a customer's row, and under which name it is kept from file to file."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from stream.contract import Kind, hash64
from stream.engine import opcodes as op


class Part(msgspec.Struct, frozen=True):
    """A run of words with a name. ``text_at`` is the word of it that holds a text (-1: none)."""

    key: str
    at: int
    words: int
    text_at: int = -1
    meaning: str = ""  # of a segment: hash of what its eligibility depends on
    holdout: float = 0.0  # of a segment: its share, so that the exit of a gone segment is marked as its entry was


class Layout(msgspec.Struct, frozen=True):
    """The words of a row. ``parts`` lie one after the other from word ``R_CLOCK`` on and are what is kept of it."""

    parts: tuple[Part, ...]

    @property
    def kept_words(self) -> int:
        return sum(part.words for part in self.parts)

    def encode(self) -> bytes:
        """The layout as JSON, to be kept beside snapshots of its rows."""
        return msgspec.json.encode(self, order="deterministic")

    @classmethod
    def decode(cls, data: bytes) -> Layout:
        """The layout that ``encode`` wrote; ``msgspec.DecodeError`` or ``UnicodeDecodeError`` for anything else."""
        return _decode(data)

    @property
    def id(self) -> int:
        """hash64 of the encoded layout: what a row on the wire starts with."""
        return hash64(self.encode().decode())

    def by_key(self) -> dict[str, Part]:
        return {part.key: part for part in self.parts}

    def segments(self) -> dict[str, Part]:
        """The segments' parts by their names, in file order."""
        prefix = "segment "
        return {part.key.removeprefix(prefix): part for part in self.parts if part.key.startswith(prefix)}


_decode = msgspec.json.Decoder(Layout).decode


@dataclass
class RowBuilder:
    """Lays out a row: one derived word, the kept parts, then more words that can be worked out from the others."""

    words: list[int]
    parts: list[Part]

    @classmethod
    def start(cls) -> RowBuilder:
        """A row that has the header of every plan, as ``opcodes`` numbers it."""
        row = cls([op.FOREVER], [])
        assert row.add("clock", [op.NONE]) == op.R_CLOCK
        assert row.add("sequence", [0]) == op.R_SEQUENCE
        places = [row.add(f"seen {kind.topic}", [op.NONE]) for kind in Kind]
        assert places == [op.R_SEEN + kind for kind in Kind]
        assert row.add("rings", [0]) == op.R_RINGS
        return row

    def add(self, key: str, initial: list[int], *, text_at: int = -1, meaning: str = "", holdout: float = 0.0) -> int:
        """Adds a kept part with its initial words; returns the first one's place."""
        at = len(self.words)
        self.words += initial
        self.parts.append(Part(key, at, len(initial), text_at, meaning, holdout))
        return at

    def derived(self, initial: list[int]) -> int:
        """Adds words that are not kept, behind all parts; returns the first one's place."""
        at = len(self.words)
        self.words += initial
        return at

    def layout(self) -> Layout:
        return Layout(tuple(self.parts))

    def template(self) -> npt.NDArray[np.int64]:
        """A new customer's row."""
        return np.array(self.words, dtype=np.int64)


def reorder_ring(
    old: npt.NDArray[np.int64], places: npt.NDArray[np.int64], size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Carries rings of ids over to another size: the latest ids stay.

    ``old`` is (customers, old size), ``places`` (customers,) the next place to write in each. Returns the new rings
    and places. An id of 0 is an empty place.
    """
    count, held = old.shape
    new = np.zeros((count, size), dtype=np.int64)
    if held == 0 or size == 0:
        return new, np.zeros(count, dtype=np.int64)
    kept = min(held, size)
    # The latest id lies just before the next place, the one before it two before, and so on.
    ages = np.arange(kept, 0, -1)
    picked = old[np.arange(count)[:, None], (places[:, None] - ages[None, :]) % held]
    new[:, :kept] = picked
    return new, np.full(count, kept % size, dtype=np.int64)


def copy_plan(old: Layout, new: Layout) -> list[tuple[int, int, int]]:
    """(from, to, words) for each part that both layouts have with the same size, joined where they are adjacent."""
    mine = new.by_key()
    runs: list[tuple[int, int, int]] = []
    for part in old.parts:
        other = mine.get(part.key)
        if other is None or other.words != part.words:
            continue
        if runs and runs[-1][0] + runs[-1][2] == part.at and runs[-1][1] + runs[-1][2] == other.at:
            runs[-1] = (runs[-1][0], runs[-1][1], runs[-1][2] + part.words)
        else:
            runs.append((part.at, other.at, part.words))
    return runs
