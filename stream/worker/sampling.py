"""Samples of a partition's customers for whoever learns personas: so many a day of stream time, each equally often."""

from __future__ import annotations

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
        self._drawn: list[Record] = []

    @property
    def is_drawing(self) -> bool:
        """Whether there is anything to draw."""
        return self._plan is not None

    def draw_after(self, at_ms: int) -> int:
        """The first instant of a draw after this one."""
        return (at_ms // self._step_ms + 1) * self._step_ms

    def draw(self, partition: Partition, to_ms: int) -> None:
        """Draws what is due by then, for `take`: mostly nothing."""
        if self._plan is None or to_ms < 0 or (self._draw is not None and to_ms < (self._draw + 1) * self._step_ms):
            return
        last, self._draw = self._draw, to_ms // self._step_ms
        if last is None:
            return
        at_ms = self._draw * self._step_ms
        missing = min(_MOST, self._due_by(at_ms) - self._due_by(last * self._step_ms))
        while missing > 0:
            vectors = self._walk.sample(partition, min(missing, _AT_ONCE), at_ms)
            if not len(vectors):
                return
            missing -= len(vectors)
            value = samples_value(at_ms, self._number, self._plan.features, self._plan.ranked, vectors)
            self._drawn.append(Record(None, value))

    def take(self) -> list[Record]:
        """What has been drawn, for the topic of samples; forgets it."""
        drawn, self._drawn = self._drawn, []
        return drawn

    def _due_by(self, at_ms: int) -> int:
        samples, per_ms = self._rate
        return samples * at_ms // per_ms
