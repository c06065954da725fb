"""What the topics of personas tell: versions, pins and events; on a broker, too, that gets the topics later."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable

import msgspec
import pytest

from stream.brokers.embedded import EmbeddedBroker
from stream.dashboard.persona_history import EVENTS_KEPT, FollowedPersonas, PersonaHistory
from stream.instants import format_instant
from stream.kafka.topics import PERSONA_EVENTS, PERSONA_MODELS, persona_topics
from stream.personas.messages import pin_record
from tests.cli.commands import environment
from tests.dashboard import persona_shop as shop
from tests.dashboard.shops import DAY_MS, NOW_MS
from tests.kafka.kafka_records import make_topics, put

WITHIN_S = 60.0


def history(pinned: int | None = None) -> PersonaHistory:
    told = PersonaHistory()
    for key, value in shop.records(pinned):
        told.take(key, value)
    return told


def event(number: int, at_ms: int) -> bytes:
    record = {"id": f"e{number}", "at": format_instant(at_ms), "version": 1, "persona": "p1", "event": "birth"}
    return json.dumps(record).encode()


def test_the_version_in_force() -> None:
    told = history()
    assert told.in_force(None) == told.in_force(NOW_MS) == shop.SECOND
    assert told.in_force(NOW_MS - 2 * DAY_MS) == shop.FIRST  # the second one has not taken effect yet
    assert told.in_force(NOW_MS - 30 * DAY_MS) == shop.FIRST
    told.take(*pin_record(1))  # which the trainer has not heard of yet
    assert (told.pinned, told.in_force(NOW_MS)) == (1, shop.SECOND)
    told.take(b"2", None)
    assert told.newest_first() == [shop.FIRST]
    told.take(b"1", None)
    assert told.in_force(NOW_MS) is None


def test_what_is_no_version_and_no_event_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    told = history()
    with caplog.at_level(logging.WARNING):
        told.take_or_pass_over(b"9", b"{}", "here")
        told.take_or_pass_over(b"pin", b"[]", "here")
        told.take_or_pass_over(b"3", shop.records()[0][1], "here")
        told.take_or_pass_over(None, None, "here")
        for wrong in (
            None,
            b"",
            b"{",
            b"\xff",
            b'{"id": "a", "at": "yesterday", "version": 1, "event": "birth"}',
            b"[]",
        ):
            told.take_event(wrong)
    assert told.newest_first() == [shop.SECOND, shop.FIRST]
    assert told.events() == []
    assert len(caplog.records) == 9


def test_events_are_told_once_and_the_latest_first() -> None:
    told = PersonaHistory()
    for number in [*range(EVENTS_KEPT + 10), 100, EVENTS_KEPT + 9]:
        told.take_event(event(number, NOW_MS + 1_000 * (number // 2)))
    known = told.events()
    assert len(known) == EVENTS_KEPT
    assert [one.id for one in known[:3]] == [f"e{EVENTS_KEPT + back}" for back in (9, 8, 7)]
    assert known[-1].id == "e10"
    instants = [one.at for one in known]
    assert instants == sorted(instants, reverse=True)


class Followed:
    """Versions and events that are followed, and waiting until they are as a test wants them."""

    def __init__(self, broker: str) -> None:
        self._spoken = asyncio.Event()
        self.personas = FollowedPersonas(broker, spoken=self._spoken.set)

    async def until(self, holds: Callable[[PersonaHistory], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while self.personas.problem is not None or not holds(self.personas.history):
                self._spoken.clear()
                await self._spoken.wait()

    async def until_problem(self, part: str) -> None:
        async with asyncio.timeout(WITHIN_S):
            while part not in (self.personas.problem or ""):
                self._spoken.clear()
                await self._spoken.wait()


def test_topics_that_come_later_are_followed() -> None:
    with EmbeddedBroker() as broker:

        async def follow() -> None:
            followed = Followed(broker.address)
            async with followed.personas as personas:
                assert personas.segments() == []
                await followed.until_problem("is missing")
                await asyncio.to_thread(make_topics, broker.address, 3, persona_topics())
                await followed.until(lambda told: told.in_force(NOW_MS) is None)
                await asyncio.to_thread(put, broker.address, PERSONA_MODELS, [(0, shop.records())])
                events = [(b"", one) for one in shop.events()]
                await asyncio.to_thread(put, broker.address, PERSONA_EVENTS, [(0, events)])
                await followed.until(lambda told: len(told.events()) == 8 and len(told.versions) == 2)
                assert personas.segments() == ["persona_p1", "persona_p2", "persona_p3"]
                await asyncio.to_thread(put, broker.address, PERSONA_MODELS, [(0, [pin_record(1)])])
                await followed.until(lambda told: told.pinned == 1)
                assert personas.history.newest_first() == [shop.SECOND, shop.FIRST]
            again = Followed(broker.address)
            async with again.personas as personas:
                await again.until(lambda told: bool(told.versions))
                told = personas.history
                assert (told.pinned, len(told.versions), len(told.events())) == (1, 2, 8)

        asyncio.run(follow())


def test_a_dashboard_needs_no_library_that_learns() -> None:
    script = "import json, sys, stream.dashboard.server; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment())
    loaded = json.loads(result.stdout)
    assert "stream.personas.model" in loaded
    assert not [name for name in loaded if name.partition(".")[0] in ("river", "scipy", "numba", "faust")]


def test_a_record_with_more_than_is_known_is_an_event() -> None:
    told = PersonaHistory()
    record = {**json.loads(event(1, NOW_MS)), "window_before": 10, "colour": "red"}
    told.take_event(msgspec.json.encode(record))
    assert len(told.events()) == 1
