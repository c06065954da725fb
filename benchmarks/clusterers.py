"""Personas beside scikit-learn's k-means and the other online clusterers of River: what each finds in given vectors."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import cluster
from sklearn.cluster import KMeans

from stream.personas.model import Floats, transformed
from stream.personas.training import Settings, Trainer

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """Which cluster each vector was given, and the CPU time that learning took for a sample."""

    labels: Labels
    us_per_sample: float


def trained(samples: Floats, k: int, seed: int, versions: int = 3) -> tuple[Trainer, float]:
    """Our trainer after so many versions of an equal part of the samples each, and its CPU seconds."""
    names = tuple(f"f{i}" for i in range(samples.shape[1]))
    trainer = Trainer(Settings(names, names, (k, k), seed=seed))
    begin = time.process_time()
    for version, part in enumerate(np.array_split(samples, versions)):
        trainer.learn(part)
        found = trainer.publish(version * 86_400_000, version)
        if found.model is None:
            raise RuntimeError(found.reason)
    return trainer, time.process_time() - begin


def scikit_learn(scaled: Floats, k: int) -> KMeans:
    """The yardstick: all vectors at once, ten starts."""
    return KMeans(k, n_init=10, random_state=0).fit(scaled)


def rivals(k: int) -> dict[str, Callable[[], Any]]:
    """River's clusterers; numbers as in their documentation's examples, radii for vectors of unit variance."""
    return {
        "River KMeans, as it comes": lambda: cluster.KMeans(n_clusters=k, halflife=0.5, seed=0),
        "River KMeans, halflife 0.002": lambda: cluster.KMeans(n_clusters=k, halflife=0.002, seed=0),
        "River STREAMKMeans": lambda: cluster.STREAMKMeans(chunk_size=500, n_clusters=k, halflife=0.5, seed=0),
        "River CluStream": lambda: cluster.CluStream(
            n_macro_clusters=k, max_micro_clusters=100, time_gap=1_000, time_window=10_000, seed=0, halflife=0.5
        ),
        "River DBSTREAM": lambda: cluster.DBSTREAM(
            clustering_threshold=0.6,
            fading_factor=0.001,
            cleanup_interval=100,
            intersection_factor=0.3,
            minimum_weight=3,
        ),
        "River DenStream": lambda: cluster.DenStream(
            decaying_factor=0.001, beta=0.5, mu=5, epsilon=0.5, n_samples_init=1_000
        ),
    }


def river(make: Callable[[], Any], samples: Floats, vectors: Floats) -> Found:
    """One of River's clusterers on scaled samples, one by one, and then asked for each vector."""
    model = make()
    begin = time.process_time()
    for sample in samples.tolist():
        model.learn_one(dict(enumerate(sample)))
    seconds = time.process_time() - begin
    labels = [model.predict_one(dict(enumerate(vector))) for vector in vectors.tolist()]
    return Found(np.array(labels), 1e6 * seconds / len(samples))


def scaled_by(trainer: Trainer, raw: Floats) -> Floats:
    """Vectors in the scales of a trainer's last version, around the mean: River draws its first centres there."""
    last = trainer.last
    assert last is not None
    centred: Floats = transformed(raw) - np.array(last.training.means)
    scaled: Floats = centred / np.array(last.scales)
    return scaled
