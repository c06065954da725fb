"""All answers of a running dashboard: out of Redis, from the workers, and in words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from stream import __version__
from stream.dashboard.answers import Answers, Json, Member, sort_of
from stream.dashboard.broker import BrokerLook
from stream.dashboard.catalogue import Catalogue
from stream.dashboard.crew import Crew, NobodyAnswersError, added_up
from stream.dashboard.memory import Memory
from stream.dashboard.persona_history import FollowedPersonas
from stream.dashboard.personas import Personas
from stream.dashboard.refusals import RefusedError
from stream.dashboard.sizes import Sizes
from stream.instants import format_instant, parse_instant
from stream.kafka.workers import Announcement, FollowedWorkers
from stream.language.persona_names import persona_of
from stream.live.draft_process import DraftTooLargeError, checked_apart

#: Of the feed so many are read at once for those who look on.
_FED = 50
#: Those of one sort are looked for among so many: a new version of the personas brings many at once.
_SOUGHT = 1_000
#: A check is a process of its own.
_DRAFTS_AT_ONCE = 2


class Shop(Answers):
    """Asks whoever knows. All of it is entered and left by `stream.dashboard.server`."""

    def __init__(
        self,
        memory: Memory,
        catalogue: Catalogue,
        workers: FollowedWorkers,
        crew: Crew,
        broker: BrokerLook,
        followed: FollowedPersonas,
        moved_share: float,
    ) -> None:
        self._memory = memory
        self._catalogue = catalogue
        self._workers = workers
        self._crew = crew
        self._broker = broker
        self._drafts = asyncio.Semaphore(_DRAFTS_AT_ONCE)
        self._sizes = Sizes(memory, catalogue, moved_share, self._stream_ms, self._customers, followed.segments)
        self._personas = Personas(memory, catalogue, self._sizes, followed)

    # --- what workers tell ---

    def _stream_ms(self) -> int | None:
        """The newest stream clock: a partition to which nobody sends stays behind."""
        told = [part.stream_ms for one in self._workers.present() for part in one.partitions]
        return max((clock for clock in told if clock is not None), default=None)

    def _customers(self) -> int | None:
        profiles: dict[int, int] = {}
        for one in self._workers.present():
            for part in one.partitions:
                profiles[part.partition] = max(part.profiles, profiles.get(part.partition, 0))
        return sum(profiles.values()) if profiles else None

    # --- answers ---

    async def settings(self) -> Json:
        zone, definitions = self._catalogue.zone.key, self._catalogue.definitions
        return {
            "time_zone": zone,
            "version": __version__,
            "definitions": definitions,
            "aliases": dict(self._catalogue.aliases),
        }

    async def segments(self) -> Json:
        return await self._sizes.all()

    async def segment(self, name: str) -> Json:
        return await self._sizes.one(name)

    async def history(self, name: str, hours: int) -> Json:
        return await self._sizes.history(name, hours)

    async def members(self, name: str, limit: int, cursor: str) -> Json:
        return await self._sizes.members(name, limit, cursor)

    def all_members(self, name: str) -> AsyncIterator[Sequence[Member]]:
        return self._sizes.all_members(name)

    async def lookup(self, customer: str, *, with_holdout: bool) -> bytes:
        return await self._memory.lookup(customer, with_holdout=with_holdout)

    async def customer(self, customer: str) -> Json:
        with self._memory.refusing():
            known = await self._memory.reader.customer(customer)
            changes = await self._memory.reader.changes(customer) if known is not None else []
        portrait, why = None, None
        try:
            portrait = await self._crew.customer(customer)
        except NobodyAnswersError as error:
            why = str(error)
        if known is None and portrait is None:
            raise RefusedError(404, "unknown_customer", "nothing is known of such a customer")
        memberships = {} if known is None else known.segments
        having = [(id_, one) for name, one in memberships.items() if (id_ := persona_of(name))]
        return {
            "customer_id": customer,
            "persona": next((self._personas.of_customer(id_, one.since_ms) for id_, one in having), None),
            "segments": {
                name: {"since": format_instant(one.since_ms), "holdout": one.holdout}
                for name, one in memberships.items()
                if persona_of(name) is None
            },
            "changes": self._told(changes),
            "worker": None if portrait is None else self._in_words(portrait),
            "worker_error": why,
        }

    def _in_words(self, portrait: Json) -> Json:
        """A worker's answer, with words for the features and for each comparison."""
        features = self._catalogue.words.features(portrait["features"], parse_instant(portrait["at"]))
        why = [
            {**one, "enter": self._said(one.get("enter") or ()), "exit": self._said(one.get("exit") or ())}
            for one in portrait.get("why") or ()
        ]
        return {**portrait, "features_in_words": features, "why": why}

    def _said(self, tree: Iterable[Json] | Json) -> list[Json]:
        parts = [tree] if isinstance(tree, dict) else tree
        return [
            {**part, "parts": self._said(part["parts"])}
            if "parts" in part
            else {**part, "words": self._catalogue.words.condition(part["text"])}
            for part in parts
        ]

    async def pipeline(self) -> Json:
        workers: list[Announcement] = self._workers.present()
        error = self._workers.problem or self._broker.problem
        with self._memory.refusing():
            offsets, gaps = await self._memory.reader.offsets(), await self._memory.reader.gaps()
            meta = await self._memory.reader.meta()
        is_known = self._broker.problem is None
        letters = {"total": self._broker.dead_letters_total, "latest": [_built(one) for one in self._broker.letters()]}
        return {
            "workers": [_built(one) for one in workers],
            "events_per_s": round(sum(one.events_per_s for one in workers), 1),
            "changes_per_s": round(sum(one.changes_per_s for one in workers), 1),
            "lag_records": sum(sum(part.lag_records.values()) for one in workers for part in one.partitions),
            "dead_letters": letters if is_known else None,
            "sink": {
                "lag_records": self._broker.lag(offsets) if is_known else None,
                "gaps": gaps.count,
                "filled": meta.is_filled,
            },
            "redis": await self._memory.server(),
            "broker_error": error,
        }

    async def changes(self, limit: int, sort: str) -> Json:
        with self._memory.refusing():
            found = await self._memory.reader.feed(limit if sort == "all" else max(limit, _SOUGHT))
        changes = [one for one in _decoded(entry.change for entry in found) if sort in ("all", sort_of(one))]
        return {"changes": [self._with_words(one) for one in changes[:limit]]}

    # --- personas ---

    async def personas(self) -> Json:
        return await self._personas.all()

    async def persona(self, id_: str) -> Json:
        return await self._personas.one(id_)

    async def persona_history(self, id_: str, hours: int) -> Json:
        return await self._personas.history(id_, hours)

    async def persona_moves(self, hours: int) -> Json:
        return await self._personas.moves(hours)

    async def persona_versions(self) -> Json:
        return await self._personas.versions()

    # --- what moves ---

    async def counts(self) -> Json:
        return await self._sizes.counts()

    async def feed(self, after: str | None) -> tuple[str | None, list[Json]]:
        with self._memory.refusing():
            latest = await self._memory.reader.feed(_FED)
        newest = latest[0].id if latest else after or "0-0"
        if after is None:
            return newest, []
        fresh = [one.change for one in latest if _place(one.id) > _place(after)]
        return newest, self._told(fresh[::-1])

    def _told(self, changes: Iterable[str]) -> list[Json]:
        """Changes with their words."""
        return [self._with_words(one) for one in _decoded(changes)]

    def _with_words(self, change: Json) -> Json:
        return {**change, "words": self._catalogue.words.change(change)}

    async def draft(self, text: bytes) -> Json:
        written = self._catalogue.written
        try:
            async with self._drafts:
                checked = await checked_apart(text, None if written is None else written.encode())
        except DraftTooLargeError as error:
            raise RefusedError(422, "too_large", str(error)) from error
        answer: Json = {
            "problems": [
                {"line": one.line, "column": one.column, "severity": one.severity, "message": one.message}
                for one in checked.problems
            ],
            "segments": None,
            "partitions": [],
            "workers": 0,
            "took_ms": None,
            "preview_error": None,
        }
        if checked.definitions is None:
            return answer
        try:
            previews, wrong = await self._crew.preview(text)
        except NobodyAnswersError as error:
            return {**answer, "preview_error": str(error)}
        return {
            **answer,
            "segments": added_up(previews),
            "partitions": sorted(part for one in previews for part in one["partitions"]),
            "workers": len(previews),
            "took_ms": max(one["took_ms"] for one in previews),
            "preview_error": "; ".join([*wrong, *_missing(previews)]) or None,
        }


def _missing(previews: Iterable[Json]) -> list[str]:
    """Partitions that workers could not look at, and why."""
    missing = [one for preview in previews for one in preview.get("missing", ())]
    return [f"partition {one['partition']}: {one['reason']}" for one in missing]


def _decoded(changes: Iterable[str]) -> Iterator[Json]:
    for text in changes:
        change: Json = msgspec.json.decode(text)
        yield change


def _place(entry: str) -> tuple[int, int]:
    """Where an entry stands in the feed."""
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number or 0)


def _built(struct: Any) -> Json:
    built: Json = msgspec.to_builtins(struct)
    return built
