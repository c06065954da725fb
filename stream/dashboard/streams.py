"""Server-sent events: one poller for all who look, which asks only while somebody does."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

import msgspec
from aiohttp import web

from stream.dashboard.answers import Answers, Json, sort_of
from stream.dashboard.refusals import RefusedError

EVENT_STREAM = "text/event-stream"
#: Counts move at most so often on a page; a person sees no more.
_POLL_S = 0.5
#: Of the changes of segments between two polls so many are told, and of those of personas; the rest is in the counts.
_CHANGES_A_POLL = 2
_COMMENT_S = 10.0
#: A browser waits so long before it connects again.
_RETRY_MS = 2_000
_STREAMS_MAX = 500

_log = logging.getLogger(__name__)


class Viewer:
    """One who looks: the latest counts, and a few changes, until they are sent. Whoever is slow misses some."""

    def __init__(self) -> None:
        self._counts: bytes | None = None
        self._others: deque[bytes] = deque(maxlen=20)
        self._has_news = asyncio.Event()

    def tell(self, event: str, data: bytes) -> None:
        message = b"event: %b\ndata: %b\n\n" % (event.encode(), data)
        if event == "counts":
            self._counts = message
        else:
            self._others.append(message)
        self._has_news.set()

    async def news(self) -> bytes:
        """What has come; a comment, when nothing has for `_COMMENT_S`."""
        try:
            async with asyncio.timeout(_COMMENT_S):
                await self._has_news.wait()
        except TimeoutError:
            return b": still here\n\n"
        self._has_news.clear()
        messages = [*([] if self._counts is None else [self._counts]), *self._others]
        self._counts = None
        self._others.clear()
        return b"".join(messages)


class Streams:
    """All who look, and the task that asks for them. ``run`` is to be awaited for as long as the server runs."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._viewers: set[Viewer] = set()
        self._somebody_looks = asyncio.Event()
        self._counts: bytes | None = None
        self._trouble: bytes | None = None
        self._moved: Json = {}
        self._is_stopping = False

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    async def stop(self) -> None:
        """Ends all streams: a server waits for its answers to end before it stops."""
        self._is_stopping = True
        for viewer in self._viewers:
            viewer.tell("end", b"{}")

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """``GET /v1/stream``."""
        if len(self._viewers) >= _STREAMS_MAX:
            raise RefusedError(503, "too_many_streams", f"{_STREAMS_MAX} streams are open already", retry_after_s=10)
        response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.content_type = EVENT_STREAM
        response.charset = "utf-8"
        await response.prepare(request)
        viewer = Viewer()
        if self._counts is not None:
            viewer.tell("counts", self._counts)
        if self._trouble is not None:
            viewer.tell("trouble", self._trouble)
        self._viewers.add(viewer)
        self._somebody_looks.set()
        try:
            await response.write(b"retry: %d\n\n" % _RETRY_MS)
            while not self._is_stopping:
                await response.write(await viewer.news())
        except ConnectionError:
            _log.debug("a viewer is gone")
        finally:
            self._viewers.discard(viewer)
        return response

    async def run(self) -> None:
        """Asks, and tells all who look; never ends by itself."""
        place: str | None = None
        while True:
            if not self._viewers:
                self._somebody_looks.clear()
                self._counts, self._trouble, place = None, None, None
                await self._somebody_looks.wait()
            try:
                counts = await self._answers.counts()
                place, changes = await self._answers.feed(place)
                self._tell_counts(counts)
                for change in _some(changes):
                    self._tell("change", msgspec.json.encode(change))
            except RefusedError as refusal:
                # Whoever looks has to know that what is shown stands still.
                self._tell_trouble(msgspec.json.encode({"error": refusal.code, "message": str(refusal)}))
            except Exception:  # noqa: BLE001 (whoever looks on goes on looking)
                _log.exception("the stream of counts goes on after this")
            await asyncio.sleep(_POLL_S)

    def _tell_counts(self, counts: Json) -> None:
        # How far the clock is behind changes by itself, and nothing has moved.
        moved = {name: value for name, value in counts.items() if name != "behind_s"}
        if self._counts is None or moved != self._moved:
            self._moved, self._trouble = moved, None
            self._counts = msgspec.json.encode(counts)
            self._tell("counts", self._counts)

    def _tell_trouble(self, trouble: bytes) -> None:
        if trouble != self._trouble:
            self._counts, self._trouble = None, trouble
            self._tell("trouble", trouble)

    def _tell(self, event: str, data: bytes) -> None:
        for viewer in self._viewers:
            viewer.tell(event, data)


def _some(changes: Sequence[Json]) -> list[Json]:
    """The latest of segments and of personas: a new version of these, which moves many, must not hide those."""
    left = {"segments": _CHANGES_A_POLL, "personas": _CHANGES_A_POLL}
    kept = []
    for change in reversed(changes):
        sort = sort_of(change)
        if left[sort]:
            left[sort] -= 1
            kept.append(change)
    return kept[::-1]
