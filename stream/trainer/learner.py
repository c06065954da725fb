"""A trainer that is given records of samples in order, and says when there is a version, or a reason for none."""

from __future__ import annotations

import msgspec

from stream.engine.plan import Plan
from stream.instants import format_instant
from stream.personas.messages import Samples
from stream.personas.model import Model
from stream.personas.publication import Publication
from stream.personas.training import Settings, Trainer
from stream.personas.walk import gathering_ms

#: A version holds from so far ahead of the samples on: until then it has come to the workers, whose clocks may be a
#: little ahead too.
AHEAD_MS = 30_000


class Learner:
    """Goes on from the ``last`` model: whoever gives it the same records from its offset on gets the same versions.

    ``offset`` is that of the next record of samples. While ``is_pinned`` there are no versions.
    """

    def __init__(self, plan: Plan, last: Model | None, *, is_pinned: bool = False) -> None:
        personas = plan.definitions.personas
        assert personas is not None, "the file has personas"
        self._settings = Settings.of(plan)
        self._every_ms = personas.every_ms
        self._gathering_ms = gathering_ms(personas.every_ms)
        self.is_pinned = is_pinned
        self.samples = 0  # learned
        self._begin(last)

    def _begin(self, last: Model | None) -> None:
        self._trainer = Trainer(self._settings, last)
        self._at_ms = last.effective_ms if last else None
        self._next_ms = None if self._at_ms is None else self._due_after(self._at_ms)
        self.offset = last.offset if last else 0

    def _due_after(self, at_ms: int) -> int:
        """When a version is due next: some time after its samples have been drawn."""
        return ((at_ms - self._gathering_ms) // self._every_ms + 1) * self._every_ms + self._gathering_ms

    @property
    def last(self) -> Model | None:
        """The last model, made here or given."""
        return self._trainer.last

    def knows(self, samples: Samples) -> bool:
        """Whether they are of these definitions."""
        return (samples.features, samples.ranked) == (self._settings.features, self._settings.ranked)

    def take(self, offset: int, samples: Samples) -> tuple[Publication, int] | None:
        """Learns from the record at ``offset``; what came of asking for a version, if one was due, and its instant.

        Raises ``SamplesError``.
        """
        self.offset = offset + 1
        if not self.knows(samples):
            return None
        self._trainer.learn(samples.array(), samples.at_ms)
        self.samples += len(samples)
        self._at_ms = samples.at_ms if self._at_ms is None else max(self._at_ms, samples.at_ms)
        if self._next_ms is None:
            self._next_ms = self._due_after(samples.at_ms)
        if samples.at_ms < self._next_ms:
            return None
        self._next_ms = self._due_after(samples.at_ms)
        if self.is_pinned:
            return None
        effective_ms = samples.at_ms + AHEAD_MS
        return self._trainer.publish(effective_ms, self.offset), effective_ms

    def again(self, model: Model) -> Model:
        """The next version: what an earlier one was, from now on. Learning goes on from it."""
        last = self.last
        assert last is not None, "there is an earlier one"
        at_ms = max(self._at_ms or 0, last.effective_ms) + AHEAD_MS
        copy = msgspec.structs.replace(
            model,
            version=last.version + 1,
            effective_at=format_instant(at_ms),
            offset=self.offset,
            next_number=last.next_number,
            copy_of=model.version if model.copy_of is None else model.copy_of,
        )
        self._begin(copy)
        return copy
