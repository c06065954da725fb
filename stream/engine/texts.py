"""The texts that rows hold: each different one once, known by a small number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from stream.engine import opcodes as op
from stream.engine.image import TextImage
from stream.engine.text_index import TextIndex
from stream.events.bytewise import Bytes
from stream.events.columns import TextTest

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


class TextPool:
    """Texts by code and codes by text, with the answers to the plan's tests of stored texts.

    ``bits`` is (capacity, words) uint64: bit ``t`` of a text's row is the answer to test ``t``. The texts of the plan
    have the first codes for ever; others live as long as a row holds them (``sweep``).
    """

    #: Below this many texts no sweep is worth its time.
    SWEEP_MIN = 65_536

    def __init__(self, literals: Iterable[str], tests: tuple[TextTest, ...]) -> None:
        self._tests = tests
        self._texts = TextIndex()
        self.bits: npt.NDArray[np.uint64] = np.zeros((64, max(1, -(-len(tests) // 64))), dtype=np.uint64)
        for text in literals:
            self.code(text)
        self._fixed = self._texts.end
        self._held: Ints = np.zeros(0, dtype=np.int64)
        self.sweep_at = self.SWEEP_MIN

    def __len__(self) -> int:
        return len(self._texts)

    def code(self, text: str | None) -> int:
        """The text's code, given now if it is new; NONE for None."""
        return op.NONE if text is None else int(self.codes_of([text])[0])

    def codes_of(self, texts: Sequence[str]) -> Ints:
        """The codes of ``n`` texts, (n,), given now to those that are new."""
        codes, new = self._texts.take_texts(texts)
        self._answer(new)
        return codes

    def codes(self, data: Bytes, spans: Ints, hashes: Hashes) -> Ints:
        """The codes of texts given by their spans and hashes, in the same shape; NONE where one is missing."""
        codes, new = self._texts.take(data, spans.reshape(-1), hashes.reshape(-1))
        self._answer(new)
        return codes.reshape(spans.shape)

    def _answer(self, new: Ints) -> None:
        """Notes the answers to the tests of texts that have got a code."""
        if not len(new):
            return
        while self._texts.end > len(self.bits):
            self.bits = np.concatenate([self.bits, np.zeros_like(self.bits)])
        self.bits[new] = 0
        if self._tests:
            for code, text in zip(new.tolist(), self._texts.texts(new), strict=True):
                for number, test in enumerate(self._tests):
                    if test.passes(text):
                        self.bits[code, number >> 6] |= np.uint64(1 << (number & 63))

    def hold(self, codes: Ints) -> None:
        """Keeps these texts (n,) too, until others are to be held, although no row may hold them."""
        self._held = codes

    def image(self) -> TextImage:
        """All of it, copied."""
        return self._texts.image()

    def place(self, image: TextImage) -> None:
        """Takes over the image of a pool with the same literals and tests."""
        self._texts.place(image)
        self._answer(self._texts.numbers())
        self.sweep_at = max(self.SWEEP_MIN, 2 * len(self))

    def text(self, code: int) -> str:
        """The text of a code in use."""
        return self._texts.text(code)

    def texts(self, codes: Ints) -> list[str]:
        """The texts of codes in use."""
        return self._texts.texts(codes)

    def sweep(self, live: Ints) -> None:
        """Forgets every text but the plan's, those held and those whose codes are in ``live`` (NONE is passed over)."""
        dead = np.setdiff1d(self._texts.numbers(), np.concatenate([live, self._held]))
        for text in self._texts.texts(dead[dead >= self._fixed]):
            self._texts.remove(text)
        self.sweep_at = max(self.SWEEP_MIN, 2 * len(self))
