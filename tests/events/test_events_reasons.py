"""The reasons for refusal, as people read them."""

from __future__ import annotations

from typing import Any

import pytest

from stream.contract import Kind
from stream.events.decoder import Decoder
from stream.events.reasons import Code
from tests.events.making import everything, message

GOOD = message(Kind.CLICK)


def refusal(kind: Kind, text: bytes, *, mixed: bool = False) -> tuple[str, str]:
    """Code and reason of one message."""
    decoder = Decoder(everything())
    columns, (rejection,) = decoder.decode_mixed([text]) if mixed else decoder.decode(kind, [text])
    assert len(columns) == 0
    return rejection.code, rejection.reason


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"price": "12"}, Code.WRONG_TYPE, "`price`: expected a number, got text"),
        ({"price": True}, Code.WRONG_TYPE, "`price`: expected a number, got a boolean"),
        ({"paid": 1}, Code.WRONG_TYPE, "`paid`: expected a boolean, got a number"),
        ({"device": 1}, Code.WRONG_TYPE, "`device`: expected text, got a number"),
        ({"device": ["a"]}, Code.WRONG_TYPE, "`device`: expected text, got an array"),
        ({"traits": []}, Code.WRONG_TYPE, "`traits`: expected an object, got an array"),
        ({"price": 1e12}, Code.OUT_OF_RANGE, "`price`: expected a number from -1e11 to 1e11, got 1000000000000.0"),
        ({"customer_id": ...}, Code.MISSING_FIELD, "`customer_id` is missing"),
        ({"customer_id": None}, Code.WRONG_TYPE, "`customer_id`: expected text, got null"),
        ({"customer_id": ""}, Code.WRONG_LENGTH, "`customer_id` is empty"),
        ({"event_id": "x" * 129}, Code.WRONG_LENGTH, "`event_id`: at most 128 characters are allowed, got 129"),
        ({"action": "Page View"}, Code.BAD_VALUE,
         '`action`: expected a word such as page_view (a-z, 0-9, _, at most 64), got "Page View"'),
        ({"timestamp": 1.5}, Code.BAD_TIMESTAMP, "`timestamp`: expected whole milliseconds without . and e, got 1.5"),
        ({"timestamp": -1}, Code.BAD_TIMESTAMP, "`timestamp`: expected milliseconds from 1970 to 9999, got -1"),
        ({"timestamp": "2016-12-31T23:59:60Z"}, Code.BAD_TIMESTAMP,
         '`timestamp`: second 60 does not exist (leap seconds are not known here), got "2016-12-31T23:59:60Z"'),
        ({"timestamp": True}, Code.WRONG_TYPE, "`timestamp`: expected milliseconds or RFC 3339 text, got a boolean"),
        ({"type": "purchase"}, Code.WRONG_KIND, '`type`: the topic clicks carries click events, got "purchase"'),
        ({"type": 1}, Code.WRONG_TYPE, "`type`: expected text, got a number"),
        ({"price": "1", "customer_id": ...}, Code.MISSING_FIELD,
         "`customer_id` is missing; `price`: expected a number, got text"),
    ],
)  # fmt: skip
def test_fields(fields: dict[str, Any], code: Code, reason: str) -> None:
    assert refusal(Kind.CLICK, message(Kind.CLICK, **fields)) == (code, reason)


@pytest.mark.parametrize(
    ("kind", "fields", "code", "reason"),
    [
        (Kind.EMAIL, {"action": "read"}, Code.BAD_VALUE,
         '`action`: expected one of delivered, opened, clicked, bounced, unsubscribed, complained, got "read"'),
        (Kind.PURCHASE, {"total": -1}, Code.OUT_OF_RANGE, "`total`: expected a number from 0 to 1e11, got -1"),
        (Kind.PURCHASE, {"currency": "eur"}, Code.BAD_VALUE, '`currency`: expected three capital letters, got "eur"'),
        (Kind.PURCHASE, {"type": "sale"}, Code.UNKNOWN_KIND, '`type`: expected click, purchase or email, got "sale"'),
        (Kind.PURCHASE, {"type": ...}, Code.MISSING_FIELD, "`type` is missing: it must say click, purchase or email"),
        (Kind.PURCHASE, {"type": None}, Code.WRONG_TYPE, "`type`: expected text, got null"),
    ],
)  # fmt: skip
def test_kinds(kind: Kind, fields: dict[str, Any], code: Code, reason: str) -> None:
    assert refusal(kind, message(kind, **fields), mixed=True) == (code, reason)


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        (b"", Code.NOT_JSON, "the message is empty"),
        (b"not json", Code.NOT_JSON, "not valid JSON: invalid character at byte 1"),
        (GOOD[:-1], Code.NOT_JSON, "not valid JSON: it ends too early"),
        (b'{"a":01}', Code.NOT_JSON, "not valid JSON: invalid number at byte 6"),
        (GOOD + b"x", Code.NOT_JSON, f"not valid JSON: trailing characters at byte {len(GOOD)}"),
        (b"\xef\xbb\xbf{}", Code.NOT_JSON, "not valid JSON: it starts with a byte order mark"),
        (b'{"a":"\xff"}', Code.NOT_UTF8, "not valid UTF-8: byte 0xff at byte 6"),
        (b'{"a":"\\ud800"}', Code.LONE_SURROGATE, "not valid Unicode: half of a surrogate pair stands alone"),
        (b"[" * 101 + b"]" * 101, Code.TOO_DEEP, "nested deeper than 100 brackets"),
        (b"[1]", Code.NOT_AN_OBJECT, "expected a JSON object, got an array"),
        (b"17", Code.NOT_AN_OBJECT, "expected a JSON object, got a number"),
        (b"{}", Code.MISSING_FIELD, "`event_id` is missing; `customer_id` is missing; `timestamp` is missing; "
         "`action` is missing"),
    ],
)  # fmt: skip
def test_bytes(text: bytes, code: Code, reason: str) -> None:
    assert refusal(Kind.CLICK, text) == (code, reason)


def test_reasons_are_short_and_on_one_line() -> None:
    fields: dict[str, Any] = {
        name: {"a": 1} for name in ("price", "quantity", "device", "country", "url", "plan", "paid")
    }
    _, reason = refusal(Kind.CLICK, message(Kind.CLICK, **fields))
    assert reason.count(";") == 4
    assert reason.endswith("; and 3 more")
    for action in ("x\n\r\u2028" * 9000, "😀" * 9000):
        _, reason = refusal(Kind.CLICK, message(Kind.CLICK, action=action))
        assert len(reason) < 600
        assert reason.isascii() or "…" in reason
        assert len(reason.splitlines()) == 1
    _, reason = refusal(Kind.CLICK, message(Kind.CLICK, price=1)[:-1] + b',"price":' + b"9" * 9000 + b"}")
    assert len(reason) < 200
