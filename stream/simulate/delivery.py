"""The order of arrival: events wait here until their time has come, some arrive late, some twice."""

from __future__ import annotations

import numpy as np

from stream.simulate.draws import Draws, Ints, Objects
from stream.simulate.lines import Lines
from stream.simulate.season import HOUR_MS

LATE_MIN_MS, LATE_MAX_MS = 2_000, 6 * HOUR_MS
LATE_MIN_GAPS = 8  # the shortest delay in mean gaps between lines, so that hardly any late line keeps its place
REPEAT_MIN_MS, REPEAT_MEAN_MS = 50, 5_000.0
KINDS = 4  # room for the kind in a sort key


class Delivery:
    """Puts lines in order of arrival; at most what has been added and not released is held.

    An event is late with probability ``late``: it arrives 2 seconds to 6 hours after its timestamp, each doubling of
    the delay nearly as likely as the others (the shortest delay is longer where lines are rare). It comes again with
    probability ``duplicates``, 5 seconds after its first arrival in the mean. Of equal instants clicks come first,
    then purchases, then e-mails, as in the contract's merge of topics.
    """

    def __init__(self, duplicates: float, late: float, gap_ms: float, seed: int) -> None:
        self._duplicates, self._late = duplicates, late
        self._late_min_ms = max(float(LATE_MIN_MS), min(gap_ms * LATE_MIN_GAPS, float(HOUR_MS)))
        self._draws = Draws(seed, 6)
        self._keys: list[Ints] = []
        self._lines: list[Objects] = []

    def add(self, lines: Lines) -> None:
        """Take in ``lines`` whose instants lie at or after the last release."""
        n = len(lines.at_ms)
        delay = self._draws.log_uniform(n, self._late_min_ms, LATE_MAX_MS).astype(np.int64)
        arrival = lines.at_ms + np.where(self._draws.uniform(n) < self._late, delay, 0)
        self._keys.append(arrival * KINDS + lines.kind)
        self._lines.append(lines.text)
        again = np.flatnonzero(self._draws.uniform(n) < self._duplicates)
        wait = REPEAT_MIN_MS + (self._draws.exponential(len(again)) * REPEAT_MEAN_MS).astype(np.int64)
        self._keys.append((arrival[again] + wait) * KINDS + lines.kind[again])
        self._lines.append(lines.text[again])

    def release(self, until_ms: int | None) -> list[str]:
        """The lines that arrive before ``until_ms`` (all, if None), in order."""
        if not self._keys:
            return []
        keys, lines = np.concatenate(self._keys), np.concatenate(self._lines)
        due = np.ones(len(keys), dtype=np.bool_) if until_ms is None else keys < until_ms * KINDS
        self._keys, self._lines = [keys[~due]], [lines[~due]]
        chosen = np.flatnonzero(due)
        order = chosen[np.argsort(keys[chosen], kind="stable")]
        released: list[str] = lines[order].tolist()
        return released
