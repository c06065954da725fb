"""What every process answers over HTTP about itself: that it lives, whether it is ready, its metrics, its version."""

from __future__ import annotations

import contextlib
import inspect
import logging
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from stream import __version__
from stream.instants import format_instant
from stream.web_server import WebServer

_log = logging.getLogger(__name__)

#: Says what is wrong, for people; None: nothing.
Check = Callable[[], str | Awaitable[str | None] | None]


class Probes:
    """The pages of one process.

    * ``/livez``, also as ``/healthz``: 200 while the loop turns, for without it there is no answer.
    * ``/readyz``: 200 when all is well, else 503, with a line for each of the ``checks`` by their names.
    * ``/metrics``: those of ``registry``, for Prometheus.
    * ``/version``: what is running; ``about`` gives what there is to say besides versions and the start.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        checks: Mapping[str, Check],
        started_ms: int,
        about: Callable[[], Mapping[str, Any]] = dict,
        version: str = __version__,
    ) -> None:
        self._registry = registry
        self._checks = dict(checks)
        self._started_ms = started_ms
        self._about = about
        self._version = version

    def routes(self) -> list[web.RouteDef]:
        """To be added to an application."""
        return [
            web.get("/livez", self._live),
            web.get("/healthz", self._live),
            web.get("/readyz", self._ready),
            web.get("/metrics", self._metrics),
            web.get("/version", self._about_all),
        ]

    async def _live(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _: web.Request) -> web.Response:
        found: dict[str, str | None] = {}
        for name, check in self._checks.items():
            wrong = check()
            found[name] = await wrong if inspect.isawaitable(wrong) else wrong
        is_ready = not any(found.values())
        body = {"ready": is_ready, "checks": {name: wrong or "ok" for name, wrong in found.items()}}
        return web.json_response(body, status=200 if is_ready else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = metrics_page(self._registry, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _about_all(self, _: web.Request) -> web.Response:
        versions = {"version": self._version, "python": platform.python_version()}
        return web.json_response({**versions, **self._about(), "started": format_instant(self._started_ms)})


def metrics_page(registry: CollectorRegistry, accept: str = "") -> tuple[bytes, str]:
    """All metrics as a page, and its content type; ``accept`` is what the scraper's header says that it can read."""
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


@contextlib.asynccontextmanager
async def serving(probes: Probes, port: int | None, host: str) -> AsyncIterator[None]:
    """Serves them, and nothing else, where a port is given. Raises ``PortInUseError``."""
    if port is None:
        yield
        return
    app = web.Application()
    app.add_routes(probes.routes())
    server = WebServer(app, port, host=host)
    await server.start()
    _log.info("probes and metrics: %s", server.url)
    try:
        yield
    finally:
        await server.stop()
