"""What a replay did, counted: the closing table's content."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stream.engine.changes import Changes
from stream.engine.partition import Status
from stream.events.columns import Columns, Rejection

_BINS_A_DOUBLING = 64


@dataclass
class Stays:
    """Lengths of stays in bins of about 1 %, so that memory does not grow with their number."""

    bins: Counter[int] = field(default_factory=Counter)

    def add(self, stays_ms: Sequence[int]) -> None:
        for stay_ms in stays_ms:
            self.bins[round(math.log2(stay_ms + 1) * _BINS_A_DOUBLING)] += 1

    def median_ms(self) -> float | None:
        """The median to about half a percent, of an even number the mean of the two in the middle; None of none."""
        count = self.bins.total()
        if not count:
            return None
        return (self._ranked_ms((count - 1) // 2) + self._ranked_ms(count // 2)) / 2

    def _ranked_ms(self, rank: int) -> float:
        """The stay that ``rank`` others are shorter than, or as long."""
        for number in sorted(self.bins):
            rank -= self.bins[number]
            if rank < 0:
                return float(2.0 ** (number / _BINS_A_DOUBLING) - 1)
        raise AssertionError("there are not so many stays")


@dataclass
class SegmentSummary:
    """One segment's line of the table."""

    name: str
    entered: int = 0
    exited: int = 0
    members: int = 0
    stays: Stays = field(default_factory=Stays)


@dataclass
class Rejected:
    """The lines that were rejected for one kind of reason: how many, and the first one's place and reason."""

    first: str
    count: int = 0


@dataclass
class Summary:
    """Everything that a replay counts."""

    segments: list[SegmentSummary]
    events: int = 0  # valid ones, up to --until
    duplicates: int = 0
    late: int = 0
    after_until: int = 0  # valid, but later than --until
    customers: int = 0
    personas: dict[int, int] = field(default_factory=dict)  # customers of each, by its number
    first_ms: int | None = None  # the earliest timestamp of the events counted
    last_ms: int | None = None
    rejected: dict[str, Rejected] = field(default_factory=dict)  # by the code of the reason

    def count_changes(self, changes: Changes) -> None:
        for number, segment in enumerate(self.segments):
            of_segment = changes.segment == number
            if of_segment.any():
                entries = changes.entered & of_segment
                exits = of_segment & ~changes.entered
                segment.entered += int(entries.sum())
                segment.exited += int(exits.sum())
                segment.stays.add(changes.stay_ms[exits].tolist())

    def count_events(self, events: Columns, status: npt.NDArray[np.int8]) -> None:
        if len(events):
            first_ms, last_ms = int(events.time_ms.min()), int(events.time_ms.max())
            self.first_ms = first_ms if self.first_ms is None else min(self.first_ms, first_ms)
            self.last_ms = last_ms if self.last_ms is None else max(self.last_ms, last_ms)
        self.events += len(events)
        self.duplicates += int((status == Status.DUPLICATE).sum())
        self.late += int((status == Status.LATE).sum())

    def count_rejection(self, rejection: Rejection, source: str, line: int) -> None:
        if rejection.code not in self.rejected:
            self.rejected[rejection.code] = Rejected(f"{source}, line {line:,}: {rejection.reason}")
        self.rejected[rejection.code].count += 1

    @property
    def rejected_lines(self) -> int:
        return sum(rejected.count for rejected in self.rejected.values())
