"""The trainer: identities over versions, births, deaths, drift, restarts, and how good it is."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from stream.errors import SamplesError
from stream.personas.centres import started
from stream.personas.drift import Drift
from stream.personas.model import NOBODY, Floats, Model, decode, encode, transformed
from stream.personas.publication import Birth, Death, Event
from stream.personas.shift import Shift
from stream.personas.training import Settings, Trainer
from tests.personas.mixtures import DAY_MS, FIVE, FOUR, agreement, customers, settings
from tests.shared_data import PROJECT, shared_events

DAILY = 6_000
SEEDS = range(5)


def publish(trainer: Trainer, day: int) -> tuple[Model, tuple[Event, ...]]:
    found = trainer.publish(day * DAY_MS, day * DAILY)
    assert found.model is not None, found.reason
    assert found.reason is None
    return found.model, found.events


def run(
    trainer: Trainer, days: range, centres: Floats = FOUR, sizes: tuple[float, ...] = (1, 1, 1, 1), daily: int = DAILY
) -> tuple[list[Model], list[Event]]:
    """A version a day of such customers."""
    models: list[Model] = []
    events: list[Event] = []
    for day in days:
        trainer.learn(customers(daily, 1_000 + day, centres, sizes)[0])
        model, found = publish(trainer, day)
        models.append(model)
        events += found
    return models, events


def numbers(model: Model) -> list[int]:
    return [persona.number for persona in model.personas]


def test_the_first_version_finds_the_groups() -> None:
    trainer = Trainer(settings((4, 4)))
    (model,), events = run(trainer, range(1))
    vectors, groups = customers(2_000, 1)
    assert agreement(model.nearest(vectors), groups) > 0.95
    assert (model.version, numbers(model), model.next_number) == (1, [1, 2, 3, 4], 5)
    assert events == [Birth(one.number, one.label, one.share) for one in model.personas]
    assert [one.share for one in model.personas] == pytest.approx([0.25] * 4, abs=0.03)
    assert model.quality.before is None
    assert model.effective_at == "1970-01-01T00:00:00.000Z"
    assert trainer.last is model


def test_personas_keep_their_numbers_and_hardly_anybody_switches() -> None:
    vectors, groups = customers(5_000, 1)
    trainer = Trainer(settings((4, 4)))
    models, events = run(trainer, range(8), daily=10_000)
    assert [numbers(model) for model in models] == [[1, 2, 3, 4]] * 8
    assert len(events) == 4
    present = np.full(len(vectors), NOBODY)
    for model in models:
        after = model.reassign(present, vectors, 0.1)
        if model.version > 1:
            assert (after != present).mean() <= 0.001
        present = after
    assert agreement(present, groups) > 0.95
    assert [model.version for model in models] == list(range(1, 9))


def test_a_habit_that_appears_is_born_and_dies_when_its_customers_leave() -> None:
    trainer = Trainer(settings((2, 8)))
    models, events = run(trainer, range(3))
    assert [len(model.personas) for model in models] == [4, 4, 4]
    assert len(events) == 4
    models, events = run(trainer, range(3, 8), FIVE, (1, 1, 1, 1, 0.3))
    born = [event for event in events if isinstance(event, Birth)]
    assert [event.number for event in born] == [5]
    assert born[0].share == pytest.approx(0.3 / 4.3, abs=0.02)
    assert numbers(models[-1]) == [1, 2, 3, 4, 5]
    assert not [event for event in events if isinstance(event, Death)]
    vectors, groups = customers(3_000, 1, FIVE, (1, 1, 1, 1, 0.3))
    assert agreement(models[-1].nearest(vectors), groups) > 0.93
    models, events = run(trainer, range(8, 13), FIVE, (1, 1, 1, 1, 0))
    assert [event.number for event in events if isinstance(event, Death)] == [5]
    assert not [event for event in events if isinstance(event, Birth)]
    assert (numbers(models[-1]), models[-1].next_number) == ([1, 2, 3, 4], 6)
    # Were it to come back, it would be another.
    models, events = run(trainer, range(13, 18), FIVE, (1, 1, 1, 1, 0.3))
    assert numbers(models[-1]) == [1, 2, 3, 4, 6]


def test_a_move_needs_three_wins_in_a_row() -> None:
    trainer = Trainer(settings((2, 8)))
    run(trainer, range(2))
    models, _ = run(trainer, range(2, 4), FIVE, (1, 1, 1, 1, 0.3))
    assert models[-1].training.wins == {"more": 2}
    models, _ = run(trainer, range(4, 5))
    assert models[-1].training.wins.get("more", 0) == 0
    models, _ = run(trainer, range(5, 7), FIVE, (1, 1, 1, 1, 0.3))
    assert len(models[-1].personas) == 4


def test_with_a_fixed_number_a_persona_without_customers_makes_room_for_a_new_habit() -> None:
    trainer = Trainer(settings((4, 4)))
    models, _ = run(trainer, range(2))
    gone = int(models[-1].nearest(np.expm1(FOUR[3:]))[0])
    models, events = run(trainer, range(2, 8), FIVE, (1, 1, 1, 0, 0.8))
    assert [event.number for event in events if isinstance(event, Death)] == [gone]
    assert [event.number for event in events if isinstance(event, Birth)] == [5]
    assert len(models[-1].personas) == 4
    vectors, groups = customers(3_000, 1, FIVE, (1, 1, 1, 0, 0.8))
    assert agreement(models[-1].nearest(vectors), groups) > 0.95


def test_a_persona_whose_customers_slowly_become_others_dies() -> None:
    trainer = Trainer(settings((2, 8)))
    models, _ = run(trainer, range(0, 36, 3), daily=2_000)
    number = int(models[-1].nearest(np.expm1(FOUR[3:]))[0])
    died = []
    for step in range(1, 11):
        going = FOUR.copy()
        going[3] += 0.1 * step * (FOUR[0] - FOUR[3])
        models, events = run(trainer, range(33 + 3 * step, 34 + 3 * step), going, daily=2_000)
        died += [event.number for event in events if isinstance(event, Death)]
    assert died == [number]
    assert len(models[-1].personas) == 3


def test_a_persona_that_is_elsewhere_within_a_month_is_another_however_small_the_steps() -> None:
    trainer = Trainer(settings((4, 4)))
    models, _ = run(trainer, range(0, 36, 3), daily=2_000)
    number = int(models[-1].nearest(np.expm1(FOUR[3:]))[0])
    told: list[Event] = []
    for step in range(1, 11):
        going = FOUR.copy()
        going[3, 3] += 0.4 * step
        if step == 5:  # killed and started again: where personas have been is in the model
            trainer = Trainer(settings((4, 4)), decode(encode(models[-1])))
        models, events = run(trainer, range(33 + 3 * step, 34 + 3 * step), going, daily=2_000)
        told += [event for event in events if isinstance(event, Birth | Death)]
    born, died = told
    assert (type(born), born.number, type(died), died.number) == (Birth, 5, Death, number)
    assert sorted(models[-1].training.been) == numbers(models[-1])


def test_nobody_dies_when_all_customers_slowly_do_more() -> None:
    trainer = Trainer(settings((4, 4)))
    run(trainer, range(0, 36, 3), daily=2_000)
    told: list[Event] = []
    for step in range(1, 11):
        told += run(trainer, range(33 + 3 * step, 34 + 3 * step), FOUR + 0.25 * step, daily=2_000)[1]
    assert not [event for event in told if isinstance(event, Birth | Death)]
    assert [event for event in told if isinstance(event, Shift)]


def test_a_persona_that_has_been_elsewhere_for_long_is_at_home_there() -> None:
    """Only where personas have been lately counts: in the end a long way of small steps kills nobody."""
    trainer = Trainer(settings((4, 4)))
    run(trainer, range(0, 36, 3), daily=2_000)
    told: list[Event] = []
    for step in range(1, 13):
        going = FOUR.copy()
        going[3, 3] += 0.2 * step  # away from all others
        told += run(trainer, range(36 + 30 * step, 37 + 30 * step), going, daily=2_000)[1]
    assert not [event for event in told if isinstance(event, Birth | Death)]


def test_drift_is_told_with_the_next_version_and_once() -> None:
    trainer = Trainer(settings((4, 4)))
    models, _ = run(trainer, range(2))
    moved = FOUR.copy()
    moved[1] += 0.6
    number = int(models[-1].nearest(np.expm1(FOUR[1:2]))[0])
    models, events = run(trainer, range(2, 3), moved)
    drifts = [event for event in events if isinstance(event, Drift)]
    assert {drift.number for drift in drifts} == {number}
    assert drifts[0].after > 1.05 * drifts[0].before
    _, events = run(trainer, range(3, 9), moved)
    assert events == []


def test_an_unchanged_population_has_no_drift() -> None:
    trainer = Trainer(settings((4, 4)))
    run(trainer, range(1))
    _, events = run(trainer, range(1, 10))
    assert events == []


def test_a_persona_below_the_least_share_dies_where_there_may_be_fewer() -> None:
    trainer = Trainer(settings((2, 5), min_share=0.0))
    models, _ = run(trainer, range(1), FIVE, (1, 1, 1, 1, 0.2))
    assert len(models[0].personas) == 5
    strict = Trainer(settings((2, 5), min_share=0.1), models[0])
    models, events = run(strict, range(1, 4), FIVE, (1, 1, 1, 1, 0.2))
    assert [len(model.personas) for model in models] == [5, 5, 4]
    assert sum(isinstance(event, Death) for event in events) == 1
    models, events = run(strict, range(4, 10), FIVE, (1, 1, 1, 1, 0.2))
    assert not [event for event in events if isinstance(event, Birth | Death)]


def test_killed_and_started_again_it_publishes_the_same_to_the_last_bit() -> None:
    def models(kills: bool) -> list[bytes]:
        trainer = Trainer(settings((2, 6)))
        found = []
        for day in range(7):
            sizes = (1, 1, 1, 1, 0.3 if day > 2 else 0)
            trainer.learn(customers(DAILY, day, FIVE, sizes)[0])
            if kills and trainer.last is not None:
                # What was learned since the last version is read once more.
                trainer = Trainer(settings((2, 6)), decode(encode(trainer.last)))
                trainer.learn(customers(DAILY, day, FIVE, sizes)[0])
            found.append(encode(publish(trainer, day)[0]))
        return found

    assert models(True) == models(False)


def test_how_samples_are_cut_into_batches_does_not_matter() -> None:
    def last(size: int) -> bytes:
        trainer = Trainer(settings((4, 4)))
        for day in range(2):
            vectors = customers(3_000, day)[0]
            for i in range(0, len(vectors), size):
                trainer.learn(vectors[i : i + size])
            publish(trainer, day)
        assert trainer.last is not None
        return encode(trainer.last)

    assert last(1) == last(7) == last(3_000)


def test_it_neither_uses_nor_moves_the_random_numbers_of_others() -> None:
    def digest() -> bytes:
        trainer = Trainer(settings((2, 5)))
        run(trainer, range(2), daily=3_000)
        assert trainer.last is not None
        return encode(trainer.last)

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state is what this is about
    first = digest()
    drawn = random.random(), np.random.random()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    assert drawn == (random.random(), np.random.random())  # noqa: NPY002
    assert digest() == first


def test_hashes_do_not_matter() -> None:
    script = (
        "import hashlib\n"
        "from stream.personas.model import encode\n"
        "from stream.personas.training import Trainer\n"
        "from tests.personas.mixtures import customers, settings\n"
        "trainer = Trainer(settings((2, 6)))\n"
        "for day in range(2):\n"
        "    trainer.learn(customers(3_000, day)[0])\n"
        "    model = trainer.publish(day, day).model\n"
        "print(hashlib.sha256(encode(model)).hexdigest())\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(PROJECT)},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1", "12345")
    }
    assert len(found) == 1
    assert len(found.pop()) == hashlib.sha256().digest_size * 2


def test_another_seed_and_another_order_find_the_same_personas_as_good_as_batches_do() -> None:
    """Groups that overlap: a batch k-means with ten starts on the same scaled vectors is what we are measured by."""
    shape = np.random.default_rng(5)
    centres = 4 + 1.45 * shape.normal(size=(6, 4))
    sizes = tuple(shape.dirichlet(np.full(6, 8.0)).tolist())
    vectors, groups = customers(3_000, 1, centres, sizes, 0.67)
    found = []
    for seed in SEEDS:
        trainer = Trainer(settings((6, 6), seed=seed))
        for day in range(2):
            trainer.learn(customers(10_000, 100 + 10 * seed + day, centres, sizes, 0.67)[0])
            model, _ = publish(trainer, day)
        scaled = transformed(vectors) / np.array(model.scales)
        batch = started(scaled, 6, np.random.default_rng(0), 10)
        theirs = ((scaled[:, None] - batch) ** 2).sum(axis=2).argmin(axis=1)
        ours = model.nearest(vectors)
        assert 0.6 < agreement(groups, theirs) < 0.95
        assert agreement(groups, ours) >= 0.95 * agreement(groups, theirs)
        found.append(ours)
    assert min(agreement(a, b) for a, b in combinations(found, 2)) >= 0.9


def test_real_purchases_are_grouped_as_well_as_batches_do() -> None:
    purchases: dict[str, list[tuple[int, float]]] = {}
    for event in shared_events("cdnow_sample.jsonl.gz"):
        purchases.setdefault(event["customer_id"], []).append((event["timestamp"], event["total"]))
    end = max(at for mine in purchases.values() for at, _ in mine)
    vectors = np.array(
        [
            (len(mine), sum(total for _, total in mine), (end - max(at for at, _ in mine)) / DAY_MS)
            for mine in purchases.values()
        ]
    )
    for seed in SEEDS:
        trainer = Trainer(Settings(("orders", "spent", "recency"), ("a", "b", "c"), (5, 5), seed=seed))
        for day in range(2):
            trainer.learn(vectors[np.random.default_rng((seed, day)).integers(len(vectors), size=10_000)])
            model, _ = publish(trainer, day)
        scaled = transformed(vectors) / np.array(model.scales)
        batch = started(scaled, 5, np.random.default_rng(0), 10)
        theirs = ((scaled[:, None] - batch) ** 2).sum(axis=2).min(axis=1).sum()
        assert (model.distances(vectors).min(axis=1) ** 2).sum() <= 1.05 * theirs


def test_there_is_no_version_of_too_few_samples_and_they_are_not_lost() -> None:
    trainer = Trainer(settings((4, 4)))
    trainer.learn(customers(79, 1)[0])
    found = trainer.publish(0, 79)
    assert found.model is None
    assert found.reason == "only 79 samples since the last version, 80 are needed"
    trainer.learn(customers(400, 2)[0])
    model, _ = publish(trainer, 1)
    vectors, groups = customers(1_000, 3)
    assert agreement(model.nearest(vectors), groups) > 0.9
    # Nothing has been learned since.
    assert trainer.publish(2 * DAY_MS, 479).model is None


def test_a_version_that_is_worse_on_what_was_held_back_is_not_published() -> None:
    trainer = Trainer(settings((4, 4)))
    run(trainer, range(1))
    restless = Trainer(settings((4, 4), rate=0.9), trainer.last)
    restless.learn(customers(DAILY, 5)[0])
    found = restless.publish(DAY_MS, DAILY)
    assert found.model is None
    assert found.reason is not None
    assert found.reason.startswith("customers would lie further from the centres")
    assert restless.last is trainer.last


def test_other_features_begin_anew_but_no_number_is_given_again() -> None:
    trainer = Trainer(settings((4, 4)))
    (before,), _ = run(trainer, range(1))
    other = replace(settings((4, 4)), features=("a", "b", "c", "d"))
    (model,), events = run(Trainer(other, before), range(1, 2))
    assert (model.version, numbers(model)) == (2, [5, 6, 7, 8])
    assert [event.number for event in events if isinstance(event, Death)] == [1, 2, 3, 4]


@pytest.mark.parametrize(("k", "count"), [((6, 6), 6), ((3, 3), 3), ((2, 6), 4)])
def test_other_bounds_go_on_from_the_same_personas(k: tuple[int, int], count: int) -> None:
    trainer = Trainer(settings((4, 4)))
    (before,), _ = run(trainer, range(1))
    (model,), _ = run(Trainer(settings(k), before), range(1, 2))
    assert len(model.personas) == count
    assert len(set(numbers(model)) & {1, 2, 3, 4}) >= 2


def test_few_samples_a_version_do_not_shake_the_shares() -> None:
    trainer = Trainer(settings((4, 4)))
    run(trainer, range(1), sizes=(1, 1, 1, 0.2))
    models, _ = run(trainer, range(1, 10), sizes=(1, 1, 1, 0.2), daily=150)
    smallest = [min(one.share for one in model.personas) for model in models]
    assert smallest == pytest.approx([0.2 / 3.2] * 9, abs=0.015)
    assert all(sum(one.share for one in model.personas) == pytest.approx(1) for model in models)


@pytest.mark.parametrize(
    "raw", [np.zeros(4), np.zeros((2, 3)), np.array([[0.0, 1, 2, np.nan]]), np.full((1, 4), np.inf)]
)
def test_what_are_no_samples_is_refused(raw: Floats) -> None:
    with pytest.raises(SamplesError, match="expected samples|have to be finite"):
        Trainer(settings((4, 4))).learn(raw)


def test_customers_who_are_all_alike_are_no_trouble() -> None:
    trainer = Trainer(settings((2, 4)))
    for day in range(3):
        trainer.learn(np.ones((3_000, 4)))
        model, _ = publish(trainer, day)
    assert model.scales == (1.0, 1.0, 1.0, 1.0)


def test_a_shift_is_told_once_with_the_feature_that_has_moved_most() -> None:
    trainer = Trainer(settings((4, 4)))
    models, _ = run(trainer, range(2))
    moved = FOUR.copy()
    moved[1, 0] += 0.3  # by which its customers are not further from a centre that follows
    number = int(models[-1].nearest(np.expm1(FOUR[1:2]))[0])
    models, events = run(trainer, range(2, 8), moved)
    (shift,) = [event for event in events if isinstance(event, Shift)]
    assert (shift.number, shift.feature) == (number, settings((4, 4)).names[0])
    assert shift.before == pytest.approx(np.expm1(FOUR[1, 0]), rel=0.1)
    assert shift.before < shift.after < np.expm1(moved[1, 0]) * 1.1
    assert number in numbers(models[-1])
