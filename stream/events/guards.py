"""What msgspec does not look at: whether messages may be joined, bytes that are not UTF-8, nesting that is too deep.

All of it runs over a whole batch at once, at the speed of memory rather than of Python.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.contract import NESTING_LIMIT

_OPEN_BRACE = 0x7B
_CLOSE_BRACE = 0x7D
#: ``[`` is 0x5B and ``{`` is 0x7B: without bit 5 both are 0x5B, and nothing else is.
_CASE_BIT = np.uint8(0xDF)
_OPEN_BRACKET = np.uint8(0x5B)

_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

#: Bytes per block in which opening brackets are counted: 128 lanes of 8, so that a byte of a lane cannot overflow.
_BLOCK = 1024
#: msgspec reads exponents up to 99,999 only. A number that is wrong for it has 100,000 digits to make up for its
#: exponent, so longer messages than this are not for it.
LONG_MESSAGE = 65_536
#: Below this many messages a loop in Python is faster than setting up arrays.
_FEW = 12


def is_utf8(data: bytes) -> bool:
    """Whether ``data`` is valid UTF-8 (which has no surrogates and no overlong forms)."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def nesting(message: bytes) -> int:
    """The largest number of brackets that are open at once; a flat object has 1.

    >>> nesting(b'{"a": [{"b": "[[["}]}')
    3
    """
    brackets = np.frombuffer(_TEXT.sub(b"", message).translate(None, _NO_BRACKETS), np.uint8)
    opens = (brackets & _CASE_BIT) == _OPEN_BRACKET
    return int(np.cumsum(np.where(opens, 1, -1)).max(initial=0))


def is_too_deep(message: bytes) -> bool:
    """Whether the message is nested deeper than the contract allows."""
    # Counting is cheap, and whatever has few opening brackets cannot be deep.
    opens = message.count(b"{") + message.count(b"[")
    return opens > NESTING_LIMIT and nesting(message) > NESTING_LIMIT


def may_join(messages: Sequence[bytes], joined: bytes) -> bool:
    r"""Whether reading ``joined`` (the messages with newlines between) as lines is the same as reading each by itself.

    True means: should msgspec accept ``joined`` and return as many objects as there are messages, then each message is
    one object, in valid UTF-8 and not too deep. Each must begin with ``{`` and end with ``}``, so each newline that we
    put in has these around it. A raw newline is an error within a text, and within an object or array ``}`` is never
    followed by ``{``: so it lies between two whole values, each message is one value or more, and as many values as
    messages means one each. (A message may hold newlines of its own.)
    """
    n = len(messages)
    if n < _FEW:
        # Slices, because a message may be empty.
        return is_utf8(joined) and all(
            message[:1] == b"{" and message[-1:] == b"}" and len(message) <= LONG_MESSAGE and not is_too_deep(message)
            for message in messages
        )
    lengths = np.fromiter(map(len, messages), np.int64, n)
    if int(lengths.min()) < 2 or int(lengths.max()) > LONG_MESSAGE:
        return False
    data = np.frombuffer(joined, np.uint8)
    ends = np.cumsum(lengths + 1)  # where the next message starts; the newline is one before
    if data[0] != _OPEN_BRACE or not (data[ends[:-1]] == _OPEN_BRACE).all():
        return False
    if not (data[ends - 2] == _CLOSE_BRACE).all():
        return False
    return is_utf8(joined) and not _any_too_deep(messages, data, lengths)


def _any_too_deep(messages: Sequence[bytes], data: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]) -> bool:
    """Whether any of the messages joined in ``data`` is nested too deep.

    ``lengths`` is (n,): bytes of each message.
    """
    opens = np.bitwise_and(data, _CASE_BIT)
    np.equal(opens, _OPEN_BRACKET, out=opens.view(np.bool_))
    total = np.count_nonzero(opens)
    if total - len(messages) < NESTING_LIMIT:
        # Every message has one bracket at least: none can have a hundred more than that.
        return False
    # A message that is too deep has more than a hundred brackets within its own length.
    blocks = len(opens) // _BLOCK
    lanes = opens[: blocks * _BLOCK].view(np.uint64).reshape(blocks, _BLOCK // 8).sum(axis=1, dtype=np.uint64)
    counts = np.zeros(blocks + 2, np.int64)
    counts[1:-1] = lanes.view(np.uint8).reshape(blocks, 8).sum(axis=1, dtype=np.int64)
    counts[-1] = np.count_nonzero(opens[blocks * _BLOCK :])
    sums = np.cumsum(counts)
    span = min(int(lengths.max()) // _BLOCK + 2, blocks + 1)  # as many blocks as one message can touch
    if int((sums[span:] - sums[:-span]).max()) <= NESTING_LIMIT:
        return False
    starts = np.zeros(len(lengths), np.int64)
    np.cumsum(lengths[:-1] + 1, out=starts[1:])
    suspects = np.flatnonzero(np.add.reduceat(opens, starts, dtype=np.int64) > NESTING_LIMIT)
    return any(nesting(messages[i]) > NESTING_LIMIT for i in suspects.tolist())
