"""How personas do on simulated customers whose habits are known: found, stable, and in time when habits change.

A file of events is replayed with a trainer beside it, as `segstream personas train` does, and at the end customers'
personas are compared with their habits, and with what scikit-learn's k-means finds when it is fitted on all of them.

    segstream simulate --habits personas --customers 20000 --days 60 --output events.jsonl --truth truth.jsonl
    python -m benchmarks.persona_quality events.jsonl truth.jsonl

With ``--daily`` both are also compared every day, k-means fitted anew each time: who changes their habit, or has a new
one, is in which persona, and when, and when a persona dies whose customers have left. Events of ``segstream simulate
--scenario`` are made for that.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
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
from stream.personas.publication import Birth, Death, Publication
from stream.replay.run import Outlets, replay
from stream.replay.training import Training

_DAY_MS = 86_400_000
#: Figures about stability begin when so many days have passed.
_SETTLED_DAYS = 20
_BACK_WITHIN_MS = 7 * _DAY_MS

Floats = npt.NDArray[np.float64]


class _Watched(Training):
    """A trainer in a replay, with the partition that it saw last."""

    partition: Partition | None = None
    daily: tuple[_Daily, _Daily] | None = None  # of personas, and of k-means fitted anew
    clusters = 0

    def take(self, partition: Partition) -> Iterator[Changes]:
        self.partition = partition
        now_ms = self.next_ms
        yield from super().take(partition)
        if self.daily is not None and now_ms is not None and now_ms % _DAY_MS == 0 and partition.model_version:
            self._compare(partition, now_ms)

    @staticmethod
    def _features_of(partition: Partition, rows: npt.NDArray[np.int64], now_ms: int) -> Floats:
        """Without what is ranked."""
        assert partition.plan.personas is not None
        return partition.vectors(rows, now_ms)[:, : len(partition.plan.personas.features)]

    def _compare(self, partition: Partition, now_ms: int) -> None:
        assert self.daily is not None
        assert partition.plan.personas is not None
        rows = partition.profiles.every_row()
        vectors = self._features_of(partition, rows, now_ms)
        rows, vectors = rows[~np.isnan(vectors[:, 0])], vectors[~np.isnan(vectors[:, 0])]
        customers = partition.profiles.customers(rows)
        numbers = partition.profiles.column(partition.plan.personas.word, rows)
        places = transformed(vectors)
        fitted = KMeans(self.clusters, n_init=3, random_state=0).fit(places / places.std(axis=0).clip(1e-9))
        self.daily[0].add(now_ms, customers, numbers.tolist())
        self.daily[1].add(now_ms, customers, fitted.labels_.tolist())


@dataclass(frozen=True)
class _Known:
    """What is true of a customer: the habit, the one that follows and from when, and what else becomes of them."""

    habit: str
    later: str | None
    later_ms: int | None
    doubles_ms: int | None
    left_ms: int | None

    def at(self, now_ms: int) -> str:
        return (
            self.later
            if self.later is not None and self.later_ms is not None and now_ms >= self.later_ms
            else self.habit
        )


@dataclass
class _Day:
    """Of each habit at an instant: the cluster that holds most of its customers, with recall and purity."""

    at_ms: int
    found: dict[str, tuple[int, float, float]]
    of_switched: float  # the share of customers with a new habit who are in the cluster of those that had it before


class _Daily:
    """Follows habits day by day in a clustering."""

    def __init__(self, truth: dict[str, _Known]) -> None:
        self._truth = truth
        self.days: list[_Day] = []

    def add(self, at_ms: int, customers: list[str], labels: list[int]) -> None:
        habits = [self._truth[customer].at(at_ms) for customer in customers]
        switched = [self._truth[customer].later is not None for customer in customers]
        cells = Counter(zip(habits, labels, strict=True))
        sizes, clusters = Counter(habits), Counter(labels)
        settled = Counter(
            pair for pair, is_new in zip(zip(habits, labels, strict=True), switched, strict=True) if not is_new
        )
        found, homes = {}, {}
        for habit in sizes:
            label = max(clusters, key=lambda one: cells[habit, one])
            found[habit] = label, cells[habit, label] / sizes[habit], cells[habit, label] / clusters[label]
            homes[habit] = max(clusters, key=lambda one: settled[habit, one])
        moved = [homes[habit] == label for habit, label, is_new in zip(habits, labels, switched, strict=True) if is_new]
        self.days.append(_Day(at_ms, found, float(np.mean(moved)) if moved else 0.0))

    def half_ms(self, from_ms: int) -> int | None:
        """When half of those with a new habit were where it belongs."""
        return next((day.at_ms for day in self.days if day.at_ms >= from_ms and day.of_switched >= 0.5), None)

    def held_ms(self, habit: str, from_ms: int) -> int | None:
        """When a cluster had half of a habit's customers and they were half of it, from then on for three days."""
        held = [
            (day.at_ms, habit in day.found and min(day.found[habit][1:]) >= 0.5)
            for day in self.days
            if day.at_ms >= from_ms
        ]
        runs = zip(held, held[1:], held[2:], strict=False)
        return next((run[0][0] for run in runs if all(is_held for _, is_held in run)), None)


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
    parser.add_argument("--daily", action="store_true", help="compare every day")
    parser.add_argument("--clusters", type=int, default=7, help="how many k-means finds every day")
    arguments = parser.parse_args()
    plan = compile_plan(load(arguments.definitions.read_text(encoding="utf-8"), arguments.definitions.name))
    log, published, truth = _Log(), list[Publication](), _truth(arguments.truth)
    training = _Watched(plan, arguments.seed, published.append)
    if arguments.daily:
        training.daily = _Daily(truth), _Daily(truth)
        training.clusters = arguments.clusters
    summary = replay(plan, [str(arguments.events)], Outlets(log.add), versions=training)
    _report(training, log, published, truth)
    if training.daily is not None:
        _report_daily(*training.daily, truth, published)
    print(f"{summary.events:,} events of {summary.customers:,} customers")


def _truth(path: Path) -> dict[str, _Known]:
    found = {}
    with path.open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            later = record.get("later_habit"), record.get("later_from"), record.get("spending_doubles_from")
            found[record["customer_id"]] = _Known(record["habit"], *later, record.get("alive_until"))
    return found


def _report(training: _Watched, log: _Log, published: list[Publication], truth: dict[str, _Known]) -> None:
    partition = training.partition
    assert partition is not None
    models = [one.model for one in published if one.model is not None]
    last, end_ms = models[-1], partition.latest_ms
    rows = partition.profiles.every_row()
    vectors = partition.vectors(rows, end_ms)[:, : len(last.features)]
    active = ~np.isnan(vectors[:, 0])  # all of a row or nothing
    customers = [name for name, is_active in zip(partition.profiles.customers(rows), active, strict=True) if is_active]
    vectors = vectors[active]
    habits = [truth[customer].at(end_ms) for customer in customers]
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
    for kind, others in (("with the same personas", False), ("with a birth or a death", True)):
        found = [
            (moved[one.model.effective_ms] / len(customers), one.model.effective_ms)
            for one in published
            if one.model is not None and one.model.effective_ms >= settled_ms and _has_others(one) == others
        ]
        shares = sorted(share for share, _ in found)
        if shares:
            print(f"switched by a version {kind} ({len(shares)}): at most {shares[-1]:.2%},", end=" ")
            print(f"median {shares[len(shares) // 2]:.2%} of customers;", end=" ")
            many = [f"day {_days(at_ms, first_ms)}" for share, at_ms in found if share > 0.02]
            print(f"more than 2 %: {', '.join(many) or 'none'}")
    months = len(customers) * (end_ms - settled_ms) / (30 * _DAY_MS)
    print(f"there and back within a week: {log.there_and_back(settled_ms) / months:.3f} a customer and month")


def _has_others(publication: Publication) -> bool:
    return any(isinstance(event, Birth | Death) for event in publication.events)


def _report_daily(ours: _Daily, theirs: _Daily, truth: dict[str, _Known], published: list[Publication]) -> None:
    """When each of the two noticed what happened to habits."""
    first_ms = ours.days[0].at_ms
    switches = [known.later_ms for known in truth.values() if known.later_ms is not None]
    if switches:
        from_ms = min(switches)
        print(
            f"half of who took on another habit (day 0): {_days(ours.half_ms(from_ms), from_ms)} in personas,", end=" "
        )
        print(f"{_days(theirs.half_ms(from_ms), from_ms)} in KMeans")
    for habit in sorted({known.habit for known in truth.values()}):
        held = ours.held_ms(habit, first_ms), theirs.held_ms(habit, first_ms)
        numbers = list(dict.fromkeys(day.found[habit][0] for day in ours.days if habit in day.found))
        last = next(
            (day.at_ms for day in reversed(ours.days) if habit in day.found and min(day.found[habit][1:]) >= 0.5), None
        )
        print(
            f"{habit}: held from day {_days(held[0], first_ms)} in personas, {_days(held[1], first_ms)} in KMeans;",
            end=" ",
        )
        print(f"until day {_days(last, first_ms)}, as {', '.join(f'p{number}' for number in numbers)}")
        left = [known.left_ms for known in truth.values() if known.habit == habit]
        if left and None not in left:
            _report_death(ours, habit, max(one for one in left if one is not None), published)
    for one in published:
        if one.model is not None:
            for event in one.events:
                print(f"  day {_days(one.model.effective_ms, first_ms)}: {event}")


def _report_death(ours: _Daily, habit: str, left_ms: int, published: list[Publication]) -> None:
    """When the persona that held most of a habit's customers died, all of whom had left by then."""
    number = next(day.found[habit][0] for day in reversed(ours.days) if day.at_ms <= left_ms)
    died = next(
        (
            one.model.effective_ms
            for one in published
            if one.model is not None
            and any(isinstance(event, Death) and event.number == number for event in one.events)
        ),
        None,
    )
    print(f"  all of them had left (day 0); p{number}, which held most, died on day {_days(died, left_ms)}")


def _days(at_ms: int | None, from_ms: int) -> str:
    return "never" if at_ms is None else f"{(at_ms - from_ms) / _DAY_MS:.1f}"


if __name__ == "__main__":
    main()
