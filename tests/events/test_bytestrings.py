"""Byte strings in one array are what they are in a list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events.bytestrings import Bytestrings
from stream.events.bytewise import PADDING
from stream.events.spans import make_spans

VALUES = st.lists(st.none() | st.binary(max_size=20), max_size=12)


@given(VALUES, VALUES)
def test_they_are_a_sequence(first: list[bytes | None], second: list[bytes | None]) -> None:
    one, other = Bytestrings.of(first), Bytestrings.of(second)
    assert list(one) == first
    assert list(one[1:]) == first[1:]
    assert list(Bytestrings.joined([one, other, one[2:]])) == first + second + first[2:]
    assert list(Bytestrings.joined([one, one[1:]])) == first + first[1:]
    assert Bytestrings.of(one) is one


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9), max_size=9))
def test_separated(texts: list[str]) -> None:
    encoded = [text.encode() for text in texts]
    joined = Bytestrings.of([b"before", *encoded])[1:].separated().tobytes()
    assert joined == b"".join(text + b"\0" for text in encoded) + bytes(PADDING)


@pytest.mark.parametrize(
    ("odd", "error"), [(None, TypeError), (b"a\0", ValueError), (b"\0", ValueError), (b"\xff", ValueError)]
)
def test_what_cannot_be_separated(odd: bytes | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        Bytestrings.of([b"a", odd, b"b"]).separated()


@given(st.lists(st.tuples(st.sampled_from(["", "a", "ab", "é"]), st.sampled_from([None, b"", b"a", b"ab", b"b"]))))
def test_differing(pairs: list[tuple[str, bytes | None]]) -> None:
    data, spans, _ = make_spans([text for text, _ in pairs])
    which = np.arange(len(pairs))[::-1].copy()
    found = Bytestrings.of([string for _, string in pairs][::-1]).differing(data, spans, which)
    assert found.tolist() == [i for i, (text, string) in enumerate(pairs) if text.encode() != string]
