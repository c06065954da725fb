"""Models of personas on their way into one partition: each at its instant, customer by customer while events go on."""

from __future__ import annotations

from stream.engine.changes import Changes
from stream.worker.models import Models
from stream.worker.writing import Writer

#: So many changes that come of models are written together.
_WRITTEN_AT_ONCE = 1_024


class Reassignment:
    """Applies ``models`` to the partition that ``writer`` writes about."""

    def __init__(self, models: Models, writer: Writer) -> None:
        self.models = models
        self._writer = writer
        self._collected = 0

    @property
    def is_under_way(self) -> bool:
        """Whether the latest model has not been applied to everybody yet."""
        return self._writer.partition.is_assigning

    @property
    def next_ms(self) -> int | None:
        """The instant of the next model, if it is known already."""
        following = self.models.after(self._writer.partition.model_version)
        return None if following is None else following.effective_ms

    async def take(self, to_ms: int) -> bool:
        """Takes the models that are due by then, or have come late; whether there are any.

        What comes of it is written where that is much; else it waits for the writer's next `flush`.
        """
        partition = self._writer.partition
        due_ms = max(to_ms, partition.latest_ms)
        is_any = False
        while (model := self.models.after(partition.model_version)) and model.effective_ms <= due_ms:
            await self._apply_to_all()
            for changes in partition.begin_model(model):
                await self._collect(changes)
            is_any = True
        return is_any

    async def go_on(self, now_ms: int) -> bool:
        """Applies the latest model to some more customers, if it is this partition's turn; whether it was.

        What comes of it is written when that is worth it, or goes with the next events' changes if these come before.
        """
        if not self.models.take_turn(self, now_ms):
            return False
        await self._collect(self._writer.partition.go_on_assigning())
        if not self.is_under_way:
            await self._write()
        return True

    async def finish(self) -> None:
        """Applies it to all that are left, and writes what comes of it."""
        if self.is_under_way:
            await self._apply_to_all()
            await self._write()

    async def _apply_to_all(self) -> None:
        while self.is_under_way:
            await self._collect(self._writer.partition.go_on_assigning())

    async def _collect(self, changes: Changes) -> None:
        self._writer.collect(changes)
        self._collected += len(changes)
        if self._collected >= _WRITTEN_AT_ONCE or self._writer.is_filling:
            await self._write()

    async def _write(self) -> None:
        self._collected = 0
        if not self.is_under_way:
            self.models.end_turn(self)
        await self._writer.flush()
