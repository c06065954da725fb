"""The versions of the personas and what happened to them, as the topics tell it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from stream.instants import parse_instant
from stream.kafka.following import Follower, latest_of
from stream.kafka.models import PublishedModels
from stream.kafka.topics import PERSONA_EVENTS, PERSONA_MODELS
from stream.language.persona_names import persona_segment
from stream.personas.model import Model

#: So many events are known; the latest.
EVENTS_KEPT = 500

_log = logging.getLogger(__name__)


class PersonaEvent(msgspec.Struct, frozen=True):
    """What happened to a persona by a version, or why there was no version; what does not belong to it is None."""

    id: str
    at: str
    version: int
    event: str
    persona: str | None = None
    label: str | None = None
    share: float | None = None
    feature: str | None = None
    before: float | None = None
    after: float | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        parse_instant(self.at)


_event = msgspec.json.Decoder(PersonaEvent)


class PersonaHistory(PublishedModels):
    """All that the topics have told so far. What is neither a version nor an event is passed over.

    ``features`` are those that the definitions have, None where nobody knows: workers take no versions by others.
    """

    def __init__(self, features: tuple[str, ...] | None = None) -> None:
        super().__init__()
        self._features = features
        self._events: dict[str, PersonaEvent] = {}

    def take_event(self, value: bytes | None) -> None:
        """A record of ``persona-events``; one that is told again has the same id."""
        try:
            event = _event.decode(value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            _log.warning("%s: passed over, it is no event: %s", PERSONA_EVENTS, error)
            return
        self._events.pop(event.id, None)
        self._events[event.id] = event
        while len(self._events) > EVENTS_KEPT:
            del self._events[next(iter(self._events))]

    def newest_first(self) -> list[Model]:
        """The versions, the latest first."""
        return [self.versions[version] for version in sorted(self.versions, reverse=True)]

    def fits(self, model: Model) -> bool:
        """Whether a version is one for the definitions."""
        return self._features is None or model.features == self._features

    def events(self) -> list[PersonaEvent]:
        """The latest first; of one instant, the last that was told."""
        latest_first = list(self._events.values())[::-1]
        return sorted(latest_first, key=lambda event: -parse_instant(event.at))

    def in_force(self, clock_ms: int | None) -> Model | None:
        """The version that customers have their personas by at the stream clock: the newest of those that fit.

        One that takes effect later counts only where there is no earlier one.
        """
        fitting = [model for model in self.newest_first() if self.fits(model)]
        begun = [model for model in fitting if clock_ms is None or model.effective_ms <= clock_ms]
        return next(iter(begun or fitting[-1:]), None)


class FollowedPersonas(Follower):
    """Follows both topics while it is entered (``async with``); ``history`` is empty until both have been read."""

    def __init__(
        self, broker: str, features: tuple[str, ...] | None = None, spoken: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__("personas", "the topics of personas have not been read yet", spoken)
        self.history = PersonaHistory(features)
        self._broker = broker
        self._features = features

    def segments(self) -> list[str]:
        """Those that the members of the newest version's personas are in."""
        model = self.history.in_force(None)
        return [] if model is None else [persona_segment(f"p{one.number}") for one in model.personas]

    async def _read(self) -> None:
        history = PersonaHistory(self._features)
        async with latest_of(self._broker, {PERSONA_MODELS: None, PERSONA_EVENTS: EVENTS_KEPT}) as lists:
            async for records, are_read in lists:
                for record in records:
                    if record.partition:
                        continue  # nobody writes there
                    if record.topic == PERSONA_MODELS:
                        history.take_or_pass_over(record.key, record.value, f"{PERSONA_MODELS}, offset {record.offset}")
                    else:
                        history.take_event(record.value)
                if are_read and (records or self.problem is not None or self.history is not history):
                    self.history, self.problem = history, None
                    self._spoken()
