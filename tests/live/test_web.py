"""Probes, metrics and the version over HTTP."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from stream.errors import PortInUseError
from stream.live.metrics import Durations, Metrics
from stream.live.status import PartitionStatus, Phase, Status
from stream.live.web import Web
from tests.docs.pages import codes, rows_of

Ask = Callable[[str], Awaitable[tuple[int, Any]]]


def worker(**partitions: Phase) -> Status:
    """A worker with partitions ``p0``, ``p1`` and so on in these phases."""
    numbers = {int(name[1:]): phase for name, phase in partitions.items()}
    return Status(
        "shop",
        "1.2.3",
        "9f86d081884c7d65",
        started_ms=1_735_787_045_000,
        partitions={number: PartitionStatus(number, phase) for number, phase in numbers.items()},
    )


def served(status: Status, port: int = 0, **options: Any) -> Web:
    return Web(status, Metrics(status, Durations()), port, **options)


def asking(server: Web, talk: Callable[[Ask], Awaitable[None]]) -> None:
    """Starts the server, asks it, stops it."""

    async def run() -> None:
        await server.start()
        try:
            async with aiohttp.ClientSession(server.url) as session:

                async def ask(path: str) -> tuple[int, Any]:
                    async with session.get(path) as answer:
                        is_json = answer.content_type == "application/json"
                        return answer.status, await (answer.json() if is_json else answer.text())

                await talk(ask)
        finally:
            await server.stop()

    asyncio.run(run())


def readiness(status: Status, **options: Any) -> tuple[int, dict[str, Any]]:
    found: list[tuple[int, Any]] = []

    async def talk(ask: Ask) -> None:
        found.append(await ask("/readyz"))

    asking(served(status, **options), talk)
    ((code, body),) = found
    return code, body


def test_a_worker_is_ready_when_all_its_partitions_are_restored() -> None:
    well = {"assigned": "ok", "recovered": "ok", "staying": "ok"}
    assert readiness(worker(p0=Phase.LIVE, p1=Phase.BEHIND)) == (200, {"ready": True, "checks": well})
    status = worker(p0=Phase.LIVE, p1=Phase.RESTORING, p7=Phase.RESTORING)
    status.partitions[7].remaining_records = 1_200
    reason = "partitions 1, 7 are being restored; 1,200 records are left"
    assert readiness(status) == (503, {"ready": False, "checks": {**well, "recovered": reason}})


@pytest.mark.parametrize(
    ("status", "check", "reason"),
    [
        (worker(), "assigned", "no partition has been assigned"),
        (worker(p0=Phase.LIVE, p1=Phase.LOST), "assigned", "another worker has taken a partition"),
    ],
)
def test_a_worker_without_its_partitions_is_not_ready(status: Status, check: str, reason: str) -> None:
    code, body = readiness(status)
    assert code == 503
    assert body["checks"][check].startswith(reason)
    assert not status.is_ready


def test_a_worker_that_is_being_stopped_is_not_ready() -> None:
    status = worker(p0=Phase.LIVE)
    status.is_stopping = True
    code, body = readiness(status)
    assert (code, body["checks"]["staying"]) == (503, "the worker is being stopped")


def test_further_checks_are_asked_each_time() -> None:
    answers = ["no broker answers", None]
    server = served(worker(p0=Phase.LIVE), checks={"broker": lambda: answers.pop(0)})

    async def talk(ask: Ask) -> None:
        code, body = await ask("/readyz")
        assert (code, body["checks"]["broker"]) == (503, "no broker answers")
        code, body = await ask("/readyz")
        assert (code, body["checks"]["broker"], body["ready"]) == (200, "ok", True)

    asking(server, talk)
    assert answers == []


def test_a_worker_lives_while_it_restores() -> None:
    async def talk(ask: Ask) -> None:
        assert await ask("/livez") == (200, "ok\n")
        assert await ask("/healthz") == (200, "ok\n")
        assert (await ask("/readyz"))[0] == 503

    asking(served(worker(p0=Phase.RESTORING)), talk)


def test_metrics_and_version() -> None:
    status = worker(p0=Phase.LIVE)

    async def talk(ask: Ask) -> None:
        code, page = await ask("/metrics")
        assert code == 200
        assert 'segstream_profiles{partition="0"} 0.0\n' in page
        status.partitions[0].profiles = 5
        assert 'segstream_profiles{partition="0"} 5.0\n' in (await ask("/metrics"))[1]
        code, version = await ask("/version")
        assert code == 200
        assert version["version"] == "1.2.3"
        assert version["definitions"] == "9f86d081884c7d65"
        assert version["started"] == "2025-01-02T03:04:05.000Z"
        assert (await ask("/"))[0] == 404

    asking(served(status), talk)


def test_routes_can_be_added() -> None:
    async def customer(request: web.Request) -> web.Response:
        return web.Response(text=request.match_info["id"])

    async def talk(ask: Ask) -> None:
        assert await ask("/customers/ada") == (200, "ada")

    asking(served(worker(), routes=[("/customers/{id}", customer)]), talk)


def test_a_free_port_is_taken_and_told() -> None:
    server = served(worker())

    async def talk(ask: Ask) -> None:
        assert server.port > 0
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert (await ask("/livez"))[0] == 200

    asking(server, talk)


def test_a_port_that_is_taken_is_an_error_that_says_so() -> None:
    async def start(port: int) -> None:
        await served(worker(), port).start()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError) as raised:
            asyncio.run(start(port))
    assert str(raised.value) == (
        f"port {port} at 127.0.0.1 is taken by another process: --port names another, and 0 takes a free one"
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_a_host_that_is_not_this_machines_is_an_error_that_says_so(host: str) -> None:
    with pytest.raises(PortInUseError, match=f"^{host} is no address of this machine: --host names another"):
        asyncio.run(served(worker(), host=host).start())


def test_a_host_may_be_of_ipv6() -> None:
    async def run() -> str:
        server = served(worker(), host="::1")
        await server.start()
        url = server.url
        await server.stop()
        return url

    assert re.fullmatch(r"http://\[::1\]:\d+", asyncio.run(run()))


def test_stopping_frees_the_port() -> None:
    async def run() -> None:
        first = served(worker())
        await first.start()
        port = first.port
        await first.stop()
        second = served(worker(), port)
        await second.start()
        await second.stop()

    asyncio.run(run())


def test_every_path_is_described() -> None:
    described = {path for row in rows_of("metrics", "path") for path in codes(row[0])}
    app = served(worker()).app
    assert described == {resource.canonical for resource in app.router.resources()}
