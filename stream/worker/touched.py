"""Rows that are newer than the changelog's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.engine.profiles import Profiles

Ints = npt.NDArray[np.int64]


class TouchedRows:
    """A flag for each row of one partition's profiles."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles
        self._flags = np.zeros(0, dtype=np.bool_)
        self._is_empty = True

    def __bool__(self) -> bool:
        """Whether there may be any."""
        return not self._is_empty

    def add(self, rows: Ints) -> None:
        """Marks rows; one that stands there twice is one."""
        if not len(rows):
            return
        self._is_empty = False
        needed = int(rows.max()) + 1
        if needed > len(self._flags):
            flags = np.zeros(max(needed, 2 * len(self._flags)), dtype=np.bool_)
            flags[: len(self._flags)] = self._flags
            self._flags = flags
        self._flags[rows] = True

    def add_customers(self, customers: Sequence[str]) -> None:
        """Marks the rows of customers who have one."""
        if customers:
            rows = self._profiles.find_all(customers)
            self.add(rows[rows >= 0])

    def discard(self, rows: Ints) -> None:
        """Unmarks rows: they have been written, or are no customer's any more."""
        self._flags[rows[rows < len(self._flags)]] = False

    def clear(self) -> None:
        """Unmarks all."""
        self._flags[:] = False
        self._is_empty = True

    def rows(self) -> Ints:
        """The marked rows, in order."""
        return np.flatnonzero(self._flags)
