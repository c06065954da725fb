"""Centres among samples, in batches: how they are started, settled, and made one more or one fewer.

Everywhere ``samples`` are (n, F) and ``centres`` (k, F), both scaled, so that distances are plain Euclidean ones.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from stream.personas.model import Floats

_TRIALS = 12
_STEPS = 8
_STEPS_TO_THE_END = 100
_NEEDED_TO_CUT = 8


def squares(samples: Floats, centres: Floats) -> Floats:
    """Squared distances (n, k)."""
    return cast("Floats", cdist(samples, centres, "sqeuclidean"))


def inertia(samples: Floats, centres: Floats) -> float:
    """The mean of the squared distances to the nearest centre."""
    return float(squares(samples, centres).min(axis=1).mean())


def shares(samples: Floats, centres: Floats) -> Floats:
    """Which share (k) of the samples is nearest to each centre."""
    found = np.bincount(squares(samples, centres).argmin(axis=1), minlength=len(centres))
    return found / max(1, len(samples))


def settled(samples: Floats, centres: Floats, steps: int = _STEPS) -> Floats:
    """The centres after up to so many steps of Lloyd's algorithm; one without samples stays where it is."""
    owners: NDArray[np.int64] | None = None
    for _ in range(steps):
        found = squares(samples, centres).argmin(axis=1)
        if owners is not None and np.array_equal(found, owners):
            break
        owners = found
        counts = np.bincount(owners, minlength=len(centres))
        sums = np.column_stack([np.bincount(owners, column, len(centres)) for column in samples.T])
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
    return centres


def started(samples: Floats, k: int, random: np.random.Generator, starts: int) -> Floats:
    """The best of so many starts by k-means++, each settled to the end."""
    found = [settled(samples, _spread(samples, k, random), _STEPS_TO_THE_END) for _ in range(starts)]
    return min(found, key=lambda centres: inertia(samples, centres))


def grown(samples: Floats, centres: Floats, random: np.random.Generator, min_share: float) -> Floats | None:
    """One centre more, put where it takes away most of the error; it stands last.

    None where every place that was tried leaves a centre with less than ``min_share`` of the samples that had more.
    """
    errors = squares(samples, centres).min(axis=1)
    if not errors.any():
        return None
    tried = []
    small = (shares(samples, centres) < min_share).sum()
    for i in random.choice(len(samples), _TRIALS, p=errors / errors.sum()):
        more = settled(samples, np.vstack([centres, samples[i]]))
        if (shares(samples, more) < min_share).sum() <= small:
            tried.append(more)
    return min(tried, key=lambda more: inertia(samples, more), default=None)


def shrunk(samples: Floats, centres: Floats) -> Floats:
    """One centre fewer: without the one that is missed least."""
    found = squares(samples, centres)
    owners = found.argmin(axis=1)
    two = np.partition(found, 1, axis=1)[:, :2]
    missed = np.bincount(owners, two[:, 1] - two[:, 0], len(centres))
    return settled(samples, np.delete(centres, missed.argmin(), axis=0))


def cut(samples: Floats, centres: Floats) -> float:
    """Which share of the error a cut through the middle of a group takes away, where there is no gap: 0 to 1.

    Each centre's samples are parted in two across where they spread most; what that brings is the median over centres,
    so that those which do have a gap hardly matter. For a ball of normal shape it is 2 / pi over its dimensions.
    """
    owners = squares(samples, centres).argmin(axis=1)
    left = [_left_by_halves(mine) for i in range(len(centres)) if len(mine := samples[owners == i]) >= _NEEDED_TO_CUT]
    return 1.0 - float(np.median(left)) if left else 0.0


def _left_by_halves(samples: Floats) -> float:
    """The share of the error around one centre that is left where there are two."""
    middle = samples.mean(axis=0)
    around = samples - middle
    scatter = np.einsum("ni,nj->ij", around, around) / len(samples)
    whole = float(np.trace(scatter))
    if whole <= 0:
        return 1.0
    lengths, directions = np.linalg.eigh(scatter)
    away = directions[:, -1] * lengths[-1] ** 0.5
    return inertia(samples, settled(samples, np.array([middle + away, middle - away]))) / whole


def _spread(samples: Floats, k: int, random: np.random.Generator) -> Floats:
    """The start of k-means++ (Arthur and Vassilvitskii 2007), each centre the best of a few draws."""
    draws = 2 + int(np.log(k))
    chosen = [int(random.integers(len(samples)))]
    errors = squares(samples, samples[chosen])[:, 0]
    while len(chosen) < k:
        total = errors.sum()
        weights = errors / total if total > 0 else None
        drawn = random.choice(len(samples), draws, p=weights)
        left = np.minimum(errors[:, None], squares(samples, samples[drawn]))
        best = int(left.sum(axis=0).argmin())
        chosen.append(int(drawn[best]))
        errors = left[:, best]
    return samples[chosen]
