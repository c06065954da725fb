"""The versions of the personas as they are published: read before a worker begins, and followed from then on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from stream.engine.centres import check_fits
from stream.engine.plan import Plan
from stream.errors import ModelError
from stream.kafka.topics import PERSONA_MODELS
from stream.live.model_topic import ModelTopic
from stream.personas.assigning import centres_of
from stream.worker.interfaces import Reader
from stream.worker.models import Models

#: The topic's end is asked for so often. A version holds from an instant that is a little further ahead.
_EVERY_S = 0.5

_log = logging.getLogger(__name__)


class FollowedModels:
    """Adds to ``models``, while it is entered (``async with``), what comes in the topic and fits the ``plan``.

    Once entered it has read all that is there. ``failed`` is told of any error after that. Where the definitions have
    no personas it does nothing.
    """

    def __init__(self, plan: Plan, reader: Reader, failed: Callable[[BaseException], None]) -> None:
        self.models = Models()
        self._plan = plan
        self._topic = ModelTopic(reader)
        self._failed = failed
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._plan.personas is not None:
            await self._read()
            self._task = asyncio.create_task(self._follow(), name="models")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _follow(self) -> None:
        try:
            while True:
                await asyncio.sleep(_EVERY_S)
                await self._read()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 (whatever it is, the worker has to end)
            self._failed(error)

    async def _read(self) -> None:
        for model in await self._topic.read():
            centres = centres_of(model)
            try:
                check_fits(centres, self._plan.personas)
            except ModelError as error:
                _log.warning("%s: passed over: %s", PERSONA_MODELS, error)
                continue
            self.models.add(centres)
            _log.info("model %d of personas: from %s on", model.version, model.effective_at)
