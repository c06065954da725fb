"""One partition in this worker: its owner, what waits for it, and the task that lets it work."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from faust.types import TP

from stream.contract import TOPICS
from stream.engine.persona_plan import segment_of
from stream.kafka.topics import CUSTOMER_ERASURES as ERASURES
from stream.live.consumer import BatchConsumer
from stream.live.delays import Delays
from stream.live.fetched import Fetched
from stream.live.metrics import Durations
from stream.live.questions import NotNowError, Questions
from stream.live.sources import GroupSources
from stream.live.status import PartitionStatus, Phase
from stream.worker.errors import FencedError, SourceTruncatedError
from stream.worker.interfaces import Time
from stream.worker.owner import Owner
from stream.worker.received import Received
from stream.worker.replica import Replica
from stream.worker.settings import ClockMode

#: Timers and checkpoints are looked after so often when nothing comes.
_IDLE_S = 0.25
#: Owners who wait for their turn ask so often.
_TURN_S = 0.05
#: Members are counted so often, or less where a look at every row would take more than this share of the time.
_MEMBERS_EVERY_MS = 5_000
_MEMBERS_SHARE = 0.01
T = TypeVar("T")
_KINDS = {topic: kind for kind, topic in TOPICS.items()}

#: Fewer records than these are decoded together with others of their topic, more by themselves.
_FEW_RECORDS = 1_000

_log = logging.getLogger(__name__)


def _gathered(parts: Sequence[Received]) -> Iterator[Received]:
    """The same records in pieces that are not too small, and none that is empty."""
    small: list[Received] = []
    for part in parts:
        small.append(part)
        if sum(map(len, small)) >= _FEW_RECORDS:
            yield Received.joined(small)
            small = []
    if any(map(len, small)):
        yield Received.joined(small)


class Runner:
    """Runs ``owner`` from one assignment to the next revocation, in a task of its own.

    ``failed`` is told of the first error that is not about the partition having moved; ``fenced`` that it has, though
    the group says that it is ours. ``make_owner`` takes what is to be called whenever it has read or written.
    """

    def __init__(
        self,
        partition: int,
        make_owner: Callable[[Callable[[int], None]], Owner],
        sources: GroupSources,
        consumer: BatchConsumer,
        time: Time,
        durations: Durations,
        mode: ClockMode,
        failed: Callable[[BaseException], None],
        fenced: Callable[[int], None],
    ) -> None:
        self.partition = partition
        self.status = PartitionStatus(partition)
        self._make_owner = make_owner
        self._sources = sources
        self._consumer = consumer
        self._time = time
        self._steps = durations.batch("step")
        self._delays = Delays(durations, time, mode)
        self._failed = failed
        self._fenced = fenced
        self._owner: Owner | None = None
        self._questions = Questions()
        self._inbox: list[Fetched] = []
        self._waiting: defaultdict[str, int] = defaultdict(int)  # records in the inbox, by topic
        self._next: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._paused: set[str] = set()
        self._count_at_ms = 0
        self._wake = asyncio.Event()
        self._is_leaving = False
        self._is_running = False
        self._task: asyncio.Task[None] | None = None

    # --- from one assignment to the next ---

    def start(self, generation: int, standby: Replica | None = None) -> None:
        """The partition is ours under this generation; ``standby`` is what has been read of its changelog already."""
        assert self._task is None, "it has been stopped"
        self._sources.generation = generation
        self._is_leaving = False
        self._inbox.clear()
        self._waiting.clear()
        self._paused.clear()
        self._next.clear()
        now_ms = self._time.steady_ms()
        self.status = PartitionStatus(self.partition, since_ms=now_ms, progress_ms=now_ms)
        self._task = asyncio.create_task(self._run(generation, standby), name=f"partition {self.partition}")

    async def stop(self, within_s: float) -> None:
        """Makes durable and commits what was applied, if there is time, and lets the partition go."""
        task, self._task = self._task, None
        if task is None:
            return
        self._is_leaving = True
        self._wake.set()
        if not self._is_running:
            task.cancel()  # what it restores is of no use
        _, pending = await asyncio.wait([task], timeout=within_s)
        if pending:
            _log.warning("partition %d: not drained within %g s; it will be restored", self.partition, within_s)
            task.cancel()
            await asyncio.wait([task])
        self._is_running = False

    def abandon(self) -> None:
        """Does nothing more: what has been applied, and is not durable, is as if it had not been."""
        self._next.clear()
        if self._task is not None:
            self._task.cancel()

    def save(self) -> None:
        """Keeps a snapshot of what was drained."""
        if self._owner is not None:
            self._owner.save()

    def forget(self) -> None:
        """Lets go of the rows."""
        assert self._task is None, "it has been stopped"
        self._owner = None

    async def _run(self, generation: int, standby: Replica | None) -> None:
        try:
            await self._work(generation, standby)
        except asyncio.CancelledError:
            raise
        except FencedError as error:
            _log.warning("partition %d: %s", self.partition, error)
            self._owner = None
            self._next.clear()
            self.status.phase = Phase.LOST
            if not self._is_leaving:
                self._fenced(self.partition)
        except BaseException as error:  # noqa: BLE001 (whatever it is, the worker has to end)
            self._failed(error)
        finally:
            self._questions.refuse("moving", f"partition {self.partition} is being taken away from this worker")

    async def _work(self, generation: int, standby: Replica | None) -> None:
        if self._owner is None:
            self._owner = self._make_owner(self._restore_goes_on)
            self._owner.writer.sent = self._delays.sent
        owner, time = self._owner, self._time
        await owner.assign(standby)
        del standby
        self._next = owner.intake.positions()
        places = {TP(topic, self.partition): offset for topic, offset in self._next.items()}
        if not await self._consumer.begin(places, generation):
            return  # there will be another assignment
        self.status.restored_in_ms = time.steady_ms() - self.status.since_ms
        self._is_running = True
        while not self._is_leaving:
            self._wake.clear()
            self._questions.answer(owner)
            began_ms = time.steady_ms()
            self._push(owner)
            self._delays.taken()
            worked = await owner.step()
            self._delays.left(owner.intake.waiting_in_all)
            if worked:
                self._steps.observe((time.steady_ms() - began_ms) / 1_000)
            self._report(owner, worked)
            self._pause_what_is_full(owner)
            if not self._inbox and not worked:
                await self._until_woken(_TURN_S if owner.reassignment.is_under_way else _IDLE_S)
            else:
                await asyncio.sleep(0)  # not every step waits for something
        await owner.drain()

    def _restore_goes_on(self, remaining_records: int) -> None:
        if self.status.phase is Phase.RESTORING:
            self.status.remaining_records = remaining_records
            self.status.progress_ms = self._time.steady_ms()

    async def _until_woken(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        except TimeoutError:
            return

    # --- what comes in ---

    def deliver(self, fetched: Fetched) -> None:
        """Takes what has been fetched; what was fetched under another assignment is dropped."""
        if fetched.generation != self._sources.generation or not self._next:
            return
        topic = fetched.topic
        place = f"topic {topic}, partition {self.partition}"
        assert fetched.start == self._next[topic], (
            f"{place}: offsets {self._next[topic]} to {fetched.start} are missing"
        )
        if fetched.position < fetched.start:
            raise SourceTruncatedError(
                f"{place}: reading went back from offset {fetched.start}: it was truncated or made anew; "
                "`segstream reset` starts anew with it"
            )
        self._next[topic] = fetched.position
        self._ends[topic] = fetched.end
        self._inbox.append(fetched)
        if len(fetched.records):
            self._delays.read()
        self._waiting[topic] += len(fetched.records)
        if self._owner is not None:
            self._pause_if_full(self._owner, topic)
        self._wake.set()

    def _push(self, owner: Owner) -> None:
        inbox, self._inbox = self._inbox, []
        self._waiting.clear()
        by_topic: dict[str, list[Fetched]] = {}
        for fetched in inbox:
            by_topic.setdefault(fetched.topic, []).append(fetched)
        for topic, found in by_topic.items():
            last = found[-1]
            if topic == ERASURES:
                owner.push_requests([record for one in found for record in one.records.records()], last.end)
                continue
            kind = _KINDS[topic]
            for records in _gathered([one.records for one in found]):
                owner.push(kind, records, last.end)
            owner.intake.skip(kind, last.position, last.end)

    # --- back-pressure ---

    def _pause_if_full(self, owner: Owner, topic: str) -> None:
        waiting = self._waiting[topic]
        if topic != ERASURES:
            waiting += owner.intake.waiting(_KINDS[topic])
        is_full = waiting >= owner.settings.limits.buffered_events
        place = TP(topic, self.partition)
        if is_full and topic not in self._paused:
            self._paused.add(topic)
            self._consumer.pause(place)
        elif not is_full and topic in self._paused:
            self._paused.discard(topic)
            self._consumer.go_on(place)

    def _pause_what_is_full(self, owner: Owner) -> None:
        for topic in (*_KINDS, ERASURES):
            self._pause_if_full(owner, topic)

    # --- what is told ---

    async def ask(self, question: Callable[[Owner], T]) -> T:
        """What ``question`` gives of the owner between two steps; raises ``NotNowError`` when it can't be asked."""
        if self.status.phase is Phase.LOST:
            raise NotNowError("moving", f"another worker has taken partition {self.partition}")
        if self._task is None or self._task.done():
            raise NotNowError("moving", f"partition {self.partition} is between two workers")
        if not self._is_running:
            left = f"{self.status.remaining_records:,} records are left"
            raise NotNowError("restoring", f"partition {self.partition} is being restored; {left}")
        answer = self._questions.put(question)
        self._wake.set()
        return await answer

    def _report(self, owner: Owner, worked: bool) -> None:
        status, intake = self.status, owner.intake
        for topic, end in self._ends.items():
            unread = max(0, end - self._next[topic]) + self._waiting[topic]
            status.lag_records[topic] = unread + (0 if topic == ERASURES else intake.waiting(_KINDS[topic]))
        status.phase = Phase.LIVE if intake.caught_up else Phase.BEHIND
        self._delays.is_live = intake.caught_up
        status.stream_ms = owner.partition.stream_ms
        status.model = owner.partition.model_version
        status.profiles = len(owner.partition.profiles)
        status.profile_bytes = owner.partition.profiles.nbytes
        status.remaining_records = 0
        now_ms = self._time.steady_ms()
        if now_ms >= self._count_at_ms:
            personas = owner.partition.personas()
            status.members = owner.partition.members() | {segment_of(number): personas[number] for number in personas}
            took_ms = self._time.steady_ms() - now_ms
            self._count_at_ms = now_ms + max(_MEMBERS_EVERY_MS, int(took_ms / _MEMBERS_SHARE))
        if worked or intake.caught_up or owner.is_done:
            status.progress_ms = now_ms

    @property
    def is_done(self) -> bool:
        """Whether it stands at a fixed clock's instant, with all committed."""
        return self._is_running and self._owner is not None and self._owner.is_done
