"""A partition that another worker owns, followed here, so that taking it over takes no time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from stream.worker.interfaces import Reader, Time
from stream.worker.replica import Replica

#: The changelog's end is asked for so often: what came since is all that is left to read when the partition is taken.
_EVERY_S = 0.5

_log = logging.getLogger(__name__)


class Standby:
    """Keeps ``replica`` up with a changelog from `start` until `take`. ``failed`` is told of any error."""

    def __init__(
        self,
        replica: Replica,
        topic: str,
        partition: int,
        reader: Reader,
        time: Time,
        failed: Callable[[BaseException], None],
    ) -> None:
        self.partition = partition
        self.lag_records: int | None = None  # not read yet; None before it is known
        self._replica = replica
        self._topic = topic
        self._reader = reader
        self._time = time
        self._failed = failed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._follow(), name=f"standby of partition {self.partition}")

    async def take(self) -> Replica:
        """Ends the following: the replica, with all that was read."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        return self._replica

    async def _follow(self) -> None:
        replica, place = self._replica, (self._topic, self.partition)
        try:
            while True:
                now_ms, end = self._time.wall_ms(), await self._reader.end(*place)
                self.lag_records = end - replica.position
                await replica.read(self._reader, *place, end, now_ms)
                self.lag_records = 0
                await asyncio.sleep(_EVERY_S)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 (whatever it is, the worker has to end)
            self._failed(error)


class Standbys:
    """All that one worker follows. ``make_replica`` makes an empty one."""

    def __init__(
        self,
        make_replica: Callable[[], Replica],
        topic: str,
        reader: Reader,
        time: Time,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._make_replica = make_replica
        self._topic = topic
        self._reader = reader
        self._time = time
        self._failed = failed
        self._standbys: dict[int, Standby] = {}

    async def follow(self, partitions: set[int]) -> dict[int, Replica]:
        """Follows these and no others; what has been read of those that were followed until now."""
        replicas = {}
        for partition in self._standbys.keys() - partitions:
            replica = replicas[partition] = await self._standbys.pop(partition).take()
            _log.info("partition %d: followed up to offset %d", partition, replica.position)
        for partition in sorted(partitions - self._standbys.keys()):
            replica = self._make_replica()
            standby = Standby(replica, self._topic, partition, self._reader, self._time, self._failed)
            self._standbys[partition] = standby
            standby.start()
        if partitions:
            _log.info("standby for partitions: %s", ", ".join(map(str, sorted(partitions))))
        return replicas

    async def stop(self) -> None:
        await self.follow(set())

    def lags(self) -> dict[int, int]:
        """By partition, how many offsets are still to be read; those for which that is not known yet are left out."""
        known = {partition: standby.lag_records for partition, standby in self._standbys.items()}
        return {partition: lag for partition, lag in known.items() if lag is not None}
