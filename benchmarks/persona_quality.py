"""How personas do on simulated customers whose habits are known: found, stable, and in time when habits change.

A file of events is replayed with a trainer beside it, as `segstream personas train` does, and at the end customers'
personas are compared with their habits, and with what scikit-learn's k-means finds when it is fitted on all of them.

    segstream simulate --habits personas --customers 20000 --days 60 --output events.jsonl --truth truth.jsonl
    python -m benchmarks.persona_quality events.jsonl truth.jsonl
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from stream.engine.changes import Changes
from stream.engine.partition import Partition
from stream.engine.plan import compile_plan
from stream.instants import parse_instant
from stream.language.checker import load
from stream.personas.model import transformed
from stream.personas.publication import Publication
from stream.replay.run import Outlets, replay
from stream.replay.versions import Training

_DAY_MS = 86_400_000
#: Figures about stability begin when so many days have passed.
_SETTLED_DAYS = 20
_BACK_WITHIN_MS = 7 * _DAY_MS

Floats = npt.NDArray[np.float64]


class _Watched(Training):
    """A trainer in a replay, with the partition that it saw last."""

    partition: Partition | None = None

    def take(self, partition: Partition) -> Iterator[Changes]:
        self.partition = partition
        yield from super().take(partition)


class _Log:
    """What happened to personas: switches of each customer, as (instant, from, to, cause)."""

    def __init__(self) -> None:
        self.switches: dict[str, list[tuple[int, str | None, str | None, str]]] = defaultdict(list)

    def add(self, changes: Changes) -> None:
        for change in changes.items:
            if not change.segment.startswith("persona_"):
                continue
            at_ms, mine = parse_instant(change.at), self.switches[change.customer_id]
            if change.change == "exited":
                mine.append((at_ms, change.segment, None, change.cause))
            elif mine and mine[-1][0] == at_ms and mine[-1][2] is None:
                mine[-1] = (at_ms, mine[-1][1], change.segment, change.cause)
            else:
                mine.append((at_ms, None, change.segment, change.cause))

    def there_and_back(self, from_ms: int) -> int:
        """Switches after which a customer was back in the persona before, within a week."""
        found = 0
        for mine in self.switches.values():
            for (at_ms, before, _, _), (back_ms, _, after, _) in itertools.pairwise(mine):
                found += (
                    at_ms >= from_ms and before is not None and before == after and back_ms - at_ms <= _BACK_WITHIN_MS
                )
        return found

    def by_model(self, from_ms: int) -> Counter[int]:
        """How many customers switched because of each version, by its instant."""
        return Counter(
            at_ms
            for mine in self.switches.values()
            for at_ms, before, _, cause in mine
            if cause == "model" and before is not None and at_ms >= from_ms
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--definitions", type=Path, default=Path(__file__).with_name("personas.yaml"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    plan = compile_plan(load(arguments.definitions.read_text(encoding="utf-8"), arguments.definitions.name))
    section = plan.definitions.personas
    assert section is not None
    assert plan.personas is not None
    log, published = _Log(), list[Publication]()
    training = _Watched(section, plan.personas.features, arguments.seed, published.append)
    summary = replay(plan, [str(arguments.events)], Outlets(log.add), versions=training)
    _report(training, log, published, _truth(arguments.truth))
    print(f"{summary.events:,} events of {summary.customers:,} customers")


def _truth(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8") as lines:
        return {record["customer_id"]: record["habit"] for record in map(json.loads, lines)}


def _report(training: _Watched, log: _Log, published: list[Publication], truth: dict[str, str]) -> None:
    partition = training.partition
    assert partition is not None
    models = [one.model for one in published if one.model is not None]
    last, end_ms = models[-1], partition.latest_ms
    rows = partition.profiles.every_row()
    vectors = partition.vectors(rows, end_ms)
    active = ~np.isnan(vectors[:, 0])  # all of a row or nothing
    customers = [name for name, is_active in zip(partition.profiles.customers(rows), active, strict=True) if is_active]
    vectors = vectors[active]
    habits = [truth[customer] for customer in customers]
    present = [log.switches[customer][-1][2] or "" for customer in customers]
    scaled: Floats = transformed(vectors) / np.array(last.scales)
    yardstick = KMeans(len(last.personas), n_init=10, random_state=0).fit(scaled).labels_
    ours, theirs = adjusted_rand_score(habits, present), adjusted_rand_score(habits, yardstick)
    nearest = adjusted_rand_score(habits, last.nearest(vectors))
    print(f"{len(models)} versions published, {len(published) - len(models)} not; {len(customers):,} active customers")
    print(f"adjusted Rand index: personas {ours:.3f}, nearest centres {nearest:.3f}, KMeans on all {theirs:.3f}")
    print(
        f"personas reach {ours / theirs:.1%} of KMeans; the two agree by {adjusted_rand_score(yardstick, present):.3f}"
    )
    first_ms = models[0].effective_ms
    settled_ms = first_ms + _SETTLED_DAYS * _DAY_MS
    moved = log.by_model(settled_ms)
    shares = sorted(count / len(customers) for count in moved.values())
    if shares:
        print(f"switched by a version: at most {shares[-1]:.2%}, median {shares[len(shares) // 2]:.2%} of customers")
    months = len(customers) * (end_ms - settled_ms) / (30 * _DAY_MS)
    print(f"there and back within a week: {log.there_and_back(settled_ms) / months:.3f} a customer and month")
    for event in (event for one in published for event in one.events):
        print(f"  {event}")


if __name__ == "__main__":
    main()
