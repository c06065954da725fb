"""A dashboard that runs: what it needs is opened, served until somebody stops it, and closed again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from stream.dashboard.app import Access, make_app
from stream.dashboard.broker import BrokerLook
from stream.dashboard.catalogue import Catalogue
from stream.dashboard.crew import Crew
from stream.dashboard.memory import Memory, connect
from stream.dashboard.metrics import Metrics
from stream.dashboard.persona_history import FollowedPersonas
from stream.dashboard.shop import Shop
from stream.garbage import collect_rarely
from stream.kafka.defaults import BROKER
from stream.kafka.workers import FollowedWorkers
from stream.probes import Probes
from stream.sinks.redis.keys import DEFAULT_PREFIX
from stream.sinks.redis.server import shown
from stream.web_server import WebServer

DEFAULT_PORT = 8080
DEFAULT_REDIS = "redis://127.0.0.1:6379/0"
#: A segment whose size changed by more than that within 24 hours is marked.
ALERT_SHARE = 0.3


@dataclass(frozen=True)
class Options:
    """What a dashboard is told."""

    broker: str = BROKER
    redis: str = DEFAULT_REDIS
    prefix: str = DEFAULT_PREFIX
    port: int = DEFAULT_PORT
    access: Access = field(default_factory=Access)
    alert_share: float = ALERT_SHARE


async def run(catalogue: Catalogue, options: Options, started: Callable[[str], None] = lambda _: None) -> None:
    """Serves until SIGTERM or SIGINT; ``started`` is told the address. Raises ``PortInUseError``.

    Redis, broker and workers may be away: pages and probes say so.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with serving(catalogue, options) as url:
        collect_rarely()
        started(url)
        await stopped.wait()


@contextlib.asynccontextmanager
async def serving(catalogue: Catalogue, options: Options) -> AsyncIterator[str]:
    """Serves while it is entered; gives the address."""
    client = connect(options.redis)
    try:
        memory = Memory(client, shown(options.redis), options.prefix)
        async with (
            FollowedWorkers(options.broker) as workers,
            BrokerLook(options.broker) as broker,
            _followed(catalogue, options.broker) as followed,
            Crew(workers.present) as crew,
        ):
            shop = Shop(memory, catalogue, workers, crew, broker, followed, options.alert_share)
            metrics = Metrics(catalogue.definitions)
            about = {"definitions": catalogue.definitions}
            probes = Probes(metrics.registry, {"redis": memory.problem}, int(time.time() * 1_000), lambda: about)
            app = make_app(shop, options.access, metrics, probes)
            server = WebServer(app, options.port, host=options.access.host)
            await server.start()
            try:
                yield server.url
            finally:
                await server.stop()
    finally:
        await client.aclose()


@contextlib.asynccontextmanager
async def _followed(catalogue: Catalogue, broker: str) -> AsyncIterator[FollowedPersonas]:
    """Personas are not followed where the definitions file has none: their topics need not be there."""
    followed = FollowedPersonas(broker, catalogue.persona_features)
    if catalogue.definitions is not None and catalogue.personas is None:
        followed.problem = None
        yield followed
        return
    async with followed:
        yield followed
