"""A trainer that learns personas while events are replayed. It needs River and SciPy, a replay does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stream.engine.changes import Changes
from stream.engine.partition import Partition
from stream.engine.plan import Plan
from stream.personas.assigning import centres_of
from stream.personas.publication import Publication
from stream.personas.training import Settings, Trainer
from stream.personas.walk import Walk, gathering_ms


class Training:
    """A trainer that is given samples of the partition's customers, and publishes a version every so often.

    ``published`` is told of each version, and of each that was not made, with the reason.
    """

    def __init__(self, plan: Plan, seed: int, published: Callable[[Publication], None]) -> None:
        personas = plan.definitions.personas
        assert personas is not None, "the file has personas"
        self._every_ms = personas.every_ms
        self._gathering_ms = gathering_ms(personas.every_ms)
        self._count = max(1, personas.samples * personas.every_ms // 86_400_000)
        self._trainer = Trainer(Settings.of(plan, seed))
        self._walk = Walk()
        self._published = published
        self._samples = 0
        self._next_ms: int | None = None

    def begin(self, first_ms: int) -> None:
        self._next_ms = (first_ms // self._every_ms + 1) * self._every_ms

    @property
    def next_ms(self) -> int | None:
        return self._next_ms

    def take(self, partition: Partition) -> Iterator[Changes]:
        now_ms = self._next_ms
        assert now_ms is not None, "it has begun"
        if now_ms % self._every_ms == 0:
            self._next_ms = now_ms + self._gathering_ms
            for vectors in self._walk.draw(partition, self._count, now_ms, self._count):
                self._samples += len(vectors)
                self._trainer.learn(vectors, now_ms)
            return
        self._next_ms = now_ms - self._gathering_ms + self._every_ms
        publication = self._trainer.publish(now_ms, self._samples)
        self._published(publication)
        if publication.model is not None:
            yield from partition.apply_model(centres_of(publication.model))
