"""The parts of training: centres, moves, identity, labels, drift and scaling, each by itself."""

from __future__ import annotations

import numpy as np
import pytest

from stream.personas.centres import cut, grown, inertia, settled, shares, shrunk, started
from stream.personas.drift import Drift, DriftWatch
from stream.personas.identity import matched, strayed
from stream.personas.labels import labels
from stream.personas.model import Floats
from stream.personas.moves import Move, best_start, better_moves, without_smallest
from stream.personas.online import OnlineKMeans
from stream.personas.scaling import Scaling

CORNERS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def around(centres: Floats, each: int, seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    return np.repeat(centres, each, axis=0) + random.normal(size=(each * len(centres), centres.shape[1]))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def in_order(centres: Floats) -> Floats:
    return np.array(sorted(centres.tolist()))


def test_a_start_finds_the_groups() -> None:
    found = started(around(CORNERS, 100), 4, rng(), 3)
    assert in_order(found) == pytest.approx(in_order(CORNERS), abs=0.4)


def test_a_start_among_fewer_different_samples_than_centres_ends() -> None:
    found = started(np.ones((50, 2)), 3, rng(), 2)
    assert found.tolist() == [[1.0, 1.0]] * 3


def test_settling_never_makes_it_worse_and_leaves_idle_centres() -> None:
    samples = around(CORNERS, 100)
    begin = np.array([[1.0, 1.0], [2.0, 2.0], [500.0, 500.0]])
    after = settled(samples, begin)
    assert inertia(samples, after) < inertia(samples, begin)
    assert after[2].tolist() == [500.0, 500.0]


def test_one_more_centre_goes_to_the_group_that_has_none() -> None:
    more = grown(around(CORNERS, 100), CORNERS[:3], rng(), 0.05)
    assert more is not None
    assert in_order(more) == pytest.approx(in_order(CORNERS), abs=0.4)


def test_no_centre_is_added_for_a_handful() -> None:
    samples = np.vstack([np.repeat(CORNERS[:2], 100, axis=0), [[50.0, 50.0]]])
    assert grown(samples, CORNERS[:2], rng(), 0.05) is None
    assert grown(samples, CORNERS[:2], rng(), 0.001) is not None


def test_no_centre_is_added_where_all_samples_lie_on_centres() -> None:
    assert grown(np.repeat(CORNERS, 10, axis=0), CORNERS, rng(), 0.0) is None


def test_the_centre_that_is_missed_least_goes() -> None:
    samples = around(CORNERS, 100)
    fewer = shrunk(samples, np.vstack([CORNERS, [[0.5, 0.5]]]))
    assert in_order(fewer) == pytest.approx(in_order(CORNERS), abs=0.4)


def test_the_smallest_is_put_elsewhere_but_not_where_it_would_be_small_again() -> None:
    samples = around(CORNERS, 100)
    found = without_smallest(samples, np.vstack([CORNERS[:3], [[300.0, 300.0]]]), rng(), 0.05)
    assert found is not None
    assert shares(samples, found) == pytest.approx([0.25] * 4, abs=0.02)
    remote = np.vstack([np.repeat(CORNERS[:1], 400, axis=0), [[90.0, 90.0]]])
    assert without_smallest(remote, np.array([[0.0, 0.0], [90.0, 90.0]]), rng(), 0.05) is None


@pytest.mark.parametrize("width", [1, 2, 4])
def test_what_a_cut_through_the_middle_brings(width: int) -> None:
    ball = rng().normal(size=(20_000, width))
    assert cut(ball, np.zeros((1, width))) == pytest.approx(2 / np.pi / width, abs=0.02)


def test_one_gap_among_groups_does_not_change_what_a_cut_brings() -> None:
    samples = around(CORNERS, 500)
    assert cut(samples, settled(samples, CORNERS[:3])) == pytest.approx(cut(samples, CORNERS), abs=0.02)
    assert cut(samples, np.array([[5.0, 0.0], [5.0, 10.0]])) > 0.9


def test_nothing_is_brought_by_cutting_what_lies_in_one_place() -> None:
    assert cut(np.ones((50, 2)), np.array([[1.0, 1.0], [0.0, 0.0]])) == 0.0


def moves(samples: Floats, present: Floats, bounds: tuple[int, int]) -> list[Move]:
    held = samples[::5]
    return [found.move for found in better_moves(samples, held, present, bounds, 0.01, rng())]


def test_one_more_where_a_group_has_no_centre() -> None:
    samples = around(CORNERS, 300)
    assert moves(samples, CORNERS[:3], (2, 6)) == [Move.MORE]
    assert moves(samples, CORNERS[:3], (2, 3)) == []


def test_two_more_where_groups_lie_in_pairs() -> None:
    pairs = np.array([[0.0, 0.0], [2.5, 0.0], [0.0, 40.0], [2.5, 40.0], [40.0, 0.0]])
    samples = around(pairs, 300)
    present = np.array([[1.25, 0.0], [1.25, 40.0], [40.0, 0.0]])
    # One of them alone does not bring enough.
    assert moves(samples, present, (2, 4)) == []
    (found,) = better_moves(samples, samples[::5], present, (2, 9), 0.01, rng())
    assert (found.move, len(found.centres)) == (Move.MORE, 5)


def test_one_fewer_where_a_group_has_two() -> None:
    samples = around(CORNERS, 300)
    five = settled(samples, np.vstack([CORNERS, [[0.5, 0.5]]]))
    assert moves(samples, five, (2, 6)) == [Move.FEWER]
    assert moves(samples, five, (5, 6)) == []


def test_an_exchange_where_a_group_has_two_and_another_none() -> None:
    samples = around(CORNERS, 300)
    bad = settled(samples, np.vstack([CORNERS[:3], [[0.5, 0.5]]]), 1)
    assert moves(samples, np.vstack([CORNERS[:3], [[500.0, 500.0]]]), (4, 4)) == [Move.EXCHANGE]
    assert Move.EXCHANGE in moves(samples, bad, (4, 4))


def test_no_move_where_each_group_has_its_centre() -> None:
    assert moves(around(CORNERS, 300), CORNERS, (2, 8)) == []


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_one_ball_is_not_parted_further(width: int) -> None:
    samples = np.random.default_rng(width).normal(size=(4_000, width))
    present = started(samples, 3, rng(), 3)
    assert Move.MORE not in moves(samples, present, (2, 8))


@pytest.mark.parametrize("groups", [2, 4, 6])
def test_a_start_finds_how_many_groups_there_are(groups: int) -> None:
    centres = 3.5 * np.random.default_rng(groups).permutation(np.eye(6))[:groups]
    samples = around(centres, 300)
    held = around(centres, 100, seed=1)
    assert len(best_start(samples, held, (2, 9), 0.01, rng())) == groups


@pytest.mark.parametrize("seed", range(3))
def test_groups_of_counts_are_not_parted_although_they_are_no_balls(seed: int) -> None:
    """Counts have many zeros and long tails: with one more centre their error falls faster than that of balls."""
    random = np.random.default_rng(seed)
    visits = np.array([15.0, 8, 12, 6])
    each = np.array([[0.1, 0.05, 0.9, 0.1], [0.9, 0.1, 0.1, 0.5], [0.1, 0.9, 0.8, 0.05], [0.05, 0.05, 0.3, 0.9]])
    groups = random.integers(4, size=8_000)
    came = random.poisson(visits[groups] * random.gamma(6.0, 1 / 6, size=8_000))
    samples = np.log1p(random.poisson(each[groups] * came[:, None] * random.gamma(2.0, 0.5, size=(8_000, 4))))
    samples /= samples.std(axis=0)
    # Those who have hardly been there are a fifth.
    assert len(best_start(samples, samples[::5], (2, 9), 0.01, rng())) == 5


def test_identity_does_not_hang_on_the_order() -> None:
    assert matched(CORNERS, CORNERS[[2, 0, 3, 1]] + 0.3) == [2, 0, 3, 1]


def test_the_sum_of_distances_decides_who_is_who() -> None:
    # Each for itself would be nearest to the first.
    before = np.array([[0.0], [10.0]])
    assert matched(before, np.array([[4.0], [7.0]])) == [0, 1]


def test_beyond_half_the_way_to_a_neighbour_it_is_another() -> None:
    before = np.array([[0.0], [10.0]])
    assert matched(before, np.array([[0.0], [15.1]])) == [0, None]
    assert matched(before, np.array([[0.0], [14.9]])) == [0, 1]


def test_the_one_that_is_new_takes_nobodys_place() -> None:
    assert matched(CORNERS, np.vstack([[[5.0, 30.0]], CORNERS + 1])) == [None, 0, 1, 2, 3]
    assert matched(CORNERS, CORNERS[[3, 1]]) == [3, 1]


def test_who_is_no_longer_where_they_have_been_has_strayed() -> None:
    been = np.array([[0.0], [10.0], [30.0]])
    now = np.array([[29.0], [4.9], [7.0], [16.0]])
    assert strayed(been, now, [2, 0, None, 1]) == [2, 0, None, None]
    assert strayed(been[:1], now[:1], [0]) == [0]


def test_a_single_persona_is_always_the_same() -> None:
    assert matched(np.array([[0.0]]), np.array([[100.0]])) == [0]


def test_labels_differ_as_far_as_personas_do() -> None:
    names = ("orders", "spent", "recency")
    places = np.array([[1.0, 0.9, 0.5], [1.0, 0.9, -0.5], [0.1, 0.1, 0.0]])
    assert labels(names, places) == [
        "high orders, high spent, high recency",
        "high orders, high spent, low recency",
        "average",
    ]


def test_the_same_in_another_order_is_no_difference() -> None:
    found = labels(("orders", "spent", "recency"), np.array([[1.0, 0.9, 0.5], [0.9, 1.0, -0.5]]))
    assert found == ["high orders, high spent, high recency", "high spent, high orders, low recency"]


@pytest.mark.parametrize("more", [0.0, 0.02, 0.5])
def test_drift_is_told_where_customers_go_further_away(more: float) -> None:
    random = np.random.default_rng(1)
    watch = DriftWatch()
    first = [watch.learn(1, distance) for distance in random.normal(1.0, 0.3, 5_000)]
    then = [watch.learn(1, distance) for distance in random.normal(1.0 + more, 0.3, 5_000)]
    assert first == [None] * 5_000
    told = [drift for drift in then if drift]
    if more < 0.05:
        assert told == []
        return
    assert isinstance(told[0], Drift)
    assert told[0].before == pytest.approx(1.0, abs=0.05)
    assert 1.05 < told[0].after < 1.0 + more + 0.05
    assert then.index(told[0]) < 500


def test_steps_that_are_small_add_up_to_a_drift() -> None:
    random = np.random.default_rng(2)
    watch = DriftWatch()
    told = [watch.learn(1, random.normal(1.0 + step * 0.02, 0.05)) for step in range(6) for _ in range(3_000)]
    assert len([drift for drift in told if drift]) == pytest.approx(2, abs=1)


def test_customers_who_come_nearer_are_no_drift() -> None:
    random = np.random.default_rng(3)
    watch = DriftWatch()
    told = [watch.learn(1, distance) for distance in [*random.normal(2.0, 0.3, 3_000), *random.normal(1.0, 0.3, 3_000)]]
    assert set(told) == {None}


def test_a_persona_that_is_gone_is_forgotten() -> None:
    watch = DriftWatch()
    for _ in range(2_000):
        watch.learn(1, 1.0)
    watch.keep([2])
    assert [watch.learn(1, 5.0) for _ in range(2_000)] == [None] * 2_000


def test_scales_are_standard_deviations_first_and_follow_then() -> None:
    random = np.random.default_rng(4)
    scaling = Scaling.empty(2)
    samples = random.normal([3.0, 0.0], [2.0, 0.0], size=(1_000, 2))
    for sample in samples:
        scaling.learn(sample)
    assert scaling.scales.tolist() == pytest.approx([samples[:, 0].std(), 1.0])
    for sample in random.normal([3.0, 0.0], [4.0, 0.0], size=(60_000, 2)):
        scaling.learn(sample)
    assert scaling.scales[0] == pytest.approx(4.0, rel=0.1)


def test_rivers_k_means_moves_the_nearest_centre_by_the_rate() -> None:
    online = OnlineKMeans(np.array([[0.0, 0.0], [10.0, 10.0]]), 0.1)
    assert online.learn([9.0, 11.0]) == 1
    assert online.centres.tolist() == [[0.0, 0.0], pytest.approx([9.9, 10.1])]
