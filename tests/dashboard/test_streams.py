"""Server-sent events: what moves while somebody looks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from stream.brokers.redis_server import RedisServer
from stream.dashboard import streams
from stream.dashboard.answers import Json
from stream.dashboard.app import make_app
from stream.dashboard.refusals import RefusedError
from stream.dashboard.streams import Viewer
from tests.dashboard.fake import FakeAnswers
from tests.dashboard.shops import NOW_MS, Browser, Changes, add, dashboard, fill, ran, serving

Event = tuple[str, Any]


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The events of a stream; comments have no name."""
    name, data = "", ""
    async for line in answer.content:
        text = line.decode().rstrip("\n")
        if text.startswith("event: "):
            name = text.removeprefix("event: ")
        elif text.startswith("data: "):
            data = text.removeprefix("data: ")
        elif text.startswith(":"):
            yield "", text
        elif not text and name:
            yield name, json.loads(data)
            name, data = "", ""


async def next_of(stream: AsyncIterator[Event], kind: str) -> Any:
    async for name, data in stream:
        if name == kind:
            return data
    raise AssertionError(f"the stream has ended without {kind}")


def open_stream(browser: Browser) -> Any:
    return browser.session.get(f"{browser.url}/v1/stream", timeout=aiohttp.ClientTimeout(total=None))


class CountedAnswers(FakeAnswers):
    """Counts how often it is asked; says what a test tells it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.said: Json | Exception = {"counts": {"lapsed": [1, 0]}}
        self.changed: list[Json] = []

    async def counts(self) -> Json:
        self.asked += 1
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    async def feed(self, after: str | None) -> tuple[str | None, list[Json]]:
        fresh, self.changed = self.changed, []
        return "1-0", fresh


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_POLL_S", 0.02)


def test_counts_come_when_they_move_and_not_otherwise() -> None:
    async def ask() -> None:
        answers = CountedAnswers()
        async with serving(make_app(answers)) as browser, open_stream(browser) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            assert answer.headers["Cache-Control"] == "no-store"
            stream = events(answer)
            assert await next_of(stream, "counts") == {"counts": {"lapsed": [1, 0]}}
            asked = answers.asked
            await asyncio.sleep(0.1)
            assert answers.asked > asked
            answers.said = {"counts": {"lapsed": [1, 0]}, "behind_s": 5.0}
            await asyncio.sleep(0.1)
            answers.said = {"counts": {"lapsed": [2, 1]}}
            assert await anext(stream) == ("counts", {"counts": {"lapsed": [2, 1]}})

    ran(ask)


def test_changes_are_a_sample() -> None:
    async def ask() -> None:
        answers = CountedAnswers()
        async with serving(make_app(answers)) as browser, open_stream(browser) as answer:
            stream = events(answer)
            await next_of(stream, "counts")
            lapsed = [{"id": str(number), "segment": "lapsed"} for number in range(50)]
            # Many at once, as by a new version: they do not hide the others.
            moved = [{"id": f"m{number}", "segment": "persona_p1"} for number in range(50)]
            answers.changed = [*lapsed, *moved]
            told = [await next_of(stream, "change") for _ in range(4)]
            assert told == [*lapsed[-2:], *moved[-2:]]

    ran(ask)


def test_nobody_is_asked_while_nobody_looks_and_once_for_all_who_do() -> None:
    async def ask() -> None:
        answers = CountedAnswers()
        async with serving(make_app(answers)) as browser:
            await browser.get("/livez")
            await asyncio.sleep(0.1)
            assert answers.asked == 0
            opened = [await open_stream(browser) for _ in range(10)]
            for one in opened:
                await next_of(events(one), "counts")
            asked = answers.asked
            await asyncio.sleep(0.2)
            assert answers.asked - asked <= 11
            assert "segstream_dashboard_streams 10.0" in (await browser.get("/metrics")).text
            for one in opened:
                one.close()
            answers.said = {"counts": {}}
            while "segstream_dashboard_streams 0.0" not in (await browser.get("/metrics")).text:
                answers.said = {"counts": {"n": [answers.asked, 0]}}  # who is gone is noticed when there is news
                await asyncio.sleep(0.02)
            asked = answers.asked
            await asyncio.sleep(0.1)
            assert answers.asked <= asked + 1

    ran(ask)


def test_trouble_is_told_and_counts_come_again_after_it() -> None:
    async def ask() -> None:
        answers = CountedAnswers()
        async with serving(make_app(answers)) as browser, open_stream(browser) as answer:
            stream = events(answer)
            await next_of(stream, "counts")
            answers.said = RefusedError(503, "redis_unreachable", "Redis is away")
            assert await next_of(stream, "trouble") == {"error": "redis_unreachable", "message": "Redis is away"}
            answers.said = ValueError("what should not happen")
            answers.said = {"counts": {"lapsed": [1, 0]}}
            assert await next_of(stream, "counts") == {"counts": {"lapsed": [1, 0]}}

    ran(ask)


def test_a_stream_says_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_COMMENT_S", 0.05)

    async def ask() -> None:
        async with serving(make_app(CountedAnswers())) as browser, open_stream(browser) as answer:
            stream = events(answer)
            await next_of(stream, "counts")
            assert [await anext(stream), await anext(stream)] == [("", ": still here")] * 2

    ran(ask)


def test_a_server_that_stops_ends_its_streams_at_once() -> None:
    async def ask() -> None:
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession() as session:
            async with serving(make_app(CountedAnswers())) as browser:
                answer = await session.get(f"{browser.url}/v1/stream")
                stream = events(answer)
                await next_of(stream, "counts")
                began = loop.time()
            assert loop.time() - began < 3
            assert await next_of(stream, "end") == {}
            answer.close()

    ran(ask)


def test_more_streams_than_can_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_STREAMS_MAX", 1)

    async def ask() -> None:
        async with serving(make_app(CountedAnswers())) as browser, open_stream(browser) as answer:
            await next_of(events(answer), "counts")
            refused = await browser.get("/v1/stream")
            assert (refused.status, refused.json["error"]) == (503, "too_many_streams")

    ran(ask)


def test_who_is_slow_gets_the_latest_counts_and_misses_changes() -> None:
    async def ask() -> None:
        viewer = Viewer()
        for number in range(1_000):
            viewer.tell("counts", b"%d" % number)
            viewer.tell("change", b"%d" % number)
        news = (await viewer.news()).decode()
        assert news.count("event: counts") == 1
        assert "data: 999" in news
        assert news.count("event: change") == 20

    ran(ask)


# --- with Redis -------------------------------------------------------------------------------------------------------


def test_a_change_in_redis_comes_to_who_looks_also_after_redis_was_away() -> None:
    changes = Changes()
    changes.add("c1", "newcomer", "entered")
    changes.add("c1", "spender", "entered", holdout=True)
    with RedisServer() as server:
        fill(server, changes.made)

        async def ask() -> None:
            async with dashboard(server.url) as browser, open_stream(browser) as answer:
                stream = events(answer)
                counts = (await next_of(stream, "counts"))["counts"]
                assert counts == {"newcomer": [1, 0], "spender": [1, 1], "empty": [0, 0]}
                await browser.get("/v1/changes")
                more = Changes()
                more.add("c2", "newcomer", "entered", NOW_MS, values={"first(click)": None})
                await add(server, 2, more.made)
                told = {}
                async for name, data in stream:
                    told[name] = data
                    if {"counts", "change"} <= told.keys():
                        break
                assert told["counts"]["counts"]["newcomer"] == [2, 0]
                assert (told["change"]["id"], told["change"]["words"]) == ("c2:1", "never clicked")
                server.kill()
                assert (await next_of(stream, "trouble"))["error"] == "redis_unreachable"
                assert (await browser.get("/v1/customers/c1/segments")).status == 503
                assert (await browser.get("/readyz")).status == 503
                await asyncio.to_thread(server.start)
                while (await next_of(stream, "counts"))["counts"]["newcomer"] != [0, 0]:  # it had saved nothing
                    pass
                assert (await browser.get("/readyz")).status == 200
                assert (await browser.get("/v1/customers/c1/segments")).status == 404

        ran(ask)
