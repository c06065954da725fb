"""The owner of one partition: takes it over, applies what comes, says what changed, and keeps it all durable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from stream.contract import Kind
from stream.engine import opcodes as op
from stream.engine.changes import Changes
from stream.engine.image import fingerprint_of
from stream.engine.partition import Partition, Status
from stream.engine.plan import Plan
from stream.events.columns import Columns
from stream.events.decoder import Decoder
from stream.kafka.topics import PROFILE_SAMPLES, RECORD_BYTES_MAX
from stream.worker.erasures import Request, Sifted
from stream.worker.errors import SourceTruncatedError
from stream.worker.intake import Given, Intake, Taken
from stream.worker.interfaces import Batch, Span, StoredRecord, World
from stream.worker.models import Models
from stream.worker.reassigning import Reassignment
from stream.worker.received import Received
from stream.worker.records import Checkpoint
from stream.worker.recovery import Recovery
from stream.worker.replica import MakePartition, Replica
from stream.worker.sampling import Sampler
from stream.worker.settings import ClockMode, Settings
from stream.worker.snapshots import Head, Saved, Snapshots
from stream.worker.writing import Writer

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

#: A change takes about so many bytes at most.
_CHANGE_BYTES = 1_024
#: What a customer's event adds to the outbox at least, where it adds anything time after time.
_EVENT_BYTES = 128
_BUCKETS = np.uint64(0xFFF)


class Owner:
    """One partition in one worker, from the first assignment on.

    Call ``assign`` at every assignment, then read from ``intake.positions()`` on, ``push`` what is read (also while a
    step is under way) and ``step`` as often as there is something to do (at least once a second), never two at a time.
    Any error ends it: nothing more may be called but ``assign``, which
    begins from the changelog. ``FencedError`` means that another worker has the partition. ``token`` gives texts
    that nobody has ever used. Owners in one thread may share a ``decoder`` and ``models``, which may get more while
    they work: each is applied before the first event of its instant or, where it comes late, at once.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        world: World,
        token: Callable[[], str],
        decoder: Decoder | None = None,
        make_partition: MakePartition = Partition,
        snapshots: Snapshots | None = None,
        models: Models | None = None,
    ) -> None:
        self.plan = plan
        self.settings = settings
        self.intake = Intake(plan, settings, decoder or Decoder(plan.wanted))
        self.writer = Writer(world, settings)
        self.reassignment = Reassignment(models or Models(), self.writer)
        self._sampler = Sampler(plan, settings.partition, settings.partitions)
        self._world = world
        self._token = token
        self._make_partition = make_partition
        self._snapshots = snapshots
        self._saved_at_ms = 0
        self._saved_to = -1  # the end of the changelog at that time
        self._fences: dict[bytes, list[int]] = {}
        self._layouts: dict[int, bytes] = {}
        self._is_current = False  # whether memory is what the changelog says and nothing is under way
        self._stands = False  # at the fixed clock's instant
        self._positions: dict[str, int] = {}  # of what has been done with
        self._committed: dict[str, int | None] = {}
        self._checkpoint = Checkpoint(-1, -1, (), passing=False, sent_to=-1, memberships_to=0)
        self._checkpoint_at_ms = 0
        self._record_at_ms = 0
        self._events_since = 0
        # So many events of one customer are applied at once: as few as fill half of an outbox when each changes every
        # segment, and twice as many each time that hardly anything came of them.
        # Never so many that what comes of them could not be written, if each changed every segment, and time did too.
        of_an_event = 2 * _CHANGE_BYTES * max(1, len(plan.segments))
        self._events_least = max(1, settings.limits.outbox_bytes // of_an_event)
        self._events_cap = max(
            self._events_least, min(settings.limits.outbox_bytes // _EVENT_BYTES, RECORD_BYTES_MAX // of_an_event)
        )
        self._events_most = self._events_least

    # --- taking over and letting go ---

    async def assign(self, standby: Replica | None = None) -> None:
        """Takes the partition over, or back. Memory is kept where nobody else can have written in between.

        Otherwise it begins with what ``standby`` has read, with a snapshot, or with an empty partition; the rest is
        read from the changelog.
        """
        world, settings, writer = self._world, self.settings, self.writer
        was_current, self._is_current = self._is_current, False
        is_next = await writer.changelog.write_fence(self._token(), settings.worker_id, world.time.wall_ms())
        if was_current and is_next:
            writer.memberships_log.begin(writer.changelog.epoch, writer.memberships_log.expected)
            self._fences[writer.changelog.fence] = [writer.changelog.epoch]
        else:
            replica = await self._first_replica(standby)
            self.partition = replica.partition
            recovered = await Recovery(world, settings, writer, replica, self.reassignment.models).run()
            self._checkpoint = msgspec.structs.replace(
                self._checkpoint, definitions=recovered.definitions, model=recovered.model
            )
            layout = self.plan.layout
            self._fences, self._layouts = replica.restorer.fences, replica.restorer.layouts
            self._layouts[layout.id] = layout.encode()
            self._saved_at_ms, self._saved_to = world.time.steady_ms(), replica.position
        spans = await world.sources.spans()
        self._check_sources(spans)
        self.intake.reset(spans)
        self._committed = {topic: span.committed for topic, span in spans.items()}
        self._positions = self.intake.positions()
        self._stands = False
        await self._write_checkpoint()
        self._is_current = True

    def _empty_replica(self) -> Replica:
        return Replica.empty(self.plan, self.settings, self._make_partition)

    async def _first_replica(self, standby: Replica | None) -> Replica:
        """What is known of the changelog before it is read."""
        now_ms, fresh_ms = self._world.time.wall_ms(), self.settings.pace.snapshot_fresh_ms
        if standby is not None and standby.as_of_ms is not None and now_ms - standby.as_of_ms < fresh_ms:
            return standby
        if self._snapshots is None or (saved := await self._snapshots.load()) is None:
            return self._empty_replica()
        log = self.writer.changelog
        why = saved.head.why_not(log.topic, log.partition, now_ms, fresh_ms)
        if why is None and saved.image.fingerprint != fingerprint_of(self.plan):
            why = "it is of other definitions, or of another version of segstream"
        if why is None and not await self._has_fence(saved.head):
            why = f"the changelog does not have its fence at offset {saved.head.epoch}: it was made anew, or truncated"
        if why is not None:
            self._snapshots.passed_over(why)
            return self._empty_replica()
        self._snapshots.begun_with(saved)
        return Replica.of_snapshot(self._empty_replica().partition, saved)

    async def _has_fence(self, head: Head) -> bool:
        """Whether the changelog is the one that a snapshot was made of."""
        log = self.writer.changelog
        if head.offset > log.epoch:
            return False
        found = self._world.reader.read(log.topic, log.partition, head.epoch, head.epoch + 1)
        return any([record.key == head.fence async for records in found for record in records])

    def _check_sources(self, spans: Mapping[str, Span]) -> None:
        """Offsets beyond a topic's end were read from another topic of that name."""
        partition = self.partition
        for topic, span in spans.items():
            if span.committed is not None and span.committed > span.end:
                raise self._truncated(topic, span, "committed", span.committed)
        for kind in Kind:
            seen = [int(marker.seen[kind]) for marker in self.writer.erasures.markers.values()]
            column = partition.profiles.column(op.R_SEEN + kind)
            latest = max([int(column.max()) if len(column) else op.NONE, *seen])
            if latest >= spans[kind.topic].end:
                raise self._truncated(kind.topic, spans[kind.topic], "applied", latest)

    def _truncated(self, topic: str, span: Span, what: str, offset: int) -> SourceTruncatedError:
        return SourceTruncatedError(
            f"topic {topic}, partition {self.settings.partition}: offset {offset} was {what}, but the topic ends at "
            f"{span.end}: it was truncated or made anew; `segstream reset` starts anew with it"
        )

    async def drain(self) -> None:
        """Makes all that was applied durable and commits it. After it, the partition may be let go."""
        self._begin()
        await self._write_checkpoint()
        self._is_current = True

    def save(self) -> None:
        """Keeps a snapshot, where there is a place for it and nothing has happened since the last checkpoint.

        So it is after `drain`, also when the partition has another owner by then.
        """
        if self._snapshots is None or self._snapshots.is_busy or not self._is_current or self._has_news():
            return
        writer, log = self.writer, self.writer.changelog
        assert not len(writer.outboxes), "at a checkpoint all has been sent"
        self._saved_at_ms, self._saved_to = self._world.time.steady_ms(), log.expected
        head = Head(
            topic=log.topic,
            partition=log.partition,
            at_ms=self._world.time.wall_ms(),
            offset=log.expected,
            epoch=log.epoch,
            fence=log.fence,
            number=log.last_number,
            checkpoint=self._checkpoint,
            fences={key: list(offsets) for key, offsets in self._fences.items()},
            layouts=dict(self._layouts),
            residues=dict(writer.erasures.residues),
            markers=dict(writer.erasures.markers),
        )
        self._snapshots.keep(Saved(head, self.partition.image()))

    def _begin(self) -> None:
        assert self._is_current, "not assigned, or ended by an error"
        self._is_current = False

    # --- what comes in ---

    def push(self, kind: Kind, records: Received, end: int) -> None:
        """Takes the next records of a topic of events, which ends at ``end`` as far as the fetch knows."""
        self.intake.push(kind, records, end)

    def push_requests(self, records: Sequence[StoredRecord], end: int) -> None:
        """Takes the next records of the topic of erasures."""
        self.intake.push_requests(records, end)

    # --- work ---

    async def step(self) -> bool:
        """Does all that can be done now; False when there was nothing to apply."""
        self._begin()
        clock = self.settings.clock
        given = self.intake.give(clock.instant_ms if clock.mode is ClockMode.FIXED else None)
        await self._erase(given.requests)
        if given.taken is not None:
            await self._apply(given.taken)
            self._events_since += len(given.taken.events)
        if given.taken is not None or given.letters:
            await self.writer.flush(given.letters)
        self._positions = given.positions
        await self._move_clock(given)
        goes_on = False
        if self.reassignment.is_under_way:
            goes_on = await self.reassignment.go_on(self._world.time.steady_ms())
        if samples := self._sampler.take():
            await self._world.producer.write([Batch(PROFILE_SAMPLES, 0, samples)])
        await self._keep_pace()
        self._is_current = True
        self._save_in_time()
        return given.taken is not None or bool(given.requests or given.letters or goes_on)

    async def _erase(self, requests: Sequence[Request]) -> None:
        writer = self.writer
        for request in requests:
            row = self.partition.profiles.find(request.customer)
            values = writer.erasures.erase(self.partition, writer.memberships, request)
            if values and row is not None:
                writer.touched.discard(np.array([row]))
            writer.outboxes.add([request.customer] * len(values), values, [()] * len(values))
            await writer.flush()

    async def _apply(self, taken: Taken) -> None:
        """Applies events, and before the first one of its instant or later each model is taken, and samples drawn."""
        latest = np.maximum(np.maximum.accumulate(taken.events.time_ms), self.partition.latest_ms)
        start = 0
        while start < len(latest):
            await self._take_models(int(latest[start]))
            instants = [at_ms for at_ms in (self.reassignment.next_ms, self._sampler.next_ms) if at_ms is not None]
            stop = int(np.searchsorted(latest, min(instants))) if instants else len(latest)
            for changes in self._changes_of(taken.part(start, stop)):
                await self._emit(changes)
            start = stop

    async def _take_models(self, to_ms: int) -> bool:
        """Takes the models that are due by then, and draws the samples that are; whether there were models."""
        is_any = await self.reassignment.take(to_ms)
        self._sampler.draw(self.partition, to_ms)
        return is_any

    async def _emit(self, changes: Changes) -> None:
        """Collects changes; where the next run of events might fill a customer's outbox, the batch ends here."""
        self.writer.collect(changes)
        if self.writer.is_filling:
            self._events_most = self._events_least
            await self.writer.flush()
        elif self.writer.outboxes.largest < self.settings.limits.outbox_bytes // 8:
            self._events_most = min(2 * self._events_most, self._events_cap)

    def _changes_of(self, taken: Taken) -> Iterator[Changes]:
        """Applies events, but for those of customers who were erased after them."""
        events, offsets, partition = taken.events, taken.offsets, self.partition
        sifted = self.writer.erasures.sift(events, offsets)
        if sifted is None:
            yield from self._apply_events(events, offsets)
            return
        # What is left out moves the stream clock all the same, so the batch is cut where it does.
        highest = np.maximum(np.maximum.accumulate(events.time_ms), partition.latest_ms)
        before = np.concatenate([[partition.latest_ms], highest[:-1]])
        start = 0
        for cut in np.flatnonzero(~sifted.counts & (events.time_ms > before)).tolist():
            yield from self._apply_run(taken, sifted, start, cut)
            partition.latest_ms = int(highest[cut])
            yield from partition.advance_in_groups(partition.latest_ms - partition.lateness_ms)
            start = cut + 1
        yield from self._apply_run(taken, sifted, start, len(events))

    def _apply_run(self, taken: Taken, sifted: Sifted, start: int, stop: int) -> Iterator[Changes]:
        """Applies those of the events from ``start`` to before ``stop`` that count."""
        self.writer.erasures.revive(self.partition, sifted.returning_in(start, stop))
        chosen = start + np.flatnonzero(sifted.counts[start:stop])
        yield from self._apply_events(taken.events.select(chosen), taken.offsets[chosen])

    def _apply_events(self, events: Columns, offsets: Ints) -> Iterator[Changes]:
        stop = 0
        while (start := stop) < len(events):
            stop = _run_end(events.customer_hash, start, self._events_most)
            applied = self.partition.apply(events.part(start, stop), offsets[start:stop])
            counted = (applied.status == Status.APPLIED) | (applied.status == Status.LATE)
            self.writer.touched.add(applied.rows[counted])
            yield applied.changes

    async def _move_clock(self, given: Given) -> None:
        """Moves the stream clock on where something else than events does."""
        clock, partition = self.settings.clock, self.partition
        to_ms = partition.stream_ms
        if clock.mode is ClockMode.WALL and self.intake.caught_up:
            to_ms = self._world.time.wall_ms() - partition.lateness_ms
        if clock.mode is ClockMode.FIXED:
            # Every event up to the instant has been given out, so nothing is left but later ones.
            self._stands = given.is_exhausted
            to_ms = clock.instant_ms if self._stands else to_ms
        if await self._take_models(to_ms):
            await self.writer.flush()
        if to_ms > partition.stream_ms:
            # Each group goes out before the next one is made: there may be a change for every customer.
            for changes in partition.advance_in_groups(to_ms):
                self.writer.collect(changes)
                await self.writer.flush()

    @property
    def is_done(self) -> bool:
        """Whether a fixed clock's partition stands at its instant, with all committed."""
        return self._is_current and self._stands and not self._has_news()

    # --- checkpoints ---

    def _has_news(self) -> bool:
        return (
            bool(self.writer.touched)
            or self.partition.is_assigning
            or self.partition.model_version > self._checkpoint.model
            or self._positions != self._committed
            or self.partition.stream_ms != self._checkpoint.stream_ms
        )

    async def _keep_pace(self) -> None:
        """Writes a checkpoint where one is due, and a record at least every so often."""
        pace, now_ms = self.settings.pace, self._world.time.steady_ms()
        since_ms = now_ms - self._checkpoint_at_ms
        is_idle_long = now_ms - self._record_at_ms >= pace.idle_ms_max
        if self._stands or self.intake.caught_up:
            is_due = is_idle_long or (since_ms >= pace.live_ms and self._has_news())
        else:
            is_due = since_ms >= pace.behind_ms or self._events_since >= pace.behind_events
        if is_due and not self.partition.is_assigning:
            await self._write_checkpoint()
        elif is_idle_long:
            await self._write_record(self._checkpoint)

    def _save_in_time(self) -> None:
        """Keeps a snapshot when it is time, if reading the changelog instead would have become long."""
        pace, since_ms = self.settings.pace, self._world.time.steady_ms() - self._saved_at_ms
        grown = self.writer.changelog.expected - self._saved_to
        is_worth_it = grown > len(self.partition.profiles) // 10 or since_ms >= pace.snapshot_fresh_ms // 4
        if since_ms >= pace.snapshot_ms and is_worth_it:
            self.save()

    async def _write_checkpoint(self) -> None:
        """The other touched rows, the checkpoint record, and when all is acknowledged the commit."""
        writer, partition = self.writer, self.partition
        await self.reassignment.finish()
        self._checkpoint_at_ms = self._world.time.steady_ms()
        self._events_since = 0
        positions = self._positions
        await writer.write_touched()
        await writer.bury([self._committed[kind.topic] or 0 for kind in Kind])
        now = msgspec.structs.replace(
            self._checkpoint,
            stream_ms=partition.stream_ms,
            latest_ms=partition.latest_ms,
            passing=False,
            model=max(self._checkpoint.model, partition.model_version),
        )
        await self._write_record(now)
        news = {topic: offset for topic, offset in positions.items() if self._committed[topic] != offset}
        assert all(offset >= (self._committed[topic] or 0) for topic, offset in news.items()), "commits go forward"
        if news and await self._world.sources.commit(news):
            self._committed.update(news)

    async def _write_record(self, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint record with the bounds as they are now, having looked whether anybody else writes."""
        writer = self.writer
        self._record_at_ms = self._world.time.steady_ms()
        await writer.look_behind_memberships()
        self._checkpoint = msgspec.structs.replace(
            checkpoint, sent_to=writer.sent_to, memberships_to=writer.memberships_log.expected
        )
        await writer.write_checkpoint(self._checkpoint)


def _run_end(hashes: Hashes, start: int, most: int) -> int:
    """Where a run of events from ``start`` on ends in which no customer, given by hash (n,), has more than ``most``.

    >>> _run_end(np.array([7, 7, 7, 8], dtype=np.uint64), 0, 2)
    2
    """
    count = len(hashes) - start
    # Different customers may be counted together; then a run is shorter than it could be.
    while count > most and np.bincount((hashes[start : start + count] & _BUCKETS).view(np.int64)).max() > most:
        count = max(most, count // 2)
    return start + count
