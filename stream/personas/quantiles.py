"""How the population is distributed in what customers are ranked by."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

import numpy as np

from stream.personas.model import QUANTILES, Floats, Model

#: A distribution stands on about so many values, older versions' included if there are too few new ones: then chance
#: moves it by a percentage point at most, in all but few cases; of more the older ones would be of another time.
_STANDS_ON = 20_000
_STEPS = QUANTILES - 1
_DAY_MS = 86_400_000


class Distributions:
    """Of each expression that is ranked the values since the last version, and what that version knew.

    ``ranked`` are canonical texts, in the order of the samples' columns; those that are ``instants`` too are instants.
    """

    def __init__(self, ranked: tuple[str, ...], instants: Collection[str], last: Model | None) -> None:
        self._ranked = ranked
        self._instants = instants
        self._last = last
        self._recent: deque[Floats] = deque(maxlen=_STANDS_ON)

    def learn(self, values: Floats, at_ms: int | None) -> None:
        """Takes what some customers (n, R) had at an instant, None: that of the version; NaN is for nothing."""
        if self._ranked:
            instants = np.full((len(values), 1), np.nan if at_ms is None else at_ms)
            self._recent.extend(np.hstack([values, instants]))

    def quantiles(self, at_ms: int) -> tuple[dict[str, tuple[float, ...]], dict[str, float]]:
        """The quantiles at an instant of each expression, by its text, and on how many values they stand."""
        found: dict[str, tuple[float, ...]] = {}
        counted: dict[str, float] = {}
        recent = np.array(self._recent) if self._recent else np.empty((0, len(self._ranked) + 1))
        # What lay so many days before a sample lies a little longer before the version.
        later = np.nan_to_num((at_ms - recent[:, -1]) / _DAY_MS)
        for text, column in zip(self._ranked, recent[:, :-1].T, strict=True):
            there = ~np.isnan(column)
            values = column[there] + later[there] if text in self._instants else column[there]
            before = self._last.quantiles.get(text, ()) if self._last else ()
            stood_on = self._last.training.ranked.get(text, 0.0) if self._last else 0.0
            missing = _STANDS_ON - len(values)
            if text in self._instants:
                # What was true of another day of the week is not worth more than what chance does to fewer values.
                missing = (_STANDS_ON - len(recent)) * len(values) // max(1, len(recent))
            past = min(stood_on, missing) if before else 0.0
            found[text] = _quantiles(values, np.array(before), past)
            counted[text] = float(len(values) + past)
        return found, counted


def rank(quantiles: tuple[float, ...], x: float) -> float | None:
    """The share of customers who have less than ``x``, rounded down to a half percent; None where nobody has a value.

    >>> rank((0.0,) * 101 + (5.0,) * 100, 0.0), rank((0.0,) * 101 + (5.0,) * 100, 0.1)
    (0.0, 0.5)
    """
    below = int(np.searchsorted(quantiles, x))
    return max(0, below - 1) / _STEPS if quantiles else None


def _quantiles(values: Floats, before: Floats, past: float) -> tuple[float, ...]:
    """For each share 0, 1/200, ..., 1 the least number that so many are not above; of no values there are none.

    ``before`` are such numbers, which count as ``past`` values. Half of those between two lies at either: the lower end
    alone, or the upper, would move the distribution a little with every version.
    """
    weights = np.ones(len(values))
    if past > 0:
        each = np.full(QUANTILES, past / _STEPS)
        each[[0, -1]] /= 2
        values, weights = np.concatenate([values, before]), np.concatenate([weights, each])
    if not len(values):
        return ()
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    places = np.searchsorted(reached, np.arange(QUANTILES) * reached[-1] / _STEPS)
    return tuple(values[order][np.minimum(places, len(values) - 1)].tolist())
