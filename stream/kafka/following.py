"""Following topics of a broker that may be away: a task that begins anew after each failure."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError

from stream.errors import BrokerUnreachableError, TopicsError
from stream.kafka.reading import Ends, places_of, stop_consumer

#: So long after a failure one tries again.
RETRY_S = 1.0
_FETCH_WAIT_MS = 200

_log = logging.getLogger(__name__)


class Follower(abc.ABC):
    """Reads while it is entered (``async with``); waits for topics and a broker that are not there.

    ``problem`` says why nothing is known, for people; None when all is well. ``what`` is what it reads, for the log;
    ``spoken`` is called when something was read, and when that has failed.
    """

    def __init__(self, what: str, problem: str, spoken: Callable[[], None] = lambda: None) -> None:
        self.problem: str | None = problem
        self._what = what
        self._spoken = spoken
        self._task: asyncio.Task[None] | None = None

    @abc.abstractmethod
    async def _read(self) -> None:
        """Reads until it fails; sets ``problem`` to None once all is well."""

    async def __aenter__(self) -> Self:
        assert self._task is None, "it is being followed"
        self._task = asyncio.create_task(self._follow(), name=self._what)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None, "it has been entered"
        while not self._task.done():  # stopping a consumer may swallow one
            self._task.cancel()
            await asyncio.wait([self._task], timeout=RETRY_S)
        self._task = None

    async def _follow(self) -> None:
        while True:
            try:
                await self._read()
            except (KafkaError, BrokerUnreachableError, TopicsError, OSError, TimeoutError) as error:
                if str(error) != self.problem:
                    _log.warning("%s can't be followed: %s", self._what, error)
                self.problem = str(error) or type(error).__name__
                self._spoken()
            await asyncio.sleep(RETRY_S)


@contextlib.asynccontextmanager
async def latest_of(
    broker: str, recent: Mapping[str, int | None]
) -> AsyncIterator[AsyncGenerator[tuple[list[ConsumerRecord], bool]]]:
    """What lies in some topics and what comes, for ever, a list at a time: the latest ``recent`` of each partition.

    None: all. With each list it is told whether all that was there to begin with has been read. Lists may be empty.
    Raises what `Follower` waits after.
    """
    topics = await places_of(broker, *recent)
    places = [place for of_topic in topics for place in of_topic]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker,
        group_id=None,
        enable_auto_commit=False,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        auto_offset_reset="earliest",
    )

    async def read() -> AsyncGenerator[tuple[list[ConsumerRecord], bool]]:
        consumer.assign(places)
        starts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        for place in places:
            count = recent[place.topic]
            consumer.seek(place, starts[place] if count is None else max(starts[place], ends[place] - count))
        first, are_read = Ends(consumer, ends), False
        while True:
            fetched = await consumer.getmany(timeout_ms=_FETCH_WAIT_MS)
            first.learn()
            are_read = are_read or await first.are_reached()
            yield [record for part in fetched.values() for record in part], are_read

    try:
        await consumer.start()
        async with contextlib.aclosing(read()) as records:
            yield records
    finally:
        await stop_consumer(consumer)
