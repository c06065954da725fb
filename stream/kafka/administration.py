"""Asking a broker for its topics, and making those that are missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError

from stream.errors import TopicsError
from stream.kafka.connection import connected_admin
from stream.kafka.topics import FoundTopic, Topic, problems, source_topics

#: So long a broker may take until every partition of a new topic has a leader.
_LEADERS_WITHIN_S = 30.0
_POLL_S = 0.05


async def find_topics(admin: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, FoundTopic]:
    """Those of the topics that the broker has, by name."""
    # All are asked for: some brokers make a topic that is asked for by name.
    described = {topic["topic"]: topic for topic in await admin.describe_topics() if topic["topic"] in names}
    if not described:
        return {}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in described])
    settings: dict[str, dict[str, str]] = {}
    for answer in answers:
        for _, _, _, name, entries in answer.resources:
            settings[name] = {entry[0]: entry[1] for entry in entries}
    return {
        name: FoundTopic(name, len(topic["partitions"]), _replication(topic), settings.get(name, {}))
        for name, topic in described.items()
    }


async def source_partitions(broker: str) -> int:
    """How many partitions each of the topics has that workers read.

    Raises ``TopicsError`` when they are not as they have to be, and ``BrokerUnreachableError``.
    """
    topics = source_topics()
    async with connected_admin(broker) as admin:
        found = await find_topics(admin, [topic.name for topic in topics])
    wrong = problems(topics, found)
    if wrong:
        raise TopicsError(wrong)
    return found[topics[0].name].partitions


def _replication(topic: dict[str, Any]) -> int:
    return min((len(partition["replicas"]) for partition in topic["partitions"]), default=0)


async def create_topics(
    admin: AIOKafkaAdminClient, topics: Sequence[Topic], partitions: int, replication: int
) -> list[str]:
    """Makes the topics that are missing, returns their names, and waits until they can be written to.

    Raises ``TopicsError``, and makes none, when one that is there is not as it has to be.
    """
    names = [topic.name for topic in topics]
    found = await find_topics(admin, names)
    missing = [topic for topic in topics if topic.name not in found]
    wrong = problems([topic for topic in topics if topic.name in found], found, partitions)
    if wrong:
        raise TopicsError(wrong)
    if missing:
        await _create(admin, missing, partitions, replication)
        await _wait_for_leaders(admin, names)
        # Somebody else may have made one of them meanwhile, and otherwise.
        wrong = problems(topics, await find_topics(admin, names), partitions)
        if wrong:
            raise TopicsError(wrong)
    return [topic.name for topic in missing]


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic], partitions: int, replication: int) -> None:
    new = [
        NewTopic(
            topic.name,
            topic.partitions or partitions,
            replication,
            topic_configs={setting.name: setting.value for setting in topic.settings},
        )
        for topic in topics
    ]
    answer = await admin.create_topics(new)
    failed = [
        f"topic {name} can't be created: {message or f'error {code}'}"
        for name, code, message in answer.topic_errors
        if code not in (0, TopicAlreadyExistsError.errno)
    ]
    if failed:
        raise TopicsError(failed)


async def _wait_for_leaders(admin: AIOKafkaAdminClient, names: Collection[str]) -> None:
    deadline = time.monotonic() + _LEADERS_WITHIN_S
    while True:
        led = {
            topic["topic"]
            for topic in await admin.describe_topics()
            if all(partition["error_code"] == 0 and partition["leader"] >= 0 for partition in topic["partitions"])
        }
        waiting = sorted(set(names) - led)
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise TopicsError(
                [f"topic {name} has no leader after {_LEADERS_WITHIN_S:g} s: are all brokers up?" for name in waiting]
            )
        await asyncio.sleep(_POLL_S)
