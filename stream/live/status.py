"""What a worker says of itself: to probes, metrics, and whoever asks why nothing moves."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class Phase(enum.Enum):
    """What a partition is doing here."""

    RESTORING = "restoring"  # its rows are being read from the changelog
    BEHIND = "behind"  # there are events that have not been applied
    LIVE = "live"  # all that exists has been applied
    LOST = "lost"  # another worker has taken it


@dataclass
class PartitionStatus:
    """One assigned partition. ``lag_records`` by topic: records that exist and have not been applied."""

    partition: int
    phase: Phase = Phase.RESTORING
    since_ms: int = 0  # on the steady clock: when this assignment began
    lag_records: dict[str, int] = field(default_factory=dict)
    stream_ms: int = -1
    profiles: int = 0
    profile_bytes: int = 0  # what they take in memory
    members: dict[str, int] = field(default_factory=dict)  # by segment, held out or not, personas' included
    model: int = 0  # the version of the personas in use; 0: none
    remaining_records: int = 0  # of the changelog, while it is being restored
    restored_in_ms: int | None = None
    progress_ms: int = 0  # on the steady clock: when something was last done, or nothing was to do


@dataclass
class Counters:
    """Counted since the worker began; they only grow."""

    events: Counter[str] = field(default_factory=Counter)  # by topic: valid ones, duplicates included
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)  # by topic and code
    duplicates: int = 0
    late: int = 0
    models: Counter[str] = field(default_factory=Counter)  # applied to a partition: ``in time``, or ``late``
    changes: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # by segment, change and cause
    dead_letters: Counter[str] = field(default_factory=Counter)  # acknowledged ones, by code
    rebalances: int = 0


@dataclass
class Status:
    """A worker. ``started_ms`` and ``progress_ms`` are milliseconds since the epoch."""

    worker_id: str
    version: str
    definitions: str
    started_ms: int
    progress_ms: int = 0
    is_stopping: bool = False
    unassigned_ms: int | None = None  # on the steady clock: since when an assignment, be it to nothing, is waited for
    partitions: dict[int, PartitionStatus] = field(default_factory=dict)
    counters: Counters = field(default_factory=Counters)
    #: By partition that is followed for the case that its owner goes: offsets that have not been read.
    standby_lags: Callable[[], Mapping[int, int]] = dict

    @property
    def is_ready(self) -> bool:
        """Whether it has partitions and none of them is being restored."""
        phases = [one.phase for one in self.partitions.values()]
        return bool(phases) and all(phase in (Phase.BEHIND, Phase.LIVE) for phase in phases)
