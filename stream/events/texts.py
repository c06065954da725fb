"""Columns of text made into numbers: answers to tests as bits, and 64-bit hashes. What repeats is remembered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count, repeat

import numpy as np
import numpy.typing as npt
import xxhash

from stream.contract import Kind, hash64
from stream.events.columns import TextTest

#: Different texts that one field's table keeps. Fields such as `url` have no end of them.
TEXTS_KEPT = 16_384

#: The kind for a table that stands alone: its answers are the first in `JointTable`.
_ALONE = Kind(0)

_LITERAL_OPS = frozenset({"==", "!=", "in", "not in", "exists"})


def answer(test: TextTest, text: str) -> bool:
    """Whether ``text``, the value of a field that is there, passes the test. Raises `ValueError` for an unknown op."""
    match test.op:
        case "==" | "in":
            return text in test.texts
        case "!=" | "not in":
            return text not in test.texts
        case "contains":
            return any(part in text for part in test.texts)
        case "starts_with":
            return text.startswith(test.texts)
        case "ends_with":
            return text.endswith(test.texts)
        case "exists":
            return True
    raise ValueError(f"unknown test {test.op!r}")


class AnswerTable(dict[str | None, int]):
    """From a field's text to the answers of its tests, bit ``i`` for test ``i``. A missing field answers 0."""

    def __init__(self, tests: Sequence[TextTest]) -> None:
        if len(tests) > 64:
            raise ValueError(f"{len(tests)} tests of one field: the answers fill 64 bits")
        super().__init__({None: 0})
        self._tests = tuple(tests)
        self._mask("")  # an unknown op shall raise here, not in the stream
        literals = {text for test in tests if test.op in _LITERAL_OPS for text in test.texts}
        self.update((text, self._mask(text)) for text in literals)
        # Where texts are only compared with literals, every other text has the same answers.
        self.others: int | None = None
        if all(test.op in _LITERAL_OPS for test in tests):
            self.others = sum(1 << i for i, test in enumerate(tests) if test.op in ("!=", "not in", "exists"))
        self._kept_at_most = len(self) + TEXTS_KEPT
        self._joint = join_tables({_ALONE: self})

    def _mask(self, text: str) -> int:
        return sum(1 << i for i, test in enumerate(self._tests) if answer(test, text))

    def __missing__(self, text: str) -> int:
        if self.others is not None:
            return self.others
        mask = self._mask(text)
        if len(self) < self._kept_at_most:
            self[text] = mask
        return mask

    def look_up(self, texts: Sequence[str | None]) -> npt.NDArray[np.uint64]:
        """(n,) answers for a column of ``n`` texts."""
        if self._joint is not None:
            return self._joint.look_up(texts, None)
        return np.fromiter(map(self.__getitem__, texts), np.uint64, len(texts))


class JointTable(dict[str | None, int]):
    """The answers of several kinds of events, each with tests of its own, to one column of texts.

    It maps a text to a small number, which quickly becomes an array, and keeps each kind's answers by that number.
    """

    def __init__(self, tables: Mapping[Kind, AnswerTable], texts: Iterable[str | None]) -> None:
        super().__init__(zip(texts, count()))
        self._other = len(self)  # the number of every text that is in no test
        self._kept_at_most = len(self) + TEXTS_KEPT
        masks = np.zeros((max(tables) + 1, 256), np.uint64)
        for kind, table in tables.items():
            masks[kind, : self._other] = [table[text] for text in self]
            masks[kind, self._other] = table.others or 0
        self._masks = masks.reshape(-1)

    def __missing__(self, text: str) -> int:
        self[text] = self._other
        return self._other

    def look_up(self, texts: Sequence[str | None], kinds: npt.NDArray[np.int8] | None) -> npt.NDArray[np.uint64]:
        """(n,) answers for a column of ``n`` texts, ``kinds`` (n,) being those of their events; None: all are 0.

        It remembers which texts are in no test, as long as there is room.
        """
        if len(self) < self._kept_at_most:
            numbers = bytearray(map(self.__getitem__, texts))
        else:
            numbers = bytearray(map(self.get, texts, repeat(self._other)))
        at = np.frombuffer(numbers, np.uint8)
        if kinds is not None:
            at = at + (kinds.astype(np.int64) << 8)
        masks: npt.NDArray[np.uint64] = self._masks.take(at)
        return masks


def join_tables(tables: Mapping[Kind, AnswerTable]) -> JointTable | None:
    """One table for all the kinds, if their tests only compare with literals, and not with too many."""
    texts = dict.fromkeys(text for table in tables.values() for text in table)
    if len(texts) > 255 or any(table.others is None for table in tables.values()):
        return None
    return JointTable(tables, texts)


def hash_texts(texts: Iterable[str]) -> npt.NDArray[np.uint64]:
    """(n,) hash64 of each text, with 1 in the place of 0 (which means that there is no text)."""
    digests = b"".join(map(xxhash.xxh3_64_digest, map(str.encode, texts)))
    return np.maximum(np.frombuffer(digests, ">u8").astype(np.uint64), 1)


class HashTable(dict[str | None, int]):
    """A memory of hashes for a field with few different texts, of use until there are many.

    It maps a text to its number, which is small and so quickly made an array, and keeps the hash of each number.
    """

    def __init__(self) -> None:
        super().__init__({None: 0})
        self._hashes = [0]
        self._array = np.zeros(1, np.uint64)
        self._has_many = False

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self._hashes)
        self._hashes.append(hash64(text) or 1)
        return number

    def look_up(self, texts: Sequence[str | None]) -> npt.NDArray[np.uint64]:
        """(n,) hashes of a column of ``n`` texts; 0 where there is none."""
        n = len(texts)
        if not self._has_many:
            numbers = np.fromiter(map(self.__getitem__, texts), np.int64, n)
            if len(self._hashes) != len(self._array):
                self._array = np.array(self._hashes, np.uint64)
            hashes = self._array[numbers]
            if len(self._hashes) > TEXTS_KEPT:
                self._has_many = True
                self._hashes.clear()
                self.clear()
            return hashes
        missing = texts.count(None)
        if not missing:
            return hash_texts(texts)  # type: ignore[arg-type]
        hashes = np.zeros(n, np.uint64)
        at = [i for i, text in enumerate(texts) if text is not None]
        hashes[at] = hash_texts([text for text in texts if text is not None])
        return hashes
