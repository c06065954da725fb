"""Samples of a partition's customers for whoever learns personas: so many a day of stream time, each equally often."""

from __future__ import annotations

from collections.abc import Iterator

from stream.engine.partition import Partition
from stream.engine.plan import Plan
from stream.personas.messages import samples_value
from stream.personas.walk import Walk, draw_ms
from stream.worker.interfaces import Record

_DAY_MS = 86_400_000
#: A record holds so many at most.
_AT_ONCE = 2_000
#: The stream clock may jump over many draws: so many samples make up for them at most.
_MOST = 20_000


class Sampler:
    """Draws one partition's part of the samples; of ``partitions`` all draw equally many."""

    def __init__(self, plan: Plan, partition: int, partitions: int) -> None:
        section = plan.definitions.personas
        self._plan = plan.personas
        self._number = partition
        self._step_ms = draw_ms(section.every_ms) if section else 0
        self._rate = (section.samples if section else 0, _DAY_MS * partitions)
        self._walk = Walk()
        self._draw: int | None = None  # the number of the last one

    def draw(self, partition: Partition) -> Iterator[Record]:
        """What is to be sent now, since the stream clock has come to the next draw: mostly nothing."""
        if self._plan is None or partition.stream_ms < 0:
            return
        last, self._draw = self._draw, partition.stream_ms // self._step_ms
        if last is None or self._draw == last:
            return
        at_ms = self._draw * self._step_ms
        missing = min(_MOST, self._due_by(at_ms) - self._due_by(last * self._step_ms))
        while missing > 0:
            vectors = self._walk.sample(partition, min(missing, _AT_ONCE), at_ms)
            if not len(vectors):
                return
            missing -= len(vectors)
            yield Record(None, samples_value(at_ms, self._number, self._plan.features, self._plan.ranked, vectors))

    def _due_by(self, at_ms: int) -> int:
        samples, per_ms = self._rate
        return samples * at_ms // per_ms
