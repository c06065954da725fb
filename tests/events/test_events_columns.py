"""What stands in the columns, for one kind and for mixed ones."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest

from stream.contract import FieldType, Kind, hash64
from stream.events.bytewise import PADDING
from stream.events.columns import Columns, KindColumns, TextTest, Wanted, concatenate
from stream.events.decoder import Decoder
from stream.events.spans import MISSING, hash_all, text_of
from tests.events.making import message, same, shop_events, some, texts_in


def click(wanted: KindColumns, *events: dict[str, Any], **more: Any) -> Columns:
    """Columns of clicks, all valid."""
    columns, rejections = Decoder(Wanted({Kind.CLICK: wanted}, **more)).decode(
        Kind.CLICK, [message(Kind.CLICK, **event) for event in events]
    )
    assert not rejections
    return columns


def test_common_columns() -> None:
    columns, rejections = Decoder(Wanted({})).decode_mixed(
        [
            message(Kind.CLICK, event_id="é", timestamp="2025-10-09T09:06:15.913+02:00"),
            message(Kind.PURCHASE, order_id="o7", customer_id="ß", timestamp=5),
            message(Kind.EMAIL, timestamp=-0),
        ]
    )
    assert not rejections
    assert len(columns) == 3
    assert columns.kind.tolist() == [0, 1, 2]
    assert columns.kind.dtype == np.int8
    assert columns.time_ms.tolist() == [1_759_993_575_913, 5, 0]
    assert columns.time_ms.dtype == np.int64
    assert columns.customers() == ["c1", "ß", "c1"]
    assert columns.event_ids() == ["é", "e1", "e1"]
    assert columns.event_hash.tolist() == [hash64("é"), hash64("e1"), hash64("e1")]
    assert columns.order_hash.tolist() == [0, hash64("o7"), 0]
    assert columns.event_hash.dtype == columns.order_hash.dtype == np.uint64
    assert columns.numbers.shape == columns.tests.shape == columns.hashes.shape == (0, 3)
    assert texts_in(columns) == []
    assert columns.source.tolist() == [0, 1, 2]


def test_hashes_of_ids_only_when_wanted() -> None:
    decoder = Decoder(Wanted({}, event_ids=False, order_ids=False))
    columns, _ = decoder.decode_mixed([message(Kind.PURCHASE)])
    assert columns.event_hash.tolist() == columns.order_hash.tolist() == [0]
    assert columns.event_ids() == ["e1"]


def test_numbers_and_booleans() -> None:
    wanted = KindColumns(numbers=("price", "paid", "score"))
    columns = click(
        wanted,
        {"price": 1, "paid": True, "score": -0.0},
        {"price": None, "paid": False},
        {"price": 1e11, "paid": None, "score": 0.1},
        {"score": 2.5},
        declared={Kind.CLICK: {"paid": FieldType.BOOLEAN, "score": FieldType.NUMBER}},
    )
    nan = math.nan
    expected = [[1, nan, 1e11, nan], [1, 0, nan, nan], [0, nan, 0.1, 2.5]]
    assert np.array_equal(columns.numbers, expected, equal_nan=True)
    assert not np.signbit(columns.numbers[2, 0])
    assert columns.numbers.dtype == np.float64


@pytest.mark.parametrize(
    ("test", "passing", "failing"),
    [
        (TextTest("==", ("a",)), ["a"], ["b", "A", "", "aa"]),
        (TextTest("!=", ("a",)), ["b", ""], ["a"]),
        (TextTest("in", ("a", "b")), ["a", "b"], ["c"]),
        (TextTest("not in", ("a", "b")), ["c", ""], ["a"]),
        (TextTest("in", ()), [], ["a", ""]),
        (TextTest("not in", ()), ["a"], []),
        (TextTest("contains", ("an",)), ["an", "banana"], ["AN", "a n"]),
        (TextTest("starts_with", ("ba",)), ["ba", "banana"], ["aba", ""]),
        (TextTest("ends_with", ("na",)), ["na", "banana"], ["nab", ""]),
        (TextTest("contains", ("",)), ["", "a"], []),
        (TextTest("exists"), ["", "a"], []),
    ],
)
def test_text_tests(test: TextTest, passing: list[str], failing: list[str]) -> None:
    for text in passing:
        assert test.passes(text)
    for text in failing:
        assert not test.passes(text)
    wanted = KindColumns(tests=(("device", (TextTest("==", ("x",)), test)),))
    events = [{"device": text} for text in [*passing, *failing, None]] + [{}]
    columns = click(wanted, *events, *events)
    half = [2] * len(passing) + [0] * (len(failing) + 2)
    assert columns.tests.tolist() == [half + half]
    assert columns.tests.dtype == np.uint64


def test_sixty_four_tests_of_one_field() -> None:
    tests = tuple(TextTest("==", (str(i),)) for i in range(64))
    columns = click(KindColumns(tests=(("device", tests),)), {"device": "63"}, {"device": "0"}, {"device": "64"})
    assert columns.tests.tolist() == [[1 << 63, 1, 0]]
    with pytest.raises(ValueError, match="65 tests"):
        Decoder(Wanted({Kind.CLICK: KindColumns(tests=(("device", (*tests, TextTest("exists"))),))})).decode_mixed([])


def test_an_unknown_test_is_an_error() -> None:
    with pytest.raises(ValueError, match="like"):
        Decoder(Wanted({Kind.CLICK: KindColumns(tests=(("device", (TextTest("like", ("a",)),)),))})).decode_mixed([])


def test_hashes_and_texts() -> None:
    wanted = KindColumns(hashes=("category", "action"), texts=("category",))
    columns = click(wanted, {"category": "Bücher"}, {}, {"category": None, "action": "a"}, {"category": ""})
    assert columns.hashes.tolist() == [
        [hash64("Bücher"), 0, 0, hash64("")],
        [hash64("page_view"), hash64("page_view"), hash64("a"), hash64("page_view")],
    ]
    assert texts_in(columns) == [["Bücher", None, None, ""]]


@pytest.mark.parametrize("size", [1, 3, 4, 8, 9, 16, 17, 32, 33, 64, 65, 96, 97, 128, 129, 240, 241, 4096])
def test_hashes_of_texts_of_any_length(size: int) -> None:
    text = "".join(chr(33 + (i * 7 + size) % 58) for i in range(size)).replace("\\", "x")
    wanted = KindColumns(hashes=("category",), texts=("category",))
    columns = click(wanted, {"category": text}, {"category": text[:-1]}, {"category": None})
    assert columns.hashes.tolist() == columns.text_hashes.tolist() == [[hash64(text), hash64(text[:-1]), 0]]


def test_a_hash_is_never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xxhash.xxh3_64_digest", lambda _: bytes(8))
    assert hash_all([b"a"]).tolist() == [1]


def test_traits() -> None:
    wanted = Wanted({}, ("plan", "age", 'odd "name"\n'))
    long = "x" * 4097
    carried: list[Any] = [
        {"age": 3, "plan": "pro", "other": 1},
        None,
        {},
        {"plan": None, 'odd "name"\n': True},
        {"plan": long, "age": [1], 'odd "name"\n': {}},
        {"plan": long[1:], "age": -0.0},
        {"age": 2**70},
    ]
    expected = [
        (0, 0, "pro"),
        (0, 1, 3.0),
        (3, 0, None),
        (3, 2, True),
        (5, 0, long[1:]),
        (5, 1, 0.0),
        (6, 1, float(2**70)),
    ]
    for wanted_traits, traits in ((wanted, expected), (Wanted({}, ("plan", "age")), [t for t in expected if t[1] < 2])):
        messages = [message(Kind.EMAIL, traits=value) for value in carried]
        messages.append(message(Kind.EMAIL))
        columns, rejections = Decoder(wanted_traits).decode(Kind.EMAIL, messages)
        assert not rejections
        assert columns.trait_values() == traits
        assert [type(value) for *_, value in columns.trait_values()] == [type(value) for *_, value in traits]
        assert not any(isinstance(value, float) and math.copysign(1, value) < 0 for *_, value in columns.trait_values())


def test_traits_that_no_double_holds_are_as_if_not_carried() -> None:
    texts = [b"1e400", b"-1e400", b"9" * 400, b"9" * 9000, b'"' + b"x" * 4097 + b'"', b"[1e400]", b"12"]
    messages = [message(Kind.EMAIL)[:-1] + b',"traits":{"age":' + text + b',"plan":"p"}}' for text in texts]
    columns, rejections = Decoder(Wanted({}, ("age", "plan"))).decode(Kind.EMAIL, messages)
    assert not rejections
    assert columns.trait_values() == [*((i, 1, "p") for i in range(6)), (6, 0, 12.0), (6, 1, "p")]


def test_the_last_copy_counts() -> None:
    wanted = Wanted({Kind.CLICK: KindColumns(numbers=("price",), texts=("device",))}, ("plan",))
    text = message(Kind.CLICK)[:-1]
    text += b',"price":1,"device":"a","traits":{"plan":"x","plan":"y"},"pri\\u0063e":2,"device":null'
    columns, rejections = Decoder(wanted).decode(
        Kind.CLICK, [text + b"}", text + b',"traits":null}', text + b',"traits":{"plan":1,"plan":[]}}']
    )
    assert not rejections
    assert columns.numbers.tolist() == [[2, 2, 2]]
    assert texts_in(columns) == [[None, None, None]]
    assert columns.trait_values() == [(0, 0, "y")]


def test_mixed_kinds_are_the_same_as_one_by_one() -> None:
    lines = shop_events(500, seed=3)
    decoder = Decoder(some())
    columns, rejections = decoder.decode_mixed(lines)
    assert not rejections
    for kind in Kind:
        indices = np.flatnonzero(columns.kind == kind)
        alone, rejections = decoder.decode(kind, [lines[i] for i in indices.tolist()])
        assert not rejections
        alone.source = indices
        assert same(columns.select(indices), alone)


def test_select_and_concatenate() -> None:
    lines = shop_events(200, seed=5)
    columns, _ = Decoder(some()).decode_mixed(lines)
    order = np.random.default_rng(1).permutation(200)[:150]
    picked = columns.select(order)
    assert picked.customers() == [columns.customers()[i] for i in order.tolist()]
    assert picked.trait_values() == sorted(picked.trait_values(), key=lambda trait: trait[:2])
    expected, _ = Decoder(some()).decode_mixed([lines[i] for i in order.tolist()])
    expected.source = order
    assert same(picked, expected)
    assert columns.select(np.arange(200)) is columns
    assert len(columns.select(np.array([], np.int64))) == 0


def test_parts_are_what_is_selected() -> None:
    columns, _ = Decoder(some()).decode_mixed(shop_events(200, seed=5))
    assert len(columns.traits)
    bounds = (0, 60, 61, 61, 180, 200)
    parts = [columns.part(start, stop) for start, stop in itertools.pairwise(bounds)]
    for part, (start, stop) in zip(parts, itertools.pairwise(bounds), strict=True):
        assert same(part, columns.select(np.arange(start, stop)))
    assert same(concatenate(parts), columns)
    assert columns.part(0, 200) is columns


def test_no_messages_at_all() -> None:
    decoder = Decoder(some())
    for columns, rejections in (decoder.decode_mixed([]), decoder.decode(Kind.CLICK, [], [], [])):
        assert len(columns) == 0
        assert rejections == []
        assert columns.numbers.shape == (2, 0)
        assert texts_in(columns) == [[]]


def test_a_record_without_a_value_is_an_empty_message() -> None:
    columns, rejections = Decoder(some()).decode(Kind.CLICK, [message(Kind.CLICK), None, message(Kind.CLICK)])
    assert columns.source.tolist() == [0, 2]
    assert [(r.index, r.reason) for r in rejections] == [(1, "the message is empty")]


def test_names_that_python_would_not_like() -> None:
    declared = dict.fromkeys(("class", "__init__", "f0", "kind", "Traits", "_x"), FieldType.TEXT)
    wanted = Wanted({Kind.CLICK: KindColumns(texts=tuple(declared))}, ("f0", "", "self", "~4"), {Kind.CLICK: declared})
    event = {name: name.upper() for name in declared}
    text = json.loads(message(Kind.CLICK, traits={"": 1, "self": 2, "~4": 3})) | event
    decoder = Decoder(wanted)
    for columns, rejections in (
        decoder.decode(Kind.CLICK, [json.dumps(text).encode()]),
        decoder.decode_mixed([json.dumps(text).encode()]),
    ):
        assert not rejections
        assert texts_in(columns) == [[value] for value in event.values()]
        assert columns.trait_values() == [(0, 1, 1.0), (0, 2, 2.0), (0, 3, 3.0)]


def test_keys_that_mean_nothing_to_us_may_look_like_our_own() -> None:
    wanted = some()
    odd = {f"~{i}": i for i in range(20)} | {f"f{i}": "x" for i in range(20)}
    for kind in Kind:
        columns, rejections = Decoder(wanted).decode_mixed([message(kind, **odd), message(kind)])
        assert not rejections
        assert columns.kind.tolist() == [kind, kind]
        assert np.array_equal(columns.numbers[:, 0], columns.numbers[:, 1], equal_nan=True)


def test_what_is_selected_and_joined_has_no_gaps() -> None:
    """Compiled code takes matrices of one layout; for another one it would be compiled again, in the live worker."""
    wanted = KindColumns(numbers=("price", "quantity"), hashes=("category", "device"), texts=("country", "url"))
    lines = [message(Kind.CLICK, price=i, quantity=i, url="u", country="DE", device="d") for i in range(8)]
    columns, _ = Decoder(Wanted({Kind.CLICK: wanted})).decode(Kind.CLICK, lines)
    selected = columns.select(np.arange(0, 8, 2))
    for batch in (selected, columns.part(2, 7), concatenate([columns, selected])):
        for name in ("numbers", "tests", "hashes", "texts", "text_hashes"):
            assert getattr(batch, name).flags.c_contiguous, name


def test_compacting_keeps_the_texts() -> None:
    wanted = Wanted({Kind.CLICK: KindColumns(texts=("country", "url"))}, traits=("age", "plan"))
    lines = [
        message(Kind.CLICK, country="Österreich", traits={"plan": "gold", "age": 30}),
        message(Kind.CLICK, url="", customer_id="zoë"),
        message(Kind.CLICK, url="x" * 300, event_id="é"),
    ]
    columns, _ = Decoder(wanted).decode_mixed([line[:-1] + b',"type":"click"}' for line in lines])
    before = columns.customers(), columns.event_ids(), columns.trait_values(), columns.texts.copy(), columns.data
    columns.compact()
    assert (columns.customers(), columns.event_ids(), columns.trait_values()) == before[:3]
    assert len(columns.data) < len(before[4])
    assert not columns.data[-PADDING:].any()
    views: list[Any] = [before[4], columns.data]
    for old, new in zip(before[3].ravel().tolist(), columns.texts.ravel().tolist(), strict=True):
        if old == MISSING:
            assert new == MISSING
        else:
            assert text_of(memoryview(views[0]), old) == text_of(memoryview(views[1]), new)
