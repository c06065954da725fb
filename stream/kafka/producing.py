"""Events from files into their topics: in the order of the files, each line's bytes as they are."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from stream.errors import TopicsError
from stream.events.decoder import Decoder
from stream.kafka.administration import find_topics
from stream.kafka.connection import connected_admin
from stream.kafka.routing import WANTED, Router
from stream.kafka.sending import Sender, connected_sender
from stream.kafka.topics import event_topics, problems
from stream.replay.lines import STANDARD_INPUT, Lines, is_blank, read_lines
from stream.replay.sorting import Sorter

#: With a rate, events go out so many times a second, in equal parts.
_PARTS_PER_S = 20


@dataclass(frozen=True)
class Refused:
    """A line that was not sent: its place and the reason."""

    source: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.source}: line {self.line:,}: {self.reason}"


@dataclass
class Produced:
    """What has been sent: events by topic, lines that were not, and how long it took."""

    events: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Reports:
    """Whom to tell what: lines that are not sent, and progress.

    ``bytes_read`` is told how many bytes of the sources have been read since it was last called; with sorting
    ``bytes_sorted`` how many bytes of events have been sent since, and of how many.
    """

    refused: Callable[[Refused], None]
    bytes_read: Callable[[int], None] | None = None
    bytes_sorted: Callable[[int, int], None] | None = None


async def produce(
    sources: Sequence[str],
    broker: str,
    reports: Reports,
    *,
    sort: bool = False,
    rate: int | None = None,
) -> Produced:
    """Sends the lines of ``sources`` to the topics of their kinds, and returns when all are acknowledged.

    The key is the ``customer_id``, which decides about the partition. Those of one partition keep the order of the
    files, or with ``sort`` that of their timestamps. A line that can't be routed (or, with ``sort``, is no valid event)
    is left out and reported. ``rate`` is a number of events a second. Raises ``InputError``, ``SortSpaceError``,
    ``TopicsError`` and ``BrokerUnreachableError``.
    """
    router = Router(await _partitions(broker))
    produced = Produced()

    def refuse(batch: Lines, index: int, reason: str) -> None:
        if not is_blank(batch.lines[index]):
            produced.refused += 1
            reports.refused(Refused(batch.source, batch.numbers[index], reason))

    batches = _sorted(sources, reports, refuse) if sort else read_lines(sources, reports.bytes_read)
    began = time.monotonic()
    async with connected_sender(broker) as sender:
        pace = _Pace(rate)
        for batch in batches:
            for part in pace.parts(batch):
                groups, unroutable = router.route(part.lines)
                for one in unroutable:
                    refuse(part, one.index, one.reason)
                for (topic, partition), records in groups.items():
                    await sender.send(topic, partition, records)
                    produced.events[topic] += len(records)
                await pace.keep(sender, len(part.lines))
            if batch.source == STANDARD_INPUT:
                await sender.flush()  # reading on may take for ever, and meanwhile nothing else is done
        await sender.flush()
    produced.seconds = time.monotonic() - began
    return produced


async def _partitions(broker: str) -> int:
    """How many partitions each of the event topics has."""
    topics = event_topics()
    async with connected_admin(broker) as admin:
        found = await find_topics(admin, [topic.name for topic in topics])
    wrong = problems(topics, found)
    if wrong:
        raise TopicsError(wrong)
    return found[topics[0].name].partitions


def _sorted(sources: Sequence[str], reports: Reports, refuse: Callable[[Lines, int, str], None]) -> Iterator[Lines]:
    """The lines that are valid events, by timestamp, kind and place. Their numbers are gone."""
    decoder = Decoder(WANTED)
    with Sorter() as sorter:
        for batch in read_lines(sources, reports.bytes_read):
            events, rejections = decoder.decode_mixed(batch.lines)
            for rejection in rejections:
                refuse(batch, rejection.index, rejection.reason)
            sorter.add(events, batch.lines)
        for lines in sorter.batches():
            yield Lines("sorted", lines, range(len(lines)))
            if reports.bytes_sorted is not None:
                reports.bytes_sorted(sum(map(len, lines)), sorter.bytes_added)


class _Pace:
    """Keeps to so many events a second; None is as fast as it goes."""

    def __init__(self, rate: int | None) -> None:
        self._rate = rate
        self._began = time.monotonic()
        self._count = 0

    def parts(self, batch: Lines) -> Iterator[Lines]:
        """What is sent at once."""
        if self._rate is None:
            yield batch
            return
        size = max(1, self._rate // _PARTS_PER_S)
        for start in range(0, len(batch.lines), size):
            end = start + size
            yield Lines(batch.source, batch.lines[start:end], batch.numbers[start:end])

    async def keep(self, sender: Sender, count: int) -> None:
        """Lets others run; with a rate, sends all of them and waits until the next ones are due."""
        if self._rate is None:
            await asyncio.sleep(0)
            return
        await sender.submit()
        self._count += count
        await asyncio.sleep(max(0.0, self._began + self._count / self._rate - time.monotonic()))
