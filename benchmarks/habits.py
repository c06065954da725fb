"""How well the habits of simulated customers can be told apart by what the customers do.

Run by hand, with scikit-learn in whatever environment (the project itself does without)::

    segstream simulate --habits personas --customers 20k --days 60 --output events.jsonl --truth truth.jsonl
    python -m benchmarks.habits events.jsonl truth.jsonl

A classifier that is shown habits marks what can be reached; clusterings are not shown any.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import adjusted_rand_score, confusion_matrix
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import cross_val_predict

Floats = npt.NDArray[np.float64]

DAY_MS = 86_400_000
BUCKETS = 24  # of a window, as in a definitions file that says nothing else
BUCKET_MS = 30 * DAY_MS // BUCKETS
FEATURES = ("orders", "spend", "coupons", "views", "carts", "opened", "mail_clicks")


class Counts:
    """Counts and sums of 30 days by customer, at an instant."""

    def __init__(self, customers: int, now_ms: int) -> None:
        self._from_ms = (now_ms // BUCKET_MS - BUCKETS + 1) * BUCKET_MS
        self._until_ms = now_ms
        self.active = np.zeros(customers, dtype=np.bool_)  # clicked, purchased, opened or clicked a mail at any time
        self.values: dict[str, Floats] = {name: np.zeros(customers) for name in FEATURES}
        self.events = 0

    def add(self, event: dict[str, Any]) -> None:
        """Count an event in."""
        at_ms, who = event["timestamp"], int(event["customer_id"][1:]) - 1
        self.events += 1
        if at_ms >= self._until_ms:
            return
        action = event.get("action")
        self.active[who] |= event["type"] != "email" or action in ("opened", "clicked")
        if at_ms < self._from_ms:
            return
        if event["type"] == "purchase":
            self.values["orders"][who] += 1
            self.values["spend"][who] += event["total"]
            self.values["coupons"][who] += "coupon" in event
        elif action in _COUNTED:
            self.values[_COUNTED[action]][who] += 1

    def table(self) -> Floats:
        """A row an active customer, a column a feature, transformed and scaled as personas are."""
        table = np.log1p(np.stack(list(self.values.values()), axis=1)[self.active])
        scaled: Floats = table / table.std(axis=0)
        return scaled


_COUNTED = {"product_view": "views", "add_to_cart": "carts", "opened": "opened", "clicked": "mail_clicks"}


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file of JSON lines."""
    with path.open("rb") as lines:
        yield from map(json.loads, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--days", type=int, default=60, help="look so many days after the start")
    parser.add_argument("--start-ms", type=int, default=1_736_121_600_000)
    arguments = parser.parse_args()

    habits = np.array([record["habit"] for record in read(arguments.truth)])
    counts = Counts(len(habits), arguments.start_ms + arguments.days * DAY_MS)
    for event in read(arguments.events):
        counts.add(event)
    table = counts.table()
    names, habit = np.unique(habits[counts.active], return_inverse=True)
    print(f"{counts.events:,} events of {len(habits):,} customers, {len(habit):,} of them active")
    print(f"{'':16}" + "".join(f"{name:>13}" for name in FEATURES))
    for number, name in enumerate(names):
        medians = [np.median(counts.values[f][counts.active][habit == number]) for f in FEATURES]
        print(f"{name:16}" + "".join(f"{value:13.1f}" for value in medians))

    known = cross_val_predict(HistGradientBoostingClassifier(random_state=0), table, habit, cv=5)
    print(f"adjusted Rand index of a classifier (cross-validated): {adjusted_rand_score(habit, known):.3f}")
    print("what it takes whom for, in hundredths of a habit:")
    for name, row in zip(names, confusion_matrix(habit, known, normalize="true"), strict=True):
        print(f"{name:16}" + "".join(f"{100 * share:13.1f}" for share in row))
    clusters = KMeans(len(names), n_init=10, random_state=0).fit_predict(table)
    print(f"of KMeans: {adjusted_rand_score(habit, clusters):.3f}")
    mixture = GaussianMixture(len(names), n_init=3, random_state=0, reg_covar=1e-3).fit_predict(table)
    print(f"of a Gaussian mixture: {adjusted_rand_score(habit, mixture):.3f}")


if __name__ == "__main__":
    main()
