"""Samples of a partition's customers for whoever learns personas: so many for a version, of each equally many."""

from __future__ import annotations

import numpy as np

from stream.engine.partition import Partition
from stream.engine.plan import Plan
from stream.personas.messages import samples_value
from stream.personas.walk import Walk, gathering_ms
from stream.worker.interfaces import Record

_DAY_MS = 86_400_000
#: A record holds so many at most.
_AT_ONCE = 2_000


class Sampler:
    """Draws one partition's part of the samples; of ``partitions`` all draw equally many.

    All for a version are drawn at one instant, so that what is told of the population holds at that instant. Some time
    later a record without samples says that it is time for the version.
    """

    def __init__(self, plan: Plan, partition: int, partitions: int) -> None:
        section = plan.definitions.personas
        self._plan = plan.personas
        self._number = partition
        self._walk = Walk()
        self._at_ms: int | None = None  # all until then has been drawn
        self._drawn: list[Record] = []
        if section is not None:
            self._every_ms = section.every_ms
            self._gathering_ms = gathering_ms(section.every_ms)
            self._count = max(1, section.samples * section.every_ms // (_DAY_MS * partitions))

    @property
    def next_ms(self) -> int | None:
        """The next instant at which samples are drawn, if there are any."""
        return None if self._at_ms is None else (self._at_ms // self._every_ms + 1) * self._every_ms

    def draw(self, partition: Partition, to_ms: int) -> None:
        """Draws what is due by then, for `take`: mostly nothing. The partition stands before that instant or at it.

        Of several instants that have passed at once the last one counts.
        """
        if self._plan is None or to_ms < 0:
            return
        last = self._at_ms
        if last is None:
            # What has become due since the last checkpoint is drawn, perhaps once more.
            known = max(partition.latest_ms, partition.stream_ms)
            last = to_ms if known < 0 else known
        self._at_ms = max(last, to_ms)
        drawn_ms = to_ms // self._every_ms * self._every_ms
        asked_ms = (to_ms - self._gathering_ms) // self._every_ms * self._every_ms + self._gathering_ms
        for at_ms in sorted(at_ms for at_ms in (drawn_ms, asked_ms) if at_ms > last):
            nobody = np.empty((0, len(self._plan.features) + len(self._plan.ranked)))
            drawn = self._walk.draw(partition, self._count, at_ms, _AT_ONCE) if at_ms == drawn_ms else [nobody]
            for vectors in drawn:
                value = samples_value(at_ms, self._number, self._plan.features, self._plan.ranked, vectors)
                self._drawn.append(Record(None, value))

    def take(self) -> list[Record]:
        """What has been drawn, for the topic of samples; forgets it."""
        drawn, self._drawn = self._drawn, []
        return drawn
