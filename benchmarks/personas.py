"""How good personas are: beside scikit-learn's k-means on the same scaled vectors, and beside River's other clusterers.

``python -m benchmarks.personas``, with the extras ``bench`` and ``personas``; with ``--cdnow FILE`` also on the
purchases of CDNOW's customers (events in our own format, one JSON object a line, gzipped).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_rand_score, silhouette_score

from benchmarks.clusterers import Found, Labels, rivals, river, scaled_by, scikit_learn, trained
from benchmarks.report import ROOT, commit, each, head, show
from stream.personas.model import NOBODY, Floats

SEEDS = range(5)
HASH_SEEDS = ("0", "1", "2")
SAMPLES = 60_000
RIVALS_LEARN = 10_000
CUSTOMERS = 4_000
MARGIN = 0.1
DAY_MS = 86_400_000


def mixture(n: int, seed: int) -> tuple[Floats, Labels]:
    """Six groups of unequal size that overlap, in five features that are counts and sums once transformed back."""
    shape = np.random.default_rng(5)
    centres = 6 + 2.2 * shape.normal(size=(6, 5))
    sizes = shape.dirichlet(np.full(6, 8.0))
    random = np.random.default_rng(seed)
    groups = random.choice(6, n, p=sizes)
    places = np.abs(centres[groups] + random.normal(size=(n, 5)))
    return np.expm1(places / 1.5), groups


def cdnow(path: Path) -> Floats:
    """Purchases, their sum and the days since the last one, at the end, of each customer."""
    purchases: dict[str, list[tuple[int, float]]] = defaultdict(list)
    with gzip.open(path) as file:
        for line in file:
            event = json.loads(line)
            purchases[event["customer_id"]].append((event["timestamp"], event["total"]))
    end = max(at for mine in purchases.values() for at, _ in mine)
    return np.array(
        [
            (len(mine), sum(total for _, total in mine), (end - max(at for at, _ in mine)) / DAY_MS)
            for mine in purchases.values()
        ]
    )


def drawn(vectors: Floats, n: int, seed: int) -> Floats:
    """Samples of customers, with replacement, as workers draw them."""
    return vectors[np.random.default_rng(seed).integers(len(vectors), size=n)]


def inertia(scaled: Floats, labels: Labels) -> float:
    """Within clusters, each around its own mean."""
    return float(
        sum(((scaled[labels == one] - scaled[labels == one].mean(axis=0)) ** 2).sum() for one in set(labels.tolist()))
    )


def one_seed(seed: int) -> None:
    """What a process of its own measures, under its own hash seed: agreement with the truth, ours and theirs."""
    vectors, truth = mixture(CUSTOMERS, 1)
    trainer, _ = trained(mixture(SAMPLES, 100 + seed)[0], 6, seed)
    assert trainer.last is not None
    ours = trainer.last.nearest(vectors)
    theirs = scikit_learn(scaled_by(trainer, vectors), 6).labels_
    figures = {
        "ours": adjusted_rand_score(truth, ours),
        "theirs": adjusted_rand_score(truth, theirs),
        "labels": ours.tolist(),
    }
    sys.stdout.write(json.dumps(figures))


def agreement() -> None:
    """The adjusted Rand index against the truth, relative to scikit-learn's, by seeds and hash seeds."""
    head("Agreement with the truth, six groups that overlap", "python -m benchmarks.personas")
    ratios, labels = [], []
    for seed in SEEDS:
        for hash_seed in HASH_SEEDS:
            command = (sys.executable, "-m", "benchmarks.personas", "--seed", str(seed))
            result = subprocess.run(
                command, env={**os.environ, "PYTHONHASHSEED": hash_seed}, cwd=ROOT, capture_output=True, check=True
            )
            figures = json.loads(result.stdout)
            ratios.append(figures["ours"] / figures["theirs"])
            labels.append(figures["labels"])
    pairs = [adjusted_rand_score(a, b) for i, a in enumerate(labels) for b in labels[:i]]
    show(f"relative to scikit-learn's {figures['theirs']:.3f}, the worst of {len(ratios)}", f"{min(ratios):.3f}")
    show("between any two seeds and orders, the worst", f"{min(pairs):.3f}")


def switches() -> None:
    """Unchanged customers who switch from version to version."""
    vectors, _ = mixture(CUSTOMERS, 1)
    found = []
    for seed in SEEDS:
        samples = mixture(SAMPLES, 100 + seed)[0]
        present = np.full(len(vectors), NOBODY)
        for versions in (1, 2, 3):
            trainer, _ = trained(samples[: versions * SAMPLES // 3], 6, seed, versions)
            assert trainer.last is not None
            after = trainer.last.reassign(present, vectors, MARGIN)
            if versions > 1:
                found.append(100 * float((after != present).mean()))
            present = after
    show("unchanged customers who switch per version, %, the worst", f"{max(found):.3f}")


def table(title: str, vectors: Floats, samples: Floats, k: int, truth: Labels | None) -> None:
    """Each clusterer on the same samples, in the scaled space of our model; then all vectors are assigned."""
    head(title, "python -m benchmarks.personas")
    trainer, seconds = trained(samples, k, 0)
    assert trainer.last is not None
    scaled = scaled_by(trainer, vectors)
    yardstick = scikit_learn(scaled, k).labels_
    rows = {
        "scikit-learn KMeans, ten starts": Found(yardstick, float("nan")),
        "personas": Found(trainer.last.nearest(vectors), 1e6 * seconds / len(samples)),
    }
    learned = scaled_by(trainer, samples[:RIVALS_LEARN])
    for name, make in rivals(k).items():
        rows[name] = river(make, learned, scaled)
    print(f"  {'':<32} {'clusters':>8} {'ARI':>7} {'silhouette':>11} {'inertia':>8} {'us/sample':>10}")
    for name, row in rows.items():
        clusters = len(set(row.labels.tolist()))
        ari = "" if truth is None else f"{adjusted_rand_score(truth, row.labels):.3f}"
        silhouette = f"{silhouette_score(scaled, row.labels):.3f}" if clusters > 1 else "-"
        ratio = inertia(scaled, row.labels) / inertia(scaled, yardstick)
        speed = "" if np.isnan(row.us_per_sample) else f"{row.us_per_sample:.0f}"
        print(f"  {name:<32} {clusters:>8} {ari:>7} {silhouette:>11} {ratio:>7.3f}x {speed:>10}", flush=True)


def beside_cdnow(vectors: Floats) -> None:
    """The worst of all seeds on CDNOW's customers, five personas."""
    silhouettes, inertias = [], []
    for seed in SEEDS:
        trainer, _ = trained(drawn(vectors, SAMPLES, seed), 5, seed)
        assert trainer.last is not None
        scaled = scaled_by(trainer, vectors)
        theirs = scikit_learn(scaled, 5)
        ours = trainer.last.nearest(vectors)
        silhouettes.append(silhouette_score(scaled, ours) / silhouette_score(scaled, theirs.labels_))
        inertias.append((trainer.last.distances(vectors).min(axis=1) ** 2).sum() / theirs.inertia_)
    show("silhouette relative to scikit-learn's, by seeds", each(silhouettes, 3))
    show("inertia around the model's own centres, relative, by seeds", each(inertias, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cdnow", type=Path, help="purchases of CDNOW's customers")
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seed is not None:
        one_seed(options.seed)
        return
    print(f"commit {commit()}")
    # River's micro-clusters divide by zero, and say so, where they hold one sample only.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="river")
    agreement()
    switches()
    vectors, truth = mixture(CUSTOMERS, 1)
    table("Six groups that overlap", vectors, mixture(SAMPLES, 100)[0], 6, truth)
    if options.cdnow is not None:
        vectors = cdnow(options.cdnow)
        table("CDNOW, five personas", vectors, drawn(vectors, SAMPLES, 0), 5, None)
        beside_cdnow(vectors)


if __name__ == "__main__":
    main()
