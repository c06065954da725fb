"""What conditions, values and changes say, in plain English: made from the language's tree, for any definitions."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stream.dashboard.words.conditions import said
from stream.dashboard.words.features import Value, When, measure, phrases, values_of
from stream.dashboard.words.segments import sentences
from stream.instants import parse_instant
from stream.language.canonical import text
from stream.language.meaning import Evidence, evidence
from stream.language.measures import is_instant
from stream.language.persona_names import persona_of
from stream.language.tree import And, Definitions, Expression, Literal, Not, Or, Segment, Type

_NEVER = Literal(value=False, type=Type.BOOLEAN)
_OTHERWISE = {
    "definitions": "new definitions",
    "model": "a new model of personas",
    "erasure": "all that was known of the customer has been erased",
}


@dataclass(frozen=True)
class PersonaFeature:
    """A feature of personas: its name, what it is (``the number of orders``), and whether it counts days."""

    name: str
    words: str | None
    days: bool | None


class Words:
    """The words for one definitions file. Texts come from customers, too: pages must escape them."""

    def __init__(self, definitions: Definitions, zone: datetime.tzinfo = datetime.UTC) -> None:
        self._zone = zone
        self._segments = {segment.name: segment for segment in definitions.segments}
        self._evidence: dict[str, Evidence] = {}
        self._conditions: dict[str, str] = {}
        for segment in definitions.segments:
            self._evidence.update({text(one): one for one in evidence(segment)})
            for condition in (segment.enter, segment.exit):
                for part in _comparisons(condition):
                    self._conditions[text(part)] = said(part).yes

        #: By canonical text, in the order of the section.
        self._personas: dict[str, tuple[str, Expression]] = {}
        if definitions.personas is not None:
            self._personas = {text(one): (name, one) for name, one in definitions.personas.features}

    def persona_feature(self, written: str) -> PersonaFeature:
        """A feature by its canonical text or its name; one that is not in the definitions as it is written."""
        for canonical, (name, expression) in self._personas.items():
            if written in (canonical, name):
                return PersonaFeature(name, measure(expression), is_instant(expression))
        return PersonaFeature(written, None, None)

    def segment(self, name: str) -> list[str]:
        """A segment in sentences."""
        return sentences(self._segments[name])

    def condition(self, written: str) -> str:
        """A comparison by its canonical text; one that is not in the definitions as it is written."""
        return self._conditions.get(written, written)

    def features(self, values: Mapping[str, Value], at_ms: int) -> list[str]:
        """Values by canonical text, as they stood at an instant."""
        return phrases(self._known(values, self._evidence), When(at_ms, self._zone))

    def change(self, change: Mapping[str, Any]) -> str:
        """Why a change came about: a record of ``segment-changes``, decoded."""
        cause, values = _OTHERWISE.get(change["cause"]), change["values"]
        if cause is not None and not values:
            return cause
        when = When(parse_instant(change["at"]), self._zone)
        if persona_of(change["segment"] or "") is not None:
            told = values_of([(one, values[name]) for name, (_, one) in self._personas.items() if name in values], when)
            return ": ".join(filter(None, (cause, ", ".join(told))))
        segment = self._segments.get(change["segment"])
        asked = self._evidence if segment is None else _deciding(segment, change["change"])
        said_of_it = ", ".join(phrases(self._known(values, asked), when))
        return ": ".join(filter(None, (cause, said_of_it)))

    def _known(self, values: Mapping[str, Value], asked: Iterable[str]) -> Iterator[tuple[Evidence, Value]]:
        """What is asked for and there; of values under other definitions what these know too."""
        for name in asked:
            if name in values and name in self._evidence:
                yield self._evidence[name], values[name]


def _deciding(segment: Segment, change: str) -> list[str]:
    """The texts of what the condition names that decided: ``exit`` of an exit, else ``enter``."""
    condition = segment.exit if change == "exited" else segment.enter
    alone = Segment(segment.name, condition, _NEVER)
    return [text(one) for one in evidence(alone)]


def _comparisons(condition: Expression) -> Iterator[Expression]:
    """All parts that are true or false by themselves."""
    match condition:
        case And(operands=operands) | Or(operands=operands):
            for operand in operands:
                yield from _comparisons(operand)
        case Not(operand=operand):
            yield from _comparisons(operand)
        case _:
            yield condition
