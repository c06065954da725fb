"""The personas of a definitions file compiled: their features, and what else the kernel has to know of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from stream.contract import Kind, hash64
from stream.engine import opcodes as op
from stream.engine.accumulators import Accumulator, needs
from stream.engine.conditions import ConditionCompiler
from stream.language import canonical, tree
from stream.language.meaning import ranked
from stream.language.measures import aggregates_of, is_instant
from stream.language.persona_names import persona_segment
from stream.language.tree import Aggregate, Expression, Function, Type

#: The name of the part of a row in which a customer's persona lies.
PART = "persona"
#: What stands, beside the parts of rows, for what a model knows of all customers.
RANKS = "ranks"

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
    """Of each feature, and of what is ranked, its canonical text and whether it is an instant.

    ``word`` is the first of the row's words that say which persona a customer has, since when, and by which version
    that was last looked at; ``aliases`` are names by ids.
    """

    features: tuple[str, ...]
    are_instants: tuple[bool, ...]
    ranked: tuple[str, ...]
    ranked_are_instants: tuple[bool, ...]
    word: int
    aliases: Mapping[str, str]

    def name(self, number: int) -> str:
        """What conditions call a persona: its alias, or its id."""
        return self.aliases.get(f"p{number}", f"p{number}")


@functools.cache
def segment_of(number: int) -> str:
    """The segment that the members of a persona are in.

    >>> segment_of(3)
    'persona_p3'
    """
    return persona_segment(f"p{number}")


def persona_plan(definitions: tree.Definitions, word: int) -> PersonaPlan:
    personas = definitions.personas
    assert personas is not None, "there are personas"
    features, behind = [node for _, node in personas.features], ranked(definitions.segments)
    return PersonaPlan(
        tuple(map(canonical.text, features)),
        tuple(map(is_instant, features)),
        tuple(map(canonical.text, behind)),
        tuple(map(is_instant, behind)),
        word,
        personas.aliases,
    )


def features_hash(definitions: tree.Definitions) -> str:
    """hash64 of what a model is of: where it changes, customers start without a persona."""
    personas = definitions.personas
    assert personas is not None, "there are personas"
    texts = [canonical.text(node) for _, node in personas.features]
    read = [
        accumulator.key
        for _, node in personas.features
        for a in aggregates_of(node)
        for accumulator in needs(a, definitions)
    ]
    return f"{hash64(chr(10).join([*texts, *read])):016x}"


def model_room(definitions: tree.Definitions) -> list[float]:
    """What stands for a model among the constants as long as there is none."""
    if definitions.personas is None:
        return []
    features = len(definitions.personas.features)
    room = [0.0] * _personas_size(features) + [math.nan] * (len(ranked(definitions.segments)) * op.RANK_PLACES)
    room[op.M_SCALES : op.M_SCALES + features] = [1.0] * features
    return room


def rank_table(features: int, number: int) -> int:
    """The first place among the constants of the table of what is ranked, given by its number."""
    return op.K_HEADER + _personas_size(features) + number * op.RANK_PLACES


def rank_tables(definitions: tree.Definitions) -> dict[Expression, int]:
    """The tables' first places, by what is ranked."""
    features = len(definitions.personas.features) if definitions.personas else 0
    return {node: rank_table(features, number) for number, node in enumerate(ranked(definitions.segments))}


def others_table(features: int) -> int:
    """The first place among the constants of the names of personas that a model does not have."""
    return op.K_HEADER + op.M_SCALES + features + op.PERSONAS_MOST * (op.M_NAMING + features)


def _personas_size(features: int) -> int:
    return others_table(features) - op.K_HEADER + op.OTHERS_MOST * op.M_NAMING


def aggregates(personas: tree.Personas) -> list[Aggregate]:
    """All that personas are decided by, each once."""
    found = dict.fromkeys(ACTIVITY)
    for _, node in personas.features:
        found.update(dict.fromkeys(aggregates_of(node)))
    return list(found)


def read_by(personas: tree.Personas) -> list[list[Aggregate]]:
    """What personas read as a whole, and what each feature does."""
    return [aggregates(personas), *(list(aggregates_of(node)) for _, node in personas.features)]


def persona_table(
    definitions: tree.Definitions,
    conditions: ConditionCompiler,
    offsets: dict[Accumulator, int],
    words: tuple[int, int],
    touch: tuple[int, int],
) -> list[int]:
    """The table at P_PERSONA.

    ``words`` are the first ones of the state and of what is derived in a row, ``touch`` the numbers in P_READERS of the
    persona and of ranks.
    """
    personas = definitions.personas
    assert personas is not None, "there are personas"
    values = conditions.values

    nodes = [*(node for _, node in personas.features), *ranked(definitions.segments)]
    at = len(nodes) * op.FEATURE_COLUMNS  # the windowed values lie behind all columns
    columns: list[int] = []
    steps: list[int] = []
    for number, node in enumerate(nodes):
        alone = values.index(node) if isinstance(node, Aggregate) else op.NONE
        is_feature = number < len(personas.features)
        windowed = [values.index(one) for one in aggregates_of(node) if is_feature and one.window_ms is not None]
        columns += [*conditions.value(node), int(is_instant(node)), alone, at + len(steps), len(windowed)]
        steps += windowed
    return [
        *words,
        conditions.constants.index(1.0 - personas.margin),
        *(offsets[needs(node, definitions)[0]] for node in ACTIVITY),
        personas.active_within_ms,
        -(-personas.active_within_ms // definitions.buckets),
        touch[0],
        len(personas.features),
        len(nodes) - len(personas.features),
        touch[1],
        *columns,
        *steps,
    ]
