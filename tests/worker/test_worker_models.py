"""Versions of the personas as owners look them up."""

from __future__ import annotations

from random import Random

from stream.engine.centres import Centres
from stream.worker.models import Models


def version(number: int, effective_ms: int = 0) -> Centres:
    return Centres(number, ("count(click)",), (1,), (1.0,), ((0.0,),), effective_ms=effective_ms)


def test_they_are_found_whatever_the_order_in_which_they_came() -> None:
    numbers = [2, 3, 5, 8]
    for seed in range(20):
        models = Models()
        for number in Random(seed).sample(numbers, len(numbers)):
            models.add(version(number))
        found = {asked: (models.at(asked), models.after(asked)) for asked in range(10)}
        assert {asked: one and one.version for asked, (one, _) in found.items()} == {
            asked: max((number for number in numbers if number <= asked), default=None) for asked in range(10)
        }
        assert {asked: one and one.version for asked, (_, one) in found.items()} == {
            asked: min((number for number in numbers if number > asked), default=None) for asked in range(10)
        }


def test_the_first_one_of_a_number_stays() -> None:
    models = Models([version(1, 10), version(2, 20)])
    models.add(version(1, 99))
    first, second = models.at(1), models.after(1)
    assert first is not None
    assert second is not None
    assert (first.effective_ms, second.effective_ms) == (10, 20)


def test_one_at_a_time_has_its_turn() -> None:
    models = Models()
    first, second = object(), object()
    assert models.take_turn(first, 0)
    assert not models.take_turn(second, 50)
    assert models.take_turn(first, 90)  # it goes on
    assert not models.take_turn(second, 150)
    assert models.take_turn(second, 190)  # the first one has not been heard of
    models.end_turn(first)  # which was not its own any more
    assert not models.take_turn(first, 200)
    models.end_turn(second)
    assert models.take_turn(first, 201)
