"""Bytes read eight at a time: the same as one at a time."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import pytest

from stream.compiled import compiled
from stream.contract import hash64
from stream.events import bytewise


@compiled
def _hash(data: bytewise.Bytes, at: int, size: int) -> int:
    return bytewise.short_hash(data, at, size)


@compiled
def _mark(data: bytewise.Bytes, at: int) -> int:
    return bytewise.next_mark(data, at)


def padded(text: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text + bytes(bytewise.PADDING), np.uint8)


@pytest.mark.parametrize("size", range(bytewise.SHORT + 1))
def test_short_hashes_are_xxh3(size: int) -> None:
    text = "".join(random.Random(size).choices("abcdefghij\x00\x7f", k=size))
    assert _hash(padded(b"xyz" + text.encode() + b"more"), 3, size) % 2**64 == hash64(text)


def test_the_next_mark_is_the_first_one() -> None:
    draw = random.Random(1)
    marks = {*range(0x20), ord('"'), ord("\\")}
    for _ in range(3_000):
        text = (
            bytes(draw.choices(b'ab\x7f\x80\xff !#[]\xa2\xdc\x9f"\\\x1f\x00\n', weights=[3] * 13 + [1] * 5, k=40))
            + b'"'
        )
        start = draw.randrange(41)
        assert _mark(padded(text), start) == next(i for i in range(start, 41) if text[i] in marks)


@compiled
def _copy(source: bytewise.Bytes, start: int, size: int, target: bytewise.Bytes, at: int) -> None:
    bytewise.copy_bytes(source, start, size, target, at)


@compiled
def _put(word: int, target: bytewise.Bytes, at: int) -> None:
    bytewise.put_word(word, target, at)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 31, 200])
def test_copied_bytes_are_those_and_no_others(size: int) -> None:
    source = np.frombuffer(random.Random(size).randbytes(230), np.uint8)
    target = np.full(250, 0xEE, np.uint8)
    _copy(source, 13, size, target, 17)
    assert target.tobytes() == b"\xee" * 17 + source[13 : 13 + size].tobytes() + b"\xee" * (233 - size)


@pytest.mark.parametrize("word", [0, -1, 1, 0x0102030405060708, -(2**63), 2**63 - 1])
def test_a_word_is_eight_bytes_the_lowest_one_first(word: int) -> None:
    target = np.full(19, 0xEE, np.uint8)
    _put(word, target, 3)
    assert target.tobytes() == b"\xee" * 3 + word.to_bytes(8, "little", signed=True) + b"\xee" * 8
