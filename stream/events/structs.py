"""The contract as msgspec understands it: Structs with just the fields that are looked at.

What these accept is valid (the guards aside). What they refuse may still be valid in rare cases, which
`stream.events.verdict` decides: a text too long among the traits, a number there that no double can hold, a `type`
given twice, an action not met before, a timestamp at the very edge of its range.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

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

#: All that is required but ``action``, which is another thing in each kind.
_REQUIRED: dict[str, Any] = {
    "event_id": Annotated[str, Meta(min_length=1, max_length=EVENT_ID_LENGTH)],
    "customer_id": Annotated[str, Meta(min_length=1, max_length=CUSTOMER_ID_LENGTH)],
    "timestamp": Annotated[int, Meta(ge=0, le=LAST_INSTANT)] | Annotated[str, Meta(pattern=PLAIN_INSTANT_PATTERN)],
    "order_id": Annotated[str, Meta(min_length=1, max_length=ORDER_ID_LENGTH)],
    "total": Annotated[float, Meta(ge=0, le=NUMBER_LIMIT)],
}
_TEXT = Annotated[str, Meta(max_length=TEXT_LENGTH)]
_TYPES: dict[FieldType, Any] = {
    FieldType.NUMBER: Annotated[float, Meta(ge=-NUMBER_LIMIT, le=NUMBER_LIMIT)],
    FieldType.TEXT: _TEXT,
    FieldType.BOOLEAN: bool,
}
#: Lists and objects are read only to be passed over.
_TRAIT: Any = float | _TEXT | bool | None | list[Any] | dict[str, Any] | msgspec.UnsetType

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

#: Names that msgspec refuses for a field. Traits with such names are read into a dictionary.
_UNSPEAKABLE = re.compile(r'[\x00-\x1f"\\]')

#: The key of a place that takes nothing from the message. Should an event have it, it goes the careful way.
_NO_KEY = "~{}"

Words = Mapping[tuple[Kind, str], Collection[str]]


@dataclass(frozen=True, slots=True)
class Structs:
    """A decoder and the Structs it makes. The field at place ``i`` of the layout is the attribute ``f{i}``."""

    decoder: msgspec.json.Decoder[Any]
    types: Mapping[Kind, type[msgspec.Struct]]
    traits: Any  # a Struct of the wanted ones, or a dictionary


def make_structs(wanted: Wanted, layout: Layout, words: Words) -> Structs:
    """Structs for messages of the kinds of ``layout``: several are told apart by ``type``.

    ``words`` are those known so far of the fields in `WORD_PATTERNS`.
    """
    traits = _make_traits(wanted)
    mixed = len(layout.names) > 1
    types = {}
    for kind, names in layout.names.items():
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        keys: dict[str, str] = {}
        for place, name in enumerate(names):
            attribute = f"f{place}"
            if name is None or (name == "type" and mixed):
                # An empty place takes nothing. The tag is not kept by msgspec, so its place has the kind as a constant.
                keys[attribute] = _NO_KEY.format(place)
                fields.append((attribute, None, None) if name is None else (attribute, Literal[int(kind)], int(kind)))
            else:
                keys[attribute] = name
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
    return Structs(msgspec.json.Decoder(functools.reduce(operator.or_, types.values())), types, traits)


def _make_traits(wanted: Wanted) -> Any:
    """The type of traits: a Struct of the wanted ones, ``f0`` and so on."""
    if any(_UNSPEAKABLE.search(name) for name in wanted.traits):
        return dict[str, _TRAIT]
    return msgspec.defstruct(
        "Traits",
        [(f"f{i}", _TRAIT, msgspec.UNSET) for i in range(len(wanted.traits))],
        rename={f"f{i}": name for i, name in enumerate(wanted.traits)},
        gc=False,
        eq=False,
    )


def _field(wanted: Wanted, kind: Kind, name: str, traits: Any, words: Words) -> tuple[Any] | tuple[Any, Any]:
    """A field's type, and its default where it may be missing."""
    if name in _REQUIRED:
        return (_REQUIRED[name],)
    if name == "action":
        return (_word_type(kind, name, words),)
    optional: Any
    if name == "type":
        optional = Literal[(kind.word,)]
    elif name == "traits":
        optional = traits
    elif (kind, name) in WORD_PATTERNS:
        optional = _word_type(kind, name, words)
    else:
        optional = _TYPES[field_type(wanted, kind, name)]
    return optional | None, None


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
