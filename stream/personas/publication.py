"""What comes of asking for a version: a model or why there is none, and what has happened."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from stream.personas.drift import Drift
from stream.personas.model import Model
from stream.personas.shift import Shift


class Birth(msgspec.Struct, frozen=True, tag="birth", tag_field="event"):
    """A persona that the last version did not have."""

    number: int
    label: str
    share: float


class Death(msgspec.Struct, frozen=True, tag="death", tag_field="event"):
    """A persona of the last version that there is no more; the share is what it had."""

    number: int
    label: str
    share: float


Event = Birth | Death | Drift | Shift


@dataclass(frozen=True)
class Publication:
    """A new version, or the reason why there is none, and what has happened."""

    model: Model | None
    reason: str | None
    events: tuple[Event, ...] = ()


def births_and_deaths(last: Model | None, model: Model) -> tuple[Event, ...]:
    """The personas that only one of two versions has."""
    before = {persona.number: persona for persona in last.personas} if last else {}
    after = {persona.number: persona for persona in model.personas}
    born = [Birth(one.number, one.label, one.share) for number, one in after.items() if number not in before]
    died = [Death(one.number, one.label, one.share) for number, one in before.items() if number not in after]
    return (*born, *died)
