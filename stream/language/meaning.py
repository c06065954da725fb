"""What of a definitions file decides results: its canonical JSON, its hash, and the evidence of its segments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from stream.contract import hash64
from stream.language.canonical import text
from stream.language.tree import (
    After,
    Aggregate,
    And,
    Arithmetic,
    Before,
    Compare,
    Definitions,
    Exists,
    Expression,
    In,
    Not,
    Or,
    Persona,
    Personas,
    Rank,
    Rfm,
    Segment,
    Since,
    TextMatch,
    Trait,
)

Evidence = Aggregate | Trait | Persona | Rank | Rfm


def meaning(definitions: Definitions) -> str:
    """Canonical JSON of all that changes results: keys sorted, no spaces; segments in the order of the file.

    What is for people (descriptions, owners, goals, tags, review dates, sizes) and features, which are resolved, are
    not in it; nor is how models of personas are made, whose results a model carries itself.
    """
    churn = definitions.churn
    content: dict[str, object] = {
        "version": 1,
        "buckets": definitions.buckets,
        "dedupe": {"events": definitions.dedupe_events, "orders": definitions.dedupe_orders},
        "churn": {"model": churn.model.value, "r": churn.r, "alpha": churn.alpha, "a": churn.a, "b": churn.b},
        "lateness": definitions.lateness_ms,
        "max_ahead": definitions.max_ahead_ms,
        "fields": {
            kind.word: {name: type_.value for name, type_ in fields.items()}
            for kind, fields in definitions.declared.items()
        },
        "segments": [_segment(segment) for segment in definitions.segments],
    }
    if definitions.personas is not None:
        content["personas"] = _personas(definitions.personas)
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def definitions_hash(definitions: Definitions) -> str:
    """16 hexadecimal digits: hash64 of the ``meaning``."""
    return f"{hash64(meaning(definitions)):016x}"


def evidence(segment: Segment) -> tuple[Evidence, ...]:
    """The aggregates, traits, ranks and persona that ``enter`` and then ``exit`` name, once each, as they first appear.

    What is ranked comes behind its rank or ``rfm``.
    """
    found: dict[Evidence, None] = {}
    for condition in (segment.enter, segment.exit):
        found.update(dict.fromkeys(_leaves(condition)))
    return tuple(found)


def ranked(segments: Iterable[Segment]) -> tuple[Expression, ...]:
    """All that some segment ranks by, each once, by first appearance.

    An ``rfm`` ranks by three, one behind the other.
    """
    found: list[Expression] = []
    for segment in segments:
        for part in evidence(segment):
            if isinstance(part, Rank):
                found.append(part.value)
            elif isinstance(part, Rfm):
                found.extend(part.measures)
    return tuple(dict.fromkeys(found))


def _personas(personas: Personas) -> dict[str, object]:
    """What decides a customer's persona once there is a model; how and when models are made is not part of it."""
    return {
        "features": [text(expression) for _, expression in personas.features],
        "margin": personas.margin,
        "active_within": personas.active_within_ms,
        "aliases": dict(personas.aliases),
    }


def _segment(segment: Segment) -> dict[str, object]:
    return {
        "name": segment.name,
        "enter": text(segment.enter),
        "exit": text(segment.exit),
        "for": segment.for_ms,
        "min_stay": segment.min_stay_ms,
        "cooldown": segment.cooldown_ms,
        "once": segment.once,
        "holdout": segment.holdout,
        "to": list(segment.to),
    }


def _leaves(expression: Expression) -> Iterator[Evidence]:
    """In the order of the text; what stands within an aggregate's ``where`` is part of that aggregate."""
    match expression:
        case Aggregate() | Trait() | Persona():
            yield expression
        case Rank(value=inner):
            yield expression
            yield from _leaves(inner)
        case Rfm(recency=recency, frequency=frequency, money=money):
            yield from (expression, recency, frequency, money)
        case Arithmetic(left=left, right=right) | Compare(left=left, right=right):
            yield from _leaves(left)
            yield from _leaves(right)
        case After(left=left, right=right) | Before(left=left, right=right):
            yield from _leaves(left)
            yield from _leaves(right)
        case In(value=inner) | TextMatch(value=inner) | Exists(value=inner):
            yield from _leaves(inner)
        case Since(instant=inner) | Not(operand=inner):
            yield from _leaves(inner)
        case And(operands=operands) | Or(operands=operands):
            for operand in operands:
                yield from _leaves(operand)
        case _:
            pass
