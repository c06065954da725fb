"""How an owner works: its names, its clock, its pace and its limits."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from stream.kafka.topics import changelog_name
from stream.worker.snapshots import FRESH_MS


class ClockMode(enum.Enum):
    """What moves a partition's stream clock besides the events."""

    EVENT = "event"  # nothing
    WALL = "wall"  # the time of day, while the partition is caught up
    FIXED = "fixed"  # up to one instant, and no event after it


@dataclass(frozen=True)
class StreamClock:
    """The mode, and the instant of ``FIXED``."""

    mode: ClockMode = ClockMode.WALL
    instant_ms: int = 0

    def lateness_ms(self, declared_ms: int | None) -> int:
        """How far the stream clock keeps behind: as the definitions say, or the mode's default."""
        if declared_ms is not None:
            return declared_ms
        return 5_000 if self.mode is ClockMode.WALL else 0


@dataclass(frozen=True)
class Pace:
    """When checkpoints are due."""

    live_ms: int = 1_000
    behind_ms: int = 30_000
    behind_events: int = 5_000_000
    idle_ms_max: int = 10_000  # a record at least so often, whatever happens or does not
    snapshot_ms: int = 600_000  # a snapshot, where there is a place for it
    snapshot_fresh_ms: int = FRESH_MS  # an older one, or an older standby, does not count


@dataclass(frozen=True)
class Limits:
    """A limit on everything."""

    buffered_events: int = 50_000  # of a topic; beyond it the topic is paused
    outbox_bytes: int = 256 << 10  # of a customer; beyond it the batch ends there
    rows_at_once: int = 4_096  # encoded, written or restored
    letter_bytes: int = 3 << 20  # a longer value is cut to letter_kept_bytes
    letter_kept_bytes: int = 512 << 10


@dataclass(frozen=True)
class Settings:
    """All of it. ``partitions`` is the number of partitions of every source topic and of the changelog."""

    partition: int
    partitions: int
    worker_id: str = "segstream"
    clock: StreamClock = field(default_factory=StreamClock)
    pace: Pace = field(default_factory=Pace)
    limits: Limits = field(default_factory=Limits)
    force_definitions: bool = False
    quiet_changes: bool = False
    allow_empty: bool = False

    @property
    def changelog(self) -> str:
        return changelog_name(self.worker_id)
