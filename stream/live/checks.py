"""What must be right before a worker starts."""

from __future__ import annotations

from collections.abc import Sequence

from stream.errors import ClockAheadError, TopicsError
from stream.instants import format_instant
from stream.kafka.administration import create_topics, find_topics
from stream.kafka.connection import connected_admin
from stream.kafka.topics import WORKERS, all_topics, destinations, event_topics, persona_topics, problems
from stream.language.tree import Definitions
from stream.live.reader import LogReader
from stream.worker.topics import SOURCES

#: A fixed clock may be so far ahead of the newest record: a stream clock is kept for ever.
AHEAD_MS_MAX = 3_600_000


async def check_topics(broker: str, app_id: str, definitions: Definitions) -> dict[str, int]:
    """How many partitions each topic has; makes those that are missing, but for those that events come in by.

    Raises ``TopicsError`` when one is missing or is not as it has to be, and ``BrokerUnreachableError``.
    """
    # Announcements are not what a worker is for: the announcer sees to their topic, and does without.
    unneeded = {WORKERS}
    if definitions.personas is None:
        unneeded.update(topic.name for topic in persona_topics())
    topics = [topic for topic in all_topics(app_id, destinations(definitions)) if topic.name not in unneeded]
    inputs = event_topics()
    async with connected_admin(broker) as admin:
        found = await find_topics(admin, [topic.name for topic in topics])
        wrong = problems(inputs, found) or problems([topic for topic in topics if topic.name in found], found)
        if wrong:
            raise TopicsError(wrong)
        missing = [topic for topic in topics if topic.name not in found]
        if missing:
            model = found[inputs[0].name]
            await create_topics(admin, missing, model.partitions, model.replication)
            found = await find_topics(admin, [topic.name for topic in topics])
            wrong = problems(topics, found)
            if wrong:
                raise TopicsError(wrong)
    return {name: topic.partitions for name, topic in found.items()}


async def check_instant(reader: LogReader, partitions: int, instant_ms: int, now_ms: int) -> None:
    """Raises ``ClockAheadError`` when a fixed clock's instant lies far beyond the newest record's own timestamp."""
    newest = await _newest_ms(reader, SOURCES, partitions)
    bound = (now_ms if newest is None else newest) + AHEAD_MS_MAX
    if instant_ms > bound:
        what = "now" if newest is None else f"the newest record ({format_instant(newest)})"
        raise ClockAheadError(
            f"--clock {format_instant(instant_ms)} is more than an hour after {what}: a stream clock never goes back, "
            "so all events until then would be late; --force does it all the same"
        )


async def _newest_ms(reader: LogReader, topics: Sequence[str], partitions: int) -> int | None:
    """The timestamp of the latest last record of all partitions."""
    newest = None
    for topic in topics:
        for partition in range(partitions):
            end = await reader.end(topic, partition)
            start = await reader.start_of(topic, partition)
            async for records in reader.read(topic, partition, max(start, end - 1), end):
                newest = max([record.timestamp_ms for record in records] + ([] if newest is None else [newest]))
    return newest
