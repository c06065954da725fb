"""The texts that rows hold: each different one once, known by a small number."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from stream.engine import opcodes as op
from stream.events.columns import TextTest


def satisfies(test: TextTest, text: str) -> bool:
    """Whether ``text`` satisfies ``test``."""
    match test.op:
        case "==":
            return text == test.texts[0]
        case "!=":
            return text != test.texts[0]
        case "in":
            return text in test.texts
        case "not in":
            return text not in test.texts
        case "contains":
            return test.texts[0] in text
        case "starts_with":
            return text.startswith(test.texts[0])
        case "ends_with":
            return text.endswith(test.texts[0])
        case "exists":
            return True
    raise AssertionError(test.op)


class _Codes(dict[str | None, int]):
    """Codes by text; asking for one that is not there gives it a code."""

    def __init__(self, add: Callable[[str], int]) -> None:
        # None is known too, so that missing fields take no detour.
        super().__init__({None: op.NONE})
        self._add = add

    def __missing__(self, text: str | None) -> int:
        assert text is not None
        return self._add(text)


class TextPool:
    """Texts by code and codes by text, with the answers to the plan's tests of stored texts.

    ``bits`` is (capacity, words) uint64: bit ``t`` of a text's row is the answer to test ``t``. The texts of the plan
    have the first codes for ever; others live as long as a row holds them (``sweep``).
    """

    #: Below this many texts no sweep is worth its time.
    SWEEP_MIN = 65_536

    def __init__(self, literals: Iterable[str], tests: tuple[TextTest, ...]) -> None:
        self._tests = tests
        self._codes = _Codes(self._add)
        self._texts: list[str | None] = []
        self._free: list[int] = []
        self.bits: npt.NDArray[np.uint64] = np.zeros((64, max(1, -(-len(tests) // 64))), dtype=np.uint64)
        for text in literals:
            self.code(text)
        self._fixed = len(self._texts)
        self.sweep_at = self.SWEEP_MIN

    def __len__(self) -> int:
        return len(self._codes) - 1

    def code(self, text: str | None) -> int:
        """The text's code, given now if it is new; NONE for None."""
        return self._codes[text]

    def _add(self, text: str) -> int:
        if self._free:
            code = self._free.pop()
            self._texts[code] = text
        else:
            code = len(self._texts)
            self._texts.append(text)
            if code == len(self.bits):
                self.bits = np.concatenate([self.bits, np.zeros_like(self.bits)])
        self._codes[text] = code
        self.bits[code] = 0
        for number, test in enumerate(self._tests):
            if satisfies(test, text):
                self.bits[code, number >> 6] |= np.uint64(1 << (number & 63))
        return code

    def codes(self, texts: list[str | None]) -> npt.NDArray[np.int64]:
        """The codes of many texts: (n,) int64."""
        return np.fromiter(map(self._codes.__getitem__, texts), dtype=np.int64, count=len(texts))

    def text(self, code: int) -> str:
        """The text of a code in use."""
        text = self._texts[code]
        assert text is not None, f"no text has the code {code}"
        return text

    def sweep(self, live: npt.NDArray[np.int64]) -> None:
        """Forgets every text but those of the plan and those whose codes are in ``live`` (NONE is passed over)."""
        keep = np.zeros(len(self._texts), dtype=np.bool_)
        keep[: self._fixed] = True
        keep[live[live != op.NONE]] = True
        for code in np.flatnonzero(~keep):
            text = self._texts[code]
            if text is not None:
                del self._codes[text]
                self._texts[code] = None
                self._free.append(int(code))
        self.sweep_at = max(self.SWEEP_MIN, 2 * len(self))
