"""The topic of models, read on and on."""

from __future__ import annotations

import logging

from stream.errors import ModelError
from stream.kafka.topics import PERSONA_MODELS
from stream.personas.messages import Published
from stream.worker.interfaces import Reader

_log = logging.getLogger(__name__)


class ModelTopic(Published):
    """What has been read of it so far; `read` reads on to its end."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._reader = reader
        self._position = 0

    async def read(self) -> None:
        end = await self._reader.end(PERSONA_MODELS, 0)
        if end > self._position:
            async for records in self._reader.read(PERSONA_MODELS, 0, self._position, end):
                for record in records:
                    try:
                        self.take(record.key, record.value)
                    except ModelError as error:
                        _log.warning("%s, offset %d: passed over: %s", PERSONA_MODELS, record.offset, error)
            self._position = end
