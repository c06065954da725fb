"""Drift: the customers of a persona are suddenly elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from river import drift

#: How likely ADWIN may be wrong, at each look.
_DELTA = 0.0005
#: What is less than so much further is not told: with many samples ADWIN is sure of the smallest changes.
_FURTHER = 1.05


class Drift(msgspec.Struct, frozen=True, tag="drift", tag_field="event"):
    """Customers of persona ``number`` lie further from its centre than they did.

    ``before`` and ``after`` are mean distances in its version's scales, over ``window_before`` and ``window_after``
    samples.
    """

    number: int
    before: float
    after: float
    window_before: int
    window_after: int


class DriftWatch:
    """One of River's ADWIN detectors a persona, on the distance of its samples from its centre.

    A detector goes on from version to version as long as its persona lives. It has no state that could stand in JSON,
    so after a restart it starts afresh: a drift that was under way may be told later or, if the next version has
    followed it by then, not at all. Customers who come nearer are no drift: that is what a new version brings about.
    """

    def __init__(self) -> None:
        self._detectors: dict[int, drift.ADWIN] = {}
        #: What the distance was before the first of some small steps further away.
        self._before: dict[int, float] = {}

    def keep(self, numbers: Iterable[int]) -> None:
        """Forgets all personas but these."""
        kept = set(numbers)
        self._detectors = {number: one for number, one in self._detectors.items() if number in kept}
        self._before = {number: one for number, one in self._before.items() if number in kept}

    def learn(self, number: int, distance: float) -> Drift | None:
        """Takes the distance of one sample of a persona."""
        detector = self._detectors.get(number)
        if detector is None:
            detector = self._detectors[number] = drift.ADWIN(delta=_DELTA)
        width, before = int(detector.width), float(detector.estimation)
        detector.update(distance)
        if not detector.drift_detected:
            return None
        after = float(detector.estimation)
        first = self._before.pop(number, before)
        if after <= before:
            return None
        if after < _FURTHER * first:
            self._before[number] = first
            return None
        return Drift(number, first, after, width, int(detector.width))
