"""Messages → columns, compiled: each message is read once, and what the plan wants is written where it belongs.

It accepts only what keeps the contract, but not all of it: a message that says something in an unusual way (a key
twice, a timestamp with a sign) is left out like a wrong one, and `stream.events.verdict` decides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream.compiled import as_word, compiled, fused, inner, pasted
from stream.contract import LAST_INSTANT, NESTING_LIMIT, NUMBER_LIMIT, TEXT_LENGTH
from stream.events import json_scan as js
from stream.events import scan_layout as sl
from stream.events.bytewise import SHORT, Bytes, byte_at, next_mark, short_hash, word_at
from stream.events.json_scan import after_space, end_of_number, end_of_text, end_of_value, end_of_word, number_at
from stream.events.spans import MISSING, SIZE_BITS, SIZE_MASK

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

_QUOTE, _COLON, _COMMA, _OPEN_BRACE, _CLOSE_BRACE = 0x22, 0x3A, 0x2C, 0x7B, 0x7D
_MOST_DIGITS = len(str(LAST_INSTANT))
_DAY_MS, _HOUR_MS, _MINUTE_MS, _SECOND_MS = 86_400_000, 3_600_000, 60_000, 1_000


class Room(NamedTuple):
    """Where ``n`` events are written to."""

    kind: npt.NDArray[np.int8]  # (n,)
    time_ms: Ints  # (n,)
    source: Ints  # (n,) the event's message
    spans: Ints  # (rows, n)
    hashes: Ints  # (rows, n) of the spans' texts
    numbers: Floats  # (number rows, n)
    tests: Words  # (test rows, n)
    traits: Ints  # (n * wanted traits, TRAIT_COLUMNS)


@pasted
def mixed_bits(head: int, tail: int, size: int) -> int:
    """A number to begin a search in a hash table with."""
    bits = head ^ tail
    bits ^= bits >> 32
    bits ^= bits >> 16
    return (bits ^ bits >> 7) + size


@fused
def _find(plan: Ints, literals: Bytes, data: Bytes, at: int, size: int) -> int:
    """The place of the word that is the text of ``size`` bytes at ``at``; NONE where it is none."""
    head = word_at(data, at)
    tail = 0
    if size < 8:
        head &= (1 << 8 * size) - 1
    else:
        tail = word_at(data, at + size - 8)
    slot = mixed_bits(head, tail, size) & plan[sl.P_SLOT_MASK]
    while True:
        number = plan[plan[sl.P_SLOTS] + slot]
        if number == 0:
            return sl.NONE
        word = plan[sl.P_WORDS] + (number - 1) * sl.W_COLUMNS
        if plan[word + sl.W_SIZE] == size and plan[word + sl.W_HEAD] == head and plan[word + sl.W_TAIL] == tail:
            start = plan[word + sl.W_START]
            if size <= 16 or _is_same(data, at, literals, start, size):
                return word
        slot = slot + 1 & plan[sl.P_SLOT_MASK]


@inner
def _is_same(data: Bytes, at: int, literals: Bytes, start: int, size: int) -> bool:
    for i in range(size):
        if byte_at(data, at + i) != literals[start + i]:
            return False
    return True


@inner
def _digits(data: Bytes, at: int, count: int) -> int:
    """The number that ``count`` digits say; below 0 when one of them is none."""
    number = 0
    for i in range(at, at + count):
        digit = byte_at(data, i) - 0x30
        if digit < 0 or digit > 9:
            return -(1 << 40)
        number = number * 10 + digit
    return number


@pasted
def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01, in the Gregorian calendar; below 0 when there is no such day.

    Years are counted from March, so that the odd day of leap years is the last one.
    """
    if month < 1 or month > 12 or day < 1 or year < 1970:
        return -1
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    length = 30 + (month + month // 8) % 2
    if month == 2:
        length = 29 if is_leap else 28
    if day > length:
        return -1
    shifted = year - 1 if month < 3 else year
    since_march = (month + 9) % 12
    return shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + (153 * since_march + 2) // 5 + day - 719_469


@inner
def _instant(data: Bytes, at: int, end: int) -> int:
    """Milliseconds since the epoch that the RFC 3339 text ``data[at:end]`` says; below 0 when it says none."""
    if (
        end - at < 20
        or byte_at(data, at + 4) != 0x2D
        or byte_at(data, at + 7) != 0x2D
        or byte_at(data, at + 13) != 0x3A
        or byte_at(data, at + 16) != 0x3A
    ):
        return -1
    if byte_at(data, at + 10) | 0x20 != 0x74:
        return -1
    hour, minute, second = _digits(data, at + 11, 2), _digits(data, at + 14, 2), _digits(data, at + 17, 2)
    days = _days(_digits(data, at, 4), _digits(data, at + 5, 2), _digits(data, at + 8, 2))
    if min(hour, minute, second, days) < 0 or hour > 23 or minute > 59 or second > 59:
        return -1
    ms = days * _DAY_MS + hour * _HOUR_MS + minute * _MINUTE_MS + second * _SECOND_MS
    at += 19
    if byte_at(data, at) == 0x2E:
        at += 1
        scale, first = 100, at
        while 0x30 <= byte_at(data, at) <= 0x39:
            ms += (byte_at(data, at) - 0x30) * scale
            scale //= 10
            at += 1
        if at == first:
            return -1
    if byte_at(data, at) | 0x20 == 0x7A:
        return ms if at + 1 == end else -1
    if end - at != 6 or byte_at(data, at + 3) != 0x3A:
        return -1
    hour, minute = _digits(data, at + 1, 2), _digits(data, at + 4, 2)
    if hour < 0 or minute < 0 or hour > 23 or minute > 59:
        return -1
    offset = hour * _HOUR_MS + minute * _MINUTE_MS
    if byte_at(data, at) == 0x2B:
        return ms - offset
    return ms + offset if byte_at(data, at) == 0x2D else -1


@pasted
def _time(data: Bytes, type_: int, start: int, end: int) -> int:
    """The instant of a timestamp; below 0 when it says none."""
    if type_ == js.NUMBER:
        return _digits(data, start, end - start) if end - start <= _MOST_DIGITS else -1
    return _instant(data, start, end) if type_ == js.TEXT else -1


@inner
def _characters(data: Bytes, start: int, end: int) -> int:
    """How many characters a text has: all its bytes but those that continue one."""
    count = 0
    for i in range(start, end):
        if byte_at(data, i) & 0xC0 != 0x80:
            count += 1
    return count


@inner
def _has_form(plan: Ints, data: Bytes, form: int, start: int, end: int, word: int) -> bool:
    """Whether a text is allowed in a field that takes certain ones only."""
    if form == sl.EMAIL_ACTION:
        return word != sl.NONE and plan[word + sl.W_EMAIL_ACTION] == 1
    if form == sl.CURRENCY:
        for i in range(start, end):
            if byte_at(data, i) < 0x41 or byte_at(data, i) > 0x5A:
                return False
        return end - start == 3
    if end - start > 64 or byte_at(data, start) < 0x61 or byte_at(data, start) > 0x7A:
        return False
    for i in range(start, end):
        byte = byte_at(data, i)
        if not (0x61 <= byte <= 0x7A or 0x30 <= byte <= 0x39 or byte == 0x5F):
            return False
    return True


@inner
def _patterns(plan: Ints, literals: Bytes, data: Bytes, field: int, start: int, end: int) -> int:
    """The answers to the tests that look into a text."""
    bits = 0
    for test in range(plan[field + sl.F_PATTERNS], plan[field + sl.F_PATTERNS_END], sl.T_COLUMNS):
        literal, size = plan[test + sl.T_START], plan[test + sl.T_SIZE]
        if size > end - start:
            continue
        first = last = start
        if plan[test + sl.T_OP] == sl.CONTAINS:
            last = end - size
        elif plan[test + sl.T_OP] == sl.ENDS_WITH:
            first = last = end - size
        for at in range(first, last + 1):
            if _is_same(data, at, literals, literal, size):
                bits |= 1 << plan[test + sl.T_BIT]
                break
    return bits


@pasted
def _tokens(plan: Ints, literals: Bytes, data: Bytes, work: Ints, at: int, stamp: int) -> int:
    """Reads the message at ``at``: notes type and place of the value of each key that is looked for.

    Returns the place behind it; of one that is no JSON, or has a key twice, ``~place`` of a place within it, behind all
    that was written. Texts that are noted have their escapes replaced by what they say, which may be a NUL.
    """
    stack = plan[sl.P_KEYS] * sl.K_COLUMNS
    at = after_space(data, at)
    if byte_at(data, at) != _OPEN_BRACE:
        return ~at
    at = after_space(data, at + 1)
    if byte_at(data, at) == _CLOSE_BRACE:
        return after_space(data, at + 1)
    while True:
        if byte_at(data, at) != _QUOTE:
            return ~at
        end = close = next_mark(data, at + 1)
        if byte_at(data, end) != _QUOTE:
            close = end_of_text(data, end)
            if close < 0:
                return ~at
            end = js.unescaped(data, at + 1, close, js.WRITE)
            if end < 0:
                return ~close
        key = _find(plan, literals, data, at + 1, end - at - 1)
        if key != sl.NONE:
            key = plan[key + sl.W_KEY]
        at = after_space(data, close + 1)
        if byte_at(data, at) != _COLON:
            return ~at
        at = after_space(data, at + 1)
        type_, start = js.type_at(data, at), at
        if type_ == js.TEXT:
            start = at + 1
            end = close = next_mark(data, start)
            if byte_at(data, end) != _QUOTE:
                close = end_of_text(data, end)
                if close < 0:
                    return ~at
                end = js.unescaped(data, start, close, js.CHECK if key == sl.NONE else js.WRITE)
                if end < 0:
                    return ~close
            at = close + 1
        else:
            if type_ == js.NUMBER:
                at = end_of_number(data, at)
            elif type_ == js.OBJECT or type_ == js.ARRAY:
                at = end_of_value(data, work, stack, at)
            else:
                at = end_of_word(data, at)
            if at < 0:
                return ~start
            end = at
        if key != sl.NONE:
            token = key * sl.K_COLUMNS
            if work[token + sl.K_STAMP] == stamp:
                return ~at  # all copies must be looked at
            work[token + sl.K_STAMP] = stamp
            work[token + sl.K_TYPE] = type_
            work[token + sl.K_START] = start
            work[token + sl.K_END] = end
        at = after_space(data, at)
        if byte_at(data, at) == _COMMA:
            at = after_space(data, at + 1)
        elif byte_at(data, at) == _CLOSE_BRACE:
            return after_space(data, at + 1)
        else:
            return ~at


@pasted
def _kind(plan: Ints, literals: Bytes, data: Bytes, work: Ints, stamp: int) -> int:
    """The kind that the message's ``type`` says, or that of all messages; NONE when it is wrong."""
    token, only = plan[sl.P_TYPE_KEY] * sl.K_COLUMNS, plan[sl.P_ONLY_KIND]
    if work[token + sl.K_STAMP] != stamp or work[token + sl.K_TYPE] == js.NULL:
        # Where kinds are mixed it must be there, and null is no kind.
        return only
    if work[token + sl.K_TYPE] != js.TEXT:
        return sl.NONE
    start = work[token + sl.K_START]
    word = _find(plan, literals, data, start, work[token + sl.K_END] - start)
    if word == sl.NONE:
        return sl.NONE
    kind = plan[word + sl.W_KIND]
    return kind if only in (sl.NONE, kind) else sl.NONE


@pasted
def _fill(
    plan: Ints, literals: Bytes, masks: Words, data: Bytes, work: Ints, stamp: int, kind: int, room: Room, n: int
) -> bool:
    """Writes the fields of a message to place ``n``; False when one of them is wrong or missing."""
    for row in range(room.spans.shape[0]):
        room.spans[row, n] = MISSING
    for row in range(room.numbers.shape[0]):
        room.numbers[row, n] = np.nan
    for row in range(room.tests.shape[0]):
        room.tests[row, n] = 0
    places = plan[sl.P_FIELDS + kind]
    for field in range(places, plan[sl.P_FIELDS + kind + 1], sl.F_COLUMNS):
        token = plan[field + sl.F_KEY] * sl.K_COLUMNS
        type_ = work[token + sl.K_TYPE]
        if work[token + sl.K_STAMP] != stamp or type_ == js.NULL:
            if plan[field + sl.F_IS_REQUIRED]:
                return False
            continue
        if type_ != plan[field + sl.F_TYPE]:
            return False
        start, end = work[token + sl.K_START], work[token + sl.K_END]
        row = plan[field + sl.F_NUMBER]
        if type_ == js.NUMBER:
            number = number_at(data, start, end)
            if not -NUMBER_LIMIT * (1 - plan[field + sl.F_LEAST]) <= number <= NUMBER_LIMIT:
                return False
            if row != sl.NONE:
                room.numbers[row, n] = number + 0.0
        elif type_ == js.BOOLEAN:
            if row != sl.NONE:
                room.numbers[row, n] = 1.0 if byte_at(data, start) == 0x74 else 0.0
        else:
            size = end - start
            if size < plan[field + sl.F_LEAST]:
                return False
            if size > plan[field + sl.F_MOST] and _characters(data, start, end) > plan[field + sl.F_MOST]:
                return False
            row, word = plan[field + sl.F_TEST], sl.NONE
            if row != sl.NONE or plan[field + sl.F_FORM] == sl.EMAIL_ACTION:
                word = _find(plan, literals, data, start, size)
            if plan[field + sl.F_FORM] != sl.ANY_FORM and not _has_form(
                plan, data, plan[field + sl.F_FORM], start, end, word
            ):
                return False
            if row != sl.NONE:
                mask = plan[field + sl.F_MASKS]
                if word != sl.NONE:
                    room.tests[row, n] = masks[mask + 1 + (word - plan[sl.P_WORDS]) // sl.W_COLUMNS]
                elif plan[field + sl.F_PATTERNS] == plan[field + sl.F_PATTERNS_END]:
                    room.tests[row, n] = masks[mask]
                else:
                    room.tests[row, n] = masks[mask] | np.uint64(_patterns(plan, literals, data, field, start, end))
            span = start << SIZE_BITS | size
            if plan[field + sl.F_SPAN] != sl.NONE:
                room.spans[plan[field + sl.F_SPAN], n] = span
            if plan[field + sl.F_OTHER_SPAN] != sl.NONE:
                room.spans[plan[field + sl.F_OTHER_SPAN], n] = span
    return True


@inner
def _short_hash(data: Bytes, span: int) -> int:
    """The hash of a text, 1 in the place of 0; 0 when it is too long to be hashed here."""
    size = span & SIZE_MASK
    if size > SHORT:
        return 0
    hash_ = short_hash(data, span >> SIZE_BITS, size)
    return hash_ if hash_ != 0 else 1


@inner
def _traits(
    plan: Ints, literals: Bytes, data: Bytes, work: Ints, at: int, stamp: int, traits: Ints, n: int, used: int
) -> int:
    """Writes the wanted traits of event ``n``, whose object (valid JSON) is at ``at``, behind the first ``used``.

    Returns how many are in use then, or BAD when a trait is there twice.
    """
    count = plan[sl.P_TRAITS]
    found = plan[sl.P_KEYS] * sl.K_COLUMNS + NESTING_LIMIT
    stack = plan[sl.P_KEYS] * sl.K_COLUMNS
    at = after_space(data, at + 1)
    while byte_at(data, at) != _CLOSE_BRACE:
        close = end_of_text(data, at + 1)
        end = js.unescaped(data, at + 1, close, js.WRITE)
        trait = _find(plan, literals, data, at + 1, end - at - 1)
        if trait != sl.NONE:
            trait = plan[trait + sl.W_TRAIT]
        at = after_space(data, after_space(data, close + 1) + 1)
        end = end_of_value(data, work, stack, at)
        if trait != sl.NONE:
            token = found + trait * sl.K_COLUMNS
            if work[token + sl.K_STAMP] == stamp:
                return js.BAD
            work[token + sl.K_STAMP] = stamp
            work[token + sl.K_TYPE] = js.type_at(data, at)
            work[token + sl.K_START] = at
            work[token + sl.K_END] = end
        at = after_space(data, end)
        if byte_at(data, at) == _COMMA:
            at = after_space(data, at + 1)
    for trait in range(count):
        token = found + trait * sl.K_COLUMNS
        if work[token + sl.K_STAMP] != stamp:
            continue
        type_, start, end = work[token + sl.K_TYPE], work[token + sl.K_START], work[token + sl.K_END]
        value = hash_ = 0
        if type_ == js.NUMBER:
            number = number_at(data, start, end) + 0.0
            if not np.isfinite(number):
                continue
            value = as_word(number)
        elif type_ == js.BOOLEAN:
            value = as_word(1.0 if byte_at(data, start) == 0x74 else 0.0)
        elif type_ == js.TEXT:
            end = js.unescaped(data, start + 1, end - 1, js.WRITE)
            if end - start - 1 > TEXT_LENGTH and _characters(data, start + 1, end) > TEXT_LENGTH:
                continue
            value = start + 1 << SIZE_BITS | end - start - 1
            hash_ = _short_hash(data, value)
        elif type_ != js.NULL:
            continue
        traits[used, sl.TRAIT_EVENT] = n
        traits[used, sl.TRAIT_NUMBER] = trait
        traits[used, sl.TRAIT_TYPE] = type_
        traits[used, sl.TRAIT_VALUE] = value
        traits[used, sl.TRAIT_HASH] = hash_
        used += 1
    return used


@inner
def _hash(data: Bytes, room: Room, n: int) -> int:
    """Hashes all texts of ``n`` events: 0 where there is none, and for those too long, whose number is returned."""
    long = 0
    for row in range(room.spans.shape[0]):
        for i in range(n):
            hash_ = 0
            if room.spans[row, i] != MISSING:
                hash_ = _short_hash(data, room.spans[row, i])
                if hash_ == 0:
                    long += 1
            room.hashes[row, i] = hash_
    return long


@compiled
def scan(plan: Ints, literals: Bytes, masks: Words, data: Bytes, work: Ints, room: Room, counts: Ints) -> None:
    """Reads as many messages as there is room for. They lie in ``data`` one behind the other, a NUL behind each.

    ``counts`` gets the number of events written to ``room``, that of their traits, and that of texts whose hash is 0
    because they are longer than `SHORT` bytes. Messages whose number is not in ``source`` afterwards were left out.
    """
    n = used = at = 0
    for message in range(room.source.shape[0]):
        stamp, start = message + 1, at
        at = _tokens(plan, literals, data, work, start, stamp)
        if at < 0 or byte_at(data, at) != 0:
            at = max(at, ~at)
            while byte_at(data, at) != 0:
                at += 1
            at += 1
            continue
        at += 1
        kind = _kind(plan, literals, data, work, stamp)
        token = plan[sl.P_TIME_KEY] * sl.K_COLUMNS
        if kind == sl.NONE or work[token + sl.K_STAMP] != stamp:
            continue
        time_ms = _time(data, work[token + sl.K_TYPE], work[token + sl.K_START], work[token + sl.K_END])
        if time_ms < 0 or time_ms > LAST_INSTANT:
            continue
        if not _fill(plan, literals, masks, data, work, stamp, kind, room, n):
            continue
        token = plan[sl.P_TRAITS_KEY] * sl.K_COLUMNS
        if work[token + sl.K_STAMP] == stamp and work[token + sl.K_TYPE] != js.NULL:
            if work[token + sl.K_TYPE] != js.OBJECT:
                continue
            if plan[sl.P_TRAITS] != 0:
                after = _traits(plan, literals, data, work, work[token + sl.K_START], stamp, room.traits, n, used)
                if after < 0:
                    continue
                used = after
        room.kind[n] = kind
        room.time_ms[n] = time_ms
        room.source[n] = message
        n += 1
    counts[0], counts[1] = n, used
    counts[2] = _hash(data, room, n)
