"""What a trainer does while it is the active one: it learns, publishes, and stays at a version where it is told to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from faust.types import TP

from stream.engine.plan import Plan
from stream.errors import SamplesError
from stream.instants import format_instant
from stream.kafka.topics import PERSONA_EVENTS, PERSONA_MODELS, PROFILE_SAMPLES
from stream.live.consumer import BatchConsumer
from stream.live.fetched import Fetched
from stream.live.model_topic import ModelTopic
from stream.live.reader import LogReader
from stream.personas.messages import event_records, model_records, parse_samples
from stream.personas.model import Model
from stream.personas.publication import Publication
from stream.trainer.learner import Learner
from stream.trainer.status import TrainerStatus
from stream.worker.interfaces import Batch, Producer, Record, StoredRecord

PLACE = TP(PROFILE_SAMPLES, 0)
#: Pins are looked for so often.
_LOOK_S = 0.5
#: So many fetches wait before reading is paused.
_WAITING_MOST = 4

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class OvertakenError(Exception):
    """Another trainer has published a version meanwhile: what this one has learned begins before it."""


class Work:
    """From one assignment to its end. ``failed`` is told of any error that ends it."""

    def __init__(
        self,
        plan: Plan,
        reader: LogReader,
        producer: Producer,
        status: TrainerStatus,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._plan = plan
        self._reader = reader
        self._producer = producer
        self._status = status
        self._failed = failed
        self._consumer: BatchConsumer | None = None
        self._generation = -1
        self._next = -1  # the offset that is to be fetched next
        self._inbox: asyncio.Queue[Fetched] = asyncio.Queue()
        self._topic = ModelTopic(reader)
        self._missed: int | None = None  # a version that is to be gone back to, and is not there
        self._task: asyncio.Task[None] | None = None

    def start(self, consumer: BatchConsumer, generation: int) -> None:
        """The samples are ours under this generation."""
        assert self._task is None, "it has been stopped"
        self._consumer, self._generation = consumer, generation
        self._task = asyncio.create_task(self._run(), name="training")

    async def stop(self) -> None:
        """Leaves what has not been published: whoever is next learns it again."""
        task, self._task = self._task, None
        if task is not None:
            self._next = -1
            task.cancel()
            await asyncio.wait([task])

    def deliver(self, fetched: Fetched) -> None:
        """Takes what was fetched; what was fetched before a seek is dropped."""
        if self._task is None or fetched.generation != self._generation or fetched.start != self._next:
            return
        assert self._consumer is not None
        self._next = fetched.position
        self._inbox.put_nowait(fetched)
        if self._inbox.qsize() >= _WAITING_MOST:
            self._consumer.pause(PLACE)

    async def _run(self) -> None:
        try:
            while await self._begin():
                try:
                    await self._learn()
                except OvertakenError as error:
                    _log.warning("%s", error)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 (whatever it is, the trainer has to end)
            self._failed(error)

    async def _begin(self) -> bool:
        """Goes on from the last version; False when the samples are not ours any more."""
        assert self._consumer is not None
        await self._topic.read()
        last = self._topic.last
        self._learner = Learner(self._plan, last, is_pinned=self._topic.pinned is not None)
        start = max(self._learner.offset, await self._reader.start_of(*PLACE))
        self._inbox = asyncio.Queue()
        self._next = start
        self._tell(last)
        _log.info("going on from %s, samples at offset %d", f"version {last.version}" if last else "nothing", start)
        return await self._consumer.begin({PLACE: start}, self._generation)

    async def _learn(self) -> None:
        assert self._consumer is not None
        await self._obey()
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    fetched = await self._inbox.get()
            except TimeoutError:
                await self._obey()
                continue
            for record in fetched.records.records():
                await self._take(record)
            if self._inbox.empty():
                self._consumer.go_on(PLACE)
            await self._obey()

    async def _take(self, record: StoredRecord) -> None:
        learner = self._learner
        before = learner.samples
        try:
            samples = parse_samples(record.value)
            # Looking for the first centres takes a second and more: the group must hear of us meanwhile.
            found = await _to_its_end(asyncio.to_thread(learner.take, record.offset, samples))
        except SamplesError as error:
            _log.warning("%s, offset %d: passed over: %s", PROFILE_SAMPLES, record.offset, error)
            self._status.passed_over.inc()
            return
        if learner.samples == before:
            self._status.passed_over.inc()
        self._status.samples.inc(learner.samples - before)
        if found is not None:
            await self._publish(*found)

    async def _publish(self, publication: Publication, effective_ms: int) -> None:
        """Writes what has happened, then the version: whoever dies in between says the first again."""
        model = publication.model
        number = model.version if model else self._version_before() + 1
        events = event_records(number, effective_ms, publication.events, publication.reason)
        await self._producer.write([Batch(PERSONA_EVENTS, 0, [Record(*event) for event in events])])
        if model is None:
            self._status.refused.inc()
            _log.info("no version at %s: %s", format_instant(effective_ms), publication.reason)
        else:
            await self._write(model)

    def _version_before(self) -> int:
        return self._learner.last.version if self._learner.last else 0

    async def _write(self, model: Model) -> None:
        await self._topic.read()
        last = self._topic.last
        if last is not None and last.version >= model.version:
            raise OvertakenError(f"another trainer has published version {last.version}: going on from that one")
        await self._producer.write([Batch(PERSONA_MODELS, 0, [Record(*one) for one in model_records(model)])])
        self._topic.versions[model.version] = model
        self._status.versions.inc()
        self._tell(model)
        copy = f", again version {model.copy_of}" if model.copy_of else ""
        _log.info("version %d from %s on: %d personas%s", model.version, model.effective_at, len(model.personas), copy)

    async def _obey(self) -> None:
        """Stays at a version, or goes back to it, when somebody has said so."""
        await self._topic.read()
        learner, wanted = self._learner, self._topic.pinned
        self._status.pinned.set(wanted or 0)
        learner.is_pinned = wanted is not None
        last = learner.last
        if wanted is None or last is None or wanted in (last.version, last.copy_of):
            return
        model = self._topic.versions.get(wanted)
        if model is None:
            if self._missed != wanted:
                _log.warning("there is no version %d to go back to: personas stay at version %d", wanted, last.version)
            self._missed = wanted
            return
        await self._write(learner.again(model))

    def _tell(self, last: Model | None) -> None:
        if last is not None:
            self._status.version.set(last.version)
            self._status.effective.set(last.effective_ms / 1_000)


async def _to_its_end(work: Awaitable[_T]) -> _T:
    """What a thread gives. Cancelled, it is waited for all the same: nobody else may use what it works on."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
