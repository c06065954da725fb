"""The topic of models, read on and on."""

from __future__ import annotations

from stream.kafka.models import PublishedModels
from stream.kafka.topics import PERSONA_MODELS
from stream.personas.model import Model
from stream.worker.interfaces import Reader


class ModelTopic(PublishedModels):
    """What has been read of it so far."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._reader = reader
        self._position = 0

    async def read(self) -> list[Model]:
        """Reads on to its end; the versions that lie there."""
        end = await self._reader.end(PERSONA_MODELS, 0)
        found: list[Model] = []
        if end > self._position:
            async for records in self._reader.read(PERSONA_MODELS, 0, self._position, end):
                for one in records:
                    model = self.take_or_pass_over(one.key, one.value, f"{PERSONA_MODELS}, offset {one.offset}")
                    if model is not None:
                        found.append(model)
            self._position = end
        return found
