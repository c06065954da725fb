"""How deep brackets are nested, whatever else is wrong with a message."""

from __future__ import annotations

import re

import numpy as np

from stream.contract import NESTING_LIMIT

#: ``[`` is 0x5B and ``{`` is 0x7B: without bit 5 both are 0x5B, and nothing else is.
_CASE_BIT = np.uint8(0xDF)
_OPEN_BRACKET = np.uint8(0x5B)

_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


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
