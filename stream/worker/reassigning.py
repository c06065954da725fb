"""Models of personas on their way into one partition: each at its instant, customer by customer while events go on."""

from __future__ import annotations

from stream.worker.models import Models
from stream.worker.writing import Writer

#: Customers whose changes are written together.
_WRITTEN_AT_ONCE = 512


class Reassignment:
    """Applies ``models`` to the partition that ``writer`` writes about."""

    def __init__(self, models: Models, writer: Writer) -> None:
        self.models = models
        self._writer = writer

    @property
    def is_under_way(self) -> bool:
        """Whether the latest model has not been applied to everybody yet."""
        return self._writer.partition.is_assigning

    @property
    def next_ms(self) -> int | None:
        """The instant of the next model, if it is known already."""
        following = self.models.after(self._writer.partition.model_version)
        return None if following is None else following.effective_ms

    async def take(self, to_ms: int) -> None:
        """Takes the models that are due by then, or have come late."""
        partition = self._writer.partition
        due_ms = max(to_ms, partition.latest_ms)
        while (model := self.models.after(partition.model_version)) and model.effective_ms <= due_ms:
            await self.finish()
            for changes in partition.begin_model(model):
                self._writer.collect(changes)
                await self._writer.flush()

    async def go_on(self, now_ms: int) -> bool:
        """Applies the latest model to some more customers, if it is this partition's turn; whether it was.

        What comes of it is written when that is worth it, or goes with the next events' changes if these come before.
        """
        if not self.models.take_turn(self, now_ms):
            return False
        await self._go_on()
        return True

    async def _go_on(self) -> None:
        self._writer.collect(self._writer.partition.go_on_assigning())
        if not self.is_under_way:
            self.models.end_turn(self)
        if len(self._writer.outboxes) >= _WRITTEN_AT_ONCE or not self.is_under_way:
            await self._writer.flush()

    async def finish(self) -> None:
        """Applies it to all that are left."""
        while self.is_under_way:
            await self._go_on()
