"""Snapshots: a partition's memory at an acknowledged checkpoint, so that its next owner reads only what came after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from stream.engine.image import Image
from stream.kafka.topics import TOMBSTONES_KEPT_MS
from stream.worker.records import Checkpoint, Marker, Residue

VERSION = 1
#: An older one may miss tombstones that the cleaner has taken. Half of what they are kept, since clocks differ.
FRESH_MS = TOMBSTONES_KEPT_MS // 2


class Head(msgspec.Struct, frozen=True):
    """What a snapshot is of, and what else than rows has to be known to read on.

    It holds all that lies before ``offset`` in the changelog, as the owner of ``epoch``, whose fence has the key
    ``fence`` and whose last record had ``number``, knew it at ``at_ms``. No outbox is in it: at a checkpoint all have
    been sent. ``fences``, by their keys, are all so far with their offsets; ``residues`` and ``markers`` are those of
    erased customers.
    """

    topic: str
    partition: int
    at_ms: int
    offset: int
    epoch: int
    fence: bytes
    number: int
    checkpoint: Checkpoint
    fences: dict[bytes, list[int]]
    layouts: dict[int, bytes]
    residues: dict[int, Residue]
    markers: dict[str, Marker]
    version: int = VERSION

    def why_not(self, topic: str, partition: int, now_ms: int, fresh_ms: int) -> str | None:
        """Why it does not count here and now; None when it does, if its fence is where it says."""
        if self.version != VERSION:
            return f"it is of version {self.version}, this worker reads version {VERSION}"
        if (self.topic, self.partition) != (topic, partition):
            return f"it is of topic {self.topic}, partition {self.partition}"
        age_ms = now_ms - self.at_ms
        if not 0 <= age_ms < fresh_ms:
            return f"it is {age_ms / 60_000:,.0f} min old; {fresh_ms / 60_000:,.0f} are allowed"
        return None


@dataclass(frozen=True)
class Saved:
    """A snapshot as a whole."""

    head: Head
    image: Image


class Snapshots(Protocol):
    """Where the snapshots of one partition are kept."""

    @property
    def is_busy(self) -> bool:
        """Whether the last one is still being written: no other is taken meanwhile."""
        ...

    def keep(self, saved: Saved) -> None:
        """Keeps it in the place of the one before; it may take a while until it can be loaded."""
        ...

    async def load(self) -> Saved | None:
        """The last one that was kept, if it is whole."""
        ...

    def begun_with(self, saved: Saved) -> None:
        """Is told that the one that was loaded counts."""
        ...

    def passed_over(self, why: str) -> None:
        """Is told that it does not."""
        ...
