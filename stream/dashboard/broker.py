"""What the broker tells besides workers: the latest dead letters, and how far the sink is behind."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from stream.instants import format_instant
from stream.kafka.following import Follower
from stream.kafka.reading import places_of, stop_consumer
from stream.kafka.topics import DEAD_LETTERS, SEGMENT_CHANGES

#: So many letters are shown; of each so much.
_LETTERS = 20
_VALUE_CHARACTERS = 2_000
_FETCH_WAIT_MS = 1_000
_FETCH_BYTES_MAX = 1 << 20
#: What nobody answers any more is noticed by the ends of the topics, which are asked for as often.
_ENDS_WITHIN_S = 10.0


@dataclass(frozen=True)
class DeadLetter:
    """A message that was no valid event, for people. ``value`` is cut where it is long."""

    code: str
    reason: str
    source_topic: str
    partition: int
    offset: int
    value: str
    at: str


def as_letter(record: ConsumerRecord) -> DeadLetter:
    """A record of the topic of dead letters; what else may lie there is shown as it is."""
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    value = (record.value or b"").decode("utf-8", "backslashreplace")
    return DeadLetter(
        code=headers.get("code", "unknown"),
        reason=headers.get("reason", "no reason is given"),
        source_topic=headers.get("source_topic", "unknown"),
        partition=_whole(headers.get("source_partition")),
        offset=_whole(headers.get("source_offset")),
        value=value if len(value) <= _VALUE_CHARACTERS else value[:_VALUE_CHARACTERS] + "…",
        at=format_instant(max(0, record.timestamp)),
    )


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 20 else -1


class BrokerLook(Follower):
    """Follows the dead letters while it is entered (``async with``), and asks for the ends of the changes' topic.

    ``problem`` says why nothing is known, for people; None when all is well.
    """

    def __init__(self, broker: str) -> None:
        super().__init__("the broker", "the broker has not been asked yet")
        self.dead_letters_total = 0
        self._broker = broker
        self._letters: deque[DeadLetter] = deque(maxlen=_LETTERS)
        self._ends: dict[int, int] = {}

    def letters(self) -> list[DeadLetter]:
        """The latest, newest first."""
        return list(reversed(self._letters))

    def lag(self, offsets: Mapping[int, int]) -> int:
        """How many changes somebody who has read up to these offsets has not read."""
        return sum(max(0, end - offsets.get(partition, 0)) for partition, end in self._ends.items())

    async def _read(self) -> None:
        letters, changes = await places_of(self._broker, DEAD_LETTERS, SEGMENT_CHANGES)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._broker,
            group_id=None,
            enable_auto_commit=False,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            fetch_max_bytes=_FETCH_BYTES_MAX,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            consumer.assign(letters)
            starts, ends = await consumer.beginning_offsets(letters), await consumer.end_offsets(letters)
            for place in letters:
                consumer.seek(place, max(starts[place], ends[place] - _LETTERS))
            self._letters.clear()
            while True:
                async with asyncio.timeout(_ENDS_WITHIN_S):
                    self._ends = {place.partition: end for place, end in (await consumer.end_offsets(changes)).items()}
                    ends = await consumer.end_offsets(letters)
                self.problem = None
                fetched = await consumer.getmany(timeout_ms=_FETCH_WAIT_MS, max_records=500)
                # What has just been fetched may have come after the ends were asked for.
                known = {place: max(ends[place], consumer.highwater(place) or 0) for place in letters}
                self.dead_letters_total = sum(known[place] - starts[place] for place in letters)
                records = sorted((one for part in fetched.values() for one in part), key=lambda one: one.timestamp)
                self._letters.extend(map(as_letter, records[-_LETTERS:]))
                if fetched:
                    await asyncio.sleep(_FETCH_WAIT_MS / 1_000)
        finally:
            await stop_consumer(consumer)
