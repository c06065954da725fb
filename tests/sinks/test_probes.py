"""The probes of any process: checks that take a while, and what there is to say besides."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from stream import __version__
from stream.probes import Probes
from stream.web_server import WebServer


def test_checks_may_be_awaited() -> None:
    answers = ["no answer", None]

    async def slow() -> str | None:
        await asyncio.sleep(0)
        return answers.pop(0)

    registry = CollectorRegistry()
    Gauge("segstream_depth", "A gauge", registry=registry).set(3)
    probes = Probes(registry, {"slow": slow, "quick": lambda: None}, 1_735_787_045_000, lambda: {"id": "me"})

    async def talk() -> None:
        app = web.Application()
        app.add_routes(probes.routes())
        server = WebServer(app, 0)
        await server.start()
        try:
            async with aiohttp.ClientSession(server.url) as session:

                async def ask(path: str) -> tuple[int, Any]:
                    async with session.get(path) as answer:
                        is_json = answer.content_type == "application/json"
                        return answer.status, await (answer.json() if is_json else answer.text())

                checks = {"slow": "no answer", "quick": "ok"}
                assert await ask("/readyz") == (503, {"ready": False, "checks": checks})
                assert await ask("/readyz") == (200, {"ready": True, "checks": {"slow": "ok", "quick": "ok"}})
                assert await ask("/livez") == await ask("/healthz") == (200, "ok\n")
                assert "segstream_depth 3.0\n" in (await ask("/metrics"))[1]
                _, version = await ask("/version")
                assert (version["version"], version["id"]) == (__version__, "me")
                assert version["started"] == "2025-01-02T03:04:05.000Z"
        finally:
            await server.stop()

    asyncio.run(talk())
    assert answers == []
