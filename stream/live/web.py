"""Probes, metrics and the version over HTTP, on one port."""

from __future__ import annotations

import errno
import platform
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiohttp import web

from stream.errors import PortInUseError
from stream.instants import format_instant
from stream.live.addresses import url_of
from stream.live.metrics import Metrics
from stream.live.status import Phase, Status

#: Probes come from other machines, but what is served tells of customers where routes are added; so it is asked for.
DEFAULT_HOST = "127.0.0.1"
#: Whoever is still being answered when the server stops has so long.
_STOPPED_WITHIN_S = 1.0

#: Says what is wrong, for people; None: nothing.
Check = Callable[[], str | None]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Web:
    """The server of one worker. ``port`` 0 takes a free one; ``url`` says which, once it has started.

    * ``/livez``, also as ``/healthz``: 200 while the loop turns, for without it there is no answer.
    * ``/readyz``: 200 when all is well, else 503, with a line for each check; further ``checks`` by their names.
    * ``/metrics``: for Prometheus.
    * ``/version``: what is running.

    ``routes`` are further paths for GET, ``posts`` for POST.
    """

    def __init__(
        self,
        status: Status,
        metrics: Metrics,
        port: int,
        *,
        host: str = DEFAULT_HOST,
        checks: Mapping[str, Check] | None = None,
        routes: Iterable[tuple[str, Handler]] = (),
        posts: Iterable[tuple[str, Handler]] = (),
    ) -> None:
        self._status = status
        self._metrics = metrics
        self._host = host
        self._port = port
        self._checks: dict[str, Check] = {
            "assigned": self._is_assigned,
            "recovered": self._is_recovered,
            "staying": self._is_staying,
            **(checks or {}),
        }
        app = web.Application()
        own = [
            ("/livez", self._live),
            ("/healthz", self._live),
            ("/readyz", self._ready),
            ("/metrics", self._page),
            ("/version", self._version),
        ]
        app.add_routes([web.get(path, handler) for path, handler in (*own, *routes)])
        app.add_routes([web.post(path, handler) for path, handler in posts])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOPPED_WITHIN_S)

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._runner.addresses, "it has not been started"
        port: int = self._runner.addresses[0][1]
        return port

    @property
    def url(self) -> str:
        """Its address, as it was asked for; without a path."""
        return url_of(self._host, self.port)

    async def start(self) -> None:
        """Returns when it listens. Raises ``PortInUseError`` when it can't."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise PortInUseError(
                    f"{self._host} is no address of this machine: --host names another; 0.0.0.0 stands for all"
                ) from error
            if error.errno == errno.EADDRINUSE:
                reason = "is taken by another process"
            elif error.errno == errno.EACCES:
                reason = "may not be listened at: ports below 1024 are for the administrator"
            else:
                reason = f"can't be listened at: {error.strerror}"
            raise PortInUseError(
                f"port {self._port} at {self._host} {reason}: --port names another, and 0 takes a free one"
            ) from error

    async def stop(self) -> None:
        await self._runner.cleanup()

    # --- checks ---

    def _is_assigned(self) -> str | None:
        partitions = self._status.partitions.values()
        if any(one.phase is Phase.LOST for one in partitions):
            return "another worker has taken a partition that is assigned to this one"
        return None if partitions else "no partition has been assigned"

    def _is_recovered(self) -> str | None:
        restoring = [one for one in self._status.partitions.values() if one.phase is Phase.RESTORING]
        if not restoring:
            return None
        numbers = ", ".join(str(number) for number in sorted(one.partition for one in restoring))
        left = sum(one.remaining_records for one in restoring)
        return f"partitions {numbers} are being restored; {left:,} records are left"

    def _is_staying(self) -> str | None:
        return "the worker is being stopped" if self._status.is_stopping else None

    # --- pages ---

    async def _live(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _: web.Request) -> web.Response:
        checks = {name: check() for name, check in self._checks.items()}
        is_ready = not any(checks.values())
        body = {"ready": is_ready, "checks": {name: wrong or "ok" for name, wrong in checks.items()}}
        return web.json_response(body, status=200 if is_ready else 503)

    async def _page(self, request: web.Request) -> web.Response:
        body, content_type = self._metrics.page(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _version(self, _: web.Request) -> web.Response:
        status = self._status
        return web.json_response(
            {
                "version": status.version,
                "python": platform.python_version(),
                "id": status.worker_id,
                "definitions": status.definitions,
                "started": format_instant(status.started_ms),
            }
        )
