"""Centres that follow their samples one by one: River's k-means, told where to begin."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from river import cluster

from stream.personas.model import Floats


class OnlineKMeans:
    """River's ``cluster.KMeans`` on scaled vectors.

    River draws the first centres at random, in an order that hangs on the hashes of the features' names, so it gets
    centres that are there, and features that are numbers. Its ``halflife`` is no half-life but the share of the way to
    a sample that the nearest centre goes.
    """

    def __init__(self, centres: Floats, rate: float) -> None:
        self._model = cluster.KMeans(n_clusters=len(centres), halflife=rate, seed=0)
        self._model.centers = {i: defaultdict(float, enumerate(centre)) for i, centre in enumerate(centres.tolist())}

    def learn(self, vector: list[float]) -> int:
        """Moves the nearest centre towards a vector; its index."""
        return int(self._model.learn_predict_one(dict(enumerate(vector))))

    @property
    def centres(self) -> Floats:
        return np.array([[centre[i] for i in range(len(centre))] for centre in self._model.centers.values()])
