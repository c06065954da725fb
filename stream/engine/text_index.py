"""Texts known by small numbers: a hash table over one array of bytes, read and written by compiled code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.compiled import compiled, inner
from stream.engine.image import TextImage
from stream.events.bytestrings import Bytestrings
from stream.events.bytewise import PADDING, Bytes, word_at
from stream.events.spans import MISSING, SIZE_BITS, SIZE_MASK, make_spans, present_texts

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]

_FIRST_SLOTS = 1024
#: Slots for each number at least: the chains that are searched stay short.
_SPARSE = 2

_USED = 0  # numbers ever given
_BYTES = 1  # bytes ever written
_FREE = 2  # numbers given back


@inner
def _is_equal(data: Bytes, at: int, other: Bytes, place: int, size: int) -> bool:
    """Whether two texts of ``size`` bytes are the same."""
    while size >= 8:
        if word_at(data, at) != word_at(other, place):
            return False
        at, place, size = at + 8, place + 8, size - 8
    mask = (1 << 8 * size) - 1
    return word_at(data, at) & mask == word_at(other, place) & mask


@compiled
def _take(
    slots: Numbers, hashes: Ints, spans: Ints, arena: Bytes, free: Numbers, state: Ints,
    data: Bytes, wanted: Ints, wanted_hashes: Ints, out: Ints, added: Numbers,
) -> int:  # fmt: skip
    """The numbers of the texts ``wanted``; new texts get one. Returns how many are new; ``added`` says which."""
    new = 0
    last = slots.shape[0] - 1
    for i in range(wanted.shape[0]):
        span, hash_ = wanted[i], wanted_hashes[i]
        if span == MISSING:
            out[i] = -1
            continue
        at, size = span >> SIZE_BITS, span & SIZE_MASK
        slot = hash_ & last
        while True:
            number = np.int64(slots[slot]) - 1
            if number < 0:
                if state[_FREE] > 0:
                    state[_FREE] -= 1
                    number = np.int64(free[state[_FREE]])
                else:
                    number = state[_USED]
                    state[_USED] += 1
                place = state[_BYTES]
                for k in range(size):
                    arena[place + k] = data[at + k]
                state[_BYTES] += size
                slots[slot] = number + 1
                hashes[number] = hash_
                spans[number] = place << SIZE_BITS | size
                added[new] = number
                new += 1
                break
            if hashes[number] == hash_:
                known = spans[number]
                if known & SIZE_MASK == size and _is_equal(data, at, arena, known >> SIZE_BITS, size):
                    break
            slot = slot + 1 & last
        out[i] = number
    return new


@compiled
def _find(
    slots: Numbers, hashes: Ints, spans: Ints, arena: Bytes, data: Bytes, wanted: Ints, wanted_hashes: Ints, out: Ints
) -> None:
    """The numbers of the texts ``wanted``, -1 for one that has none."""
    last = slots.shape[0] - 1
    for i in range(wanted.shape[0]):
        out[i] = -1
        span, hash_ = wanted[i], wanted_hashes[i]
        if span == MISSING:
            continue
        slot = hash_ & last
        while slots[slot] != 0:
            number = np.int64(slots[slot]) - 1
            if hashes[number] == hash_:
                known, size = spans[number], span & SIZE_MASK
                if known & SIZE_MASK == size and _is_equal(data, span >> SIZE_BITS, arena, known >> SIZE_BITS, size):
                    out[i] = number
                    break
            slot = slot + 1 & last


@compiled
def _fill(slots: Numbers, hashes: Ints, spans: Ints, used: int) -> None:
    """Puts all numbers in use into empty slots."""
    last = slots.shape[0] - 1
    for number in range(used):
        if spans[number] != MISSING:
            slot = hashes[number] & last
            while slots[slot] != 0:
                slot = slot + 1 & last
            slots[slot] = number + 1


class TextIndex:
    """Texts by number and numbers by text. Numbers count from 0; those of removed texts are given again."""

    def __init__(self) -> None:
        self._slots: Numbers = np.zeros(_FIRST_SLOTS, np.int32)
        self._hashes: Ints = np.zeros(_FIRST_SLOTS // _SPARSE, np.int64)
        self._spans: Ints = np.full(_FIRST_SLOTS // _SPARSE, MISSING, np.int64)
        self._arena: Bytes = np.zeros(_FIRST_SLOTS * 8, np.uint8)
        self._free: Numbers = np.zeros(16, np.int32)
        self._state: Ints = np.zeros(3, np.int64)
        self._dead_bytes = 0

    def __len__(self) -> int:
        return int(self._state[_USED] - self._state[_FREE])

    @property
    def end(self) -> int:
        """One more than the largest number ever given."""
        return int(self._state[_USED])

    def numbers(self) -> Ints:
        """The numbers in use, in order."""
        return np.flatnonzero(self._spans[: self.end] != MISSING)

    def take(self, data: Bytes, spans: Ints, hashes: Hashes) -> tuple[Ints, Ints]:
        """The numbers of ``n`` texts, (n,), -1 where one is missing; and those among them that are given just now.

        ``hashes`` (n,) are the texts' hash64, as in `stream.events.columns.Columns`.
        """
        n = len(spans)
        self._reserve(n, int(((spans & SIZE_MASK) * (spans != MISSING)).sum()))
        out, added = np.empty(n, np.int64), np.empty(n, np.int32)
        new = _take(
            self._slots, self._hashes, self._spans, self._arena, self._free, self._state,
            data, spans, hashes.view(np.int64), out, added,
        )  # fmt: skip
        return out, added[:new].astype(np.int64)

    def take_texts(self, texts: Sequence[str]) -> tuple[Ints, Ints]:
        """`take` for texts."""
        return self.take(*make_spans(texts))

    def find_texts(self, texts: Sequence[str]) -> Ints:
        """The numbers of ``n`` texts, (n,), -1 for one that has none."""
        data, spans, hashes = make_spans(texts)
        out = np.empty(len(spans), np.int64)
        _find(self._slots, self._hashes, self._spans, self._arena, data, spans, hashes.view(np.int64), out)
        return out

    def find(self, text: str) -> int | None:
        """The number of a text, or None."""
        slot = self._slot(text)
        return None if slot is None else int(self._slots[slot]) - 1

    def text(self, number: int) -> str:
        """The text of a number in use."""
        return self.texts([number])[0]

    def texts(self, numbers: Sequence[int] | Ints) -> list[str]:
        """The texts of numbers in use."""
        spans = self._spans[numbers]
        assert MISSING not in spans, "a number that no text has"
        return present_texts(self._arena, spans)

    def hashes(self, numbers: Ints) -> Hashes:
        """The hash64 of texts (0 becomes 1) by their numbers."""
        return self._hashes[numbers].view(np.uint64)

    def encoded(self, numbers: Ints) -> Bytestrings:
        """The texts of numbers in use, in UTF-8; nothing is copied."""
        spans = self._spans[numbers]
        return Bytestrings(self._arena[:], spans >> SIZE_BITS, spans & SIZE_MASK)

    def remove(self, text: str) -> int | None:
        """Forgets a text: the number it had, or None."""
        slot = self._slot(text)
        if slot is None:
            return None
        number = int(self._slots[slot]) - 1
        self._dead_bytes += int(self._spans[number]) & SIZE_MASK
        self._spans[number] = MISSING
        free = int(self._state[_FREE])
        if free == len(self._free):
            self._free = np.concatenate([self._free, np.zeros_like(self._free)])
        self._free[free] = number
        self._state[_FREE] += 1
        self._close_gap(slot)
        if 2 * self._dead_bytes > len(self._arena):
            self._compact()
        return number

    def _slot(self, text: str) -> int | None:
        """The slot of a text, or None."""
        _, _, hashes = make_spans([text])
        last = len(self._slots) - 1
        hash_ = int(hashes.view(np.int64)[0])
        slot = hash_ & last
        while self._slots[slot]:
            number = int(self._slots[slot]) - 1
            if int(self._hashes[number]) == hash_ and present_texts(self._arena, self._spans[number : number + 1]) == [
                text
            ]:
                return slot
            slot = slot + 1 & last
        return None

    def _close_gap(self, gap: int) -> None:
        """Empties a slot, moving up what was put behind it for lack of room (D. Knuth, vol. 3, 6.4, algorithm R)."""
        last = len(self._slots) - 1
        slot = gap
        while True:
            slot = slot + 1 & last
            if not self._slots[slot]:
                break
            home = int(self._hashes[int(self._slots[slot]) - 1]) & last
            if (slot - home & last) >= (slot - gap & last):
                self._slots[gap] = self._slots[slot]
                gap = slot
        self._slots[gap] = 0

    def _reserve(self, texts: int, size: int) -> None:
        """Makes room for so many more texts and bytes."""
        needed = int(self._state[_BYTES]) + size + PADDING
        if needed > len(self._arena):
            self._arena = np.concatenate([self._arena, np.zeros(max(needed, len(self._arena)), np.uint8)])
        used = self.end
        if used + texts > len(self._spans):
            capacity = max(2 * len(self._spans), 1 << (used + texts - 1).bit_length())
            more = capacity - len(self._spans)
            self._hashes = np.concatenate([self._hashes, np.zeros(more, np.int64)])
            self._spans = np.concatenate([self._spans, np.full(more, MISSING, np.int64)])
            self._slots = np.zeros(_SPARSE * capacity, np.int32)
            _fill(self._slots, self._hashes, self._spans, used)

    def image(self) -> TextImage:
        """All of it, copied."""
        used, size, free = self.end, int(self._state[_BYTES]), int(self._state[_FREE])
        return TextImage(
            self._hashes[:used].copy(), self._spans[:used].copy(), self._arena[:size].copy(), self._free[:free].copy()
        )

    def place(self, image: TextImage) -> None:
        """Takes over an image in the place of what is here."""
        used, size, free = len(image.spans), len(image.arena), len(image.free)
        capacity = max(_FIRST_SLOTS // _SPARSE, 1 << max(used - 1, 0).bit_length())
        self._hashes = np.zeros(capacity, np.int64)
        self._spans = np.full(capacity, MISSING, np.int64)
        self._arena = np.zeros(max(_FIRST_SLOTS * 8, size + PADDING), np.uint8)
        self._free = np.zeros(max(16, 1 << max(free - 1, 0).bit_length()), np.int32)
        self._hashes[:used], self._spans[:used] = image.hashes, image.spans
        self._arena[:size], self._free[:free] = image.arena, image.free
        self._state[:] = used, size, free
        self._dead_bytes = size - int((self._spans[self._spans != MISSING] & SIZE_MASK).sum())
        self._slots = np.zeros(_SPARSE * capacity, np.int32)
        _fill(self._slots, self._hashes, self._spans, used)

    def _compact(self) -> None:
        """Leaves out the bytes of removed texts."""
        numbers = self.numbers()
        data, spans, _ = make_spans(self.texts(numbers))
        self._arena = data.copy()
        self._spans[numbers] = spans
        self._state[_BYTES] = len(data) - PADDING
        self._dead_bytes = 0


def numbered(strings: Bytestrings) -> Ints:
    """A number for each of ``n`` strings that are there, (n,): the same for the same string, counted from 0."""
    if len(strings) and int(strings.sizes.max()) > SIZE_MASK:
        known: dict[bytes | None, int] = {}
        return np.array([known.setdefault(string, len(known)) for string in strings], np.int64)
    numbers, _ = TextIndex().take(*strings.spans())
    return numbers
