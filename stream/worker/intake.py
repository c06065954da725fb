"""What comes in for one partition: records to events, merged by time; refused ones to letters; how far one has read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stream.contract import Kind
from stream.engine.merging import Merger
from stream.engine.plan import Plan
from stream.events.columns import Columns
from stream.events.decoder import Decoder
from stream.kafka.topics import CUSTOMER_ERASURES
from stream.worker.erasures import Request, parse_request
from stream.worker.interfaces import Record, Span, StoredRecord
from stream.worker.letters import BAD_ERASURE, WRONG_PARTITION, dead_letter
from stream.worker.partitioning import partitions_of
from stream.worker.received import Received
from stream.worker.settings import Settings

Ints = npt.NDArray[np.int64]


@dataclass
class _Progress:
    """Of one topic: the next offset to read, where the topic ends as far as known, and the next offset to apply."""

    read: int = 0
    end: int | None = None
    applied: int = 0

    @property
    def is_behind(self) -> bool:
        return self.end is None or self.read < self.end


@dataclass(frozen=True)
class Taken:
    """Events to be applied, in order, and their offsets."""

    events: Columns
    offsets: Ints

    def part(self, start: int, stop: int) -> Taken:
        """Those from ``start`` to before ``stop``."""
        return Taken(self.events.part(start, stop), self.offsets[start:stop])


@dataclass(frozen=True)
class Given:
    """All that can be done now. When it is done with and durable, ``positions`` may be committed.

    ``is_exhausted``: up to the instant that was asked for there is nothing more.
    """

    requests: list[Request]
    taken: Taken | None
    letters: list[Record]
    positions: dict[str, int]
    is_exhausted: bool


@dataclass
class Intake:
    """The three topics of events and that of erasures.

    ``letters`` wait to be sent; nothing that lies behind them may be committed before.
    """

    plan: Plan
    settings: Settings
    decoder: Decoder
    letters: list[Record] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._merger = Merger()
        self._topics = {kind: _Progress() for kind in Kind}
        self._erasures = _Progress()

    def reset(self, spans: Mapping[str, Span]) -> None:
        """Forgets what is buffered, and begins where the group has committed."""
        self._merger.clear()
        self.letters.clear()
        self.requests.clear()
        self._erasures = _begin(spans[CUSTOMER_ERASURES])
        for kind in Kind:
            self._topics[kind] = _begin(spans[kind.topic])
            self._merger.set_behind(kind, behind=self._topics[kind].is_behind)

    # --- records ---

    def push(self, kind: Kind, records: Received, end: int) -> None:
        """Takes the next records of a topic. ``end`` is where it ends: the high watermark of the fetch."""
        progress = self._topics[kind]
        if not self._merger.waiting(kind):
            progress.applied = progress.read
        if len(records):
            self._decode(kind, records)
        self.skip(kind, int(records.offsets[-1]) + 1 if len(records) else 0, end)

    def skip(self, kind: Kind, position: int, end: int) -> None:
        """Says that a topic was read up to ``position``, which steps over what is no record of ours."""
        progress = self._topics[kind]
        progress.read = max(progress.read, position)
        progress.end = max(progress.end or 0, end)
        self._merger.set_behind(kind, behind=progress.is_behind)

    def push_requests(self, records: Sequence[StoredRecord], end: int) -> None:
        """Takes the next records of the topic of erasures."""
        settings = self.settings
        wrong = _misplaced([record.key for record in records], settings)
        for i, record in enumerate(records):
            if i in wrong:
                self._refuse(CUSTOMER_ERASURES, record, WRONG_PARTITION, wrong[i])
                continue
            try:
                self.requests.append(parse_request(record))
            except ValueError as error:
                self._refuse(CUSTOMER_ERASURES, record, BAD_ERASURE, str(error))
        if records:
            self._erasures.read = records[-1].offset + 1
        self._erasures.end = max(self._erasures.end or 0, end)

    def _decode(self, kind: Kind, records: Received) -> None:
        max_ahead_ms = self.plan.definitions.max_ahead_ms
        events, rejections = self.decoder.decode(kind, records.values, records.times_ms, records.keys, max_ahead_ms)
        refused = {rejection.index: (rejection.code, rejection.reason) for rejection in rejections}
        wrong = _misplaced(records.keys, self.settings)
        if wrong:
            misplaced = np.isin(events.source, np.fromiter(wrong, dtype=np.int64, count=len(wrong)))
            for index in events.source[misplaced].tolist():
                refused[index] = WRONG_PARTITION, wrong[index]
            events = events.select(np.flatnonzero(~misplaced))
        for index in sorted(refused):
            self._refuse(kind.topic, records.record(index), *refused[index])
        if len(events):
            self._merger.push(kind, events, records.offsets[events.source])

    def _refuse(self, topic: str, record: StoredRecord, code: str, reason: str) -> None:
        settings = self.settings
        self.letters.append(dead_letter(topic, settings.partition, record, code, reason, settings.limits))

    # --- events ---

    def give(self, until_ms: int | None = None) -> Given:
        """All events that can be applied now (with ``until_ms`` none from the first later one on), and the rest.

        More may be pushed while that is worked on.
        """
        taken = self._take(until_ms)
        requests, self.requests = self.requests, []
        letters, self.letters = self.letters, []
        return Given(requests, taken, letters, self.positions(), not self._is_held and not self._erasures.is_behind)

    def _take(self, until_ms: int | None) -> Taken | None:
        taken = self._merger.take(until_ms)
        if taken is None:
            return None
        events, offsets = taken
        for kind in Kind:
            mine = offsets[events.kind == kind]
            if len(mine):
                self._topics[kind].applied = int(mine[-1]) + 1
        return Taken(events, offsets)

    def is_full(self, kind: Kind) -> bool:
        """Whether the topic should be paused."""
        return self._merger.waiting(kind) >= self.settings.limits.buffered_events

    def waiting(self, kind: Kind) -> int:
        """How many events of a topic are buffered."""
        return self._merger.waiting(kind)

    @property
    def waiting_in_all(self) -> int:
        """How many events are buffered."""
        return sum(self._merger.waiting(kind) for kind in Kind)

    @property
    def caught_up(self) -> bool:
        """Whether all that exists has been given out."""
        return self._merger.caught_up

    @property
    def _is_held(self) -> bool:
        """Whether an event is waited for: a topic with nothing buffered is behind."""
        return any(self._topics[kind].is_behind and not self._merger.waiting(kind) for kind in Kind)

    def positions(self) -> dict[str, int]:
        """The next offset to read of each source topic, were all that has been given out done with.

        Where events are still buffered it lies right behind the last one given out.
        """
        found = {
            kind.topic: progress.applied if self._merger.waiting(kind) else progress.read
            for kind, progress in self._topics.items()
        }
        found[CUSTOMER_ERASURES] = self._erasures.read
        return found


def _begin(span: Span) -> _Progress:
    position = span.start if span.committed is None else span.committed
    return _Progress(position, span.end, position)


def _misplaced(keys: Sequence[bytes | None], settings: Settings) -> dict[int, str]:
    """The records whose key belongs to another partition, by index, and what to say of it."""
    if settings.partitions == 1 or not keys:
        return {}
    belongs = partitions_of(keys, settings.partitions)
    return {
        i: f"the record is in partition {settings.partition}, its key belongs to partition {belongs[i]}"
        for i in np.flatnonzero(belongs != settings.partition).tolist()
        if keys[i] is not None
    }
