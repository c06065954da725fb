"""The sink from its start to its end: it goes on from what Redis holds, whatever has happened to Redis."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import redis.asyncio
from aiokafka.errors import OffsetOutOfRangeError
from prometheus_client import CollectorRegistry
from redis.exceptions import RedisError

from stream.errors import RedisUnreachableError, SinkStateError, TopicsError
from stream.kafka.administration import find_topics
from stream.kafka.connection import connected_admin
from stream.kafka.topics import MEMBERSHIPS, SEGMENT_CHANGES, Topic, problems
from stream.live.reader import LogReader
from stream.probes import Probes, serving
from stream.signals import asked_to_stop
from stream.sinks.redis.filling import Filling
from stream.sinks.redis.following import Following
from stream.sinks.redis.keys import DEFAULT_PREFIX, LAYOUT, Keys
from stream.sinks.redis.script import RefusedError, Script
from stream.sinks.redis.server import check_server, is_passing, make_client, shown
from stream.sinks.redis.status import SinkStatus
from stream.web_server import DEFAULT_HOST

#: So long a Redis that does not answer is waited for when the sink starts; later, for ever.
WAIT_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
#: Another sink is at work too, or fills: it is looked again after so long.
_GIVE_WAY_S = 0.5
#: What is on its way to Redis, or asked of the broker, is waited for so long when the sink is stopped.
_ENDED_WITHIN_S = 15.0
#: The same thing is not said again before.
_SAID_AGAIN_S = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What a sink is told. ``port`` None: nothing is served. ``wait_s``: for Redis, when it starts."""

    broker: str
    redis: str
    prefix: str = DEFAULT_PREFIX
    sink_id: str = "segstream-redis"
    keep_evidence: bool = True
    refill: bool = False
    exit_when_done: bool = False
    port: int | None = None
    host: str = DEFAULT_HOST
    wait_s: float = WAIT_S


async def run(options: Options) -> None:
    """Works until SIGTERM or SIGINT, or with ``exit_when_done`` until all that the topic held has been applied.

    Raises ``TopicsError``, ``RedisSettingError``, ``SinkStateError`` and ``PortInUseError`` for what somebody has to
    put right, ``BrokerUnreachableError`` and ``RedisUnreachableError``, and anything else for what should not happen.
    """
    status = SinkStatus(CollectorRegistry())
    with asked_to_stop() as stop:
        async with (
            serving(_probes(options, status), options.port, options.host),
            make_client(options.redis, options.sink_id) as client,
        ):
            await Sink(options, client, status).run(stop)
    _log.info("ended after %s changes", f"{status.applied:,}")


def _probes(options: Options, status: SinkStatus) -> Probes:
    checks = {"redis": status.redis_check, "filled": status.filled_check, "staying": status.staying_check}
    about = {"id": options.sink_id, "redis": shown(options.redis), "prefix": options.prefix}
    return Probes(status.registry, checks, int(time.time() * 1_000), lambda: about)


class Sink:
    """One sink. What it knows of Redis it forgets whenever that was not as expected, and asks again."""

    def __init__(self, options: Options, client: redis.asyncio.Redis, status: SinkStatus) -> None:
        self._options = options
        self._client = client
        self._status = status
        self._keys = Keys(options.prefix)
        self._script = Script(client, self._keys)
        self._name = shown(options.redis)
        self._refill = options.refill
        self._is_following = False
        self._is_new = True
        self._said: dict[str, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        partitions, self._topic = await _topics(self._options.broker)
        self._reader = LogReader(self._options.broker)
        await self._reader.start()
        try:
            self._filling = Filling(self._client, self._script, self._keys, self._reader, self._status, partitions)
            self._partitions = partitions[SEGMENT_CHANGES]
            working = asyncio.create_task(self._work(stop), name="sink")
            stopping = asyncio.create_task(stop.wait(), name="stop")
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            self._status.is_stopping = True
            if not working.done() and not self._is_following:
                working.cancel()  # of waiting and of filling nothing has to be finished
            stopping.cancel()
            await asyncio.wait([working], timeout=_ENDED_WITHIN_S)
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
        finally:
            await self._reader.stop()

    async def _work(self, stop: asyncio.Event) -> None:
        """Goes on until it is to stop, or all is done."""
        pause_s, since, was_up = _FIRST_PAUSE_S, time.monotonic(), False
        while not stop.is_set():
            try:
                await check_server(self._client, self._name)
                self._status.redis_is(None)
                was_up, pause_s = True, _FIRST_PAUSE_S
                if await self._go_on(stop):
                    return
            except RefusedError:
                await asyncio.sleep(_GIVE_WAY_S)
            except RedisError as error:
                if not is_passing(error):
                    raise
                self._lost(error)
                if not was_up and time.monotonic() - since > self._options.wait_s:
                    raise RedisUnreachableError(
                        f"no Redis answers at {self._name} (waited {self._options.wait_s:g} s): is it running? "
                        f"--redis names another ({error})"
                    ) from error
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _lost(self, error: RedisError) -> None:
        wrong = f"Redis at {self._name} can't be used: {error}"
        if self._status.redis_wrong is None or self._status.redis_wrong != wrong:
            self._is_new = True
            _log.warning("%s; trying again", wrong)
        self._status.redis_is(wrong)

    def _say(self, what: str) -> None:
        """Two sinks at once would say the same again and again."""
        now = time.monotonic()
        if now - self._said.get(what, -_SAID_AGAIN_S) >= _SAID_AGAIN_S:
            self._said[what] = now
            self._is_new = True
            _log.warning("%s", what)

    async def _go_on(self, stop: asyncio.Event) -> bool:
        """Fills what is empty, and applies what comes. Whether all is done."""
        offsets = await self._offsets()
        if offsets is None:
            try:
                await self._filling.run(self._topic)
            except RefusedError:
                self._say("another sink is filling")
                raise
            self._refill = False
            offsets = await self._offsets()
            if offsets is None:
                raise RefusedError
        self._status.filled()
        ends = await self._ends() if self._options.exit_when_done else {}
        following = Following(
            self._options.broker,
            self._reader,
            self._script,
            self._status,
            offsets,
            self._topic,
            client_id=self._options.sink_id,
            keep_evidence=self._options.keep_evidence,
        )

        def is_done() -> bool:
            return bool(ends) and all(following.offsets[partition] >= end for partition, end in ends.items())

        if self._is_new:
            _log.info(
                "going on from %s", ", ".join(f"{partition}: {offset:,}" for partition, offset in offsets.items())
            )
            self._is_new = False
        await following.start()
        self._is_following = True
        try:
            await following.run(lambda: stop.is_set() or is_done(), self._look)
        except RefusedError:
            self._say("Redis holds other offsets than before: another sink is at work, or it was restored or emptied")
            raise
        except OffsetOutOfRangeError:
            return False  # where to go on from is looked at again
        finally:
            self._is_following = False
            await following.stop()
        return True

    async def _look(self, expected: Mapping[int, int]) -> None:
        """Raises ``RefusedError`` where Redis does not hold what has been written."""
        meta, offsets = await self._held()
        if meta.get("filled") != "1" or offsets != expected:
            raise RefusedError

    async def _offsets(self) -> dict[int, int] | None:
        """The offsets to go on from; None: all has to be filled. Raises ``SinkStateError`` where neither will do."""
        meta, offsets = await self._held()
        if meta.get("filled") != "1" or self._refill:
            return None
        anew = "`--refill` empties what is under the prefix and fills it anew; --redis-prefix names another"
        if meta["layout"] != str(LAYOUT):
            raise SinkStateError(f"{self._name} has layout {meta['layout']}, and this is {LAYOUT}: {anew}")
        if meta["topic"] != self._topic:
            raise SinkStateError(
                f"{self._name} holds under {self._options.prefix!r} what comes of {meta['topic']}, not of "
                f"{self._topic}: {anew}"
            )
        for partition, offset in offsets.items():
            end = await self._reader.end(SEGMENT_CHANGES, partition)
            if offset > end:
                raise SinkStateError(
                    f"{self._name} holds changes up to offset {offset:,} of partition {partition}, and the topic ends "
                    f"at {end:,}: {SEGMENT_CHANGES} was truncated or made anew. {anew}"
                )
            start = await self._reader.start_of(SEGMENT_CHANGES, partition)
            if offset < start:
                _log.warning(
                    "partition %d: the next change would be at offset %d, and all before %d has been deleted: "
                    "filling anew",
                    partition,
                    offset,
                    start,
                )
                return None
        return offsets

    async def _ends(self) -> dict[int, int]:
        return {number: await self._reader.end(SEGMENT_CHANGES, number) for number in range(self._partitions)}

    async def _held(self) -> tuple[dict[str, str], dict[int, int]]:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(self._keys.meta)
            pipe.hgetall(self._keys.offsets)
            meta, offsets = cast("tuple[Any, Any]", await pipe.execute())
        return (
            {name.decode(): value.decode() for name, value in meta.items()},
            {int(partition): int(offset) for partition, offset in sorted(offsets.items())},
        )


async def _topics(broker: str) -> tuple[dict[str, int], str]:
    """How many partitions the topics have that are read, and what tells these topics from others of the same names."""
    wanted = [Topic(SEGMENT_CHANGES, ""), Topic(MEMBERSHIPS, "")]
    async with connected_admin(broker) as admin:
        found = await find_topics(admin, [topic.name for topic in wanted])
        cluster = (await admin.describe_cluster())["cluster_id"]
    wrong = problems(wanted, found)
    if wrong:
        raise TopicsError(wrong)
    partitions = {name: topic.partitions for name, topic in found.items()}
    return partitions, f"{SEGMENT_CHANGES} of {partitions[SEGMENT_CHANGES]} partitions, cluster {cluster}"
