"""How far published quantiles are from those of all customers: ``python -m benchmarks.quantiles EVENTS``.

EVENTS is a file in the order of time, such as ``segstream simulate --habits personas`` makes. A trainer learns beside a
replay; at each version all active customers are looked at. The error of a quantile is how far its share lies outside
the shares of the customers who are below it and not above it: ties are no errors.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.report import commit, show
from stream.engine.changes import Changes
from stream.engine.partition import Partition
from stream.engine.plan import compile_plan
from stream.language.checker import check
from stream.personas.model import Model
from stream.personas.publication import Publication
from stream.preparation import prepare
from stream.replay.run import Outlets, replay
from stream.replay.training import Training

_RANKED = (
    "sum(purchase.total, 30d)",
    "sum(purchase.total)",
    "count(click, 30d)",
    "last(purchase)",
    "avg(purchase.total)",
)
_FOLDER = Path(__file__).parent


class _Checked:
    """A trainer whose versions are compared with all customers at once."""

    def __init__(self, file: dict[str, Any]) -> None:
        checked = check(json.dumps(file).encode(), "personas and ranks")
        assert checked.definitions is not None, checked.problems
        self.plan = compile_plan(checked.definitions)
        assert self.plan.personas is not None
        self._ranked = self.plan.personas.ranked
        self._features = len(self.plan.personas.features)
        self._training = Training(self.plan, 0, self._published)
        self._model: Model | None = None
        self.errors: list[dict[str, float]] = []

    def _published(self, publication: Publication) -> None:
        self._model = publication.model

    def begin(self, first_ms: int) -> None:
        self._training.begin(first_ms)

    @property
    def next_ms(self) -> int | None:
        return self._training.next_ms

    def take(self, partition: Partition) -> Iterator[Changes]:
        now_ms = self._training.next_ms
        assert now_ms is not None
        yield from self._training.take(partition)
        model, self._model = self._model, None
        if model is not None:
            vectors = partition.vectors(partition.profiles.every_row(), now_ms)
            active = vectors[~np.isnan(vectors[:, 0])]
            columns = zip(self._ranked, active.T[self._features :], strict=True)
            self.errors.append({text: _error(model.quantiles[text], column) for text, column in columns})


def _error(quantiles: tuple[float, ...], column: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """The largest one, in percentage points."""
    values = np.sort(column[~np.isnan(column)])
    if not len(values) or not quantiles:
        return 0.0
    shares = np.arange(len(quantiles)) / (len(quantiles) - 1)
    below = np.searchsorted(values, quantiles, side="left") / len(values)
    up_to = np.searchsorted(values, quantiles, side="right") / len(values)
    return float(100 * np.maximum(np.maximum(below - shares, shares - up_to), 0).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", type=Path)
    parser.add_argument("--after", type=int, default=20, help="so many versions are left out at the beginning")
    options = parser.parse_args()
    file = yaml.safe_load((_FOLDER / "personas.yaml").read_text(encoding="utf-8"))
    file["segments"] = {f"top{i}": {"enter": f"rank({text}) >= 0.9"} for i, text in enumerate(_RANKED)}
    checked = _Checked(file)
    prepare(checked.plan)
    replay(checked.plan, [str(options.events)], Outlets(changes=lambda _: None), versions=checked)
    print(f"commit {commit()}, {len(checked.errors)} versions; percentage points, the worst quantile of each version")
    for text in checked.errors[0]:
        later = [errors[text] for errors in checked.errors[options.after :]]
        show(text, f"median {np.median(later):.2f}, most {max(later):.2f}")


if __name__ == "__main__":
    main()
