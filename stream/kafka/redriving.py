"""Dead letters back to where they came from, each once."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from stream.kafka.administration import source_partitions
from stream.kafka.connection import connected_admin
from stream.kafka.groups import commit_for, committed_by
from stream.kafka.partitioning import partition_of
from stream.kafka.reading import read_topic
from stream.kafka.sending import Sender, connected_sender
from stream.kafka.topics import CUSTOMER_ERASURES, DEAD_LETTERS, source_topics

#: After so many letters what was sent is remembered: no more than that are sent again after a crash.
_REMEMBERED_AFTER = 10_000

_SOURCES = {topic.name for topic in source_topics()}


def group_of(code: str) -> str:
    """The consumer group whose committed offsets say how far letters of one code have been sent back.

    A group for each code: those of another one may be mended later.
    """
    return f"{DEAD_LETTERS}-redrive-{code}"


@dataclass(frozen=True)
class Letter:
    """A dead letter's way back: the topic, the partition it was in, and the record as it was."""

    code: str
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True)
class Kept:
    """A letter that can't be sent back, and why."""

    partition: int
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{DEAD_LETTERS}: partition {self.partition}, offset {self.offset:,}: {self.reason}"


@dataclass
class Redriven:
    """How many letters were sent back (or would be) by code and topic, and how many can't be."""

    letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: int = 0


def parse_letter(record: ConsumerRecord) -> Letter:
    """What a worker wrote about a record. Raises ``ValueError`` where there is no way back."""
    headers: Mapping[str, bytes] = dict(record.headers)
    if "source_bytes" in headers or "source_key_bytes" in headers:
        raise ValueError("it was too long for a letter and has been cut off")
    try:
        topic, code = headers["source_topic"].decode(), headers["code"].decode("ascii")
        partition, timestamp_ms = int(headers["source_partition"]), int(headers["source_timestamp"])
    except (KeyError, ValueError) as error:
        raise ValueError(f"no worker wrote it: its headers do not say where it came from ({error})") from error
    if topic not in _SOURCES or partition < 0:
        raise ValueError(f"it came from {topic!r}, partition {partition}, which no worker reads")
    value: bytes | None = record.value
    if topic == CUSTOMER_ERASURES and not value and timestamp_ms >= 0:
        # Its instant was the record's own timestamp, which the new record will not have.
        value = msgspec.json.encode({"timestamp": timestamp_ms})
    elif "source_value" in headers:
        value = None
    return Letter(code, topic, partition, record.key, value)


async def redrive(
    broker: str,
    report: Callable[[Kept], None],
    *,
    codes: Collection[str] = (),
    dry_run: bool = False,
) -> Redriven:
    """Sends letters back that have not been sent back before; with ``codes`` only theirs.

    Keys and values are as they were; the key decides about the partition. Letters that have no way back are reported,
    and not looked at again. With ``dry_run`` nothing is sent, and nothing remembered. Raises ``TopicsError``,
    ``BrokerUnreachableError`` and, while somebody else is about it, ``GroupInUseError``.
    """
    redriven = Redriven()
    partitions = await source_partitions(broker)
    memory = _Memory(broker)
    async with contextlib.AsyncExitStack() as stack:
        batches = await stack.enter_async_context(contextlib.aclosing(read_topic(broker, DEAD_LETTERS)))
        sender = None if dry_run else await stack.enter_async_context(connected_sender(broker))
        async for records in batches:
            for record in records:
                code = _code(record)
                if (codes and code not in codes) or await memory.holds(code, record):
                    continue
                memory.add(code, record)
                try:
                    letter = parse_letter(record)
                except ValueError as error:
                    redriven.kept += 1
                    report(Kept(record.partition, record.offset, str(error)))
                    continue
                redriven.letters[letter.code, letter.topic] += 1
                if sender is not None:
                    await _send(sender, letter, partitions)
            if sender is not None and memory.count >= _REMEMBERED_AFTER:
                await sender.flush()
                await memory.write()
        if sender is not None:
            await sender.flush()
            await memory.write()
    return redriven


async def _send(sender: Sender, letter: Letter, partitions: int) -> None:
    to = letter.partition % partitions if letter.key is None else partition_of(letter.key, partitions)
    await sender.send(letter.topic, to, [(letter.key, letter.value)])


def _code(record: ConsumerRecord) -> str:
    """The code of a letter as far as it can name a group; whatever else lies there is of code ``unknown``."""
    for name, value in record.headers:
        if name == "code" and value is not None and value.isascii() and 0 < len(value) <= 64:
            code: str = value.decode("ascii")
            return code if code.isidentifier() else "unknown"
    return "unknown"


class _Memory:
    """How far the letters of each code have been sent back."""

    def __init__(self, broker: str) -> None:
        self.count = 0  # letters that are not yet written down
        self._broker = broker
        self._before: dict[str, dict[TopicPartition, int]] = {}
        self._done: defaultdict[str, dict[TopicPartition, int]] = defaultdict(dict)

    async def holds(self, code: str, record: ConsumerRecord) -> bool:
        """Whether the letter was sent back earlier."""
        if code not in self._before:
            async with connected_admin(self._broker) as admin:
                (described,) = [one for one in await admin.describe_topics() if one["topic"] == DEAD_LETTERS]
                places = [TopicPartition(DEAD_LETTERS, one["partition"]) for one in described["partitions"]]
                self._before[code] = await committed_by(admin, group_of(code), places)
        return bool(record.offset < self._before[code].get(TopicPartition(DEAD_LETTERS, record.partition), 0))

    def add(self, code: str, record: ConsumerRecord) -> None:
        self._done[code][TopicPartition(DEAD_LETTERS, record.partition)] = record.offset + 1
        self.count += 1

    async def write(self) -> None:
        """Remembers all that were added. They must have been acknowledged."""
        for code, offsets in self._done.items():
            await commit_for(self._broker, group_of(code), offsets)
        self._done.clear()
        self.count = 0
