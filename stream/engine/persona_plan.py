"""The personas of a definitions file compiled: their features, and what else the kernel has to know of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stream.contract import Kind, hash64
from stream.engine import opcodes as op
from stream.engine.accumulators import Accumulator, needs
from stream.engine.conditions import ConditionCompiler
from stream.language import canonical, tree
from stream.language.tree import Aggregate, Expression, Function, Type

#: The name of the part of a row in which a customer's persona lies.
PART = "persona"
#: What segments of personas are called, in changes and memberships.
SEGMENT_PREFIX = "persona_"

_ACTED = tree.In(
    tree.Field("action", Type.TEXT),
    (tree.Literal("opened", Type.TEXT), tree.Literal("clicked", Type.TEXT)),
    negated=False,
)


def _last(kind: Kind, where: Expression | None = None) -> Aggregate:
    return Aggregate(Function.LAST, kind, None, where, None, None, Type.INSTANT)


#: What tells whether a customer is active: the mails that are sent to them do not.
ACTIVITY = (_last(Kind.CLICK), _last(Kind.PURCHASE), _last(Kind.EMAIL, _ACTED))


@dataclass(frozen=True)
class PersonaPlan:
    """Of each feature its canonical text, and whether it is an instant."""

    features: tuple[str, ...]
    are_instants: tuple[bool, ...]


def segment_of(number: int) -> str:
    """The segment that the members of a persona are in.

    >>> segment_of(3)
    'persona_p3'
    """
    return f"{SEGMENT_PREFIX}p{number}"


def persona_plan(personas: tree.Personas) -> PersonaPlan:
    nodes = [node for _, node in personas.features]
    return PersonaPlan(tuple(map(canonical.text, nodes)), tuple(_is_instant(node) for node in nodes))


def features_hash(definitions: tree.Definitions) -> str:
    """hash64 of what a model is of: where it changes, customers start without a persona."""
    personas = definitions.personas
    assert personas is not None, "there are personas"
    texts = [canonical.text(node) for _, node in personas.features]
    read = [
        accumulator.key
        for _, node in personas.features
        for a in _aggregates_of(node)
        for accumulator in needs(a, definitions)
    ]
    return f"{hash64(chr(10).join([*texts, *read])):016x}"


def model_size(features: int) -> int:
    """Doubles that a model takes among the constants."""
    return op.M_SCALES + features + op.PERSONAS_MOST * (op.M_NAMING + features)


def aggregates(personas: tree.Personas) -> list[Aggregate]:
    """All that personas are decided by, each once."""
    found = dict.fromkeys(ACTIVITY)
    for _, node in personas.features:
        found.update(dict.fromkeys(_aggregates_of(node)))
    return list(found)


def persona_table(
    definitions: tree.Definitions,
    conditions: ConditionCompiler,
    offsets: dict[Accumulator, int],
    words: tuple[int, int],
    touch: int,
) -> list[int]:
    """The table at P_PERSONA. ``words`` are the state's and the timer's in a row, ``touch`` its number in P_READERS."""
    personas = definitions.personas
    assert personas is not None, "there are personas"
    values = conditions.values
    features = [
        (
            *conditions.value(node),
            int(_is_instant(node)),
            values.index(node) if isinstance(node, Aggregate) else op.NONE,
        )
        for _, node in personas.features
    ]
    windowed = [node for node in aggregates(personas) if node.window_ms is not None]
    steps = [values.index(node) for node in windowed]
    return [
        *words,
        conditions.constants.index(1.0 - personas.margin),
        *(offsets[needs(node, definitions)[0]] for node in ACTIVITY),
        personas.active_within_ms,
        -(-personas.active_within_ms // definitions.buckets),
        touch,
        len(features),
        len(steps),
        *(word for feature in features for word in feature),
        *steps,
    ]


def _is_instant(node: Expression) -> bool:
    return isinstance(node, Aggregate | tree.Arithmetic) and node.type is Type.INSTANT


def _aggregates_of(node: Expression) -> Iterator[Aggregate]:
    match node:
        case Aggregate():
            yield node
        case tree.Arithmetic(_, left, right, _):
            yield from _aggregates_of(left)
            yield from _aggregates_of(right)
