"""Raw events for the tests, made piece by piece: a key may come twice, a number be written in any way."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from stream.contract import FIELDS, KNOWN_ACTIONS, FieldType, Kind
from stream.events.columns import Columns, KindColumns, TextTest, Wanted
from stream.events.spans import MISSING, text_of

#: Fields that the tests' definitions declare, in each kind.
DECLARED = {"score": FieldType.NUMBER, "plan": FieldType.TEXT, "paid": FieldType.BOOLEAN}
TRAITS = ("plan", "age", "newsletter")

Pairs = Sequence[tuple[str, str]]


def everything() -> Wanted:
    """A `Wanted` that names every field of every kind, the declared ones too."""
    kinds = {}
    for kind in Kind:
        types = FIELDS[kind] | DECLARED
        texts = tuple(name for name, of in types.items() if of is FieldType.TEXT)
        kinds[kind] = KindColumns(
            numbers=tuple(name for name, of in types.items() if of is not FieldType.TEXT),
            tests=tuple(
                (name, (TextTest("==", ("a",)), TextTest("contains", ("é",)), TextTest("exists"))) for name in texts
            ),
            hashes=texts,
            texts=texts,
        )
    return Wanted(kinds, TRAITS, dict.fromkeys(Kind, DECLARED))


def some() -> Wanted:
    """A `Wanted` as real definitions have it; its rows meet in some kinds and not in others."""
    actions = tuple(TextTest("==", (action,)) for action in KNOWN_ACTIONS[Kind.CLICK])
    return Wanted(
        {
            Kind.CLICK: KindColumns(
                numbers=("price", "paid"),
                tests=(("action", actions), ("device", (TextTest("!=", ("mobile",)), TextTest("exists")))),
                hashes=("category", "device"),
                texts=("device",),
            ),
            Kind.PURCHASE: KindColumns(
                numbers=("total", "score"), tests=(("coupon", (TextTest("exists"),)),), hashes=("currency",)
            ),
            Kind.EMAIL: KindColumns(
                tests=(("campaign_id", (TextTest("in", ("c1", "c2")),)), ("action", (TextTest("==", ("opened",)),))),
                texts=("message_id",),
            ),
        },
        TRAITS,
        {Kind.CLICK: DECLARED, Kind.PURCHASE: DECLARED},
    )


def write(pairs: Iterable[tuple[str, str]]) -> bytes:
    """A message from pairs of a key and a value, both as JSON text (the key without its quotes)."""
    return ("{" + ",".join(f'"{key}":{value}' for key, value in pairs) + "}").encode("utf-8", "surrogatepass")


def plain(kind: Kind, **fields: Any) -> dict[str, Any]:
    """A valid event of a kind, with ``fields`` set (and left out where they are ``...``)."""
    event: dict[str, Any] = {"event_id": "e1", "customer_id": "c1", "timestamp": 1_760_000_000_000, "type": kind.word}
    match kind:
        case Kind.CLICK:
            event |= {"action": "page_view"}
        case Kind.PURCHASE:
            event |= {"order_id": "o1", "total": 10}
        case Kind.EMAIL:
            event |= {"action": "opened"}
    event |= fields
    return {name: value for name, value in event.items() if value is not ...}


def message(kind: Kind, **fields: Any) -> bytes:
    """`plain` as bytes."""
    return json.dumps(plain(kind, **fields), separators=(",", ":"), ensure_ascii=False).encode()


def shop_events(n: int, seed: int) -> list[bytes]:
    """``n`` valid events such as a shop sends, all kinds mixed."""
    draw = random.Random(seed)
    lines = []
    for i in range(n):
        kind = draw.choices(list(Kind), [8, 1, 1])[0]
        event = plain(kind, event_id=f"e{i}", customer_id=f"c{draw.randrange(99)}", timestamp=1_760_000_000_000 + i)
        if kind is Kind.CLICK:
            event |= {"action": draw.choice(KNOWN_ACTIONS[kind]), "price": round(draw.uniform(0, 99), 2)}
            event |= {"category": draw.choice(["books", "Bücher", "本"]), "device": draw.choice(["mobile", None])}
        if kind is Kind.PURCHASE:
            event |= {"order_id": f"o{i}", "currency": draw.choice(["EUR", "CHF", None]), "items": [{"price": 1}]}
        if draw.random() < 0.2:
            event["traits"] = {"plan": draw.choice(["pro", None, 3, True]), "age": draw.randrange(90), "tags": ["a"]}
        if draw.random() < 0.1:
            event["timestamp"] = f"2025-10-09T09:06:15.{draw.randrange(1000):03}Z"
        lines.append(json.dumps(event, ensure_ascii=draw.random() < 0.5).encode())
    return lines


def texts_in(columns: Columns) -> list[list[str | None]]:
    """The texts of a batch, (text_rows, n); None where one is missing."""
    view = memoryview(columns.data)  # type: ignore[arg-type]  # an array is a buffer
    return [[None if span == MISSING else text_of(view, span) for span in row] for row in columns.texts.tolist()]


def same(a: Columns, b: Columns) -> bool:
    """Whether two batches hold the same events, bit by bit (one NaN is as good as another)."""
    arrays = (
        "kind",
        "time_ms",
        "event_hash",
        "order_hash",
        "customer_hash",
        "tests",
        "hashes",
        "text_hashes",
        "source",
    )
    return (
        all(np.array_equal(getattr(a, name), getattr(b, name)) for name in arrays)
        and all(getattr(a, name).dtype == getattr(b, name).dtype for name in (*arrays, "numbers"))
        and np.array_equal(a.numbers, b.numbers, equal_nan=True)
        and np.array_equal(np.signbit(a.numbers), np.signbit(b.numbers))
        and (a.customers(), a.event_ids(), texts_in(a)) == (b.customers(), b.event_ids(), texts_in(b))
        and [(i, j, type(v), v) for i, j, v in a.trait_values()] == [(i, j, type(v), v) for i, j, v in b.trait_values()]
    )
