"""A walk over a partition's customers by the hash of their ids, round after round: all are met equally often."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stream.engine.partition import Partition

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: This part of the time between two versions lies between samples and the version that is made of them.
_PART = 144


def gathering_ms(every_ms: int) -> int:
    """How long after samples are drawn, at each multiple of ``every_ms``, a version is made of them.

    Those of all partitions have come by then, whose clocks may differ.
    """
    return max(1, every_ms // _PART)


class Walk:
    """Goes on where it stopped. Who comes in the midst of a round is met in the next."""

    def __init__(self) -> None:
        self._round: Ints = np.zeros(0, dtype=np.int64)
        self._place = 0

    def draw(self, partition: Partition, count: int, now_ms: int, at_once: int) -> Iterator[Floats]:
        """So many samples as `sample` gives them, ``at_once`` at most, round after round; none if nobody is active."""
        while count > 0:
            is_new_round = self._place >= len(self._round)
            vectors = self.sample(partition, min(count, at_once), now_ms)
            if len(vectors):
                yield vectors
            elif is_new_round:
                return
            count -= len(vectors)

    def sample(self, partition: Partition, count: int, now_ms: int) -> Floats:
        """The vectors of the next active customers at ``now_ms``: up to ``count`` of them, fewer at a round's end.

        (n, features + ranked), see `Partition.vectors`.
        """
        if self._place >= len(self._round):
            self._round = partition.profiles.rows_by_hash()
            self._place = 0
        found: list[Floats] = []
        missing = count
        while missing > 0 and self._place < len(self._round):
            rows = self._round[self._place : self._place + missing]
            self._place += len(rows)
            vectors = partition.vectors(rows, now_ms)
            are_active = ~np.isnan(vectors[:, 0])  # what is ranked may be NaN for who is active
            found.append(vectors if are_active.all() else vectors[are_active])
            missing -= len(found[-1])
        return np.concatenate(found) if found else partition.vectors(self._round[:0], now_ms)
