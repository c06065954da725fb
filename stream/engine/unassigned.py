"""Rows that a new model has not been applied to yet: they are walked in parts, and events go on meanwhile."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.engine import opcodes as op

Ints = npt.NDArray[np.int64]

_NONE = np.zeros(0, dtype=np.bool_)


class Unassigned:
    """Each row is taken once: in its turn, or when something else is about to happen to it.

    ``at_ms`` is the instant at which the model is an input.
    """

    def __init__(self) -> None:
        self.at_ms = op.NONE
        self._waits = _NONE  # by row
        self._left = 0
        self._from = 0  # no row before it waits

    def __len__(self) -> int:
        return self._left

    def begin(self, rows: Ints, at_ms: int) -> None:
        """From now on ``rows`` wait for a model of that instant; none are left of the one before."""
        assert not self._left, "the last model has been applied to everybody"
        self.at_ms = at_ms
        self._waits = np.zeros(int(rows.max()) + 1 if len(rows) else 0, dtype=np.bool_)
        self._waits[rows] = True
        self._left, self._from = len(rows), 0

    def take(self, rows: Ints) -> Ints:
        """Those of ``rows`` that have waited until now, each once, in order."""
        if not self._left:
            return rows[:0]
        there = rows[rows < len(self._waits)]
        return self._taken(np.unique(there[self._waits[there]]))

    def take_next(self, most: int) -> Ints:
        """The next ``most`` of all, or the last ones."""
        found: list[Ints] = []
        missing = most
        while missing and self._left and self._from < len(self._waits):
            part = self._from + np.flatnonzero(self._waits[self._from : self._from + most])[:missing]
            missing -= len(part)
            self._from = int(part[-1]) + 1 if not missing else self._from + most
            found.append(self._taken(part))
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    def forget(self, row: int) -> None:
        """The row is nobody's any more."""
        if row < len(self._waits) and self._waits[row]:
            self._taken(np.array([row]))

    def _taken(self, rows: Ints) -> Ints:
        self._waits[rows] = False
        self._left -= len(rows)
        if not self._left:
            self._waits = _NONE
        return rows
