"""The grammar of JSON (RFC 8259) over bytes, compiled: where a text, a number or any value ends, and what it says.

Whoever calls sees to it that the bytes are valid UTF-8 and that a NUL stands behind each message: no value contains
one, so nothing is read beyond it. A place of -1 means that the bytes are no JSON.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stream.compiled import inner
from stream.contract import NESTING_LIMIT
from stream.events.bytewise import BACKSLASH, QUOTE, Bytes, byte_at, next_mark, parsed_double

Ints = npt.NDArray[np.int64]

BAD: Final = -1

#: What a value is, by its first byte.
NULL: Final = 0
NUMBER: Final = 1
TEXT: Final = 2
BOOLEAN: Final = 3
OBJECT: Final = 4
ARRAY: Final = 5

_SPACE, _TAB, _NEWLINE, _RETURN = 0x20, 0x09, 0x0A, 0x0D
_COMMA, _COLON = 0x2C, 0x3A
_OPEN_BRACE, _CLOSE_BRACE, _OPEN_BRACKET = 0x7B, 0x7D, 0x5B
_CASE_BIT = 0x20  # makes a brace of a bracket, and of nothing else
_MINUS, _PLUS, _DOT, _SLASH, _ZERO, _NINE = 0x2D, 0x2B, 0x2E, 0x2F, 0x30, 0x39
_E, _SMALL_E, _N, _T, _F, _U = 0x45, 0x65, 0x6E, 0x74, 0x66, 0x75

#: What `unescaped` does. Not Python's own integers, which numba takes for types: it would compile it for each.
CHECK: Any = np.int64(0)
WRITE: Any = np.int64(1)

#: Powers of ten that doubles hold exactly, and the digits of a whole number that they surely hold.
_POWERS = np.array([float(10**i) for i in range(23)])
_EXACT_DIGITS = 15


@inner
def after_space(data: Bytes, at: int) -> int:
    """The first place from ``at`` on that is no white space."""
    while (
        byte_at(data, at) == _SPACE
        or byte_at(data, at) == _NEWLINE
        or byte_at(data, at) == _RETURN
        or byte_at(data, at) == _TAB
    ):
        at += 1
    return at


@inner
def _is_digit(byte: int) -> bool:
    return _ZERO <= byte <= _NINE


@inner
def end_of_text(data: Bytes, at: int) -> int:
    """The place of the quote that ends the text whose first byte is at ``at``. What is escaped is not looked at."""
    while True:
        at = next_mark(data, at)
        if byte_at(data, at) == QUOTE:
            return at
        if byte_at(data, at) != BACKSLASH or byte_at(data, at + 1) < _SPACE:
            return BAD
        at += 2


@inner
def end_of_number(data: Bytes, at: int) -> int:
    """The place behind the number that starts at ``at``."""
    if byte_at(data, at) == _MINUS:
        at += 1
    if byte_at(data, at) == _ZERO:
        at += 1
    elif _is_digit(byte_at(data, at)):
        while _is_digit(byte_at(data, at)):
            at += 1
    else:
        return BAD
    if byte_at(data, at) == _DOT:
        at += 1
        if not _is_digit(byte_at(data, at)):
            return BAD
        while _is_digit(byte_at(data, at)):
            at += 1
    if byte_at(data, at) == _SMALL_E or byte_at(data, at) == _E:
        at += 1
        if byte_at(data, at) == _PLUS or byte_at(data, at) == _MINUS:
            at += 1
        if not _is_digit(byte_at(data, at)):
            return BAD
        while _is_digit(byte_at(data, at)):
            at += 1
    return at


@inner
def end_of_word(data: Bytes, at: int) -> int:
    """The place behind ``null``, ``true`` or ``false``."""
    if byte_at(data, at) == _N:
        good = byte_at(data, at + 1) == _U and byte_at(data, at + 2) == 0x6C and byte_at(data, at + 3) == 0x6C
        return at + 4 if good else BAD
    if byte_at(data, at) == _T:
        return (
            at + 4
            if byte_at(data, at + 1) == 0x72 and byte_at(data, at + 2) == _U and byte_at(data, at + 3) == _SMALL_E
            else BAD
        )
    good = (
        byte_at(data, at + 1) == 0x61
        and byte_at(data, at + 2) == 0x6C
        and byte_at(data, at + 3) == 0x73
        and byte_at(data, at + 4) == _SMALL_E
    )
    return at + 5 if byte_at(data, at) == _F and good else BAD


@inner
def type_at(data: Bytes, at: int) -> int:
    """What the value at ``at`` is if it is any."""
    byte = byte_at(data, at)
    if byte == QUOTE:
        return TEXT
    if byte == _MINUS or _is_digit(byte):
        return NUMBER
    if byte == _OPEN_BRACE:
        return OBJECT
    if byte == _OPEN_BRACKET:
        return ARRAY
    return NULL if byte == _N else BOOLEAN


@inner
def _hex_digits(data: Bytes, at: int) -> int:
    """The number that four hexadecimal digits say."""
    number = 0
    for i in range(at, at + 4):
        byte = byte_at(data, i)
        if _is_digit(byte):
            digit = byte - _ZERO
        elif 0x61 <= byte | 0x20 <= _SMALL_E + 1:
            digit = (byte | 0x20) - 0x61 + 10
        else:
            return BAD
        number = number << 4 | digit
    return number


@inner
def _simple_escape(byte: int) -> int:
    """The character that a backslash before ``byte`` means; BAD where there is none."""
    for itself in (QUOTE, BACKSLASH, _SLASH):
        if byte == itself:
            return byte
    if byte == 0x62:
        return 8
    if byte == _F:
        return 12
    if byte == _N:
        return _NEWLINE
    if byte == 0x72:
        return _RETURN
    return _TAB if byte == _T else BAD


@inner
def unescaped(data: Bytes, at: int, end: int, write: int) -> int:
    """The end of the text in ``data[at:end]`` without its escapes, each of which must be right.

    ``write`` is CHECK, or WRITE: then the text is replaced by what it says, which is never longer.
    """
    out = at
    while at < end:
        byte = byte_at(data, at)
        if byte != BACKSLASH:
            if write == WRITE:
                data[out] = byte
            out += 1
            at += 1
            continue
        if byte_at(data, at + 1) != _U:
            character = _simple_escape(byte_at(data, at + 1))
            at += 2
        else:
            character = _hex_digits(data, at + 2)
            at += 6
            if 0xD800 <= character < 0xDC00:
                if at + 6 > end or byte_at(data, at) != BACKSLASH or byte_at(data, at + 1) != _U:
                    return BAD
                low = _hex_digits(data, at + 2)
                if not 0xDC00 <= low < 0xE000:
                    return BAD
                character = 0x10000 + ((character - 0xD800) << 10) + low - 0xDC00
                at += 6
            elif 0xDC00 <= character < 0xE000:
                return BAD
        if character < 0 or at > end:
            return BAD
        size = 1 if character < 0x80 else 2 if character < 0x800 else 3 if character < 0x10000 else 4
        if write == WRITE:
            for i in range(size - 1, 0, -1):
                data[out + i] = 0x80 | character & 0x3F
                character >>= 6
            data[out] = character if size == 1 else (0xF00 >> size & 0xFF) | character
        out += size
    return out


@inner
def end_of_value(data: Bytes, stack: Ints, first: int, at: int) -> int:
    """The place behind the value at ``at``, which stands in an object.

    ``stack[first:]`` is room for `NESTING_LIMIT` words. Deeper nesting is BAD.
    """
    depth = 1
    while True:
        byte = byte_at(data, at)
        if byte | _CASE_BIT == _OPEN_BRACE:
            if depth == NESTING_LIMIT:
                return BAD
            stack[first + depth] = byte
            depth += 1
            at = after_space(data, at + 1)
            if byte_at(data, at) != byte + 2:  # which closes it
                if byte == _OPEN_BRACE:
                    at = after_key(data, at)
                    if at < 0:
                        return BAD
                continue
            depth -= 1
            at += 1
        elif byte == QUOTE:
            end = end_of_text(data, at + 1)
            if end < 0 or unescaped(data, at + 1, end, CHECK) < 0:
                return BAD
            at = end + 1
        else:
            at = end_of_number(data, at) if byte == _MINUS or _is_digit(byte) else end_of_word(data, at)
            if at < 0:
                return BAD
        while depth > 1:
            at = after_space(data, at)
            if byte_at(data, at) == _COMMA:
                at = after_space(data, at + 1)
                if stack[first + depth - 1] == _OPEN_BRACE:
                    at = after_key(data, at)
                    if at < 0:
                        return BAD
                break
            if byte_at(data, at) != stack[first + depth - 1] + 2:
                return BAD
            depth -= 1
            at += 1
        else:
            return at


@inner
def after_key(data: Bytes, at: int) -> int:
    """The place of the value that belongs to the key at ``at``."""
    if byte_at(data, at) != QUOTE:
        return BAD
    end = end_of_text(data, at + 1)
    if end < 0 or unescaped(data, at + 1, end, CHECK) < 0:
        return BAD
    at = after_space(data, end + 1)
    return after_space(data, at + 1) if byte_at(data, at) == _COLON else BAD


@inner
def number_at(data: Bytes, at: int, end: int) -> float:
    """The number in ``data[at:end]``, correctly rounded; infinity where no double is large enough.

    A whole number of up to 15 digits times or over a power of ten of up to 22 is exact but for the last rounding
    (W. Clinger, How to Read Floating Point Numbers Accurately, 1990). All others take the C library's way.
    """
    place = at
    is_negative = byte_at(data, place) == _MINUS
    if is_negative:
        place += 1
    digits = scale = 0
    mantissa = np.int64(0)
    seen_dot = False
    while place < end:
        byte = byte_at(data, place)
        if _is_digit(byte):
            if mantissa != 0 or byte != _ZERO:
                digits += 1
            if digits > _EXACT_DIGITS:
                return parsed_double(data, at)
            mantissa = mantissa * 10 + (byte - _ZERO)
            if seen_dot:
                scale += 1
        elif byte == _DOT:
            seen_dot = True
        else:
            return parsed_double(data, at)
        place += 1
    if scale >= _POWERS.shape[0]:
        return parsed_double(data, at)
    number = float(mantissa) / _POWERS[scale]
    return -number if is_negative else number
