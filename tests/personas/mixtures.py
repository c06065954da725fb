"""Customers of known groups, and how well two ways of grouping agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.personas.model import Floats
from stream.personas.training import Settings

Groups = NDArray[np.int64]

NAMES = ("orders", "spent", "views", "recency")
FEATURES = ("count(purchase, 30d)", "sum(purchase.total, 30d)", "count(click, 30d)", "last(purchase)")
DAY_MS = 86_400_000

#: Four groups that overlap a little, in transformed units; a fifth that comes and goes in some tests.
FOUR = np.array([[1.0, 1, 4, 0], [4, 1, 1, 2], [1, 4, 2, 4], [3, 3, 4, 1]])
FIVE = np.vstack([FOUR, [[1.0, 5, 5, 5]]])


def settings(k: tuple[int, int], seed: int = 0, min_share: float = 0.01, rate: float = 0.002) -> Settings:
    return Settings(NAMES, FEATURES, k, min_share=min_share, rate=rate, seed=seed)


def customers(
    n: int, seed: int, centres: Floats = FOUR, sizes: tuple[float, ...] = (1, 1, 1, 1), spread: float = 0.5
) -> tuple[Floats, Groups]:
    """Raw vectors (n, F) and the group (n) of each; ``sizes`` are relative."""
    random = np.random.default_rng(seed)
    groups = random.choice(len(centres), n, p=np.array(sizes) / sum(sizes))
    places = np.abs(centres[groups] + spread * random.normal(size=(n, centres.shape[1])))
    return np.expm1(places), groups


def agreement(a: Groups, b: Groups) -> float:
    """The adjusted Rand index (Hubert and Arabie 1985): 1 for the same groups under any names, 0 for chance."""
    _, rows = np.unique(a, return_inverse=True)
    _, columns = np.unique(b, return_inverse=True)
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1)

    def pairs(counts: Floats) -> float:
        return float((counts * (counts - 1) / 2).sum())

    both, mine, yours = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    chance = mine * yours / pairs(np.array([float(len(a))]))
    return (both - chance) / ((mine + yours) / 2 - chance)
