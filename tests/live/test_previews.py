"""Previews of drafts over HTTP: what is answered, what is refused, and that events go on meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import json
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import ClientSession

from stream.brokers.process import BrokerProcess
from stream.contract import hash64
from stream.engine.partition import Clock, Partition
from stream.engine.preview import Preview
from stream.live import draft_process, previews
from stream.live.fleet import Fleet
from stream.live.metrics import Durations, Metrics
from stream.live.previews import BODY_BYTES_MAX, CONTENT_TYPES, ROUTE, Previews, looked_at
from stream.live.questions import NotNowError, Questions
from stream.live.runner import Runner
from stream.live.status import Status
from stream.live.web import Web
from stream.simulate import Simulation
from stream.worker.owner import Owner
from tests.engine.driver import Driver, Lane, Way, plan_of
from tests.engine.making import DAY, HOUR, click, file
from tests.live.workers import PARTITIONS, Worker, last_ms, prepared_plan, send, until_all_committed
from tests.schemas.test_messages import judge

START = 20_000 * DAY
PRESENT = json.dumps({**file(busy="count(click) >= 1"), "features": {"clicks": "count(click)"}}).encode()
Ask = Callable[..., Awaitable[tuple[int, Any]]]


class Played:
    """A runner over a partition that a test drives; ``code``: why it can't be asked."""

    def __init__(self, number: int, lane: Lane, code: str = "") -> None:
        self.partition = number
        self._lane = lane
        self._code = code

    async def ask(self, question: Callable[[Owner], Any]) -> Any:
        if self._code:
            raise NotNowError(self._code, f"partition {self.partition}: not now")
        await asyncio.sleep(0)
        return question(cast("Owner", SimpleNamespace(partition=self._lane.partition)))


def driven(partitions: int = 2, customers: int = 500) -> Driver:
    """A click of each customer, and another one of all but the last hundred."""
    driver = Driver(PRESENT.decode(), Way(partitions=partitions), clock=Clock.EVENTS, lateness_ms=0)
    clicks = range(2 * customers - 100)
    driver.apply([click(f"e{number}", START + number, f"c{number % customers}") for number in clicks])
    return driver


def fleet_of(*runners: Played) -> Fleet:
    found = {runner.partition: runner for runner in runners}
    return cast("Fleet", SimpleNamespace(status=SimpleNamespace(partitions=found), runner=found.get))


async def asked(talk: Callable[[Ask], Awaitable[None]], fleet: Fleet | None, source: bytes | None = PRESENT) -> None:
    status = Status("shop", "1.2.3", "9f86d081884c7d65", started_ms=0)
    one = Previews(plan_of(PRESENT.decode()), source)
    server = Web(status, Metrics(status, Durations()), 0, posts=[(ROUTE, one.answer)])
    await server.start()
    if fleet is not None:
        one.open(fleet)
    try:
        async with ClientSession(server.url) as session:

            async def ask(draft: str | bytes, content_type: str = CONTENT_TYPES[0]) -> tuple[int, Any]:
                data = draft if isinstance(draft, bytes) else draft.encode()
                async with session.post(ROUTE, data=data, headers={"Content-Type": content_type}) as answer:
                    assert answer.headers["Cache-Control"] == "no-store"
                    body = await answer.json()
                    if answer.status == 200:
                        judge("preview").validate(body)
                    assert (answer.headers.get("Retry-After") is not None) == (answer.status == 503)
                    return answer.status, body

            await talk(ask)
    finally:
        await server.stop()


def answer(draft: str | bytes, fleet: Fleet | None, source: bytes | None = PRESENT, **options: str) -> tuple[int, Any]:
    found: list[tuple[int, Any]] = []

    async def talk(ask: Ask) -> None:
        found.append(await ask(draft, **options))

    asyncio.run(asked(talk, fleet, source))
    return found[0]


TWICE = 'twice: {enter: clicks >= 2, holdout: 0.5}\nmailed: {enter: "never(email) and count(click) >= 1"}\n'


def test_what_a_draft_would_be() -> None:
    driver = driven()
    status, body = answer(TWICE, fleet_of(*(Played(number, lane) for number, lane in enumerate(driver.lanes))))
    assert status == 200
    assert (body["problems"], body["partitions"], body["missing"]) == ([], [0, 1], [])
    twice, mailed = body["segments"]
    members = {f"c{number}" for number in range(400)}
    held_out = {customer for customer in members if hash64(f"twice/{customer}") / 2**64 < 0.5}
    assert (twice["name"], twice["members"], twice["of"], twice["before"]) == ("twice", 400, 500, None)
    assert (twice["held_out"], twice["eligible"], twice["without_history"]) == (len(held_out), 0, [])
    assert set(twice["sample"]) <= members
    assert len(set(twice["sample"])) == 20
    assert (mailed["members"], mailed["sample"], mailed["without_history"]) == (0, [], ["count(email)"])


def test_a_draft_with_an_error_is_not_looked_at() -> None:
    status, body = answer("twice:\n  enter: clics >= 2\n", fleet_of(Played(0, driven(1).lanes[0])))
    assert status == 200
    (problem,) = body["problems"]
    assert (problem["line"], problem["column"], problem["severity"]) == (2, 10, "error")
    assert "did you mean `clicks`?" in problem["message"]
    assert (body["segments"], body["partitions"]) == ([], [])


def test_a_warning_is_told_with_the_preview() -> None:
    status, body = answer("a: {enter: clicks >= 0}", fleet_of(Played(0, driven(1).lanes[0])))
    assert status == 200
    assert [problem["severity"] for problem in body["problems"]] == ["warning"]
    assert body["segments"][0]["members"] == 500


def test_partitions_that_are_not_ready_are_named() -> None:
    lanes = driven().lanes
    status, body = answer(TWICE, fleet_of(Played(0, lanes[0]), Played(3, lanes[1], "restoring")))
    assert status == 200
    assert body["partitions"] == [0]
    assert body["missing"] == [{"partition": 3, "reason": "partition 3: not now"}]
    assert body["segments"][0]["of"] == len(lanes[0].partition.profiles)


def test_without_the_file_as_it_is_written_a_whole_one_is_needed() -> None:
    fleet = fleet_of(Played(0, driven(1).lanes[0]))
    assert "give a whole one" in answer(TWICE, fleet, None)[1]["problems"][0]["message"]
    assert answer(PRESENT, fleet, None)[1]["segments"][0]["before"] == 500


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "multipart/form-data"])
def test_what_a_browser_would_send_from_anywhere_is_refused(content_type: str) -> None:
    status, body = answer(TWICE, fleet_of(), content_type=content_type)
    assert (status, body["error"]) == (415, "bad_content_type")


def test_before_the_group_is_joined() -> None:
    status, body = answer(TWICE, None)
    assert (status, body["error"]) == (503, "moving")


def test_a_body_that_is_too_large() -> None:
    status, body = answer(b"#" * (BODY_BYTES_MAX + 1), fleet_of())
    assert (status, body["error"]) == (413, "too_large")
    assert answer(b"#" * BODY_BYTES_MAX, fleet_of())[0] == 200


def test_a_check_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_process, "CHECKED_WITHIN_S", 0.001)
    status, body = answer(TWICE, fleet_of())
    assert (status, body["error"]) == (422, "too_large")
    assert "could not be checked within" in body["message"]


def test_conditions_that_are_too_large() -> None:
    feature = f"features: {{f: 'count(click) in {list(range(2_000))}'}}"
    segments = "".join(f"  s{number}: {{enter: f or count(click) > {number}}}\n" for number in range(10))
    status, body = answer(f"version: 1\n{feature}\nsegments:\n{segments}", fleet_of())
    assert (status, body["segments"]) == (200, [])
    assert "20,000 can be previewed" in body["problems"][-1]["message"]


def test_rows_that_are_too_large() -> None:
    windows = " and ".join(f"min(purchase.total, {days}d) > 1" for days in range(1, 400))
    status, body = answer(f"version: 1\nbuckets: 120\nsegments:\n  s: {{enter: '{windows}'}}\n", fleet_of())
    assert (status, body["error"]) == (422, "too_large")
    assert "a customer would take" in body["message"]


def test_very_many_problems_are_cut_off() -> None:
    status, body = answer("".join(f"s{number}: 5\n" for number in range(900)), fleet_of())
    assert status == 200
    assert len(body["problems"]) == 200


def test_one_at_a_time() -> None:
    lane = driven(1).lanes[0]
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Waiting(Played):
        async def ask(self, question: Callable[[Owner], Any]) -> Any:
            begun.set()
            await go_on.wait()
            return await super().ask(question)

    async def talk(ask: Ask) -> None:
        first = asyncio.create_task(cast("Any", ask(TWICE)))
        await begun.wait()
        status, body = await ask(TWICE)
        assert (status, body["error"]) == (503, "busy")
        go_on.set()
        assert (await first)[0] == 200
        assert (await ask(TWICE))[0] == 200

    asyncio.run(asked(talk, fleet_of(Waiting(0, lane))))


def test_one_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Played):
        async def ask(self, question: Callable[[Owner], Any]) -> Any:
            await asyncio.Event().wait()

    monkeypatch.setattr(previews, "WITHIN_S", 0.05)
    status, body = answer(TWICE, fleet_of(Silent(0, driven(1).lanes[0])))
    assert (status, body["error"]) == (503, "too_slow")


def test_what_should_not_happen_is_answered_too() -> None:
    class Broken(Played):
        async def ask(self, question: Callable[[Owner], Any]) -> Any:
            raise KeyError("x")

    status, body = answer(TWICE, fleet_of(Broken(0, driven(1).lanes[0])))
    assert (status, body) == (500, {"error": "internal", "message": "KeyError; the worker's log says more"})


# --- batches go on ----------------------------------------------------------------------------------------------------


def test_a_batch_waits_for_one_slice_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition that is never idle: between any two slices there is a batch, and all batches count for who comes."""
    monkeypatch.setattr(previews, "_ROWS_MAX", 64)
    driver = driven(1, customers=1_000)
    (lane,) = driver.lanes
    questions, log = Questions(), list[str]()

    async def ask(question: Callable[[Owner], Any]) -> Any:
        return await questions.put(question)

    class Watched(Preview):
        def look(self, present: Partition, rows: int) -> bool:
            log.append("slice")
            assert rows <= 64
            return super().look(present, rows)

    async def work(ended: asyncio.Event) -> None:
        batches = 0
        while not ended.is_set():
            questions.answer(cast("Owner", SimpleNamespace(partition=lane.partition)))
            batches += 1
            driver.apply([click(f"n{batches}", START + HOUR + batches, f"new {batches}")])
            log.append("batch")
            await asyncio.sleep(0)

    async def run() -> Preview:
        ended = asyncio.Event()
        working = asyncio.create_task(work(ended))
        preview = Watched(plan_of(file(twice="count(click) >= 2")), lane.plan, ["twice"])
        runner = cast("Runner", SimpleNamespace(ask=ask))
        found = await looked_at(runner, preview, 1_000)
        ended.set()
        await working
        return found

    preview = asyncio.run(run())
    assert preview.sizes["twice"].members == 900
    assert log.count("slice") > 15
    assert all(after == "batch" for before, after in itertools.pairwise(log) if before == "slice")


# --- a real worker ----------------------------------------------------------------------------------------------------


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(Simulation(events=3_000, customers=100, days=20, seed=1).chunks()))
    return path


def post(url: str, draft: str) -> Any:
    request = urllib.request.Request(url + ROUTE, draft.encode(), {"Content-Type": "text/yaml"})
    with urllib.request.urlopen(request, timeout=90) as found:
        return json.load(found)


def test_a_worker_previews_what_it_has(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    """A draft of what is a segment already has that one's members."""
    definitions = tmp_path / "shop.yaml"
    definitions.write_text(
        "version: 1\nfeatures: {spent: sum(purchase.total)}\nsegments:\n"
        "  big: {enter: spent >= 200}\n  active: {enter: 'count(click, 7d) >= 3'}\n"
    )
    prepared_plan(definitions)
    send(broker.address, events)
    options = ("--clock", str(last_ms(events)), "--port", "0")
    with Worker(broker.address, tmp_path / "worker.log", *options, definitions=definitions) as worker:
        until_all_committed(broker.address)
        url = worker.says().split("probes and metrics: ")[1].split()[0]
        body = post(url, "large: {enter: spent >= 200}\nactive: {enter: 'count(click, 7d) >= 3'}\n")
        assert (body["partitions"], body["missing"]) == (list(range(PARTITIONS)), [])
        large, active = body["segments"]
        assert large["members"] > 0
        assert active["members"] > 0
        assert (large["before"], active["before"]) == (None, active["members"])
        again = post(url, "big: {enter: spent >= 200}\n")["segments"][0]
        assert again["members"] == again["before"] == large["members"]
        assert again["of"] == large["of"] == active["of"]
        worker.ask_to_stop()
        assert worker.exit_code() == 0, worker.says()
