"""Texts by number: as a dictionary, whatever is added, asked for and removed."""

from __future__ import annotations

import random

import numpy as np
import pytest

from stream.engine.text_index import TextIndex
from stream.events.spans import MISSING, make_spans
from tests.effort import seeds


def test_numbers_count_up_and_are_given_again() -> None:
    index = TextIndex()
    numbers, new = index.take_texts(["a", "b", "a", "é", ""])
    assert numbers.tolist() == [0, 1, 0, 2, 3]
    assert new.tolist() == [0, 1, 2, 3]
    assert index.texts(numbers) == ["a", "b", "a", "é", ""]
    assert index.remove("b") == 1
    assert index.remove("b") is None
    assert index.find("b") is None
    with pytest.raises(AssertionError):
        index.text(1)
    assert index.take_texts(["c", "d"])[0].tolist() == [1, 4]
    assert (len(index), index.end, index.numbers().tolist()) == (5, 5, [0, 1, 2, 3, 4])


def test_missing_texts_have_no_number() -> None:
    data, spans, hashes = make_spans(["a", "b"])
    spans[0] = MISSING
    index = TextIndex()
    numbers, new = index.take(data, spans, hashes)
    assert numbers.tolist() == [-1, 0]
    assert new.tolist() == [0]


def test_texts_with_equal_hashes_are_told_apart() -> None:
    texts = [f"text {i}" for i in range(50)]
    data, spans, hashes = make_spans(texts)
    hashes[:] = 7
    index = TextIndex()
    assert index.take(data, spans, hashes)[0].tolist() == list(range(50))
    assert index.take(data, spans[::-1].copy(), hashes)[0].tolist() == list(range(50))[::-1]


@pytest.mark.parametrize("part", range(4))
def test_it_is_as_a_dictionary(part: int) -> None:
    for seed in seeds(part, 20):
        draw = random.Random(seed)
        index, plain = TextIndex(), dict[str, int]()
        words = [
            draw.choice(["", "é", "x" * 9]) + str(i) * draw.randrange(1, 6) for i in range(draw.choice([5, 300, 5_000]))
        ]
        for _ in range(30):
            some = draw.choices(words, k=draw.randrange(600))
            numbers, new = index.take_texts(some)
            assert {index.text(number) for number in new.tolist()} == set(some) - set(plain)
            plain.update(zip(some, numbers.tolist(), strict=True))
            for word in draw.sample(words, min(len(words), draw.choice([0, 3, 200]))):
                assert index.remove(word) == plain.pop(word, None)
            assert len(index) == len(plain)
            assert index.numbers().tolist() == sorted(plain.values())
            for word in draw.sample(words, 5):
                assert index.find(word) == plain.get(word)
            there = list(plain)
            assert index.texts(np.array([plain[word] for word in there], np.int64)) == there
