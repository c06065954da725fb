"""A dashboard over invented data that stands still until a test moves it, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

from aiohttp import web

from stream.dashboard.answers import Json
from stream.dashboard.app import Access, make_app
from tests.dashboard.fake import FakeAnswers

_WITHIN_S = 20


class StillAnswers(FakeAnswers):
    """The fake's data; counts and changes come only by ``move``."""

    behind_s = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._is_followed = threading.Event()

    def _catch_up(self) -> None:
        pass

    def move(self, name: str, members: int) -> None:
        self._sizes[name] = members

    def size(self, name: str) -> int:
        return self._sizes[name]

    def tell(self, customer: str, segment: str, *, entered: bool = True, words: str | None = None) -> Json:
        """One change that has just happened, once somebody follows the changes: earlier ones are not told."""
        assert self._is_followed.wait(_WITHIN_S), "nobody follows the changes"
        return self.remember(customer, segment, entered=entered, words=words)

    def remember(self, customer: str, segment: str, *, entered: bool = True, words: str | None = None) -> Json:
        """A change among the latest ones."""
        self._sequence += 1
        change = self._change(segment, self._now_ms(), self._sequence, entered, customer)
        if words is not None:
            change = {**change, "words": words}
        self._feed.append((self._sequence, change))
        return change

    async def feed(self, after: str | None) -> tuple[str | None, list[Json]]:
        if after is not None:
            self._is_followed.set()
        return await super().feed(after)

    async def segments(self) -> Json:
        return {**await super().segments(), "behind_s": self.behind_s}

    async def counts(self) -> Json:
        return {**await super().counts(), "behind_s": self.behind_s}


class Dashboard:
    """The server, on one port for its whole life however often it is stopped and started."""

    def __init__(self, token: str | None = None) -> None:
        self.answers = StillAnswers()
        self._token = token
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dashboard")
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Dashboard:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WITHIN_S)
        self._loop.close()

    def start(self) -> None:
        self._do(self._start())

    def stop(self) -> None:
        self._do(self._stop())

    def _do(self, step: Any) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(_WITHIN_S)

    async def _start(self) -> None:
        app = make_app(self.answers, Access(self._token))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def _stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
