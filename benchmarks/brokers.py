"""The broker that is measured on, and its topics: fresh ones for each measurement."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from aiokafka import TopicPartition

from scripts.kafka.apache import ApacheKafka, missing_programs
from stream.kafka.administration import create_topics
from stream.kafka.connection import connected_admin
from stream.kafka.groups import committed_by
from stream.kafka.topics import Topic, all_topics, event_topics, source_topics
from stream.live.reader import LogReader
from stream.worker.interfaces import StoredRecord

ROOT = Path(__file__).parent.parent
PARTITIONS = 8
_POLL_S = 0.1
_SOURCES = tuple(topic.name for topic in source_topics())


T = TypeVar("T")


@contextlib.contextmanager
def fresh_broker(address: str | None) -> Iterator[str]:
    """The address of a broker with empty topics for events and requests, and no others.

    Without an ``address`` it is Apache Kafka, started for this and gone afterwards; with one, all its topics are
    deleted before and after: see `refuse_topics`.
    """
    if address is not None:
        delete_topics(address)
        make_topics(address, source_topics())
        try:
            yield address
        finally:
            delete_topics(address)
        return
    with ApacheKafka() as broker:
        make_topics(broker.address, source_topics())
        yield broker.address


def refuse_topics(address: str | None) -> None:
    """Ends the program where a broker holds what is somebody's, or none can be started."""
    if address is None:
        if missing := missing_programs():
            sys.exit(f"not installed: {' and '.join(missing)}; --broker names a broker that runs")
    elif topics := _topics(address):
        sys.exit(f"the broker at {address} has topics ({', '.join(sorted(topics)[:5])} ...): take one that is empty")


def make_topics(address: str, topics: Sequence[Topic]) -> None:
    async def make() -> None:
        async with connected_admin(address) as admin:
            await create_topics(admin, topics, PARTITIONS, 1)

    asyncio.run(make())


def delete_topics(address: str, but: Collection[str] = ()) -> None:
    """Deletes all topics but these, and returns when they are gone."""

    async def delete() -> None:
        async with connected_admin(address) as admin:
            while names := [name for name in await admin.list_topics() if name not in but and name[:2] != "__"]:
                await admin.delete_topics(names)
                await asyncio.sleep(_POLL_S)

    asyncio.run(delete())


def renew_outputs(address: str, *further: str) -> None:
    """Leaves the events, and nothing of what anybody has made of them."""
    delete_topics(address, but=_SOURCES)
    outputs = [topic for topic in all_topics() if topic.name not in _SOURCES]
    make_topics(address, [*outputs, *(Topic(name, "of a measurement") for name in further)])


def send(address: str, events: Path) -> None:
    """Sends a file of events with ``segstream produce``."""
    command = [sys.executable, "-m", "stream", "produce", str(events), "--broker", address]
    subprocess.run(command, check=True, cwd=ROOT, stderr=subprocess.PIPE)


def committed(address: str, group: str) -> int:
    """How many events a group has committed."""
    places = [TopicPartition(topic.name, number) for topic in event_topics() for number in range(PARTITIONS)]

    async def ask() -> int:
        async with connected_admin(address) as admin:
            return sum((await committed_by(admin, group, places)).values())

    return asyncio.run(ask())


def records_in(address: str, topic: str) -> int:
    """How many records have been written to a topic; 0 where there is none."""

    async def ask(reader: LogReader) -> int:
        return sum([await reader.end(topic, number) for number in range(PARTITIONS)])

    return asyncio.run(_reading(address, ask)) if topic in _topics(address) else 0


def records_of(address: str, topic: str, most_of_each: int | None = None) -> list[StoredRecord]:
    """The records of a topic, in order of partitions and offsets; of each partition the first ``most_of_each``."""

    async def read(reader: LogReader) -> list[StoredRecord]:
        found: list[StoredRecord] = []
        for number in range(PARTITIONS):
            end = await reader.end(topic, number)
            stop = end if most_of_each is None else min(end, most_of_each)
            async for records in reader.read(topic, number, 0, stop):
                found += records
        return found

    return asyncio.run(_reading(address, read))


async def _reading(address: str, work: Callable[[LogReader], Awaitable[T]]) -> T:
    reader = LogReader(address)
    await reader.start()
    try:
        return await work(reader)
    finally:
        await reader.stop()


def _topics(address: str) -> set[str]:
    async def ask() -> set[str]:
        async with connected_admin(address) as admin:
            return {name for name in await admin.list_topics() if not name.startswith("__")}

    return asyncio.run(ask())
