"""What a poll brings is handed on, or read again: aiokafka believes that it has been taken."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from faust.types import TP
from mode import Service

from stream.live.addresses import Address
from stream.live.app import GroupSettings, make_app
from stream.live.consumer import BatchConsumer
from stream.live.fetched import Fetched
from stream.worker.interfaces import StoredRecord
from stream.worker.received import Received

NOTHING: Any = object()
CLICKS, EMAILS = TP("clicks", 2), TP("emails", 2)


class Kafka:
    """aiokafka's consumer: each poll moves its positions on behind what it brings."""

    def __init__(self) -> None:
        self.positions = {CLICKS: 0, EMAILS: 0}
        self.subscription = self
        self._subscription = self
        self.assignment = self

    def state_value(self, place: TP) -> Any:
        return SimpleNamespace(has_valid_position=True, position=self.positions[place], highwater=100)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.positions[TP(*place)] = offset

    def poll(self) -> dict[TP, list[Received]]:
        found = {}
        for place, position in self.positions.items():
            found[place] = [Received.of([StoredRecord(position + i, 0, b"k", b"v") for i in range(3)])]
            self.positions[place] = position + 3
        return found


class OneConsumer(BatchConsumer):
    """A consumer over `Kafka`. ``after_poll`` is called with the number of each poll that has brought something."""

    def attach(self, kafka: Kafka, after_poll: Any, polls: int) -> None:
        self.kafka, self.after_poll, self.polls = kafka, after_poll, polls
        self.handed_on: list[Fetched] = []
        self.callback = self.take
        self.polled = 0
        for place in (CLICKS, EMAILS):
            self._told[place] = 0, -1

    def _new_consumer_thread(self) -> Any:
        return Service()  # a thread would open a loop of its own

    async def take(self, message: Any) -> None:
        self.handed_on.append(message.value)
        self.meanwhile(message.value)

    def meanwhile(self, fetched: Fetched) -> None:
        """Happens while a message is handed on."""

    @property
    def _kafka(self) -> Any:
        return self.kafka

    async def _in_thread(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return await coroutine

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 (Faust's own)
        if self.polled == self.polls:
            raise asyncio.CancelledError
        self.polled += 1
        records = self.kafka.poll()
        self.after_poll(self.polled)
        return records, None


def offsets_of(consumer: OneConsumer, place: TP) -> list[int]:
    return [offset for one in consumer.handed_on if one.topic == place.topic for offset in one.records.offsets.tolist()]


def drained(
    kind: type[OneConsumer], polls: int, after_poll: Callable[[OneConsumer, int], None] = lambda *_: None
) -> OneConsumer:
    """A consumer that has handed on what so many polls brought."""
    fleet: Any = None

    async def run() -> OneConsumer:
        app = make_app(GroupSettings("127.0.0.1:1", "a", 8, 6.0), fleet, Address(None, "token"))
        consumer = kind(app.transport, NOTHING, NOTHING, NOTHING)
        consumer.attach(Kafka(), functools.partial(after_poll, consumer), polls)
        with pytest.raises(asyncio.CancelledError):
            await consumer._drain_messages(SimpleNamespace(should_stop=False))
        return consumer

    return asyncio.run(run())


@pytest.mark.parametrize("what", ["another generation", "a stopped flow"])
def test_what_was_polled_but_not_handed_on_is_read_again(what: str) -> None:
    def after_poll(consumer: OneConsumer, number: int) -> None:
        if what == "another generation":
            consumer.app.consumer_generation_id += number == 2
        elif number == 2:
            consumer.stop_flow()
        else:
            consumer.resume_flow()

    consumer = drained(OneConsumer, polls=4, after_poll=after_poll)
    for place in (CLICKS, EMAILS):
        assert offsets_of(consumer, place) == list(range(9))
    starts = {
        topic: [(one.start, one.position) for one in consumer.handed_on if one.topic == topic]
        for topic in ("clicks", "emails")
    }
    assert starts == {"clicks": [(0, 3), (3, 6), (6, 9)], "emails": [(0, 3), (3, 6), (6, 9)]}


def test_what_is_let_go_of_while_others_are_handed_on() -> None:
    class LetGo(OneConsumer):
        def meanwhile(self, fetched: Fetched) -> None:
            if fetched.start == 3 and self._told:  # revoked, and begun anew from an earlier offset
                self.hold_all()
                self.app.consumer_generation_id += 1
                for place in (CLICKS, EMAILS):
                    self.kafka.seek(TopicPartition(*place), 1)
                    self._told[place] = 1, -1

        def pause_partitions(self, tps: Any) -> None:
            """Nobody reads."""

    consumer = drained(LetGo, polls=4)
    for place in (CLICKS, EMAILS):
        anew = [one for one in consumer.handed_on if one.topic == place.topic and one.generation == 1]
        assert [(one.start, one.position) for one in anew] == [(1, 4), (4, 7)]
        assert [offset for one in anew for offset in one.records.offsets.tolist()] == [1, 2, 3, 4, 5, 6]


def test_all_is_let_go_of_while_others_are_handed_on() -> None:
    class LetGo(OneConsumer):
        def meanwhile(self, fetched: Fetched) -> None:
            self.hold_all()

        def pause_partitions(self, tps: Any) -> None:
            """Nobody reads."""

    assert len(drained(LetGo, polls=2).handed_on) == 1
