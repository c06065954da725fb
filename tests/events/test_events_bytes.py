"""What must hold of the bytes: UTF-8, RFC 8259, nesting; and what numbers and escapes say."""

from __future__ import annotations

import json
import random

import pytest

from stream.contract import NUMBER_LIMIT, Kind, hash64
from stream.events.columns import KindColumns, Wanted
from stream.events.decoder import Decoder
from stream.events.nesting import nesting
from stream.events.reasons import Code
from tests.events.making import everything, message, plain, some, texts_in

GOOD = message(Kind.CLICK)

#: A value as it stands in a field that nobody looks at, whether it is valid, and why not.
VALUES: list[tuple[bytes, Code | None]] = [
    *((value, None) for value in (b"-0", b"0.0", b"1E+5", b"1e400", b"9" * 5000, b'"\x7f"', b'"\\u0000"', b'"\\/"')),
    *((value, None) for value in (b'"\\ud83d\\ude00"', b'"\\uD83D\\uDE00"', '"é本😀\u2028"'.encode(), b" \t\r\n1 ")),
    *((value, None) for value in (b"[]", b"{}", b'{"":0}', b'{"a":1,"a":[]}', b"[1,[2,{}]]", b'"\xef\xbb\xbf"')),
    *((b'"' + bytes([c]) + b'"', Code.NOT_JSON) for c in range(0x20)),
    *((b'{"' + bytes([c]) + b'":1}', Code.NOT_JSON) for c in range(0x20)),
    *((value, Code.NOT_JSON) for value in (b"01", b"-01", b"00", b"1.", b".5", b"-", b"+1", b"1e", b"1e+", b"0x1")),
    *((value, Code.NOT_JSON) for value in (b"NaN", b"Infinity", b"-Infinity", b"nan", b"tru", b"truex", b"True", b"")),
    *((value, Code.NOT_JSON) for value in (b"[1,]", b'{"a":1,}', b"{1:2}", b"[1 2]", b'{"a" 1}', b'{"a"}', b"[", b"]")),
    *((value, Code.NOT_JSON) for value in (b'"\\x41"', b'"\\u12g4"', b'"\\u12"', b"'a'", b'"a', b"/**/1", b"1//")),
    *((value, Code.NOT_JSON) for value in (b"\x0b1", b"\x0c1", b"1\x00", b"\xc2\xa01", b"\xef\xbb\xbf1")),
    *((value, Code.LONE_SURROGATE) for value in (b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\u0041"', b'"\\ud800x"')),
    *((value, Code.LONE_SURROGATE) for value in (b'"\\ud800\\ud800"', b'"\\udc00\\ud800"', b'{"\\udfff":1}')),
    (b'["\\uDbff"]', Code.LONE_SURROGATE),
    *((value, Code.NOT_UTF8) for value in (b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"')),
    (b'"\xe2\x82"', Code.NOT_UTF8),
    (b'{"\xff":1}', Code.NOT_UTF8),
    (b'"\x80"', Code.NOT_UTF8),
]  # fmt: skip


def decode_one(text: bytes, wanted: Wanted | None = None) -> Code | None:
    """The code of the refusal of one click, None when it is valid."""
    columns, rejections = Decoder(wanted or some()).decode(Kind.CLICK, [text])
    assert len(columns) + len(rejections) == 1
    return Code(rejections[0].code) if rejections else None


@pytest.mark.parametrize(("value", "code"), VALUES)
def test_syntax_holds_in_fields_that_nobody_looks_at(value: bytes, code: Code | None) -> None:
    rest = GOOD[1:]
    assert decode_one(b'{"other":' + value + b"," + rest) == code
    assert decode_one(GOOD[:-1] + b',"other":' + value + b"}") == code
    assert decode_one(b'{"traits":{"other":' + value + b"}," + rest) == code
    assert decode_one(b'{"other":[{"a":' + value + b"}]," + rest) == code
    # A batch must find the one and keep the others.
    batch = [GOOD] * 30 + [b'{"other":' + value + b"," + rest] + [GOOD] * 30
    columns, rejections = Decoder(some()).decode(Kind.CLICK, batch)
    assert [(r.index, r.code) for r in rejections] == ([] if code is None else [(30, code)])
    assert len(columns) == len(batch) - len(rejections)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", Code.NOT_JSON),
        (b" \n", Code.NOT_JSON),
        (b"\xef\xbb\xbf" + GOOD, Code.NOT_JSON),
        (GOOD.decode().encode("utf-16"), Code.NOT_UTF8),
        (GOOD + b"\x00", Code.NOT_JSON),
        (GOOD + b",", Code.NOT_JSON),
        (GOOD + GOOD, Code.NOT_JSON),
        (GOOD + b" " + GOOD, Code.NOT_JSON),
        (GOOD + b"\n" + GOOD, Code.NOT_JSON),
        (GOOD[:-1], Code.NOT_JSON),
        (b"[" + GOOD + b"]", Code.NOT_AN_OBJECT),
        (b"null", Code.NOT_AN_OBJECT),
        (b'"' + b"x" * 9 + b'"', Code.NOT_AN_OBJECT),
        (b"17", Code.NOT_AN_OBJECT),
        (b"[]", Code.NOT_AN_OBJECT),
        (b" " + GOOD + b"\r\n", None),
        (json.dumps(plain(Kind.CLICK), indent=2).encode(), None),
    ],
)
def test_a_message_is_one_object(text: bytes, code: Code | None) -> None:
    assert decode_one(text) == code


def nested(depth: int, opening: bytes, closing: bytes, inside: bytes) -> bytes:
    """A click whose brackets are open ``depth`` deep."""
    return GOOD[:-1] + b',"other":' + opening * (depth - 1) + inside + closing * (depth - 1) + b"}"


@pytest.mark.parametrize(("opening", "closing", "inside"), [(b"[", b"]", b""), (b'{"a":', b"}", b"1")])
def test_nesting(opening: bytes, closing: bytes, inside: bytes) -> None:
    for depth in (2, 99, 100, 101, 102, 600, 5_000, 100_000):
        text = nested(depth, opening, closing, inside)
        assert nesting(text) == depth
        assert decode_one(text) == (None if depth <= 100 else Code.TOO_DEEP)
        batch = [GOOD] * 40 + [text] + [GOOD] * 40
        columns, rejections = Decoder(some()).decode(Kind.CLICK, batch)
        assert len(columns) == 80 + (depth <= 100)
        assert [r.index for r in rejections] == ([] if depth <= 100 else [40])


def test_brackets_that_are_text_or_side_by_side_are_not_deep() -> None:
    many = GOOD[:-1] + b',"other":[' + b",".join([b"[{}]"] * 500) + b"]}"
    text = GOOD[:-1] + b',"other":"' + b"[{" * 500 + b'\\"[[["}'
    closing = GOOD[:-1] + b',"a":"' + b"]}" * 500 + b'","other":' + b"[" * 100 + b"]" * 100 + b"}"
    for n in (1, 7, 50):
        columns, rejections = Decoder(some()).decode(Kind.CLICK, [GOOD, many, text, closing] * n)
        assert [r.code for r in rejections] == [Code.TOO_DEEP] * n
        assert len(columns) == 3 * n


def test_messages_do_not_heal_one_another() -> None:
    half, other_half = GOOD[: len(GOOD) // 2], GOOD[len(GOOD) // 2 :]
    comma = GOOD.index(b",")
    batches = [
        [GOOD, half, other_half, GOOD + GOOD],
        [GOOD[: comma + 1], GOOD[comma + 1 :]],
        [GOOD + b" " + GOOD, b""],
        [GOOD + b"\n" + GOOD, b" "],
        [b"", GOOD + GOOD],
        [b'{"a":{}', b'{"b":{}}', GOOD + GOOD],
        [b'{"a":"}', b'{"}', GOOD],
        [GOOD[:-1] + b',"a":[{}', b"{}]}", GOOD + GOOD],
    ]
    for batch in batches:
        for filler in (0, 5, 40, 2000):
            columns, rejections = Decoder(some()).decode(Kind.CLICK, [GOOD] * filler + batch)
            good = filler + batch.count(GOOD)
            assert len(columns) == good
            assert len(rejections) == filler + len(batch) - good


def test_pretty_printed_messages_are_read_with_the_others() -> None:
    pretty = json.dumps(plain(Kind.CLICK), indent=2).encode()
    columns, rejections = Decoder(some()).decode(Kind.CLICK, [GOOD, pretty, b"\n" + pretty + b"\n", GOOD] * 9)
    assert not rejections
    assert columns.source.tolist() == list(range(36))


@pytest.mark.parametrize(
    "text",
    [
        "0", "-0", "-0.0", "1", "12.50", "0.1", "1e2", "1E-2", "123456789012345", "1234567890.12345",
        "99999999999.9999",
        "100000000000.00001", "2.2250738585072011e-308", "0.3000000000000000444", "1e23", "8.5e-320", "1e-400",
        "0." + "0" * 30 + "1", "0." + "0" * 22 + "7", "0000000000000001"[15:], "0." + "0" * 100_004 + "1e100005",
        "9007199254740993e-5", "-99999999999.99999", "7.0000000000000001",
    ],
)  # fmt: skip
def test_numbers_are_read_as_python_reads_them(text: str) -> None:
    columns, rejections = Decoder(some()).decode(Kind.CLICK, [GOOD[:-1] + b',"price":' + text.encode() + b"}"] * 2)
    if abs(float(text)) > NUMBER_LIMIT:
        assert [r.code for r in rejections] == [Code.OUT_OF_RANGE] * 2
    else:
        assert not rejections
        assert columns.numbers[0].tolist() == [float(text) + 0.0] * 2


def test_random_numbers_are_read_as_python_reads_them() -> None:
    draw = random.Random(5)
    texts = []
    for _ in range(5_000):
        digits = "".join(draw.choices("0123456789", k=draw.randrange(1, 22))).lstrip("0") or "0"
        cut = draw.randrange(len(digits) + 1)
        text = (digits[:cut] or "0") + ("." + digits[cut:] if cut < len(digits) else "")
        texts.append(draw.choice(["", "-"]) + text + draw.choice(["", "", f"e{draw.randrange(-30, 12)}"]))
    texts = [text for text in texts if abs(float(text)) <= NUMBER_LIMIT]
    assert len(texts) > 2_000
    columns, rejections = Decoder(some()).decode(
        Kind.CLICK, [GOOD[:-1] + b',"price":' + text.encode() + b"}" for text in texts]
    )
    assert not rejections
    assert columns.numbers[0].tolist() == [float(text) + 0.0 for text in texts]


def test_escapes_say_what_python_reads() -> None:
    draw = random.Random(6)
    pieces = ["a", "é", "本", "😀", '\\"', "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u0000", "\\u00e9",
              "\\u672C", "\\uD83D\\ude00", "\x7f", " " * 9]  # fmt: skip
    texts = ["".join(draw.choices(pieces, k=draw.randrange(12))) for _ in range(500)]
    lines = [f'{{"c\\u0061tegory":"{text}",'.encode() + GOOD[1:] for text in texts]
    wanted = Wanted({Kind.CLICK: KindColumns(texts=("category",), hashes=("category",))})
    columns, rejections = Decoder(wanted).decode(Kind.CLICK, lines)
    assert not rejections
    assert texts_in(columns) == [[json.loads(f'"{text}"') for text in texts]]
    assert columns.hashes[0].tolist() == [hash64(json.loads(f'"{text}"')) for text in texts]


def test_duplicates_of_type_where_kinds_are_mixed() -> None:
    both = b'{"type":"click",' + message(Kind.PURCHASE)[1:]
    columns, rejections = Decoder(everything()).decode_mixed([both, both[:-1] + b',"type":"nonsense"}'])
    assert columns.kind.tolist() == [Kind.PURCHASE]
    assert [(r.index, r.code) for r in rejections] == [(1, Code.UNKNOWN_KIND)]


def test_a_nul_that_is_written_as_an_escape_ends_no_message() -> None:
    carrier = b'{"category":"a\\u0000b","traits":{"pl\\u0000an":"\\u0000","plan":"p\\u0000"},' + GOOD[1:]
    broken = [
        carrier[:-1],
        carrier[:-1] + b',"other":tru}',
        carrier[:-1] + b',"other":"\\x"}',
        carrier[:-1] + b',"device":"\\u0000\\ud800"}',
        carrier[:-1] + b',"device":"\\u0000',
        carrier[:-1] + b',"device":"\\u0000\\',
        carrier[:-1] + b',"other":"\\',
        carrier[:-1] + b',"\\',
        carrier[:-1] + b',"\\u0000dev\\x":1}',
        carrier + b"}",
    ]
    wanted = Wanted({Kind.CLICK: KindColumns(texts=("category", "device"))}, ("plan",))
    for bad in broken:
        columns, rejections = Decoder(wanted).decode(Kind.CLICK, [carrier, bad, GOOD, bad, carrier])
        assert [r.index for r in rejections] == [1, 3], bad
        assert columns.source.tolist() == [0, 2, 4]
        assert texts_in(columns)[0] == ["a\0b", None, "a\0b"]
        assert columns.trait_values() == [(0, 0, "p\0"), (2, 0, "p\0")]
