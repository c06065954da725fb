"""Faust's consumer, changed in three ways: it hands on whole fetches, waits for owners, and commits nothing itself."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher as fetching
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError
from aiokafka.record.memory_records import MemoryRecords
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, ConsumerMessage

from stream.errors import BrokerUnreachableError
from stream.live.fetched import Fetched
from stream.live.record_batches import unpack
from stream.worker.received import Received

#: An answer to a fetch comes after this at the latest. Faust's 1.5 s would hold up topics that have records.
_FETCH_WAIT_MS = 100
_POLL_S = 0.5
#: So long the group's coordinator may take to take a commit, or to say what is committed.
COMMITTED_WITHIN_S = 30.0

_T = TypeVar("_T")
_UNKNOWN = -1
_NOTHING = Received.of([])


class _MemoryRecords(MemoryRecords):  # type: ignore[misc]
    """aiokafka's, with the bytes that it reads."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


#: All consumers of this process may have it so; there is no other way to these bytes.
fetching.MemoryRecords = _MemoryRecords


class _ConsumerThread(AIOKafkaConsumerThread):
    """The thread with aiokafka's consumer."""

    logger = logging.getLogger("faust")

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001 (Faust has no setting for it)
        return consumer

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        # Owners read the changelog themselves; it is assigned so that it lies where the events do.
        consumer = self._ensure_consumer()
        consumer.pause(*(place for place in consumer.assignment() if place.topic in self.app.tables.changelog_topics))
        await super().on_partitions_assigned(assigned, generation_id)

    async def _fetch_records(self, consumer: AIOKafkaConsumer, *args: Any, **options: Any) -> Any:
        fetcher = consumer._fetcher  # noqa: SLF001
        if not isinstance(fetcher._records, _WholeFetches):  # noqa: SLF001
            fetcher._records = _WholeFetches(fetcher._records)  # noqa: SLF001
        return await super()._fetch_records(consumer, *args, **options)


class _WholeFetches(OrderedDict[TopicPartition, Any]):
    """What aiokafka has fetched and not handed on, by partition: each gives one `Received`, instead of records."""

    def __setitem__(self, place: TopicPartition, result: Any) -> None:
        found = getattr(result, "_partition_records", None)  # errors lie here too
        if isinstance(found, PartitionRecords):
            result._partition_records = _WholeFetch(place, found)  # noqa: SLF001
        super().__setitem__(place, result)


class _WholeFetch:
    """In the place of aiokafka's ``PartitionRecords``."""

    def __init__(self, place: TopicPartition, records: PartitionRecords) -> None:
        self.next_fetch_offset: int = records.next_fetch_offset
        self._where = f"topic {place.topic}, partition {place.partition}"
        self._data: bytes | None = records._records.data  # noqa: SLF001

    def __iter__(self) -> Iterator[Received]:
        return self

    def __next__(self) -> Received:
        data, self._data = self._data, None
        if data is None:
            raise StopIteration
        received, self.next_fetch_offset = unpack(data, self.next_fetch_offset, self._where)
        if not len(received):
            raise StopIteration
        return received


class BatchConsumer(Consumer):
    """What a poll brings of a topic partition is one message whose value is a `Fetched`.

    A source partition is read when `begin` has said where from, until the next rebalance. Offsets are committed by
    `commit_offsets` only: Faust's own bookkeeping of acknowledgements has no say.
    """

    logger = logging.getLogger("faust")
    #: Is told of what ends the reading.
    failed: Callable[[BaseException], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What `begin` has begun: position and end as last handed on.
        self._told: dict[TP, tuple[int, int]] = {}
        self._has_left = False  # whether a poll may have brought what was not handed on

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # --- what owners ask for ---

    async def begin(self, positions: Mapping[TP, int], generation: int) -> bool:
        """Reads these partitions from these offsets on; False when they are not ours any more."""

        async def seek() -> bool:
            consumer = self._kafka
            if consumer._coordinator.generation != generation:  # noqa: SLF001 (nothing public says it)
                return False
            for place, offset in positions.items():
                try:
                    consumer.seek(TopicPartition(*place), offset)
                except IllegalStateError:
                    return False
            return True

        if not await self._in_thread(seek()) or self.app.consumer_generation_id != generation:
            return False
        for place in positions:
            self._told[place] = positions[place], _UNKNOWN
        super().resume_partitions(positions)
        return True

    def hold_all(self) -> None:
        """Reads no source partition any more, until `begin`."""
        super().pause_partitions(self._told)
        self._told.clear()

    def pause(self, place: TP) -> None:
        """Reads no more of a partition for now."""
        super().pause_partitions([place])

    def go_on(self, place: TP) -> None:
        """Reads on where `pause` has stopped it."""
        if place in self._told:
            super().resume_partitions([place])

    async def committed(self, place: TP) -> int | None:
        """What the group has committed."""
        return await self._in_thread(self._kafka.committed(TopicPartition(*place)))

    async def commit_offsets(self, offsets: Mapping[TP, int], generation: int) -> bool:
        """Commits; False when the group has moved on since ``generation``, and the offsets do not count."""

        async def commit() -> bool:
            consumer = self._kafka
            if consumer._coordinator.generation != generation:  # noqa: SLF001
                return False
            try:
                await consumer.commit({TopicPartition(*place): offset for place, offset in offsets.items()})
            except (CommitFailedError, IllegalStateError):
                return False
            return True

        return await self._in_thread(commit())

    async def rejoin(self) -> None:
        """Leads to a new assignment, though nothing else asks for one."""

        async def ask() -> None:
            self._kafka._coordinator.request_rejoin()  # noqa: SLF001

        await self._in_thread(ask())

    @property
    def _kafka(self) -> AIOKafkaConsumer:
        return self._thread._ensure_consumer()  # noqa: SLF001

    async def _in_thread(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """What the coroutine gives, run in the consumer's thread."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._thread.thread_loop)
        try:
            async with asyncio.timeout(COMMITTED_WITHIN_S):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise BrokerUnreachableError(
                f"the group's coordinator has not answered for {COMMITTED_WITHIN_S:g} s"
            ) from error

    # --- what is read ---

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                generation = self.app.consumer_generation_id
                if self._has_left:
                    await self._read_again()
                    self._has_left = False
                records, _ = await self._wait_next_records(_POLL_S)
                self._has_left = bool(records)
                await asyncio.sleep(0)  # where there is always something to read, others have to run too
                for fetched in self._fetched(records or {}, generation):
                    if not self.flow_active or self.app.consumer_generation_id != generation:
                        break
                    await self.wait_first(self.callback(_message(fetched)), self.suspend_flow.wait())
                    place = TP(fetched.topic, fetched.partition)
                    # Meanwhile it may have been let go of, and begun somewhere else under another assignment.
                    if place in self._told and self.app.consumer_generation_id == generation:
                        self._told[place] = fetched.position, fetched.end
                else:
                    self._has_left = False
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise
        except Exception as error:
            self.failed(error)
            raise

    async def _read_again(self) -> None:
        """Goes back to what has been handed on.

        A poll may last from one assignment into the next, and bring what nobody takes: aiokafka reads on behind it.
        """

        async def seek() -> None:
            consumer = self._kafka
            # Owners' places are looked up here, in the one thread that also seeks for `begin`.
            for place, (position, _) in list(self._told.items()):
                try:
                    consumer.seek(TopicPartition(*place), position)
                except IllegalStateError:
                    continue  # it is not ours any more

        await self._in_thread(seek())

    def _fetched(self, records: Mapping[TP, list[Received]], generation: int) -> Iterator[Fetched]:
        """What has come, and for the other partitions where they end, if that is news."""
        subscription = self._kafka._subscription.subscription  # noqa: SLF001
        assignment = None if subscription is None else subscription.assignment
        if assignment is None:
            return
        for place in list(self._told):
            if place not in self._told:  # let go of while others were handed on
                continue
            found = Received.joined(records[place]) if place in records else _NOTHING
            state = assignment.state_value(place)
            if state is not None and state.has_valid_position and state.highwater is not None:
                now = state.position, state.highwater
            elif len(found):  # by now reading goes on somewhere else
                behind = int(found.offsets[-1]) + 1
                now = behind, behind
            else:
                continue
            told = self._told[place]
            if len(found) or told != now:
                yield Fetched(place.topic, place.partition, generation, found, told[0], *now)

    # --- what Faust would do ---

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Faust resumes all that is assigned; owners say when theirs are."""
        super().resume_partitions({tp for tp in tps if tp in self._told})

    def on_buffer_full(self, tp: TP) -> None:
        """Owners say when it is too much."""

    def on_buffer_drop(self, tp: TP) -> None:
        """As `on_buffer_full`."""

    async def perform_seek(self) -> None:
        """Owners say where to read from."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:  # noqa: ARG002
        return iter(())

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:  # noqa: ARG002
        return {}

    async def _commit_tps(self, tps: Iterable[TP], start_new_transaction: bool) -> bool:  # noqa: ARG002
        return False

    def verify_event_path(self, now: float, tp: TP) -> None:
        """The worker has a watch of its own."""


class BatchTransport(Transport):
    """aiokafka with a `BatchConsumer`."""

    Consumer = BatchConsumer


def _message(fetched: Fetched) -> ConsumerMessage:
    place = TP(fetched.topic, fetched.partition)
    return ConsumerMessage(
        fetched.topic,
        fetched.partition,
        fetched.position - 1,
        0.0,
        0,
        None,
        None,
        fetched,  # type: ignore[arg-type]  # agents take it as it is
        None,
        tp=place,
        generation_id=fetched.generation,
    )
