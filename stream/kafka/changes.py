"""Changes out of their topic, each once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass

import msgspec
from aiokafka import ConsumerRecord

from stream.kafka.reading import read_topic
from stream.kafka.topics import SEGMENT_CHANGES


class Repeats:
    """Knows a repeated change by its sequence: a customer's changes are numbered, and come in that order.

    It remembers a number for each customer, also of those that are erased: a repeat may come after that.
    """

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}

    def is_repeat(self, customer_id: str, sequence: int) -> bool:
        """Whether this change, or a later one, has been seen; else it is the latest from now on."""
        if sequence <= self._latest.get(customer_id, 0):
            return True
        self._latest[customer_id] = sequence
        return False


class _Head(msgspec.Struct, gc=False):
    """What tells a change from others."""

    customer_id: str
    sequence: int


_HEADS = msgspec.json.Decoder(_Head)


@dataclass(frozen=True)
class ForeignRecord:
    """A record that is no change, and why."""

    topic: str
    partition: int
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.topic}: partition {self.partition}, offset {self.offset:,}: {self.reason}"


async def changes(broker: str, *, follow: bool = False) -> AsyncGenerator[list[bytes | ForeignRecord]]:
    """The changes in the topic from its beginning, as they lie there, without repeats; records that are none between.

    Those of one customer come in order. It ends at the end that the topic had when this began, or, with ``follow``,
    never. Raises ``TopicsError`` and ``BrokerUnreachableError``.
    """
    repeats = Repeats()
    async with contextlib.aclosing(read_topic(broker, SEGMENT_CHANGES, follow=follow)) as batches:
        async for records in batches:
            yield list(_without_repeats(records, repeats))


def _without_repeats(records: Iterable[ConsumerRecord], repeats: Repeats) -> Iterator[bytes | ForeignRecord]:
    for record in records:
        try:
            head = _HEADS.decode(record.value or b"")
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            yield ForeignRecord(record.topic, record.partition, record.offset, f"not a change: {error}")
            continue
        if not repeats.is_repeat(head.customer_id, head.sequence):
            yield record.value
