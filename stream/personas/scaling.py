"""How wide the population spreads in each feature, learned online."""

from __future__ import annotations

import numpy as np

from stream.personas.model import Floats

#: About so many samples back the past counts for a third only.
_MEMORY = 20_000

#: A feature that hardly varies gets no say by being blown up.
_NARROWEST = 1e-9


class Scaling:
    """Mean and variance of each transformed feature; all samples count alike first, then older ones less and less."""

    def __init__(self, means: Floats, variances: Floats, seen: int) -> None:
        self.means = means
        self.variances = variances
        self.seen = seen

    @classmethod
    def empty(cls, width: int) -> Scaling:
        return cls(np.zeros(width), np.zeros(width), 0)

    def learn(self, place: Floats) -> None:
        """Takes one sample (F)."""
        self.seen += 1
        weight = 1.0 / min(self.seen, _MEMORY)
        away = place - self.means
        self.means = self.means + weight * away
        self.variances = (1.0 - weight) * (self.variances + weight * away * away)

    @property
    def scales(self) -> Floats:
        """The standard deviations (F); 1 for a feature that does not vary."""
        return np.where(self.variances > _NARROWEST, np.sqrt(np.maximum(self.variances, 0.0)), 1.0)
