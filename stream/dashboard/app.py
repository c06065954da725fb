"""The dashboard over HTTP: which path is answered by what, who may ask, and what all answers carry."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware

from stream.dashboard.answers import Answers
from stream.dashboard.api import Api
from stream.dashboard.login import Login
from stream.dashboard.metrics import Metrics
from stream.dashboard.refusals import RefusedError
from stream.dashboard.security import HostCheck, add_headers, is_loopback
from stream.dashboard.streams import EVENT_STREAM, Streams
from stream.probes import Probes

STATIC = Path(__file__).parent / "static"
#: The pages that `index.html` shows, each by its own address.
PAGES = (
    "/",
    "/segments",
    "/segments/{name}",
    "/customers",
    "/customers/{id:[^/]*}",
    "/personas",
    "/personas/{id:[^/]*}",
    "/pipeline",
    "/draft",
)
#: A definitions file is smaller; nothing else has a body.
_BODY_BYTES_MAX = 1 << 20
#: What needs no login: it tells nothing of customers, or is what people log in with.
_OPEN = ("/livez", "/healthz", "/readyz", "/metrics", "/version", "/login")
_OPEN_FOLDER = "/static/"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """Who may ask. ``hosts`` are further names under which the dashboard is reached."""

    token: str | None = None
    host: str = "127.0.0.1"
    hosts: Collection[str] = field(default=())


def make_app(
    answers: Answers,
    access: Access | None = None,
    metrics: Metrics | None = None,
    probes: Probes | None = None,
    *,
    static: Path = STATIC,
) -> web.Application:
    """The application; pages are read from ``static``."""
    access, metrics = access or Access(), metrics or Metrics(None)
    login = Login(access.token)
    app = web.Application(
        middlewares=[_guard(login, _host_check(access), metrics)],
        client_max_size=_BODY_BYTES_MAX,
        handler_args={"max_line_size": 16_384, "max_field_size": 16_384},
    )
    streams = Streams(answers)
    metrics.streams.set_function(lambda: streams.viewers)
    app.add_routes((probes or Probes(metrics.registry, {}, int(time.time() * 1_000))).routes())
    app.add_routes(Api(answers, streams, login).routes())
    app.add_routes(
        [web.get("/login", login.page), web.post("/login", login.log_in), web.post("/logout", login.log_out)]
    )
    app.router.add_static(_OPEN_FOLDER, static)
    shell = _shell(static / "index.html")
    app.add_routes([web.get(path, shell) for path in PAGES])
    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.append(_running(streams))
    app.on_shutdown.append(lambda _: streams.stop())
    return app


def _host_check(access: Access) -> HostCheck | None:
    """None where a page under another name gets nothing anyway: its browser has no cookie for that name."""
    is_checked = access.token is None or is_loopback(access.host)
    return HostCheck([*access.hosts, access.host]) if is_checked else None


def _running(streams: Streams) -> Callable[[web.Application], AsyncIterator[None]]:
    async def run(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(streams.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    return run


def _shell(page: Path) -> Handler:
    is_there = page.is_file()

    async def serve(_: web.Request) -> web.StreamResponse:
        if not is_there:
            return web.Response(text="The pages are not installed; the API is under /v1.\n", status=404)
        return web.FileResponse(page, headers={"Cache-Control": "no-cache"})

    return serve


def _guard(login: Login, hosts: HostCheck | None, metrics: Metrics) -> Middleware:
    """Lets pass who may ask, says in JSON why a program gets no answer, and counts."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        try:
            response = await answered(request, handler)
        except web.HTTPException as error:
            metrics.told(request, error.status, time.perf_counter() - began)
            raise
        if response.content_type != EVENT_STREAM:  # which ends when somebody has seen enough
            metrics.told(request, response.status, time.perf_counter() - began)
        return response

    async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if hosts is not None:
                hosts.check(request)
            path = request.path
            if not (path in _OPEN or path.startswith(_OPEN_FOLDER) or login.admits(request)):
                return login.refuse(request)
            return await handler(request)
        except RefusedError as refusal:
            return refusal.response()
        except web.HTTPException as error:
            if error.status < 400 or not request.path.startswith("/v1/"):
                raise
            return _as_json(error)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001 (whoever asked is told; the dashboard goes on)
            _log.exception("no answer to %s", request.path)
            reason = f"{type(error).__name__}; the dashboard's log says more"
            return RefusedError(500, "internal", reason).response()

    return guard


def _as_json(error: web.HTTPException) -> web.Response:
    codes = {404: "no_such_path", 405: "wrong_method", 413: "too_large"}
    response = RefusedError(error.status, codes.get(error.status, "bad_request"), error.reason).response()
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
