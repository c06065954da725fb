"""Taking over a partition from its changelog: read, send what may not have been sent, put the rows in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stream.engine.layout import Layout
from stream.engine.snapshot import Snapshot
from stream.worker.definitions_history import NextDefinitions, next_definitions
from stream.worker.erasures import Erasures
from stream.worker.interfaces import World
from stream.worker.models import Models
from stream.worker.records import Checkpoint
from stream.worker.replica import Replica
from stream.worker.settings import Settings
from stream.worker.writing import Writer


@dataclass(frozen=True)
class Recovered:
    """What a new owner begins with: the definitions from now on, and the version of the personas so far."""

    definitions: tuple[str, ...]
    model: int


class Recovery:
    """One recovery, after the fence has been written; it goes on from what ``replica`` has read.

    Rows are assigned by the one of ``models`` that the last checkpoint names; later ones are for the owner to apply.
    """

    def __init__(self, world: World, settings: Settings, writer: Writer, replica: Replica, models: Models) -> None:
        self._world = world
        self._settings = settings
        self._writer = writer
        self._replica = replica
        self._models = models
        self._partition = replica.partition
        self._erasures = Erasures()
        self._restorer = replica.restorer
        self._rows: list[tuple[str, bytes]] = []
        self._has_other_layouts = False

    async def run(self) -> Recovered:
        """Raises ``EarlierDefinitionsError``, ``ChangelogError`` or ``SnapshotError``; nothing was sent then."""
        writer, settings, restorer = self._writer, self._settings, self._restorer
        writer.attach(self._partition, self._erasures)
        await self._read_changelog()
        checkpoint = restorer.checkpoint
        present = self._partition.plan.definitions_hash
        where = f"partition {settings.partition}"
        following = next_definitions(checkpoint, present, force=settings.force_definitions, where=where)
        before = checkpoint or Checkpoint(-1, -1, (), passing=False, sent_to=-1, memberships_to=0)
        suspects = await self._read_memberships(before.memberships_to)

        layout_id = self._partition.plan.layout.id
        if layout_id not in restorer.layouts:
            await writer.write_layout()
        self._take_rows(before.sent_to)
        await writer.send()
        if self._has_other_layouts and not following.is_pass_due:
            following = NextDefinitions(following.hashes, is_pass_due=True)
        await self._restore_rows(before, following)
        await writer.complete(restorer.rewrite)
        await self._correct_memberships(suspects)
        return Recovered(following.hashes, before.model)

    async def _read_changelog(self) -> None:
        log, replica = self._writer.changelog, self._replica
        assert replica.position <= log.epoch, "nothing behind one's own fence has been read"
        await replica.read(self._world.reader, log.topic, log.partition, log.epoch + 1, self._world.time.wall_ms())

    async def _read_memberships(self, start: int) -> dict[bytes, bytes | None]:
        """What has been written there since the checkpoint, by whomever: the latest of each key."""
        log = self._writer.memberships_log
        end = await self._world.reader.end(log.topic, log.partition)
        log.begin(self._writer.changelog.epoch, end)
        found: dict[bytes, bytes | None] = {}
        if end > start:
            async for records in self._world.reader.read(log.topic, log.partition, start, end):
                found.update((record.key, record.value) for record in records if record.key is not None)
        return found

    def _take_rows(self, sent_to: int) -> None:
        """Takes over what is not in place: rows in other layouts, markers, outboxes that may not have been sent."""
        placer = self._replica.placer
        self._erasures.add_residues(self._restorer.residues)
        for customer, box in placer.unsent(sent_to):
            self._writer.outboxes.restore(customer, box)
        for customer, marker in placer.markers():
            self._erasures.add_marker(customer, marker)
        self._rows = placer.other_rows()
        self._has_other_layouts = bool(self._rows)
        del self._replica

    async def _restore_rows(self, before: Checkpoint, following: NextDefinitions) -> None:
        """Puts the rows in place; under new definitions every customer is evaluated once, and written."""
        writer, partition, settings = self._writer, self._partition, self._settings
        partition.use_model(self._models.at(before.model))
        if following.is_pass_due:
            await writer.write_checkpoint(
                Checkpoint(
                    before.stream_ms,
                    before.latest_ms,
                    following.hashes,
                    passing=True,
                    sent_to=writer.sent_to,
                    memberships_to=before.memberships_to,
                    model=before.model,
                )
            )
        reshared = self._reshared()
        present = before.definitions[-1] if before.definitions else ""
        for rows in self._chunks(following):
            partition.restore(Snapshot(present, before.stream_ms, before.latest_ms, self._restorer.layouts, rows))
            if following.is_pass_due:
                customers = [customer for customer, _ in rows]
                writer.collect(partition.redefine(allow_empty=settings.allow_empty, quiet=settings.quiet_changes))
                writer.touched.add_customers(customers)
                await writer.flush()
                await writer.write_touched()
                await self._write_memberships(reshared, customers)
        partition.stream_ms = max(partition.stream_ms, before.stream_ms)
        partition.latest_ms = max(partition.latest_ms, before.latest_ms)

    def _reshared(self) -> list[int]:
        """Segments that hold out another share of customers than some earlier definitions did."""
        earlier = [Layout.decode(layout).segments() for layout in self._restorer.layouts.values()]
        return [
            number
            for number, segment in enumerate(self._partition.plan.definitions.segments)
            if any(segment.name in parts and parts[segment.name].holdout != segment.holdout for parts in earlier)
        ]

    async def _write_memberships(self, segments: list[int], customers: list[str]) -> None:
        """Writes who is held out now, of the members of these segments: there may be no change that says so."""
        writer = self._writer
        if not segments:
            return
        of_customers = zip(customers, writer.memberships.of(customers), strict=True)
        members = [c.encode() for c, (_, found) in of_customers if any(segment in segments for segment, _ in found)]
        await writer.memberships_log.append(list(writer.membership_records(members)))

    def _chunks(self, following: NextDefinitions) -> Iterator[list[tuple[str, bytes]]]:
        """The rows that remain to be restored, in parts, each let go of when it has been used.

        When all have to be evaluated those that are in place come first, as they are written.
        """
        partition, size = self._partition, self._settings.limits.rows_at_once
        if following.is_pass_due:
            placed = partition.profiles.every_row()
            for start in range(0, len(placed), size):
                yield partition.snapshot(partition.profiles.customers(placed[start : start + size])).rows
        self._rows.reverse()
        while self._rows:
            yield self._rows[: -size - 1 : -1]
            del self._rows[-size:]

    async def _correct_memberships(self, suspects: dict[bytes, bytes | None]) -> None:
        """Writes memberships again where the latest record may be a stalled owner's."""
        records = self._writer.membership_records(list(suspects))
        wrong = [record for record in records if suspects[record.key or b""] != record.value]
        await self._writer.memberships_log.append(wrong)
        await self._writer.answer_in_memberships()
