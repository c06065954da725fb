"""The versions of the personas that a broker has, and the one that they stay at."""

from __future__ import annotations

import contextlib
import logging

from stream.errors import ModelError
from stream.kafka.reading import read_topic
from stream.kafka.sending import connected_sender
from stream.kafka.topics import PERSONA_MODELS
from stream.personas.messages import Published, pin_record
from stream.personas.model import Model

_log = logging.getLogger(__name__)


class PublishedModels(Published):
    """`Published`, where what is none of ours is passed over, and logged."""

    def take_or_pass_over(self, key: bytes | None, value: bytes | None, where: str) -> Model | None:
        """`take`; ``where`` tells a reader which record that is."""
        try:
            return self.take(key, value)
        except ModelError as error:
            _log.warning("%s: passed over: %s", where, error)
            return None


async def published_models(broker: str) -> Published:
    """All that the topic of models holds. Raises ``TopicsError`` and ``BrokerUnreachableError``."""
    published = PublishedModels()
    async with contextlib.aclosing(read_topic(broker, PERSONA_MODELS)) as batches:
        async for batch in batches:
            for record in batch:
                published.take_or_pass_over(record.key, record.value, f"{PERSONA_MODELS}, offset {record.offset}")
    return published


async def pin(broker: str, version: int | None) -> None:
    """Says that personas are to stay at a version, or (None) go on. Raises ``BrokerUnreachableError``."""
    async with connected_sender(broker) as sender:
        await sender.send(PERSONA_MODELS, 0, [pin_record(version)])
        await sender.flush()
