"""Texts as places in an array of bytes: one integer each, so that columns of texts are arrays too."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from stream.contract import TEXT_LENGTH
from stream.events.bytewise import PADDING, Bytes

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

#: The span of a text that is not there.
MISSING: Final = -1

#: A span is the place of the first byte, and in so many low bits how many there are.
SIZE_BITS: Final = 15
SIZE_MASK: Final = (1 << SIZE_BITS) - 1

#: Joins texts to bytes that could be written to, like those of events: compiled code is made for one kind of them.
_NOTHING: Final = bytearray()

assert 4 * TEXT_LENGTH <= SIZE_MASK, "the longest text in UTF-8"


def text_of(view: memoryview, span: int) -> str:
    """The text of a span that is there, in the view of its array of bytes."""
    at = span >> SIZE_BITS
    return str(view[at : at + (span & SIZE_MASK)], "utf-8")


def present_texts(data: Bytes, spans: Ints) -> list[str]:
    """The texts of ``n`` spans, all of them there."""
    sizes = spans & SIZE_MASK
    ends = np.cumsum(sizes)
    # All bytes at once, since cutting a text of one byte a character is many times cheaper than decoding each.
    places = np.arange(ends[-1] if len(ends) else 0) + np.repeat((spans >> SIZE_BITS) - ends + sizes, sizes)
    together = data[places].tobytes()
    if not together.isascii():
        view = memoryview(data)  # type: ignore[arg-type]  # an array is a buffer
        return [text_of(view, span) for span in spans.tolist()]
    text, bounds = together.decode(), [0, *ends.tolist()]
    return [text[start:end] for start, end in itertools.pairwise(bounds)]


def make_spans(texts: Sequence[str]) -> tuple[Bytes, Ints, Hashes]:
    """Bytes of ``n`` texts, their spans (n,), and their hashes (n,)."""
    encoded = [text.encode() for text in texts]
    sizes = np.fromiter(map(len, encoded), np.int64, len(encoded))
    data = np.frombuffer(_NOTHING.join([*encoded, bytes(PADDING)]), np.uint8)
    return data, (np.cumsum(sizes) - sizes) << SIZE_BITS | sizes, hash_all(encoded)


def hash_all(encoded: Sequence[bytes]) -> Hashes:
    """(n,) hash64 of each text, given in UTF-8, with 1 in the place of 0 (which means that there is no text)."""
    digests = b"".join(map(xxhash.xxh3_64_digest, encoded))
    return np.maximum(np.frombuffer(digests, ">u8").astype(np.uint64), 1)
