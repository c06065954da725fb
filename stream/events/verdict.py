"""The careful reading of one message: every copy of every field that is looked at, and all that is wrong with it.

This is the contract itself in plain Python, far slower than the scanner. It speaks for the messages that the scanner
leaves out: nearly always to say why, now and then to let one pass that says things in an unusual way.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from stream.contract import (
    ACTION_PATTERN,
    CURRENCY_PATTERN,
    CUSTOMER_ID_LENGTH,
    EVENT_ID_LENGTH,
    KINDS,
    KNOWN_ACTIONS,
    LAST_INSTANT,
    NESTING_LIMIT,
    NUMBER_LIMIT,
    ORDER_ID_LENGTH,
    REQUIRED_FIELDS,
    TEXT_LENGTH,
    FieldType,
    Kind,
)
from stream.events.columns import Wanted
from stream.events.nesting import is_too_deep
from stream.events.reasons import Code, Refusal
from stream.events.scan_plan import checked_fields
from stream.instants import parse_instant

#: A reason names so many problems at most, and quotes so many characters of a value.
_PROBLEMS_SHOWN = 4
_CHARACTERS_SHOWN = 40

_BOM = b"\xef\xbb\xbf"
_SYNTAX = msgspec.json.Decoder(msgspec.Raw)
_AT_BYTE = re.compile(r"^(?:JSON is malformed: )?(.*?) \(byte ([0-9]+)\)$")
_TYPE_NAMES = {FieldType.NUMBER: "a number", FieldType.TEXT: "text", FieldType.BOOLEAN: "a boolean"}
#: Fields whose text must match a pattern.
_PATTERNS = {(Kind.CLICK, "action"): ACTION_PATTERN, (Kind.PURCHASE, "currency"): CURRENCY_PATTERN}
_LENGTHS = {"event_id": EVENT_ID_LENGTH, "customer_id": CUSTOMER_ID_LENGTH, "order_id": ORDER_ID_LENGTH}


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with every copy of every key."""


class _Number(str):
    """A JSON number as it is written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Valid:
    """An event that keeps the contract: its kind, and the fields that are looked at and there.

    Numbers are floats (``-0`` as it is), ``timestamp`` is milliseconds, ``traits`` maps the wanted names that count to
    float, text, boolean or None.
    """

    kind: Kind
    fields: Mapping[str, Any]

    def plainly(self) -> bytes:
        """The event as JSON that says everything once and in the usual way."""
        return msgspec.json.encode({"type": self.kind.word, **self.fields})


class _FieldError(Exception):
    """What is wrong with one copy of one field."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


def judge(wanted: Wanted, kinds: Sequence[Kind], message: bytes | None) -> Valid | Refusal:
    """What the contract says about ``message``, which must be of one of ``kinds`` (and say so if these are several).

    A record without a value (None) is an empty message.
    """
    pairs = _parse(message)
    if isinstance(pairs, Refusal):
        return pairs
    copies: dict[str, list[Any]] = {}
    for name, value in pairs:
        copies.setdefault(name, []).append(value)
    try:
        kind = _kind(copies.get("type", []), kinds)
    except _FieldError as problem:
        return Refusal(problem.code, str(problem))
    fields: dict[str, Any] = {}
    problems: list[_FieldError] = []
    required = {"event_id", "customer_id", "timestamp", *REQUIRED_FIELDS[kind]}
    types = checked_fields(wanted, kind)
    for name in ("event_id", "customer_id", "timestamp", *types, "traits"):
        try:
            value = None
            for copy in copies.get(name, ()):
                value = _value(wanted, kind, name, copy, types.get(name, FieldType.TEXT), name in required)
        except _FieldError as problem:
            problems.append(problem)
            continue
        if value is not None:
            fields[name] = value
        elif name in required:
            problems.append(_FieldError(Code.MISSING_FIELD, f"`{name}` is missing"))
    if not problems:
        return Valid(kind, fields)
    reasons = [str(problem) for problem in problems[:_PROBLEMS_SHOWN]]
    if len(problems) > _PROBLEMS_SHOWN:
        reasons.append(f"and {len(problems) - _PROBLEMS_SHOWN} more")
    return Refusal(problems[0].code, "; ".join(reasons))


def _parse(message: bytes | None) -> _Pairs | Refusal:
    """The object in ``message``, or why it holds none."""
    if not message or message.isspace():
        return Refusal(Code.NOT_JSON, "the message is empty")
    if message.startswith(_BOM):
        return Refusal(Code.NOT_JSON, "not valid JSON: it starts with a byte order mark")
    try:
        text = message.decode()
    except UnicodeDecodeError as error:
        return Refusal(Code.NOT_UTF8, f"not valid UTF-8: byte 0x{message[error.start]:02x} at byte {error.start}")
    if is_too_deep(message):
        return Refusal(Code.TOO_DEEP, f"nested deeper than {NESTING_LIMIT} brackets")
    try:
        _SYNTAX.decode(message)
    except msgspec.DecodeError as error:
        return _syntax_refusal(str(error), text)
    value = _load(text)
    if not isinstance(value, _Pairs):
        return Refusal(Code.NOT_AN_OBJECT, f"expected a JSON object, got {_type_name(value)}")
    return value


def _load(text: str) -> Any:
    """JSON ``text`` with numbers as written and objects as pairs. Raises `ValueError` for what is no JSON."""
    return json.loads(
        text, object_pairs_hook=_Pairs, parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant
    )


def _refuse_constant(text: str) -> None:
    """Python reads NaN and infinities, which JSON does not have."""
    raise ValueError(text)


def _syntax_refusal(error: str, text: str) -> Refusal:
    """A refusal from msgspec's words about a broken text."""
    match = _AT_BYTE.match(error)
    what, where = (match[1], f" at byte {match[2]}") if match else ("it ends too early", "")
    if match and what == "trailing characters":
        where = f" at byte {int(match[2]) - 1}"  # msgspec has stepped over the first of them
    try:
        # Python's own reader lets lone surrogates pass and stops at every other fault.
        _load(text)
    except ValueError:
        return Refusal(Code.NOT_JSON, f"not valid JSON: {what}{where}")
    return Refusal(Code.LONE_SURROGATE, f"not valid Unicode: half of a surrogate pair stands alone{where}")


def _kind(copies: list[Any], kinds: Sequence[Kind]) -> Kind:
    """The kind by the copies of ``type``, of which the last counts and none may be wrong."""
    if len(kinds) > 1:
        if not copies:
            raise _FieldError(Code.MISSING_FIELD, "`type` is missing: it must say click, purchase or email")
        for copy in copies:
            if _type_name(copy) != "text":
                raise _FieldError(Code.WRONG_TYPE, f"`type`: expected text, got {_type_name(copy)}")
            if copy not in KINDS:
                raise _FieldError(Code.UNKNOWN_KIND, f"`type`: expected click, purchase or email, got {_quote(copy)}")
        return KINDS[copies[-1]]
    (only,) = kinds
    for copy in copies:
        if copy is not None and _type_name(copy) != "text":
            raise _FieldError(Code.WRONG_TYPE, f"`type`: expected text, got {_type_name(copy)}")
        if copy is not None and copy != only.word:
            raise _FieldError(
                Code.WRONG_KIND, f"`type`: the topic {only.topic} carries {only.word} events, got {_quote(copy)}"
            )
    return only


def _value(wanted: Wanted, kind: Kind, name: str, copy: Any, expected: FieldType, is_required: bool) -> Any:
    """The value of one copy of a field; None for null where that means missing. Raises `_FieldError`."""
    if copy is None and not is_required:
        return None
    if name == "timestamp":
        return _timestamp(copy)
    if name == "traits":
        return _traits(wanted, copy)
    if _type_name(copy) != _TYPE_NAMES[expected]:
        raise _FieldError(Code.WRONG_TYPE, f"`{name}`: expected {_TYPE_NAMES[expected]}, got {_type_name(copy)}")
    match expected:
        case FieldType.NUMBER:
            return _number(name, copy)
        case FieldType.TEXT:
            _check_text(kind, name, copy)
    return copy


def _number(name: str, copy: _Number) -> float:
    value = float(copy)
    least = 0.0 if name == "total" else -NUMBER_LIMIT
    if not least <= value <= NUMBER_LIMIT:
        limits = "from 0 to 1e11" if name == "total" else "from -1e11 to 1e11"
        raise _FieldError(Code.OUT_OF_RANGE, f"`{name}`: expected a number {limits}, got {_clip(copy)}")
    return value


def _check_text(kind: Kind, name: str, copy: str) -> None:
    longest = _LENGTHS.get(name, TEXT_LENGTH)
    if len(copy) > longest:
        raise _FieldError(Code.WRONG_LENGTH, f"`{name}`: at most {longest} characters are allowed, got {len(copy)}")
    if name in _LENGTHS and not copy:
        raise _FieldError(Code.WRONG_LENGTH, f"`{name}` is empty")
    pattern = _PATTERNS.get((kind, name))
    if pattern is not None and re.fullmatch(pattern, copy) is None:
        form = "three capital letters" if name == "currency" else "a word such as page_view (a-z, 0-9, _, at most 64)"
        raise _FieldError(Code.BAD_VALUE, f"`{name}`: expected {form}, got {_quote(copy)}")
    if name == "action" and kind is Kind.EMAIL and copy not in KNOWN_ACTIONS[kind]:
        words = ", ".join(KNOWN_ACTIONS[kind])
        raise _FieldError(Code.BAD_VALUE, f"`{name}`: expected one of {words}, got {_quote(copy)}")


def _timestamp(copy: Any) -> int:
    if isinstance(copy, _Number):
        if not copy.removeprefix("-").isdigit():
            raise _FieldError(
                Code.BAD_TIMESTAMP, f"`timestamp`: expected whole milliseconds without . and e, got {_clip(copy)}"
            )
        # No instant has more digits, and int() is slow with very many.
        value = int(copy) if len(copy) <= len(str(LAST_INSTANT)) else -1
        if not 0 <= value <= LAST_INSTANT:
            raise _FieldError(
                Code.BAD_TIMESTAMP, f"`timestamp`: expected milliseconds from 1970 to 9999, got {_clip(copy)}"
            )
        return value
    if not isinstance(copy, str):
        raise _FieldError(
            Code.WRONG_TYPE, f"`timestamp`: expected milliseconds or RFC 3339 text, got {_type_name(copy)}"
        )
    try:
        return parse_instant(copy)
    except ValueError as error:
        raise _FieldError(Code.BAD_TIMESTAMP, f"`timestamp`: {error}, got {_quote(copy)}") from None


def _traits(wanted: Wanted, copy: Any) -> dict[str, Any]:
    """The wanted traits that count; what cannot be kept is as if it were not carried."""
    if not isinstance(copy, _Pairs):
        raise _FieldError(Code.WRONG_TYPE, f"`traits`: expected an object, got {_type_name(copy)}")
    carried: dict[str, Any] = dict(copy)  # the last copy counts
    traits = {}
    for name in wanted.traits:
        if name not in carried:
            continue
        value = carried[name]
        if isinstance(value, _Number):
            value = float(value)
            if not math.isfinite(value):
                continue
        elif isinstance(value, list) or (isinstance(value, str) and len(value) > TEXT_LENGTH):
            continue
        traits[name] = value
    return traits


def _type_name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case _Number():
            return "a number"
        case str():
            return "text"
        case _Pairs():
            return "an object"
    return "an array"


def _clip(text: str) -> str:
    return text if len(text) <= _CHARACTERS_SHOWN else f"{text[:_CHARACTERS_SHOWN]}…"


def _quote(text: str) -> str:
    """A text as JSON, so that nothing in it can break a log line."""
    return json.dumps(_clip(text))
