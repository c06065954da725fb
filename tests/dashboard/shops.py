"""A Redis filled by the sink's own script, and dashboards over it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import redis
from aiohttp import web

from stream.brokers.redis_server import RedisServer
from stream.dashboard.answers import Json
from stream.dashboard.app import Access, make_app
from stream.dashboard.broker import BrokerLook
from stream.dashboard.catalogue import Catalogue
from stream.dashboard.crew import Crew
from stream.dashboard.memory import Memory, connect
from stream.dashboard.metrics import Metrics
from stream.dashboard.persona_history import FollowedPersonas
from stream.dashboard.shop import Shop
from stream.instants import format_instant
from stream.kafka.workers import Announcement, FollowedWorkers, PartitionState, Percentiles
from stream.language.checker import load
from stream.probes import Probes
from stream.sinks.records import parse_change
from stream.sinks.redis.keys import Keys
from stream.sinks.redis.script import Place, Script, batch_request
from stream.sinks.redis.server import make_client, shown
from stream.web_server import WebServer

DEFINITIONS = """\
version: 1
segments:
  # Those who came lately.
  newcomer:
    description: Came within the last week
    owner: growth
    tags: [behaviour]
    min_size: 5
    review_by: 2020-01-31
    enter: since(first(click)) < 7d

  # Those who spend.
  spender:
    description: <b>Spends</b>
    enter: count(purchase) >= 2 and since(last(purchase)) < 90d
    exit: since(last(purchase)) >= 90d or trait("plan") == "gone"
    holdout: 0.1
    cooldown: 1d
  empty:
    enter: member("spender") and last(click.device) in ["phone"]
"""
#: The instant of the latest change that `change` makes unless it is told otherwise.
NOW_MS = 1_760_000_000_000
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
HOSTILE = "<img src=x onerror=alert(1)>"


#: Any text can be a customer's id.
IDS = [
    "c1",
    HOSTILE,
    "a/b",
    "..",
    ".",
    "50%",
    "%2F",
    "nul\0",
    "ünï 🛒",
    "a b+c",
    "=1+1",
    "-2",
    "+3",
    "@x",
    "\tx",
    'q"u,o',
    "x" * 256,
]
STEADY = 30


class Changes:
    """Makes changes with the right sequences."""

    def __init__(self) -> None:
        self.made: list[bytes] = []
        self._sequences: dict[str, int] = {}

    def add(
        self,
        customer: str,
        segment: str | None,
        change: str,
        at_ms: int = NOW_MS,
        *,
        holdout: bool = False,
        cause: str = "event",
        values: Json | None = None,
    ) -> None:
        sequence = self._sequences[customer] = self._sequences.get(customer, 0) + 1
        record = {
            "id": f"{customer}:{sequence}",
            "customer_id": customer,
            "segment": segment,
            "change": change,
            "at": format_instant(at_ms),
            "sequence": sequence,
            "cause": cause,
            "event_id": "e1" if cause == "event" else None,
            "values": values or {},
            "holdout": holdout,
            "quiet": False,
            "definitions": "0123456789abcdef",
        }
        self.made.append(json.dumps(record, ensure_ascii=False).encode())


def some_changes() -> list[bytes]:
    """A shop of three weeks: 30 newcomers that stay, some that came and went, hostile ones."""
    changes = Changes()
    for number in range(STEADY):
        changes.add(f"s{number}", "newcomer", "entered", NOW_MS - 20 * DAY_MS)
        changes.add(f"s{number}", "spender", "entered", NOW_MS - 10 * DAY_MS + number, holdout=number % 10 == 0)
    for number in range(8):
        changes.add(f"v{number}", "newcomer", "entered", NOW_MS - 3 * HOUR_MS)
    for number in range(3):
        changes.add(f"v{number}", "newcomer", "exited", NOW_MS - HOUR_MS - 30 * MINUTE_MS, cause="timer")
    changes.add("v3", "newcomer", "exited", NOW_MS - 20 * MINUTE_MS)
    for customer in IDS:
        changes.add(
            customer,
            "newcomer",
            "entered",
            NOW_MS - 10 * MINUTE_MS,
            values={"first(click)": format_instant(NOW_MS - 12 * MINUTE_MS)},
        )
    changes.add("gone", "spender", "entered", NOW_MS - 5 * MINUTE_MS)
    changes.add("gone", "spender", "exited", NOW_MS, cause="erasure")
    changes.add("gone", None, "erased", NOW_MS, cause="erasure")
    changes.add("both", "newcomer", "entered", NOW_MS, holdout=True)
    changes.add("both", "spender", "entered", NOW_MS, values={"count(purchase)": 2, "last(purchase)": None})
    changes.add("both", "former", "entered", NOW_MS)  # a segment that is not in the definitions any more
    return changes.made


def fill(server: RedisServer, changes: Sequence[bytes], prefix: str = "segstream:") -> None:
    """Empties the server, and applies changes as the sink does."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    asyncio.run(_apply(server.url, changes, prefix))


async def _apply(url: str, changes: Sequence[bytes], prefix: str) -> None:
    async with make_client(url) as client:
        script = Script(client, Keys(prefix))
        await script.begin("test", "topic")
        await script.finish("test", {0: 0}, is_empty=True)
        for begin in range(0, len(changes), 500):
            part = changes[begin : begin + 500]
            parsed = [(parse_change(one), one) for one in part]
            place = Place(0, begin, begin + len(part))
            await script.apply(batch_request("topic", [place], parsed, keep_evidence=True))


async def add(server: RedisServer, begin: int, changes: Sequence[bytes]) -> None:
    """Applies further changes, of which the first has the offset ``begin``."""
    async with make_client(server.url) as client:
        parsed = [(parse_change(one), one) for one in changes]
        place = Place(0, begin, begin + len(changes))
        await Script(client, Keys()).apply(batch_request("topic", [place], parsed, keep_evidence=True))


class FakeWorkers(FollowedWorkers):
    """Workers that are said to be there."""

    def __init__(self, *present: Announcement, problem: str | None = None) -> None:
        super().__init__("nowhere:1")
        self.there = list(present)
        self.problem = problem

    def present(self) -> list[Announcement]:
        return self.there


class FakeBroker(BrokerLook):
    """A broker about which is known what a test says."""

    def __init__(self, problem: str | None = None) -> None:
        super().__init__("nowhere:1")
        self.problem = problem


class FakePersonas(FollowedPersonas):
    """Personas of which the broker has told what a test gives: records of the two topics."""

    def __init__(
        self,
        models: Sequence[tuple[bytes, bytes | None]] = (),
        events: Sequence[bytes] = (),
        problem: str | None = None,
        features: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__("nowhere:1", features)
        self.problem = problem
        for key, value in models:
            self.history.take(key, value)
        for event in events:
            self.history.take_event(event)


def announcement(number: int = 0, url: str | None = None) -> Announcement:
    part = PartitionState(number, "live", NOW_MS + 5_000, {"clicks": 3, "emails": 1}, 100, {"newcomer": 5}, 0)
    return Announcement(
        f"i{number}", "shop", url, NOW_MS, "0123456789abcdef", "1.0", [part], 10.5, 2.0, Percentiles(5.0, None), 4
    )


@dataclass
class Asked:
    """An answer: status, headers, and the body as JSON where it is that."""

    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Browser:
    """Asks a dashboard."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def get(self, path: str, **options: Any) -> Asked:
        return await self.ask("GET", path, **options)

    async def ask(self, method: str, path: str, **options: Any) -> Asked:
        from yarl import URL

        options.setdefault("allow_redirects", False)
        async with self.session.request(method, URL(self.url + path, encoded=True), **options) as answer:
            return Asked(answer.status, answer.headers, (await answer.read()).decode())


@contextlib.asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[Browser]:
    server = WebServer(app, 0)
    await server.start()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            yield Browser(server.url, session)
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def dashboard(
    url: str,
    workers: FollowedWorkers | None = None,
    broker: BrokerLook | None = None,
    access: Access | None = None,
    definitions: str | None = DEFINITIONS,
    personas: FollowedPersonas | None = None,
) -> AsyncIterator[Browser]:
    """A dashboard over the Redis at ``url``, with workers and a broker that are not really there."""
    workers = workers or FakeWorkers()
    zone = ZoneInfo("Europe/Berlin")
    catalogue = Catalogue.of(None if definitions is None else load(definitions, "x"), definitions or "", zone)
    client = connect(url)
    try:
        async with Crew(workers.present) as crew:
            memory = Memory(client, shown(url))
            shop = Shop(memory, catalogue, workers, crew, broker or FakeBroker(), personas or FakePersonas(), 0.3)
            metrics = Metrics(catalogue.definitions)
            probes = Probes(metrics.registry, {"redis": memory.problem}, 0)
            async with serving(make_app(shop, access, metrics, probes)) as browser:
                yield browser
    finally:
        await client.aclose()


def ran(body: Callable[[], Awaitable[None]]) -> None:
    """Runs a test's coroutine."""

    async def run() -> None:
        async with asyncio.timeout(60):
            await body()

    asyncio.run(run())
