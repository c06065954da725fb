"""Where personas have been over the last weeks: steps from version to version may be small and yet lead elsewhere."""

from __future__ import annotations

import math

import numpy as np

from stream.personas.model import Floats, Model

#: About so long is remembered: no shorter than windows take to fill or to empty.
_MS = 30 * 86_400_000


def been(model: Model) -> Floats:
    """Where the model's personas have been (k, F), as deviations from the population in scales.

    Where all customers get more or fewer of something, nobody is elsewhere.
    """
    found: Floats = (model.centres - np.array(model.training.means)) / np.array(model.scales)
    for i, number in enumerate(model.numbers.tolist()):
        found[i] = model.training.been.get(number, found[i])
    return found


def remembered(last: Model | None, who: list[int | None], places: Floats, at_ms: int) -> Floats:
    """Where the personas of a version have been (k, F) that are at ``places`` now, and continue those of ``last``.

    The first weeks are remembered for a shorter time: while windows fill everybody is on the way.
    """
    if last is None:
        return places
    before = been(last)
    filled = min(1.0, max(0, at_ms - last.training.since_ms) / _MS)
    forgotten = -math.expm1(-max(0, at_ms - last.effective_ms) / max(1.0, filled * filled * _MS))
    return np.array(
        [
            place if index is None else (1.0 - forgotten) * before[index] + forgotten * place
            for index, place in zip(who, places, strict=True)
        ]
    )
