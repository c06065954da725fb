"""The distributions of what customers are ranked by: how near they are to the truth, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stream.personas.model import Floats, Model, decode, encode
from stream.personas.quantiles import rank
from stream.personas.training import Settings, Trainer
from tests.personas.mixtures import DAY_MS, FEATURES, NAMES, customers

SPENT, BASKET, AGE = "sum(purchase.total, 90d)", "avg(purchase.total)", "last(click)"
SETTINGS = Settings(NAMES, FEATURES, (4, 4), ranked=(SPENT, BASKET, AGE))
PEOPLE = 30_000


def population(seed: int, n: int = PEOPLE) -> Floats:
    """What customers have (n, 3): half spent nothing, many the price of one thing; few have a basket; ages by weeks."""
    random = np.random.default_rng(seed)
    spent = np.where(random.random(n) < 0.7, 19.99 * random.integers(1, 4, n), random.lognormal(4, 1.5, n))
    spent = np.where(random.random(n) < 0.5, 0.0, spent)
    basket = np.where(spent > 0, spent / random.integers(1, 5, n), np.nan)
    return np.column_stack([spent, basket, 7.0 * random.geometric(0.2, n)])


def published(trainer: Trainer, days: range, daily: int, seed: int = 0) -> Model:
    people = population(seed)
    model = None
    for day in days:
        random = np.random.default_rng(100 + day)
        features = customers(daily, 1_000 + day)[0]
        trainer.learn(np.column_stack([features, people[random.integers(0, len(people), daily)]]))
        found = trainer.publish(day * DAY_MS, day * daily)
        assert found.model is not None, found.reason
        model = found.model
    assert model is not None
    return model


def error(quantiles: tuple[float, ...], values: Floats) -> float:
    """By how much a rank is wrong at most, of all values and beside them."""
    there = np.sort(values[~np.isnan(values)])
    tried = np.unique(np.concatenate([there, there + 1e-6, there - 1e-6]))
    truth = np.searchsorted(there, tried) / len(there)
    said = np.maximum(0, np.searchsorted(quantiles, tried) - 1) / 200
    assert [rank(quantiles, x) for x in tried[:9].tolist()] == said[:9].tolist()
    return float(np.abs(truth - said).max())


def test_of_all_customers_a_rank_is_the_true_share_rounded_down() -> None:
    people = population(1, 2_000)
    trainer = Trainer(SETTINGS)
    trainer.learn(np.column_stack([customers(2_000, 1)[0], people]))
    model = trainer.publish(0, 0).model
    assert model is not None
    for text, values in zip(SETTINGS.ranked, people.T, strict=True):
        there = np.sort(values[~np.isnan(values)])
        for x in np.unique(there).tolist():
            truth = np.searchsorted(there, x) / len(there)
            said = rank(model.quantiles[text], x)
            assert said is not None
            assert said <= truth < said + 0.005


@pytest.mark.parametrize("seed", range(3))
def test_of_samples_it_is_within_a_percentage_point(seed: int) -> None:
    model = published(Trainer(SETTINGS), range(3), 20_000, seed)
    for text, values in zip(SETTINGS.ranked, population(seed).T, strict=True):
        assert error(model.quantiles[text], values) < 0.01


def test_many_small_versions_are_as_near_to_the_truth() -> None:
    model = published(Trainer(SETTINGS), range(60), 1_000)
    for text, values in zip(SETTINGS.ranked, population(0).T, strict=True):
        assert error(model.quantiles[text], values) < 0.01
    assert model.training.ranked[SPENT] == 20_000
    assert isinstance(model.training.ranked[SPENT], float)  # as it is again when it is read


def test_half_of_all_have_nothing() -> None:
    trainer = Trainer(Settings(NAMES, FEATURES, (4, 4), ranked=(SPENT,)))
    for day in range(3):
        spent = np.where(np.arange(1_000) % 2, 0.0, 5.0)
        trainer.learn(np.column_stack([customers(1_000, day)[0], spent]))
        model = trainer.publish(day * DAY_MS, 0).model
        assert model is not None
        assert [rank(model.quantiles[SPENT], x) for x in (0.0, 1e-9, 5.0, 5.1)] == [0.0, 0.5, 0.5, 1.0]


def test_a_distribution_that_nobody_is_in_is_empty() -> None:
    trainer = Trainer(Settings(NAMES, FEATURES, (4, 4), ranked=(BASKET,)))
    trainer.learn(np.column_stack([customers(1_000, 1)[0], np.full(1_000, np.nan)]))
    model = trainer.publish(0, 0).model
    assert model is not None
    assert (model.quantiles, model.training.ranked) == ({BASKET: ()}, {BASKET: 0.0})
    assert rank((), 1.0) is None


def test_it_follows_customers_who_change() -> None:
    trainer = Trainer(Settings(NAMES, FEATURES, (4, 4), ranked=(SPENT,)))
    for day in range(12):
        spent = np.full(4_000, 1.0 if day < 4 else 2.0)
        trainer.learn(np.column_stack([customers(4_000, day)[0], spent]))
        model = trainer.publish(day * DAY_MS, 0).model
        assert model is not None
    assert model is not None
    shares = [rank(model.quantiles[SPENT], x) for x in (1.0, 2.0)]
    assert shares[0] == 0.0
    assert shares[1] is not None
    assert 0.1 < shares[1] < 0.2  # 0.8 ** 8 of what is known is from the first days


def test_a_restart_makes_no_difference_to_the_last_bit() -> None:
    whole, first = Trainer(SETTINGS), Trainer(SETTINGS)
    expected = published(whole, range(4), 2_000)
    last = decode(encode(published(first, range(2), 2_000)))
    got = published(Trainer(SETTINGS, last), range(2, 4), 2_000)
    assert encode(got) == encode(expected)


def test_what_is_ranked_anew_begins_anew_and_what_is_not_any_more_is_left_out() -> None:
    last = published(Trainer(SETTINGS), range(2), 2_000)
    trainer = Trainer(Settings(NAMES, FEATURES, (4, 4), ranked=(AGE, "count(click)")), last)
    trainer.learn(np.column_stack([customers(1_000, 1)[0], np.full(1_000, 7.0), np.ones(1_000)]))
    model = trainer.publish(5 * DAY_MS, 0).model
    assert model is not None
    assert model.training.ranked == {AGE: 5_000, "count(click)": 1_000}


def test_what_lies_before_the_samples_lies_longer_before_the_version() -> None:
    shifted = Trainer(replace(SETTINGS, instants=frozenset({AGE})))
    usual = Trainer(SETTINGS)
    raw = np.column_stack([customers(2_000, 1)[0], population(0)[:2_000]])
    models = []
    for trainer in (shifted, usual):
        trainer.learn(raw, DAY_MS)
        trainer.learn(raw[:0], DAY_MS + 100)  # nobody: the time of the others holds
        models.append(trainer.publish(DAY_MS + 3_600_000, 0).model)
    later, same = models
    assert later is not None
    assert same is not None
    assert later.quantiles[AGE] == tuple(age + 1 / 24 for age in same.quantiles[AGE])
    assert later.quantiles[SPENT] == same.quantiles[SPENT]


def test_instants_of_an_older_version_fill_up_only_what_was_not_sampled() -> None:
    settings = Settings(NAMES, FEATURES, (4, 4), ranked=(BASKET, AGE), instants=frozenset({AGE}))
    trainer = Trainer(settings)
    for day in range(2):
        half = np.where(np.arange(20_000) % 2 == 0, 1.0 + day, np.nan)
        trainer.learn(np.column_stack([customers(20_000, 1 + day)[0], half, half]))
        model = trainer.publish(day * DAY_MS, 0).model
    assert model is not None
    assert model.training.ranked == {BASKET: 20_000, AGE: 10_000}
    assert set(model.quantiles[AGE]) == {2.0}
    assert set(model.quantiles[BASKET]) == {1.0, 2.0}


def test_samples_of_another_partition_that_come_late_date_only_themselves() -> None:
    settings = Settings(NAMES, FEATURES, (4, 4), ranked=(AGE,), instants=frozenset({AGE}))
    trainer = Trainer(settings)
    for seed, at_ms in ((1, 2 * DAY_MS), (2, DAY_MS)):
        trainer.learn(np.column_stack([customers(1_000, seed)[0], np.full(1_000, 5.0)]), at_ms)
    model = trainer.publish(2 * DAY_MS, 0).model
    assert model is not None
    assert set(model.quantiles[AGE]) == {5.0, 6.0}
