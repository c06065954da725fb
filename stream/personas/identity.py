"""Who is who: which personas of a new version are those of the last one."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from stream.personas.centres import squares
from stream.personas.model import Floats

#: A centre that has come nearer to where another persona was than this share of the way is not the same any more.
_WAY = 0.5


def matched(before: Floats, after: Floats) -> list[int | None]:
    """For each new centre the index of the old one that it continues, or None for a new persona.

    The sum of the distances is the least possible; a pair further apart than half the way from the old centre to its
    nearest neighbour is none: a customer there might have had another persona before. Both are (k, F), scaled.
    """
    distances = np.sqrt(squares(before, after))
    between = np.sqrt(squares(before, before))
    np.fill_diagonal(between, np.inf)
    limits = _WAY * between.min(axis=1)
    # What lies beyond the limit costs more than everything within it together: such a pair takes nobody's place.
    within = distances <= limits[:, None]
    beyond = 1.0 + distances[within].sum()
    found: list[int | None] = [None] * len(after)
    for old, new in zip(*linear_sum_assignment(np.where(within, distances, beyond)), strict=True):
        if within[old, new]:
            found[int(new)] = int(old)
    return found


def strayed(been: Floats, centres: Floats, who: list[int | None]) -> list[int | None]:
    """``who`` without those that are no longer where they have been, although each step there was a small one.

    ``been`` (k, F) is where each old persona was over the last weeks, ``centres`` where the new ones are: both as
    deviations from all customers of their time, so that nobody strays when all get more or fewer of something. As in
    `matched` a persona is another beyond half the way from where it has been to its nearest neighbour.
    """
    between = np.sqrt(squares(been, been))
    np.fill_diagonal(between, np.inf)
    limits = _WAY * between.min(axis=1)
    apart = np.sqrt(squares(been, centres))
    return [old if old is not None and apart[old, new] <= limits[old] else None for new, old in enumerate(who)]
