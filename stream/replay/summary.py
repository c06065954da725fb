"""What a replay did, counted: the closing table's content."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from stream.engine.changes import Changes
from stream.engine.partition import Status

_BINS_A_DOUBLING = 64


@dataclass
class Stays:
    """Lengths of stays in bins of about 1 %, so that memory does not grow with their number."""

    bins: Counter[int] = field(default_factory=Counter)

    def add(self, stays_ms: Sequence[int]) -> None:
        for stay_ms in stays_ms:
            self.bins[round(math.log2(stay_ms + 1) * _BINS_A_DOUBLING)] += 1

    def median_ms(self) -> float | None:
        """The median to about 1 %; None when there are none."""
        rest = self.bins.total() / 2
        for number in sorted(self.bins):
            rest -= self.bins[number]
            if rest <= 0:
                return 2.0 ** (number / _BINS_A_DOUBLING) - 1
        return None


@dataclass
class SegmentSummary:
    """One segment's line of the table."""

    name: str
    entered: int = 0
    exited: int = 0
    members: int = 0
    stays: Stays = field(default_factory=Stays)


@dataclass
class Summary:
    """Everything that a replay counts."""

    segments: list[SegmentSummary]
    events: int = 0  # valid ones, up to --until
    duplicates: int = 0
    late: int = 0
    after_until: int = 0  # valid, but later than --until
    customers: int = 0
    rejected: Counter[str] = field(default_factory=Counter)  # by the code of the reason

    def count_changes(self, changes: Changes) -> None:
        for number, segment in enumerate(self.segments):
            of_segment = changes.segment == number
            if of_segment.any():
                entries = changes.entered & of_segment
                exits = of_segment & ~changes.entered
                segment.entered += int(entries.sum())
                segment.exited += int(exits.sum())
                segment.stays.add(changes.stay_ms[exits].tolist())

    def count_events(self, status: np.ndarray[tuple[int], np.dtype[np.int8]]) -> None:
        self.events += len(status)
        self.duplicates += int((status == Status.DUPLICATE).sum())
        self.late += int((status == Status.LATE).sum())
