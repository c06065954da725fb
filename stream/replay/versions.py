"""Where a replay's models of personas come from: a recorded list, or a trainer that learns meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from stream.engine.changes import Changes
from stream.engine.partition import Partition
from stream.engine.persona_plan import PersonaPlan
from stream.language.tree import Personas
from stream.personas.assigning import centres_of
from stream.personas.model import Model
from stream.personas.publication import Publication
from stream.personas.training import Settings, Trainer
from stream.personas.walk import Walk

#: Samples are drawn so many times between two versions.
_DRAWS = 24


class Versions(Protocol):
    """What happens to personas at instants of a replay."""

    def begin(self, first_ms: int) -> None:
        """Called before anything else, with the timestamp of the first event."""

    @property
    def next_ms(self) -> int | None:
        """The next instant at which something happens: before events of that timestamp."""

    def take(self, partition: Partition) -> Iterator[Changes]:
        """Does what happens at ``next_ms``, and moves on."""


class Recorded:
    """Models as they were published, in the order in which they take effect."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._left = sorted(models, key=lambda model: (model.effective_ms, model.version))

    def begin(self, first_ms: int) -> None:
        pass

    @property
    def next_ms(self) -> int | None:
        return self._left[0].effective_ms if self._left else None

    def take(self, partition: Partition) -> Iterator[Changes]:
        model = self._left.pop(0)
        yield from partition.apply_model(centres_of(model), model.effective_ms)


class Training:
    """A trainer that is given samples of the partition's customers, and publishes a version every so often.

    ``published`` is told of each version, and of each that was not made, with the reason.
    """

    def __init__(
        self, personas: Personas, plan: PersonaPlan, seed: int, published: Callable[[Publication], None]
    ) -> None:
        self._every_ms = personas.every_ms
        self._step_ms = max(1, personas.every_ms // _DRAWS)
        self._at_once = max(1, personas.samples * self._step_ms // 86_400_000)
        names = tuple(name for name, _ in personas.features)
        k = (personas.k_min, personas.k_max)
        self._trainer = Trainer(Settings(names, plan.features, k, personas.min_share, seed=seed, ranked=plan.ranked))
        self._walk = Walk()
        self._published = published
        self._samples = 0
        self._next_ms: int | None = None

    def begin(self, first_ms: int) -> None:
        self._next_ms = (first_ms // self._step_ms + 1) * self._step_ms

    @property
    def next_ms(self) -> int | None:
        return self._next_ms

    def take(self, partition: Partition) -> Iterator[Changes]:
        now_ms = self._next_ms
        assert now_ms is not None, "it has begun"
        self._next_ms = now_ms + self._step_ms
        vectors = self._walk.sample(partition, self._at_once, now_ms)
        self._samples += len(vectors)
        self._trainer.learn(vectors)
        if now_ms // self._every_ms > (now_ms - self._step_ms) // self._every_ms:
            publication = self._trainer.publish(now_ms, self._samples)
            self._published(publication)
            if publication.model is not None:
                yield from partition.apply_model(centres_of(publication.model), now_ms)
