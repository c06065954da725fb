"""Consumer groups: who is in them, what they have committed, and committing for one that nobody is in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    CommitFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaConnectionError,
    NotCoordinatorForGroupError,
)

from stream.errors import GroupInUseError
from stream.kafka.connection import unreachable

#: A broker that has just started, or has never had a group, takes a moment to find a group's coordinator.
_COORDINATOR_WITHIN_S = 30.0
_PAUSE_S = 0.1
_NOT_YET = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)

T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """One member of a group. ``host`` is empty where the broker does not tell it."""

    member_id: str
    host: str


async def members_of(admin: AIOKafkaAdminClient, group: str) -> list[Member]:
    """Who is in a group; nobody, where there is no such group."""
    (answer,) = await _once_there(lambda: admin.describe_consumer_groups([group]))
    ((_, _, _, _, _, members, *_),) = answer.groups
    return [Member(member_id, host) for member_id, _, host, *_ in members]


async def committed_by(
    admin: AIOKafkaAdminClient, group: str, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """What a group has committed of these partitions, of those where it has."""
    # They are named: the embedded broker hangs up on whoever asks for all.
    offsets = await _once_there(lambda: admin.list_consumer_group_offsets(group, partitions=list(partitions)))
    return {partition: found.offset for partition, found in offsets.items() if found.offset >= 0}


async def commit_for(broker: str, group: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Commits offsets in the name of a group. Raises ``GroupInUseError`` when it has members."""
    if not offsets:
        return
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, group_id=group, enable_auto_commit=False)
    try:
        await consumer.start()
        consumer.assign(list(offsets))
        await consumer.commit(dict(offsets))
    except CommitFailedError as error:
        raise GroupInUseError(f"somebody is in the group {group}: nothing can be committed for it") from error
    except KafkaConnectionError as error:
        raise unreachable(broker) from error
    finally:
        await consumer.stop()


async def _once_there(ask: Callable[[], Awaitable[T]]) -> T:
    deadline = time.monotonic() + _COORDINATOR_WITHIN_S
    while True:
        try:
            return await ask()
        except _NOT_YET:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(_PAUSE_S)
