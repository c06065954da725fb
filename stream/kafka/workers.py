"""Which workers there are, and how they are, as they say each second on a topic of their own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import msgspec

from stream.kafka.following import Follower, latest_of
from stream.kafka.topics import WORKERS

#: A worker that has said nothing for so long is gone.
GONE_AFTER_S = 10.0
#: Of each partition so many of the latest records are read to begin with: whoever is there speaks within a second.
_RECENT_RECORDS = 256

_log = logging.getLogger(__name__)


class PartitionState(msgspec.Struct, frozen=True):
    """One partition of a worker. ``phase`` is ``restoring``, ``behind`` or ``live``."""

    partition: int
    phase: str
    stream_ms: int | None  # None: before the first event
    lag_records: dict[str, int]  # by topic
    profiles: int
    members: dict[str, int]  # by segment, held out or not
    remaining_records: int  # of the changelog, while it is being restored


class Percentiles(msgspec.Struct, frozen=True):
    """Of what was observed lately; None where nothing was."""

    p50: float | None
    p99: float | None


class Announcement(msgspec.Struct, frozen=True):
    """What a worker says; ``schemas/worker.schema.json`` describes it on the wire."""

    instance: str
    worker: str
    url: str | None
    at_ms: int
    definitions: str
    version: str
    partitions: list[PartitionState]
    events_per_s: float
    changes_per_s: float
    change_delay_ms: Percentiles
    dead_letters_total: int


_ANNOUNCEMENTS = msgspec.json.Decoder(Announcement)


class PresentWorkers:
    """The workers that have spoken lately. ``now_s`` is any clock that goes on steadily, the same each time.

    Workers' clocks are compared with the newest of them, not with ours; ours only tells how much time has passed since.
    """

    def __init__(self) -> None:
        self._latest: dict[str, Announcement] = {}
        self._newest_ms = 0
        self._newest_at_s = 0.0

    def take(self, key: bytes | None, value: bytes | None, now_s: float) -> None:
        """A record of the topic; without a value the worker has ended. What is no announcement is passed over."""
        instance = (key or b"").decode("utf-8", "replace")
        if value is None:
            self._latest.pop(instance, None)
            return
        try:
            told = _ANNOUNCEMENTS.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            _log.warning("%s: a record of %r is no announcement: %s", WORKERS, instance, error)
            return
        if told.at_ms >= self._newest_ms:
            self._newest_ms, self._newest_at_s = told.at_ms, now_s
        self._latest[instance] = told

    def present(self, now_s: float) -> list[Announcement]:
        """The last word of each one, in the order of their names."""
        bound_ms = self._newest_ms + 1_000 * (now_s - self._newest_at_s - GONE_AFTER_S)
        self._latest = {instance: told for instance, told in self._latest.items() if told.at_ms >= bound_ms}
        return [self._latest[instance] for instance in sorted(self._latest)]


class FollowedWorkers(Follower):
    """Follows the topic while it is entered (``async with``); waits for a topic and a broker that are not there.

    ``problem`` says why nothing is known, for people; None when all is well. ``spoken`` is called after each batch, and
    when something has failed.
    """

    def __init__(self, broker: str, spoken: Callable[[], None] = lambda: None) -> None:
        super().__init__("workers", "the workers' topic has not been read yet", spoken)
        self._broker = broker
        self._workers = PresentWorkers()

    def present(self) -> list[Announcement]:
        """The workers that are there now, in the order of their names."""
        return self._workers.present(time.monotonic())

    async def _read(self) -> None:
        async with latest_of(self._broker, {WORKERS: _RECENT_RECORDS}) as lists:
            async for records, _ in lists:
                self.problem = None
                now_s = time.monotonic()
                for record in records:
                    self._workers.take(record.key, record.value, now_s)
                if records:
                    self._spoken()
