"""What the dashboard answers, whoever asks and however: the interface between HTTP and where the answers come from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

#: Of JSON: an object.
Json = dict[str, Any]


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

    async def changes(self, limit: int) -> Json: ...

    async def counts(self) -> Json:
        """What the event ``counts`` of the stream says."""
        ...

    async def feed(self, after: str | None) -> tuple[str | None, list[Json]]:
        """Changes that came after that place in the feed, oldest first, and the new place.

        None stands for the end: there are no changes yet, only a place.
        """
        ...

    async def draft(self, text: bytes) -> Json: ...
