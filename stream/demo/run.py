"""The demo from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stream
from stream.brokers.process import HOST, free_ports
from stream.demo.asking import Applied, Asking
from stream.demo.interrupts import Interrupts
from stream.demo.parts import Parts, make_broker, make_redis
from stream.demo.screen import Screen
from stream.demo.sending import TICK_S, fill, follow
from stream.demo.topics import make_topics
from stream.demo.traffic import DAY_MS, Traffic
from stream.errors import BrokerUnreachableError, PortInUseError
from stream.kafka.compression import BEST
from stream.kafka.routing import Router
from stream.kafka.sending import Sender, connected_sender
from stream.language.checker import load

DEFINITIONS = Path(stream.__file__).parent / "segments.yaml"
#: Each would have its own batches, and the embedded broker keeps all of them, and looks through them at each fetch.
PARTITIONS = 1
#: Joining a group takes half of it; a worker alone loses nothing by a short one.
_SESSION_S = 6
#: What the demo promises about memory over 8 hours is for so many events a second.
RATE_MAX = 100.0
#: The days after the first ones, at least so many, pass at the demo's speed; then it has caught up with the present.
_DAYS_BEFORE_NOW = 30
_WATCH_S = 0.2
#: When sending fails, some part may have ended, which would say why.
_CAUSE_WITHIN_S = 2.0
#: A worker that has its kernels in their cache listens much sooner.
_COMPILING_AFTER_S = 8.0


@dataclass(frozen=True)
class Options:
    """What the demo is told. ``broker`` and ``redis`` are those that are there; None: it starts its own."""

    broker: str | None = None
    redis: str | None = None
    is_kafka: bool = False
    port: int = 8080
    speed: float = 60.0
    customers: int = 20_000
    days: int = 30
    seed: int = 0


@dataclass(frozen=True)
class _Urls:
    worker: str
    sink: str
    dashboard: str


def run(options: Options, screen: Screen) -> None:
    """Runs the demo until Ctrl-C or SIGTERM, and takes everything away.

    Raises ``PortInUseError``, ``BrokerStartError``, ``BrokerUnreachableError``, ``TopicsError``, ``DemoTopicsError``
    for what has to be put right first, and ``PartEndedError`` when a part has ended.
    """
    began_s = time.monotonic()
    _check_port(options.port)
    now_ms = time.time_ns() // 1_000_000
    with Interrupts() as interrupts, Parts(interrupts) as parts:
        try:
            broker, redis = options.broker, options.redis
            if broker is None:
                server = make_broker(is_kafka=options.is_kafka)
                parts.serve("broker", server)
                broker = server.address
            if redis is None:
                store = make_redis()
                parts.serve("redis", store)
                redis = store.url
            demo = _Demo(options, parts, screen, broker, redis, now_ms, began_s)
            asyncio.run(demo.run(interrupts))
        except (KeyboardInterrupt, asyncio.CancelledError):
            if not interrupts.has_come:
                raise
        finally:
            interrupts.close()
            screen.end()
            screen.say("\nEnding all parts ...")
    screen.say("Nothing is left of the demo.")


def _check_port(port: int) -> None:
    """Sooner than the dashboard would."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, port))
        except OSError as error:
            raise PortInUseError(
                f"port {port} at {HOST} can't be listened at ({error.strerror}): --port names another"
            ) from error


class _Demo:
    """What is done once there are a broker and Redis."""

    def __init__(
        self, options: Options, parts: Parts, screen: Screen, broker: str, redis: str, now_ms: int, began_s: float
    ) -> None:
        self._options = options
        self._parts = parts
        self._screen = screen
        self._broker = broker
        self._redis = redis
        self._began_s = began_s
        ports = free_ports(3)
        dashboard = options.port or ports[2]
        self._urls = _Urls(*(f"http://{HOST}:{port}" for port in (*ports[:2], dashboard)))
        first_ms = now_ms - (options.days + max(options.days, _DAYS_BEFORE_NOW)) * DAY_MS
        self._traffic = Traffic(options.customers, options.days, first_ms - first_ms % DAY_MS, options.seed)
        self._definitions = load(DEFINITIONS.read_text(encoding="utf-8"), DEFINITIONS.name)
        self._sent = 0

    async def run(self, interrupts: Interrupts) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio.run runs it in one"
        interrupts.watch(task)
        is_own = self._options.broker is None
        partitions = await make_topics(self._broker, self._definitions, PARTITIONS, is_own=is_own)
        self._start_commands()
        async with Asking() as asking:
            await _first_of(self._watch(), self._tell(asking), self._work(asking, partitions))

    def _start_commands(self) -> None:
        broker, redis = ("--broker", self._broker), ("--redis", self._redis)
        worker, sink, dashboard = (
            ("--port", url.rpartition(":")[2]) for url in (self._urls.worker, self._urls.sink, self._urls.dashboard)
        )
        pace = ("--clock", "event", "--session-timeout", str(_SESSION_S), "--compression", BEST)
        self._parts.run("worker", "worker", str(DEFINITIONS), *broker, *worker, *pace)
        self._parts.run("sink", "sink", "redis", *broker, *redis, *sink)
        self._parts.run("dashboard", "dashboard", str(DEFINITIONS), *broker, *redis, *dashboard)

    async def _watch(self) -> None:
        while True:
            self._parts.check()
            await asyncio.sleep(_WATCH_S)

    async def _tell(self, asking: Asking) -> None:
        """Says where the dashboard is, and when the first counts are there."""
        await asking.ready(self._urls.dashboard)
        self._screen.say(f"The dashboard: {self._urls.dashboard}")
        await asking.counted(self._urls.dashboard)
        self._screen.say(f"The first counts are there, {time.monotonic() - self._began_s:.0f} s after the start.")
        await asyncio.Event().wait()

    async def _work(self, asking: Asking, partitions: int) -> None:
        router = Router(partitions)
        async with connected_sender(self._broker, BEST) as sender:
            filling = asyncio.create_task(self._fill(asking, router, sender))
            try:
                await self._show_filling(asking, filling)
            finally:
                filling.cancel()
            self._say_what_to_try()
            seconds = TICK_S
            async for shop_ms, events in follow(self._traffic, router, sender, self._options.speed, RATE_MAX):
                self._screen.follow(shop_ms, events, seconds)

    async def _fill(self, asking: Asking, router: Router, sender: Sender) -> None:
        """Sends the first days, once the worker lives: until then each core is needed for what starts."""
        await asking.lives(self._urls.worker)
        await fill(self._traffic, router, sender, self._count)

    def _count(self, events: int) -> None:
        self._sent += events

    async def _show_filling(self, asking: Asking, filling: asyncio.Task[None]) -> None:
        """Returns when all has been sent and applied."""
        expected = self._traffic.events_expected
        self._screen.begin(expected, {"sent": f"{self._options.days} days of a shop", "applied": "applied"})
        before, is_told = Applied(0, 0), False
        while True:
            applied = await asking.applied(self._urls.worker)
            if applied is None and not is_told and time.monotonic() - self._began_s > _COMPILING_AFTER_S:
                is_told = True
                self._screen.say("The worker compiles the engine; this happens once and takes about 20 seconds.")
            applied = applied or before
            self._screen.count(sent=self._sent, applied=applied.events)
            if filling.done():
                filling.result()
                if applied.events and not applied.lag_records and applied.events == before.events:
                    break
            before = applied
            await asyncio.sleep(_WATCH_S)
        self._screen.end()
        seconds = time.monotonic() - self._began_s
        days = self._options.days
        self._screen.say(f"{self._sent:,} events of {days} days are applied, {seconds:.0f} s after the start.")

    def _say_what_to_try(self) -> None:
        url = self._urls.dashboard
        self._screen.say(
            f"Now time goes on in the shop, {self._options.speed:g} times as fast as here. Three things to try:\n"
            f"  1. See a count move, and why:  {url}/segments/cart_abandoner\n"
            f"  2. Look at one customer:       segstream customer c000123 --worker {self._urls.worker}\n"
            f"  3. Draft a segment of yours:   {url}/draft\n"
            "Ctrl-C ends all, and leaves nothing behind."
        )


async def _first_of(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Runs them until one ends; what that one raises is raised. The first is whom the others' failures come from."""
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0] not in done and any(isinstance(one.exception(), BrokerUnreachableError) for one in done):
            await asyncio.wait(tasks[:1], timeout=_CAUSE_WITHIN_S)
        for one in tasks:
            if one.done():
                one.result()
    finally:
        for one in tasks:
            one.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CAUSE_WITHIN_S):
                await asyncio.gather(*tasks, return_exceptions=True)
