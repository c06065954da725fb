"""Who is asked for a customer, and what is said when nobody can answer. Other workers and owners are played."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import ClientSession, web
from yarl import URL

from stream.contract import hash64
from stream.engine.partition import Partition
from stream.engine.plan import compile_plan
from stream.language.checker import load
from stream.live import customers, forwarding
from stream.live.addresses import Address, Distribution, told_url
from stream.live.app import GroupSettings, make_app
from stream.live.clock import SystemTime
from stream.live.consumer import BatchConsumer
from stream.live.customers import ROUTE, Customers, _look, _RefusedError
from stream.live.fleet import Fleet
from stream.live.forwarding import FORWARDED, Forwarder
from stream.live.metrics import Durations, Metrics
from stream.live.paths import path_of
from stream.live.questions import NotNowError
from stream.live.runner import Runner
from stream.live.sources import GroupSources
from stream.live.status import Phase, Status
from stream.live.web import Web
from stream.worker.erasures import Erasures
from stream.worker.errors import FencedError
from stream.worker.owner import Owner
from stream.worker.records import Residue
from stream.worker.settings import ClockMode, Settings
from tests.docs.pages import ROOT, codes, rows_of
from tests.engine.making import file

SETTINGS = Settings(partition=0, partitions=1)
MINE = "me"
Ask = Callable[..., Awaitable[tuple[int, Any, Any]]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusing:
    """A runner that can't be asked."""

    partition = 0

    def __init__(self, code: str) -> None:
        self.code = code

    async def ask(self, _: object) -> None:
        if self.code == "busy":
            await asyncio.sleep(3_600)
        if self.code == "internal":
            raise KeyError(self.code)
        raise NotNowError(self.code, "not now")


async def asked(
    talk: Callable[[Ask], Awaitable[None]],
    *,
    runner: Refusing | None = None,
    owners: Callable[[str], Distribution] = lambda _: {},
    is_open: bool = True,
) -> None:
    """Talks to a worker; ``owners`` is given its own address."""
    status = Status("shop", "1.2.3", "9f86d081884c7d65", started_ms=0)
    async with Forwarder() as forwarder:
        one = Customers(SETTINGS, forwarder)
        server = Web(status, Metrics(status, Durations()), 0, routes=[(ROUTE, one.answer)])
        await server.start()
        mine = Address(server.url, MINE)
        if is_open:
            fleet = cast("Fleet", SimpleNamespace(runner=lambda _: runner))
            one.open(fleet, mine, lambda: owners(str(mine)))
        try:
            async with ClientSession() as session:

                async def ask(customer: str = "ada", **headers: str) -> tuple[int, Any, Any]:
                    url = URL(server.url + path_of(customer), encoded=True)
                    async with session.get(url, headers=headers) as answer:
                        assert answer.headers["Cache-Control"] == "no-store"
                        return answer.status, await answer.json(), answer.headers.get("Retry-After")

                await talk(ask)
        finally:
            await server.stop()


def answer(**what: Any) -> tuple[int, Any, Any]:
    """What one question comes to."""
    headers = what.pop("headers", {})
    found: list[tuple[int, Any, Any]] = []

    async def talk(ask: Ask) -> None:
        found.append(await ask(**headers))

    asyncio.run(asked(talk, **what))
    return found[0]


def owned_by(address: object) -> Callable[[str], Distribution]:
    return lambda _: {"http://other/#x": {SETTINGS.changelog: [1, 2]}, str(address): {SETTINGS.changelog: [0]}}


@pytest.mark.parametrize("code", ["restoring", "moving"])
def test_a_partition_that_is_not_ready(code: str) -> None:
    assert answer(runner=Refusing(code)) == (503, {"error": code, "message": "not now"}, "1")


def test_an_owner_that_is_busy_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customers, "_ANSWERED_WITHIN_S", 0.05)
    status, body, retry = answer(runner=Refusing("busy"))
    assert (status, body["error"], retry) == (503, "busy", "1")


def test_what_should_not_happen_is_answered_too() -> None:
    assert answer(runner=Refusing("internal"))[:2] == (
        500,
        {"error": "internal", "message": "KeyError; the worker's log says more"},
    )


def test_before_the_group_is_joined() -> None:
    status, body, retry = answer(is_open=False)
    assert (status, body["error"], retry) == (503, "moving", "1")


@pytest.mark.parametrize("owners", [lambda _: {}, lambda mine: {mine: {SETTINGS.changelog: [0]}}])
def test_nobody_has_it(owners: Callable[[str], Distribution]) -> None:
    expected = {"error": "moving", "message": "nobody has partition 0 at the moment"}
    assert answer(owners=owners) == (503, expected, "1")


def test_its_owner_has_no_port() -> None:
    expected = {"error": "no_port", "message": "partition 0 belongs to a worker without --port"}
    assert answer(owners=owned_by(Address(None, "x"))) == (503, expected, None)


def test_what_was_forwarded_is_not_forwarded_again() -> None:
    status, body, retry = answer(owners=owned_by("http://127.0.0.1:1/#x"), headers={FORWARDED: MINE})
    assert (status, body["error"], retry) == (503, "not_owner", "1")


def test_what_was_forwarded_to_somebody_else() -> None:
    status, body, _ = answer(runner=Refusing("moving"), headers={FORWARDED: "x"})
    assert (status, body["error"]) == (503, "wrong_worker")
    assert "--advertise" in body["message"]


def through(handler: Handler, customer: str = "ada") -> tuple[int, Any, Any]:
    """What a worker answers that has to ask another one, played by ``handler``."""
    found: list[tuple[int, Any, Any]] = []

    async def talk(ask: Ask) -> None:
        found.append(await ask(customer))

    async def run() -> None:
        app = web.Application()
        app.add_routes([web.get(r"/{path:[\s\S]*}", handler)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            await asked(talk, owners=owned_by(Address(f"http://127.0.0.1:{port}/behind", "theirs")))
        finally:
            await runner.cleanup()

    asyncio.run(run())
    return found[0]


@pytest.mark.parametrize("customer", ["ada", "..", "a/../b", "%2e%2e", "ü\n"])
def test_another_workers_answer_is_handed_on(customer: str) -> None:
    paths = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.raw_path)
        assert request.headers[FORWARDED] == "theirs"
        return web.json_response({"error": "restoring"}, status=503, headers={"Retry-After": "7"})

    assert through(handler, customer) == (503, {"error": "restoring"}, "7")
    assert paths == ["/behind" + path_of(customer)]


def test_another_worker_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "WITHIN_S", 0.2)

    async def handler(_: web.Request) -> web.Response:
        await asyncio.sleep(3_600)
        raise AssertionError

    status, body, _ = through(handler)
    assert (status, body["error"]) == (504, "no_answer")


@pytest.mark.parametrize(
    "response",
    [
        lambda: web.Response(text="hello"),
        lambda: web.json_response({}, status=403),
        lambda: web.Response(status=302, headers={"Location": "/"}),
    ],
)
def test_what_is_no_worker(response: Callable[[], web.Response]) -> None:
    async def handler(_: web.Request) -> web.Response:
        return response()

    status, body, _ = through(handler)
    assert (status, body["error"]) == (502, "unreachable")
    assert "is no worker" in body["message"]


def test_another_worker_that_is_gone() -> None:
    status, body, _ = answer(owners=owned_by("http://127.0.0.1:1/#x"))
    assert (status, body["error"]) == (502, "unreachable")
    assert "the worker at http://127.0.0.1:1, to which the partition belongs, can't be reached" in body["message"]


# --- the partition itself ---------------------------------------------------------------------------------------------


class NoProfiles:
    nbytes = 0

    def __len__(self) -> int:
        return 0


class PlayedOwner:
    """Restores until it is told to go on; ``steps`` counts."""

    def __init__(self) -> None:
        self.restored = asyncio.Event()
        self.may_step = asyncio.Event()
        self.may_step.set()
        self.is_stepping = False
        self.steps = 0
        self.intake = SimpleNamespace(positions=dict, waiting=lambda _: 0, waiting_in_all=0, caught_up=True)
        self.writer = SimpleNamespace(sent=None)
        self.settings = SETTINGS
        self.is_done = False
        self.partition = SimpleNamespace(
            stream_ms=0, profiles=NoProfiles(), members=dict, personas=dict, model_version=0
        )
        self.reassignment = SimpleNamespace(is_under_way=False)

    async def assign(self, _: object) -> None:
        await self.restored.wait()

    async def step(self) -> bool:
        self.is_stepping = True
        await self.may_step.wait()
        self.is_stepping = False
        self.steps += 1
        return False

    async def drain(self) -> None:
        await self.may_step.wait()


def runner_of(owner: PlayedOwner) -> Runner:
    async def begin(*_: object) -> bool:
        return True

    consumer = cast("BatchConsumer", SimpleNamespace(begin=begin))
    sources = cast("GroupSources", SimpleNamespace(generation=0))

    def failed(error: BaseException) -> None:
        raise AssertionError from error

    return Runner(
        3,
        lambda _: cast("Owner", owner),
        sources,
        consumer,
        SystemTime(),
        Durations(),
        ClockMode.WALL,
        failed,
        lambda _: None,
    )


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come to that")


async def why_not(runner: Runner) -> tuple[str, str]:
    with pytest.raises(NotNowError) as raised:
        await runner.ask(id)
    return raised.value.code, str(raised.value)


def test_a_partition_from_its_assignment_to_its_revocation() -> None:
    async def run() -> None:
        owner = PlayedOwner()
        runner = runner_of(owner)
        assert await why_not(runner) == ("moving", "partition 3 is between two workers")
        runner.start(0)
        runner.status.remaining_records = 81_000
        restoring = "partition 3 is being restored; 81,000 records are left"
        assert await why_not(runner) == ("restoring", restoring)
        owner.restored.set()
        await until(lambda: owner.steps > 0)
        assert await runner.ask(lambda one: one) is cast("Owner", owner)
        owner.may_step.clear()
        await until(lambda: owner.is_stepping)
        asked = asyncio.ensure_future(runner.ask(lambda one: cast("PlayedOwner", one).is_stepping))
        impatient = asyncio.ensure_future(runner.ask(id))
        await asyncio.sleep(0.05)
        assert not asked.done()
        impatient.cancel()
        owner.may_step.set()
        assert await asked is False, "answered between two steps"
        with pytest.raises(ZeroDivisionError):
            await runner.ask(lambda _: 1 // 0)
        assert await runner.ask(lambda one: one) is cast("Owner", owner), "it goes on"
        owner.may_step.clear()
        await until(lambda: owner.is_stepping)
        asked = asyncio.ensure_future(runner.ask(lambda _: True))
        await asyncio.sleep(0.01)
        await runner.stop(0.05)
        with pytest.raises(NotNowError, match="being taken away"):
            await asked
        assert (await why_not(runner))[0] == "moving"

    asyncio.run(run())


def test_a_partition_that_another_worker_has_taken() -> None:
    async def run() -> None:
        owner = PlayedOwner()
        runner = runner_of(owner)

        async def fenced(_: object) -> None:
            raise FencedError("a newer fence")

        owner.assign = fenced  # type: ignore[method-assign]
        runner.start(0)
        await until(lambda: runner.status.phase is Phase.LOST)
        assert await why_not(runner) == ("moving", "another worker has taken partition 3")

    asyncio.run(run())


# --- what is said -----------------------------------------------------------------------------------------------------


def test_who_was_erased_is_told_from_who_never_came() -> None:
    erasures = Erasures()
    erasures.add_residues({hash64("ada"): Residue(3, 1_000)})
    engine = Partition(compile_plan(load(json.dumps(file(busy="count(click) >= 1")), "test")))
    owner = cast("Owner", SimpleNamespace(partition=engine, writer=SimpleNamespace(erasures=erasures)))
    for customer, code in (("ada", "erased_customer"), ("bob", "unknown_customer")):
        with pytest.raises(_RefusedError) as raised:
            _look(customer, "http://me", owner)
        assert (raised.value.status, raised.value.code) == (404, code)


def test_every_error_is_described() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "stream" / "live").glob("*.py")]
    raised = r'(?:RefusedError|ForwardingError)\(\s*(\d+), "(\w+)"'
    found = {pair for source in sources for pair in re.findall(raised, source)}
    not_now = r'(?:NotNowError|_questions\.refuse)\("(\w+)"'
    found |= {("503", code) for source in sources for code in re.findall(not_now, source)}
    rows = [(row[0], *codes(row[1])) for row in rows_of("operations", "status")]
    assert sorted(rows) == sorted(found)


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", [None, "http://10.0.0.7:6066", "https://[2001:db8::1]", "http://shop.example.com/segstream/w1"]
)
def test_an_address_is_told_by_way_of_faust_and_understood(url: str | None) -> None:
    group = GroupSettings("127.0.0.1:1", "shop", 1, 6.0)
    address = Address(url, "t0k3n")
    app = make_app(group, cast("Fleet", SimpleNamespace()), address)
    assert Address.parse(app.assignor._metadata.url) == address  # type: ignore[attr-defined]
    assert json.loads(app.assignor.metadata(set()).user_data)["url"] == app.assignor._metadata.url  # type: ignore[attr-defined]


def test_two_workers_may_tell_the_same_url() -> None:
    one, other = Address("http://shop:80", "1"), Address("http://shop:80", "2")
    assert len({str(one), str(other)}) == 2


def test_a_server_at_all_addresses_is_told_by_the_machines_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "node-7")
    assert [told_url(host, 80) for host in ("0.0.0.0", "::")] == ["http://node-7:80"] * 2
    assert told_url("10.0.0.7", 80) == "http://10.0.0.7:80"
