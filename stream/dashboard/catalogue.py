"""What the definitions file says of the segments: names, descriptions, words, and the text as it was written."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from stream.dashboard.answers import Json
from stream.dashboard.file import sources
from stream.dashboard.words import Words
from stream.language.canonical import text
from stream.language.meaning import definitions_hash
from stream.language.tree import Definitions, Literal, Personas, Segment, Type

_NEVER = Literal(value=False, type=Type.BOOLEAN)


@dataclass(frozen=True)
class Catalogue:
    """The segments of a definitions file by name; none where there is no file. ``written`` is its text."""

    segments: Mapping[str, Segment]
    sources: Mapping[str, str]
    words: Words
    zone: ZoneInfo
    definitions: str | None
    written: str | None
    personas: Personas | None = None

    @classmethod
    def of(cls, definitions: Definitions | None, written: str, zone: ZoneInfo) -> Catalogue:
        """``definitions`` are what ``written`` means."""
        if definitions is None:
            return cls({}, {}, Words(Definitions(()), zone), zone, None, None)
        return cls(
            {segment.name: segment for segment in definitions.segments},
            sources(written),
            Words(definitions, zone),
            zone,
            definitions_hash(definitions),
            written,
            definitions.personas,
        )

    @property
    def persona_features(self) -> tuple[str, ...] | None:
        """By what customers are clustered, as canonical texts; None where that is not known."""
        return None if self.personas is None else tuple(text(one) for _, one in self.personas.features)

    @property
    def aliases(self) -> Mapping[str, str]:
        """Of personas, by id."""
        return {} if self.personas is None else self.personas.aliases

    def segment(self, name: str) -> Segment:
        """One that only Redis knows has nothing to say about itself."""
        return self.segments.get(name) or Segment(name, _NEVER, _NEVER)

    def about(self, name: str) -> Json:
        """What a segment's short answer has from the file."""
        segment = self.segment(name)
        return {
            "name": name,
            "description": segment.description,
            "tags": list(segment.tags),
            "owner": segment.owner,
            "goal": segment.goal,
            "review_by": segment.review_by,
            "min_size": segment.min_size,
        }

    def conditions(self, name: str) -> Json:
        """What a segment's long answer has from the file besides."""
        if name not in self.segments:
            return {"enter": None, "exit": None, "source": None, "words": []}
        segment = self.segments[name]
        enter, leave = text(segment.enter), text(segment.exit)
        written = self.sources.get(name, f"{name}:\n  enter: {enter}\n  exit: {leave}\n")
        return {"enter": enter, "exit": leave, "source": written, "words": self.words.segment(name)}

    def today(self, at_ms: int) -> datetime.date:
        """The day of the calendar that an instant falls on in the shop."""
        return datetime.datetime.fromtimestamp(at_ms / 1_000, self.zone).date()
