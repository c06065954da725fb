"""What the dashboard answers, whoever asks and however: the interface between HTTP and where the answers come from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stream.language.persona_names import persona_of

#: Of JSON: an object.
Json = dict[str, Any]


def sort_of(change: Json) -> str:
    """Whether a change is one of ``segments`` or of ``personas``."""
    return "segments" if persona_of(change["segment"] or "") is None else "personas"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a segment; ``since`` is RFC 3339, None where it is not known."""

    customer_id: str
    since: str | None
    holdout: bool


class Answers(Protocol):
    """Each method gives what is sent as JSON, or raises ``RefusedError``."""

    async def settings(self) -> Json: ...

    async def segments(self) -> Json: ...

    async def segment(self, name: str) -> Json: ...

    async def history(self, name: str, hours: int) -> Json: ...

    async def members(self, name: str, limit: int, cursor: str) -> Json: ...

    def all_members(self, name: str) -> AsyncIterator[Sequence[Member]]:
        """All members of a segment, in pieces."""
        ...

    async def lookup(self, customer: str, *, with_holdout: bool) -> bytes:
        """A customer's segments, as JSON; the one answer that has to be quick."""
        ...

    async def customer(self, customer: str) -> Json: ...

    async def pipeline(self) -> Json: ...

    async def changes(self, limit: int, sort: str) -> Json:
        """The latest changes: ``all``, or only those of ``segments`` or of ``personas``."""
        ...

    async def personas(self) -> Json: ...

    async def persona(self, id_: str) -> Json: ...

    async def persona_history(self, id_: str, hours: int) -> Json: ...

    async def persona_moves(self, hours: int) -> Json: ...

    async def persona_versions(self) -> Json: ...

    async def counts(self) -> Json:
        """What the event ``counts`` of the stream says."""
        ...

    async def feed(self, after: str | None) -> tuple[str | None, list[Json]]:
        """Changes that came after that place in the feed, oldest first, and the new place.

        None stands for the end: there are no changes yet, only a place.
        """
        ...

    async def draft(self, text: bytes) -> Json: ...
