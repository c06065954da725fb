"""What a changelog says, as far as it has been read: what an owner begins with, and what a standby keeps up with."""

from __future__ import annotations

from collections.abc import Callable

from stream.engine.partition import Clock, Partition
from stream.engine.plan import Plan
from stream.worker.interfaces import Reader
from stream.worker.placing import Placer
from stream.worker.restoring import Restorer
from stream.worker.settings import Settings
from stream.worker.snapshots import Saved

#: Makes an empty partition with a stream clock that keeps so many milliseconds behind the events.
MakePartition = Callable[[Plan, Clock, int], Partition]


class Replica:
    """A partition's changelog before ``position``; ``partition`` must be empty and gets filled.

    ``as_of_ms``: all that was written until then has been read; None before the first reading came to its end.
    """

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.position = 0
        self.as_of_ms: int | None = None
        self.placer = Placer(partition)
        self.restorer = Restorer(self.placer.keys_of)

    @classmethod
    def empty(cls, plan: Plan, settings: Settings, make_partition: MakePartition = Partition) -> Replica:
        """One that has read nothing, for an owner or a standby with these settings."""
        lateness_ms = settings.clock.lateness_ms(plan.definitions.lateness_ms)
        return cls(make_partition(plan, Clock.EVENTS, lateness_ms))

    @classmethod
    def of_snapshot(cls, partition: Partition, saved: Saved) -> Replica:
        """A replica that has read what a snapshot of the same plan holds."""
        replica, head = cls(partition), saved.head
        replica.position = head.offset
        replica.as_of_ms = head.at_ms
        replica.placer.take_image(saved.image, head.markers, f"the snapshot of partition {head.partition}")
        replica.restorer.begin(head)
        return replica

    async def read(self, reader: Reader, topic: str, number: int, stop: int, now_ms: int) -> None:
        """Reads on to ``stop``, which was at or behind the end at ``now_ms``. It may be given up and called again."""
        async for records in reader.read(topic, number, self.position, stop):
            piece = self.restorer.add(records)
            checkpoint = self.restorer.checkpoint
            if checkpoint is not None:
                self.placer.forget_sent(checkpoint.sent_to)
            self.placer.take(piece)
            self.position = records[-1].offset + 1
        self.position = max(self.position, stop)
        self.as_of_ms = now_ms
