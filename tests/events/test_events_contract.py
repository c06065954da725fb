"""The schemas as an independent judge: what they say about an event is what the decoder does with it.

What a schema cannot say is listed in `beyond_schemas` and below, and nowhere else:

* JSON Schema takes 1.0 and 1e3 for integers; the contract wants timestamps without fraction and exponent.
* A pattern does not know the calendar (30 February), nor where an offset leads (before 1970, after 9999).
* A schema sees one copy of a repeated key. The contract: every copy valid, the last counts.
* Bytes: UTF-8, RFC 8259 syntax, lone surrogates, nesting. `test_events_bytes.py` has these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from jsonschema.protocols import Validator

from stream.contract import FIELDS, KINDS, FieldType, Kind
from stream.events.columns import Wanted
from stream.events.decoder import Decoder
from stream.instants import parse_instant
from tests.effort import examples
from tests.events.making import DECLARED, everything, message, plain, write
from tests.events.strategies import LIMITS, NUMBERS, OTHERS, TIMES, WORDS, events, names

SCHEMAS = Path(__file__).parents[2] / "schemas"
WANTED: Wanted = everything()


def _pattern(_: Validator, pattern: str, instance: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """Patterns as ECMA-262 has them: ``$`` is the end of the text, not the newline before it as in Python."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _judge(kind: Kind) -> Validator:
    schema = json.loads((SCHEMAS / f"{kind.word}.schema.json").read_text())
    of = {FieldType.TEXT: "product_id", FieldType.NUMBER: "price"}
    click = json.loads((SCHEMAS / "click.schema.json").read_text())["properties"]
    for name, field in DECLARED.items():
        # A declared field is under the same rules as a known one.
        schema["properties"][name] = click[of[field]] if field in of else {"type": ["boolean", "null"]}
    validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    judge: Validator = validator(schema)
    return judge


JUDGES = {kind: _judge(kind) for kind in Kind}


def beyond_schemas(event: dict[str, Any], raw_timestamp: str | None) -> bool:
    """Whether an event breaks the contract in a way that a schema cannot say."""
    if raw_timestamp is None:
        return False
    if isinstance(event["timestamp"], int | float):
        return not raw_timestamp.removeprefix("-").isdigit()
    try:
        parse_instant(event["timestamp"])
    except ValueError:
        return True
    return False


def judged(kind: Kind, pairs: list[tuple[str, str]], *, mixed: bool = False) -> bool:
    """Whether the contract accepts the event, by the schemas and by what they cannot say."""
    named = [(json.loads(f'"{key}"'), value) for key, value in pairs]
    last = dict(named)
    for i in [*range(len(named)), None]:
        # Each copy of a key in the place of the last one, and the event as it counts.
        chosen = last if i is None else last | {named[i][0]: named[i][1]}
        event = json.loads(write((json.dumps(key)[1:-1], value) for key, value in chosen.items()))
        if mixed:
            if event.get("type") not in list(KINDS):
                return False
            # Another copy of `type` names another kind, and only the last one says what the fields must be.
            event["type"] = kind.word
        if not JUDGES[kind].is_valid(event) or beyond_schemas(event, chosen.get("timestamp")):
            return False
    return True


@examples(500)
@given(events())
def test_schemas_and_decoder_agree_in_a_topic(event: tuple[Kind, list[tuple[str, str]]]) -> None:
    kind, pairs = event
    columns, rejections = Decoder(WANTED).decode(kind, [write(pairs)])
    assert (len(columns) == 1) == judged(kind, pairs), rejections
    assert len(columns) + len(rejections) == 1


@examples(500)
@given(events())
def test_schemas_and_decoder_agree_where_kinds_are_mixed(event: tuple[Kind, list[tuple[str, str]]]) -> None:
    kind, pairs = event
    last_type = {json.loads(f'"{key}"'): value for key, value in pairs}.get("type", "null")
    kind = KINDS.get(json.loads(last_type) if last_type.startswith('"') else "", kind)
    columns, rejections = Decoder(WANTED).decode_mixed([write(pairs)])
    assert (len(columns) == 1) == judged(kind, pairs, mixed=True), rejections
    assert len(columns) + len(rejections) == 1
    if len(columns):
        assert columns.kind[0] == kind


@pytest.mark.parametrize("kind", Kind)
def test_every_value_in_every_field(kind: Kind) -> None:
    decoder = Decoder(WANTED)
    values = [*TIMES, *NUMBERS, *WORDS, *OTHERS, *(json.dumps("a" * n) for n in LIMITS)]
    cases = []
    for field in names(kind):
        rest = [(key, json.dumps(value)) for key, value in plain(kind).items() if key != field]
        cases += [[*rest, (field, value)] for value in values]
        cases.append(rest)
    expected = [judged(kind, pairs) for pairs in cases]
    columns, rejections = decoder.decode(kind, [write(pairs) for pairs in cases])
    accepted = set(columns.source.tolist())
    assert [i in accepted for i in range(len(cases))] == expected
    assert accepted.isdisjoint(rejection.index for rejection in rejections)


@pytest.mark.parametrize("kind", Kind)
def test_fields_that_nobody_names_may_hold_anything(kind: Kind) -> None:
    decoder = Decoder(Wanted({}))
    required = {"event_id", "customer_id", "timestamp", "type", "traits", "action", "order_id", "total"}
    free = [name for name in names(kind) if name not in required]
    for value in (*TIMES, *NUMBERS, *WORDS, *OTHERS):
        rest = [(key, json.dumps(field)) for key, field in plain(kind).items()]
        columns, rejections = decoder.decode(kind, [write([*rest, (name, value)]) for name in free])
        assert len(columns) == len(free), rejections


def test_the_schemas_share_what_is_common() -> None:
    properties = [json.loads((SCHEMAS / f"{kind.word}.schema.json").read_text())["properties"] for kind in Kind]
    for name in ("event_id", "customer_id", "timestamp", "traits"):
        assert properties[0][name] == properties[1][name] == properties[2][name]
    for kind, fields in zip(Kind, properties, strict=True):
        items = {"items"} if kind is Kind.PURCHASE else set()
        assert fields.keys() == {*FIELDS[kind], "event_id", "customer_id", "timestamp", "type", "traits"} | items


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.schema.json")), ids=lambda path: path.name)
def test_schemas_are_valid_and_their_examples_too(path: Path) -> None:
    schema = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:segstream:schema:{path.name.removesuffix('.schema.json')}"
    for example in schema["examples"]:
        jsonschema.validate(example, schema)
    if "event_id" in schema.get("properties", ()) and (kind := KINDS.get(path.name.split(".")[0])) is not None:
        columns, rejections = Decoder(WANTED).decode(kind, [json.dumps(e).encode() for e in schema["examples"]])
        assert not rejections
        assert len(columns) == len(schema["examples"])


def test_a_word_is_learned_and_remains_valid() -> None:
    decoder = Decoder(WANTED)
    batch = [message(Kind.CLICK, action=f"word_{i}") for i in range(700)]
    for _ in range(3):
        columns, rejections = decoder.decode(Kind.CLICK, [*batch, message(Kind.CLICK, action="a\n")])
        assert len(columns) == 700
        assert [r.index for r in rejections] == [700]
