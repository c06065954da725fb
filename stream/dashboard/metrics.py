"""The dashboard's metrics: how many requests, how long they took, and who looks on."""

from __future__ import annotations

import platform
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from stream import __version__

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
#: What leads nowhere is one sort of request, whatever was asked for.
_UNKNOWN = "unknown"


class Metrics:
    """Counts requests by the path they were routed to; a path names no customer."""

    def __init__(self, definitions: str | None, streams: Callable[[], int] = lambda: 0) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "segstream_dashboard_requests", "Requests answered.", ["path", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "segstream_dashboard_request_seconds",
            "How long an answer took.",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.streams = Gauge("segstream_dashboard_streams", "Streams of events that are open.", registry=self.registry)
        self.streams.set_function(streams)
        info = Info("segstream_build", "What is running.", registry=self.registry)
        info.info({"version": __version__, "python": platform.python_version(), "definitions": definitions or "none"})
        ProcessCollector(registry=self.registry)

    def told(self, request: web.Request, status: int, seconds: float) -> None:
        """Of one request that has been answered."""
        resource = request.match_info.route.resource
        path = _UNKNOWN if resource is None else resource.canonical
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)
