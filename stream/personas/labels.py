"""Names of personas, made from what sets them apart from the population: "high orders, low recency"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stream.personas.model import Floats

_TOLD = 2
_TOLD_AT_MOST = 4
APART = 0.4
FAR_APART = 1.5

#: The label of a persona that nothing sets apart.
AVERAGE = "average"


def labels(names: Sequence[str], places: Floats) -> list[str]:
    """A label for each persona; ``places`` (k, F) are its centre's deviations from the population's mean, in scales.

    The features that set it apart most come first, so many that personas differ, but at most four.

    >>> import numpy as np
    >>> labels(["orders", "recency"], np.array([[1.0, -2.0], [0.1, 0.2], [-0.5, 0.0]]))
    ['very low recency, high orders', 'average', 'low orders']
    """
    parts = [_parts(names, place) for place in places.tolist()]
    told = [_TOLD] * len(parts)
    for _ in range(_TOLD, _TOLD_AT_MOST):
        # The same in another order says the same.
        found = Counter(frozenset(part[:n]) for part, n in zip(parts, told, strict=True))
        told = [n + (found[frozenset(part[:n])] > 1) for part, n in zip(parts, told, strict=True)]
    return [_text(part, n) for part, n in zip(parts, told, strict=True)]


def _parts(names: Sequence[str], place: list[float]) -> list[str]:
    order = sorted(range(len(names)), key=lambda i: (-abs(place[i]), i))
    return [f"{_word(place[i])} {names[i]}" for i in order if abs(place[i]) >= APART]


def _word(deviation: float) -> str:
    word = "high" if deviation > 0 else "low"
    return f"very {word}" if abs(deviation) >= FAR_APART else word


def _text(parts: list[str], told: int) -> str:
    return ", ".join(parts[:told]) or AVERAGE
