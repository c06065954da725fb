"""The contract as msgspec understands it: Structs with just the fields that are looked at.

What these accept is valid (the guards aside). What they refuse may still be valid in rare cases, which
`stream.events.verdict` decides: a text too long among the traits, a number there that no double can hold, a `type`
given twice, an action not met before, a timestamp at the very edge of its range.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

import msgspec
from msgspec import Meta

from stream.contract import (
    ACTION_PATTERN,
    CURRENCY_PATTERN,
    CUSTOMER_ID_LENGTH,
    EVENT_ID_LENGTH,
    KNOWN_ACTIONS,
    LAST_INSTANT,
    NUMBER_LIMIT,
    ORDER_ID_LENGTH,
    TEXT_LENGTH,
    FieldType,
    Kind,
)
from stream.events.columns import Wanted
from stream.events.layout import Layout, field_type
from stream.instants import PLAIN_INSTANT_PATTERN

_EVENT_ID = Annotated[str, Meta(min_length=1, max_length=EVENT_ID_LENGTH)]
_CUSTOMER_ID = Annotated[str, Meta(min_length=1, max_length=CUSTOMER_ID_LENGTH)]
_ORDER_ID = Annotated[str, Meta(min_length=1, max_length=ORDER_ID_LENGTH)]
_TOTAL = Annotated[float, Meta(ge=0, le=NUMBER_LIMIT)]
_TIME = Union[Annotated[int, Meta(ge=0, le=LAST_INSTANT)], Annotated[str, Meta(pattern=PLAIN_INSTANT_PATTERN)]]
_TEXT = Annotated[str, Meta(max_length=TEXT_LENGTH)]
_TYPES: dict[FieldType, Any] = {
    FieldType.NUMBER: Annotated[float, Meta(ge=-NUMBER_LIMIT, le=NUMBER_LIMIT)],
    FieldType.TEXT: _TEXT,
    FieldType.BOOLEAN: bool,
}
#: Lists and objects are read only to be passed over.
_TRAIT = Union[float, _TEXT, bool, None, list, dict, msgspec.UnsetType]  # type: ignore[type-arg]

#: Fields whose text must match a pattern. A set of words is checked 10 times faster than a pattern, and gives one and
#: the same object for the same word: so what was met before is a word, and what is new goes the careful way once.
WORD_PATTERNS = {
    (Kind.CLICK, "action"): ACTION_PATTERN,
    (Kind.PURCHASE, "currency"): CURRENCY_PATTERN,
}
FIRST_WORDS: dict[tuple[Kind, str], tuple[str, ...]] = {
    (Kind.CLICK, "action"): KNOWN_ACTIONS[Kind.CLICK],
    (Kind.PURCHASE, "currency"): ("EUR", "USD", "GBP"),
}
#: With more different words than this the pattern is cheaper than making Structs over and over.
WORDS_KEPT = 256

Words = Mapping[tuple[Kind, str], Collection[str]]


@dataclass(frozen=True, slots=True)
class Structs:
    """A decoder and the Structs it makes. The field at place ``i`` of the layout is the attribute ``f{i}``."""

    decoder: msgspec.json.Decoder[Any]
    types: Mapping[Kind, type[msgspec.Struct]]
    traits: type[msgspec.Struct]


def make_structs(wanted: Wanted, layout: Layout, words: Words) -> Structs:
    """Structs for messages of the kinds of ``layout``: several are told apart by ``type``.

    ``words`` are those known so far of the fields in `WORD_PATTERNS`.
    """
    traits = msgspec.defstruct(
        "Traits",
        [(f"f{i}", _TRAIT, msgspec.UNSET) for i in range(len(wanted.traits))],
        rename={f"f{i}": name for i, name in enumerate(wanted.traits)},
        gc=False,
        eq=False,
    )
    mixed = len(layout.names) > 1
    types = {}
    for kind, names in layout.names.items():
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        keys = {}
        for place, name in enumerate(names):
            attribute = f"f{place}"
            keys[attribute] = name
            if name == "type" and mixed:
                # The tag itself is not kept, so its place has the kind as a constant.
                fields.append((attribute, Literal[int(kind)], int(kind)))
                keys[attribute] = _NO_KEY.format(place)
            elif name is None:
                fields.append((attribute, None, None))
                keys[attribute] = _NO_KEY.format(place)
            else:
                fields.append((attribute, *_field(wanted, kind, name, traits, words)))
        types[kind] = msgspec.defstruct(
            kind.name.title(),
            fields,
            rename=keys,
            tag_field="type" if mixed else None,
            tag=kind.word if mixed else None,
            kw_only=True,  # so that what is required may stand behind what is not
            gc=False,  # holds nothing that could point back at it
            eq=False,
        )
    return Structs(msgspec.json.Decoder(Union[tuple(types.values())]), types, traits)


#: The key of a place that takes nothing from the message. Should an event have it, it goes the careful way.
_NO_KEY = "~{}"


def _field(
    wanted: Wanted, kind: Kind, name: str, traits: type[msgspec.Struct], words: Words
) -> tuple[Any] | tuple[Any, Any]:
    """A field's type, and its default where it may be missing."""
    match name:
        case "event_id":
            return (_EVENT_ID,)
        case "customer_id":
            return (_CUSTOMER_ID,)
        case "timestamp":
            return (_TIME,)
        case "type":
            return Literal[kind.word] | None, None
        case "traits":
            return traits | None, None
        case "order_id":
            return (_ORDER_ID,)
        case "total":
            return (_TOTAL,)
        case "action":
            return (_word_type(kind, name, words),)
        case "currency":
            return _word_type(kind, name, words) | None, None
    return _TYPES[field_type(wanted, kind, name)] | None, None


def _word_type(kind: Kind, name: str, words: Words) -> Any:
    """The type of a field that takes only certain words."""
    pattern = WORD_PATTERNS.get((kind, name))
    if pattern is None:
        return Literal[KNOWN_ACTIONS[kind]]
    known = words[kind, name]
    if len(known) <= WORDS_KEPT:
        return Literal[tuple(sorted(known))]
    # `$` alone would let a newline at the end pass.
    return Annotated[str, Meta(pattern=pattern.replace("$", r"\Z"))]
