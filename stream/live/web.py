"""Probes, metrics and the version of a worker over HTTP, on one port."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiohttp import web

from stream.live.metrics import Metrics
from stream.live.status import Phase, Status
from stream.probes import Check, Probes
from stream.web_server import DEFAULT_HOST, WebServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Web:
    """The server of one worker: its probes, with further ``checks``, and ``routes``, further paths (GET only).

    ``port`` 0 takes a free one; ``url`` says which, once it has started.
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
    ) -> None:
        self._status = status
        own: dict[str, Check] = {
            "assigned": self._is_assigned,
            "recovered": self._is_recovered,
            "staying": self._is_staying,
        }
        probes = Probes(
            metrics.registry, {**own, **(checks or {})}, status.started_ms, self._about, version=status.version
        )
        app = web.Application()
        app.add_routes([*probes.routes(), *(web.get(path, handler) for path, handler in routes)])
        self.app = app
        self._server = WebServer(app, port, host=host)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.port

    @property
    def url(self) -> str:
        """Its address, as it was asked for; without a path."""
        return self._server.url

    async def start(self) -> None:
        """Returns when it listens. Raises ``PortInUseError`` when it can't."""
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    def _about(self) -> Mapping[str, str]:
        return {"id": self._status.worker_id, "definitions": self._status.definitions}

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
