"""Images: a partition that goes on from one gives what the other gives, to the last byte."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from stream.engine.image import fingerprint_of
from stream.engine.partition import Clock, Partition
from stream.engine.text_index import TextIndex
from tests import strategies
from tests.effort import seeds
from tests.engine.driver import Lane, plan_of
from tests.engine.making import click, file

Dict = dict[str, Any]


def placed(partition: Partition) -> Partition:
    """Another partition that has taken over its image."""
    other = Partition(partition.plan, partition.clock, partition.lateness_ms)
    other.place(partition.image())
    return other


@pytest.mark.parametrize("part", range(4))
def test_what_goes_on_from_an_image_gives_the_same(part: int) -> None:
    for seed in seeds(part, 15):
        random = Random(seed)
        definitions, events, until_ms = strategies.random_case(random)
        lane = Lane(plan_of(definitions), Clock.HELD, 0, random)
        middle = random.randrange(len(events) + 1)
        partition = lane.partition
        partition.apply(lane.columns(events[:middle]))
        if len(partition.profiles) and random.random() < 0.5:
            partition.remove(partition.profiles.customer(int(partition.profiles.every_row()[0])))
        other = placed(partition)
        assert other.snapshot() == partition.snapshot()
        rest = lane.columns(events[middle:])
        to_ms = 4_000_000_000_000 if until_ms is None else until_ms
        changes = [one.apply(rest).changes.records + one.advance(to_ms).records for one in (partition, other)]
        assert changes[0] == changes[1]
        assert other.snapshot() == partition.snapshot()


def test_an_image_is_a_copy() -> None:
    definitions = file(s='last(click.category) == "shoes"')
    lane = Lane(plan_of(definitions), Clock.HELD, 0, Random(0))
    lane.partition.apply(lane.columns([click("e1", 1, "a", category="hats")]))
    image, before = lane.partition.image(), lane.partition.snapshot()
    lane.partition.apply(lane.columns([click("e2", 2, "a", category="shoes"), click("e3", 3, "b", category="x")]))
    other = Partition(lane.plan)
    other.place(image)
    assert other.snapshot() == before


def test_several_blocks_of_rows() -> None:
    lane = Lane(plan_of(file(s="count(click) >= 2")), Clock.HELD, 0, Random(0))
    lane.partition.apply(lane.columns([click(f"e{i}", i, f"customer {i}") for i in range(5_000)]))
    assert len(lane.partition.image().blocks) == 3
    assert placed(lane.partition).snapshot() == lane.partition.snapshot()


def test_another_plan_has_another_fingerprint() -> None:
    plans = [plan_of(file(s=text)) for text in ("count(click) >= 2", "count(click) >= 3", "count(click, 1h) >= 2")]
    assert len({fingerprint_of(plan) for plan in plans}) == 3
    with pytest.raises(AssertionError, match="another plan"):
        Partition(plans[0]).place(Partition(plans[1]).image())


def test_an_index_goes_on_giving_numbers_as_before() -> None:
    index = TextIndex()
    index.take_texts([f"text {i}" for i in range(700)])
    for i in range(0, 600, 3):
        index.remove(f"text {i}")
    other = TextIndex()
    other.place(index.image())
    for one in (index, other):
        assert one.take_texts([f"new {i}" for i in range(300)])[0].min() == 0
    assert np.array_equal(index.numbers(), other.numbers())
    assert index.texts(index.numbers()) == other.texts(other.numbers())
    for i in range(700):
        assert index.remove(f"text {i}") == other.remove(f"text {i}")
