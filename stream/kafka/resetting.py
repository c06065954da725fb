"""Workers start anew: from the beginning of the topics, with nothing remembered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError

from stream.errors import GroupInUseError, TopicsError
from stream.kafka.administration import create_topics, find_topics
from stream.kafka.connection import connected_admin, unreachable
from stream.kafka.groups import Member, commit_for, committed_by, members_of
from stream.kafka.topics import Bound, FoundTopic, Setting, Topic, changelog, problems, source_topics

#: So long a broker may take until a deleted topic is gone.
_GONE_WITHIN_S = 30.0
_POLL_S = 0.05
#: A setting was made for this very topic.
_OF_THE_TOPIC = 1


@dataclass(frozen=True)
class Standing:
    """What there is to reset: what the group has read of each topic, and the changelog (None: there is none)."""

    group: str
    changelog_name: str
    committed: dict[str, int]
    partitions: int
    changelog: FoundTopic | None


async def look(broker: str, app_id: str) -> Standing:
    """What a reset of these workers would undo. Raises ``GroupInUseError`` while one of them is running.

    Raises ``TopicsError`` and ``BrokerUnreachableError`` too.
    """
    async with connected_admin(broker) as admin:
        found = await find_topics(admin, [topic.name for topic in (*source_topics(), changelog(app_id))])
        log = found.pop(changelog(app_id).name, None)
        wrong = problems(source_topics(), found)
        if wrong:
            raise TopicsError(wrong)
        members = await members_of(admin, app_id)
        if members:
            raise GroupInUseError(_in_use(app_id, members))
        partitions = found[source_topics()[0].name].partitions
        offsets = await committed_by(admin, app_id, _places(partitions))
    committed = {topic.name: 0 for topic in source_topics()}
    for place, offset in offsets.items():
        committed[place.topic] += offset
    return Standing(app_id, changelog(app_id).name, committed, partitions, log)


def _in_use(app_id: str, members: Sequence[Member]) -> str:
    hosts = sorted({member.host.lstrip("/") for member in members if member.host})
    if hosts:
        count = f"{len(members)} worker{'s are' if len(members) > 1 else ' is'}"
        return (
            f"{count} in the group {app_id} (at {', '.join(hosts)}): stop all of them first. One that was killed is in "
            "it until its session has timed out"
        )
    return (
        f"the broker says that somebody is in the group {app_id}: stop all workers first. The embedded broker goes on "
        "saying so after they have left: start it anew, which empties it, or give the workers another --id"
    )


async def reset(broker: str, app_id: str) -> None:
    """Sets what the group has committed to the beginning of its topics, then makes the changelog anew, empty.

    In this order: with an old changelog and new offsets nothing is counted twice; the other way round all that was
    read would be missing. Interrupted, it can be run again. Raises what ``look`` raises.
    """
    standing = await look(broker, app_id)
    await commit_for(broker, app_id, await _beginnings(broker, standing.partitions))
    async with connected_admin(broker) as admin:
        topic, replication = changelog(app_id), 1
        if standing.changelog is not None:
            topic, replication = await _as_it_is(admin, topic), standing.changelog.replication
            await _delete(admin, topic.name)
        else:
            sources = await find_topics(admin, [one.name for one in source_topics()])
            replication = min(one.replication for one in sources.values())
        await create_topics(admin, [topic], standing.partitions, replication)


def _places(partitions: int) -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for topic in source_topics() for number in range(partitions)]


async def _beginnings(broker: str, partitions: int) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, group_id=None, enable_auto_commit=False)
    try:
        await consumer.start()
        found: dict[TopicPartition, int] = await consumer.beginning_offsets(_places(partitions))
    except KafkaConnectionError as error:
        raise unreachable(broker) from error
    finally:
        await consumer.stop()
    return found


async def _as_it_is(admin: AIOKafkaAdminClient, topic: Topic) -> Topic:
    """The topic with what it needs, and whatever else somebody has set for it."""
    settings = {setting.name: setting for setting in topic.settings}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name)])
    for answer in answers:
        if answer.API_VERSION < 1:  # it does not tell where a setting comes from
            continue
        for _, _, _, _, entries in answer.resources:
            for name, value, _, source, *_ in entries:
                if source == _OF_THE_TOPIC and (name not in settings or settings[name].allows(value)):
                    settings[name] = Setting(name, value, Bound.EXACTLY, "as it was")
    return Topic(topic.name, topic.purpose, tuple(settings.values()))


async def _delete(admin: AIOKafkaAdminClient, name: str) -> None:
    answer = await admin.delete_topics([name])
    for topic, code in answer.topic_error_codes:
        if code:
            raise TopicsError([f"topic {topic} can't be deleted: the broker answers with error {code}"])
    deadline = time.monotonic() + _GONE_WITHIN_S
    while name in await admin.list_topics():
        if time.monotonic() > deadline:
            raise TopicsError([f"topic {name} is still there {_GONE_WITHIN_S:g} s after it was deleted: try again"])
        await asyncio.sleep(_POLL_S)
