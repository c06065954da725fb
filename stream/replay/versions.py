"""Where a replay's models of personas come from: a recorded list, or whoever learns meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from stream.engine.changes import Changes
from stream.engine.partition import Partition
from stream.personas.assigning import centres_of
from stream.personas.model import Model


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
        yield from partition.apply_model(centres_of(model))
