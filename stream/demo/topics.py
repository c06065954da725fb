"""The demo's topics on a broker: made, and found empty."""

from __future__ import annotations

from stream.errors import DemoTopicsError
from stream.kafka.administration import create_topics, source_partitions
from stream.kafka.connection import connected_admin
from stream.kafka.defaults import REPLICATION
from stream.kafka.topics import all_topics, destinations, event_topics
from stream.language.tree import Definitions
from stream.live.reader import LogReader


async def make_topics(broker: str, definitions: Definitions, partitions: int, *, is_own: bool) -> int:
    """Makes what is missing, and returns how many partitions the topics have.

    On a broker that is not our own topics that are there stay as they are. Raises ``TopicsError``, and
    ``DemoTopicsError`` when there are events in them.
    """
    topics = all_topics(destinations=destinations(definitions))
    async with connected_admin(broker) as admin:
        if not is_own and set(await admin.list_topics()) & {topic.name for topic in event_topics()}:
            partitions = await source_partitions(broker)
        await create_topics(admin, topics, partitions, REPLICATION)
    if not is_own:
        await _check_empty(broker, partitions)
    return partitions


async def _check_empty(broker: str, partitions: int) -> None:
    reader = LogReader(broker)
    await reader.start()
    try:
        for topic in event_topics():
            for partition in range(partitions):
                if await reader.end(topic.name, partition):
                    raise DemoTopicsError(
                        f"there are events in {topic.name} at {broker}, and the demo would mix simulated ones with "
                        "them: give it a broker of its own"
                    )
    finally:
        await reader.stop()
