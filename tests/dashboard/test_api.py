"""The API over a real Redis that the sink's script has filled."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from stream.brokers.redis_server import RedisServer
from stream.dashboard.answers import Member
from stream.dashboard.app import make_app
from stream.dashboard.broker import BrokerLook
from stream.dashboard.refusals import RefusedError
from stream.instants import format_instant
from tests.dashboard.fake import FakeAnswers
from tests.dashboard.shops import (
    HOSTILE,
    HOUR_MS,
    IDS,
    MINUTE_MS,
    NOW_MS,
    STEADY,
    Asked,
    FakeBroker,
    FakeWorkers,
    announcement,
    dashboard,
    fill,
    ran,
    serving,
    some_changes,
)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as one:
        yield one


@pytest.fixture(scope="module")
def filled(server: RedisServer) -> RedisServer:
    fill(server, some_changes())
    return server


def found(answer: Asked) -> Any:
    assert answer.status == 200, answer.text
    return answer.json


def refused(answer: Asked) -> tuple[int, str]:
    assert set(answer.json) == {"error", "message"}
    return answer.status, answer.json["error"]


# --- segments ---------------------------------------------------------------------------------------------------------


def test_segments_in_short(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(filled.url, FakeWorkers(announcement(0), announcement(1))) as browser:
            answer = found(await browser.get("/v1/segments"))
            assert answer["stream_clock"] == format_instant(NOW_MS + 5_000)
            assert answer["customers"] == 200
            assert answer["behind_s"] > 0
            segments = {one["name"]: one for one in answer["segments"]}
            assert list(segments) == ["newcomer", "spender", "empty", "former"]
            newcomer, spender, empty, former = segments.values()
            members = STEADY + 8 - 4 + len(IDS) + 1
            assert (newcomer["members"], newcomer["held_out"]) == (members, 1)
            assert (spender["members"], spender["held_out"]) == (STEADY + 1, 3)
            assert newcomer["share"] == round(members / 200, 6)
            assert (newcomer["entered_last_hour"], newcomer["exited_last_hour"]) == (len(IDS) + 1, 1)
            # Of the erased one nothing is left but that there was somebody.
            assert (spender["entered_last_hour"], spender["exited_last_hour"]) == (2, 1)
            assert newcomer["week_ago"] == spender["week_ago"] == STEADY
            line = [STEADY] * 24
            clock, three_ago, one_ago = (
                (NOW_MS + 5_000 - ago) // HOUR_MS - (NOW_MS + 5_000) // HOUR_MS + 23
                for ago in (5_000, 3 * HOUR_MS + 5_000, HOUR_MS + 30 * MINUTE_MS + 5_000)
            )
            assert clock == 23
            for hour in range(24):
                line[hour] += (8 if hour >= three_ago else 0) - (3 if hour >= one_ago else 0)
            assert newcomer["sparkline"][:22] == line[:22]
            assert newcomer["sparkline"][23] == members
            assert (newcomer["description"], newcomer["owner"], newcomer["tags"]) == (
                "Came within the last week",
                "growth",
                ["behaviour"],
            )
            assert spender["description"] == "<b>Spends</b>"
            assert [alert["kind"] for alert in newcomer["alerts"]] == ["moved", "review_due"]
            assert (empty["members"], empty["alerts"], empty["sparkline"]) == (0, [], [0] * 24)
            assert (former["members"], former["description"]) == (1, None)

    ran(ask)


def test_share_and_customers_are_unknown_without_workers(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(filled.url) as browser:
            answer = found(await browser.get("/v1/segments"))
            assert (answer["customers"], answer["stream_clock"]) == (None, format_instant(NOW_MS))
            assert {one["share"] for one in answer["segments"]} == {None}

    ran(ask)


def test_one_segment_in_full(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(filled.url) as browser:
            one = found(await browser.get("/v1/segments/spender"))
            assert one["source"].startswith("spender:\n  description: <b>Spends</b>\n  enter: count(purchase) >= 2")
            assert one["enter"] == "count(purchase) >= 2 and since(last(purchase)) < 90d"
            assert one["words"][0] == "Enters when all of this holds: 2 or more orders; bought within the last 90 days."
            assert one["causes"]["in"]["event"] == 2
            assert one["causes"]["out"] == {"event": 0, "timer": 0, "definitions": 0, "erasure": 1, "model": 0}
            shared = STEADY + 1
            assert one["overlap"] == [
                {"name": "newcomer", "members": shared, "share": 1.0},
                {"name": "former", "members": 1, "share": round(1 / shared, 6)},
            ]
            newcomer = found(await browser.get("/v1/segments/newcomer"))
            stays = [1.5 * HOUR_MS] * 3 + [160 * MINUTE_MS]
            assert newcomer["median_stay_s"] == pytest.approx(stays[1] / 1_000, rel=0.1)
            former = found(await browser.get("/v1/segments/former"))
            assert (former["source"], former["enter"], former["words"]) == (None, None, [])
            assert found(await browser.get("/v1/segments/empty"))["median_stay_s"] is None
            for name in ("nothing", "Spender", "a%00", "..%2Fspender", "%20", "x" * 100):
                assert refused(await browser.get(f"/v1/segments/{name}")) == (404, "unknown_segment")
                assert refused(await browser.get(f"/v1/segments/{name}/members.csv")) == (404, "unknown_segment")

    ran(ask)


@pytest.mark.parametrize(
    ("hours", "count", "step_ms"), [(24, 96, 15 * MINUTE_MS), (168, 168, HOUR_MS), (2160, 360, 6 * HOUR_MS)]
)
def test_a_segments_history(filled: RedisServer, hours: int, count: int, step_ms: int) -> None:
    async def ask() -> None:
        async with dashboard(filled.url) as browser:
            points = found(await browser.get(f"/v1/segments/newcomer/history?hours={hours}"))["points"]
            assert len(points) == count
            assert points[-1]["at"] == format_instant(NOW_MS)
            assert points[-2]["at"] == format_instant(NOW_MS // step_ms * step_ms)
            assert points[-1]["members"] == STEADY + 8 - 4 + len(IDS) + 1
            for before, after in itertools.pairwise(points):
                assert after["members"] == before["members"] + after["entered"] - after["exited"]
            entered = 8 + len(IDS) + 1 + (STEADY if hours == 2160 else 0)
            assert sum(point["entered"] for point in points) == entered
            assert sum(point["exited"] for point in points) == 4

    ran(ask)


def test_members_in_pages_and_as_a_file(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(filled.url) as browser:
            seen, cursor, pages = [], "", 0
            while cursor is not None:
                page = found(await browser.get(f"/v1/segments/newcomer/members?limit=10&cursor={cursor}"))
                seen += page["members"]
                cursor, pages = page["cursor"], pages + 1
            expected = {f"s{n}" for n in range(STEADY)} | {f"v{n}" for n in range(4, 8)} | {*IDS, "both"}
            assert {one["customer_id"] for one in seen} == expected
            assert pages > 2
            assert {one["customer_id"] for one in seen if one["holdout"]} == {"both"}
            answer = await browser.get("/v1/segments/newcomer/members.csv")
            assert answer.headers["Content-Disposition"] == 'attachment; filename="newcomer.csv"'
            assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
            head, *rows = csv.reader(io.StringIO(answer.text, newline=""))
            assert head == ["customer_id", "since", "held_out"]
            assert not [row for row in rows if row[0][0] in "=+-@\t\r"]
            guarded = {row[0] for row in rows}
            assert {"'=1+1", "'-2", "'+3", "'@x", "'\tx", 'q"u,o', HOSTILE} <= guarded
            assert len(rows) == len(expected)
            assert [row[2] for row in rows if row[0] == "both"] == ["yes"]
            assert found(await browser.get("/v1/segments/empty/members")) == {"members": [], "cursor": None}
            assert (await browser.get("/v1/segments/empty/members.csv")).text == "customer_id,since,held_out\r\n"

    ran(ask)


class HalfAnswers(FakeAnswers):
    """Redis goes away in the midst."""

    async def all_members(self, name: str) -> AsyncIterator[Sequence[Member]]:
        yield [Member("c1", None, holdout=False)]
        raise RefusedError(503, "redis_unreachable", "Redis is away")


def test_a_file_of_members_that_is_not_whole_shows_it() -> None:
    async def ask() -> None:
        async with serving(make_app(HalfAnswers())) as browser:
            with pytest.raises(aiohttp.ClientError):
                await browser.get("/v1/segments/lapsed/members.csv")
            assert (await browser.get("/livez")).status == 200

    ran(ask)


# --- customers --------------------------------------------------------------------------------------------------------


def path_of(customer: str) -> str:
    return f"/v1/customers/{quote(customer, safe='').replace('.', '%2E')}"


def test_a_look_up_leaves_out_who_is_held_out(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(filled.url) as browser:
            path = f"{path_of('both')}/segments"
            entered = {"since": format_instant(NOW_MS), "holdout": False}
            assert found(await browser.get(path)) == {
                "customer_id": "both",
                "sequence": 3,
                "segments": {"former": entered, "spender": entered},
            }
            everything = found(await browser.get(f"{path}?include=holdout"))
            assert everything["segments"]["newcomer"] == {**entered, "holdout": True}
            for query in ("include=all", "holdout", "include=holdout&x=1"):
                assert refused(await browser.get(f"{path}?{query}")) == (400, "bad_parameter")
            for customer in ("nobody", "gone"):
                assert refused(await browser.get(f"{path_of(customer)}/segments")) == (404, "unknown_customer")

    ran(ask)


def test_ids_may_be_any_text(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(filled.url) as browser:
            for customer in IDS:
                looked = found(await browser.get(f"{path_of(customer)}/segments"))
                assert (looked["customer_id"], list(looked["segments"])) == (customer, ["newcomer"])
                assert found(await browser.get(path_of(customer)))["customer_id"] == customer

    ran(ask)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/customers/",
        "/v1/customers//segments",
        "/v1/customers/%FF",
        "/v1/customers/%FF/segments",
        "/v1/customers/" + "x" * 257,
    ],
)
def test_what_is_no_id_is_refused(filled: RedisServer, path: str) -> None:
    async def ask() -> None:
        async with dashboard(filled.url) as browser:
            assert refused(await browser.get(path)) == (400, "bad_id")

    ran(ask)


def test_a_customer_with_changes_in_words(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(filled.url) as browser:
            answer = found(await browser.get(path_of(HOSTILE)))
            assert answer["segments"] == {
                "newcomer": {"since": format_instant(NOW_MS - 10 * MINUTE_MS), "holdout": False}
            }
            assert [one["words"] for one in answer["changes"]] == ["first clicked 2 minutes ago"]
            assert answer["worker"] is None
            assert "is one running" in answer["worker_error"]
            both = found(await browser.get(path_of("both")))
            assert [one["sequence"] for one in both["changes"]] == [3, 2, 1]
            assert [one["words"] for one in both["changes"]] == ["", "2 orders, never bought", ""]
            for customer in ("nobody", "gone"):
                assert refused(await browser.get(path_of(customer))) == (404, "unknown_customer")

    ran(ask)


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_the_latest_changes(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(filled.url) as browser:
            changes = found(await browser.get("/v1/changes?limit=3"))["changes"]
            assert [one["id"] for one in changes] == ["both:3", "both:2", "both:1"]
            assert len(found(await browser.get("/v1/changes"))["changes"]) == 50

    ran(ask)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/changes?limit=0",
        "/v1/changes?limit=1001",
        "/v1/changes?limit=x",
        "/v1/changes?limit=%D9%A1",
        "/v1/changes?limit=99999999999",
        "/v1/segments/newcomer/history?hours=25",
        "/v1/segments/newcomer/members?limit=-1",
    ],
)
def test_parameters_that_are_wrong(filled: RedisServer, path: str) -> None:
    async def ask() -> None:
        async with dashboard(filled.url) as browser:
            assert refused(await browser.get(path)) == (400, "bad_parameter")
            for cursor in ("x", "-1", "9" * 30, "%D9%A1"):
                answer = await browser.get(f"/v1/segments/newcomer/members?cursor={cursor}")
                assert refused(answer) == (400, "bad_cursor")

    ran(ask)


def test_the_pipeline_adds_up(filled: RedisServer) -> None:
    async def ask() -> None:
        workers = FakeWorkers(announcement(0), announcement(1))
        async with dashboard(filled.url, workers) as browser:
            answer = found(await browser.get("/v1/pipeline"))
            assert len(answer["workers"]) == 2
            assert (answer["events_per_s"], answer["changes_per_s"], answer["lag_records"]) == (21.0, 4.0, 8)
            assert answer["sink"] == {"lag_records": 0, "gaps": 0, "filled": True}
            assert answer["redis"]["used_memory"] > 0
            assert answer["broker_error"] is None

    ran(ask)


def test_a_broker_that_is_away_is_told_in_the_pipeline_only(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(
            filled.url, FakeWorkers(problem="no broker answers"), FakeBroker("no broker answers")
        ) as browser:
            answer = found(await browser.get("/v1/pipeline"))
            assert answer["broker_error"] == "no broker answers"
            assert (answer["workers"], answer["dead_letters"], answer["sink"]["lag_records"]) == ([], None, None)
            for path in ("/v1/segments", "/v1/customers/both", "/readyz", "/v1/changes"):
                assert (await browser.get(path)).status == 200

    ran(ask)


def test_a_redis_that_is_away_is_told_everywhere() -> None:
    async def ask() -> None:
        async with dashboard("redis://127.0.0.1:9/0") as browser:
            for path in (
                "/v1/segments",
                "/v1/customers/both",
                "/v1/customers/both/segments",
                "/v1/changes",
                "/v1/pipeline",
                "/v1/segments/newcomer/members.csv",
            ):
                answer = await browser.get(path)
                assert refused(answer) == (503, "redis_unreachable")
                assert "redis://127.0.0.1:9/0" in answer.text
                assert int(answer.headers["Retry-After"]) > 0
            ready = await browser.get("/readyz")
            assert ready.status == 503
            assert "does not answer" in ready.json["checks"]["redis"]
            for path in ("/livez", "/v1/settings", "/v1/openapi.json", "/metrics"):
                assert (await browser.get(path)).status == 200

    ran(ask)


def test_without_definitions_segments_have_no_words(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(filled.url, definitions=None) as browser:
            names = [one["name"] for one in found(await browser.get("/v1/segments"))["segments"]]
            assert names == ["former", "newcomer", "spender"]
            assert found(await browser.get("/v1/segments/spender"))["words"] == []
            assert found(await browser.get("/v1/settings"))["definitions"] is None

    ran(ask)


def test_an_empty_redis(server: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(server.url.replace("/0", "/1")) as browser:
            answer = found(await browser.get("/v1/segments"))
            assert (answer["stream_clock"], answer["behind_s"]) == (None, None)
            assert [one["members"] for one in answer["segments"]] == [0, 0, 0]
            assert found(await browser.get("/v1/segments/spender/history")) == {"points": []}
            assert found(await browser.get("/v1/changes")) == {"changes": []}
            assert found(await browser.get("/v1/pipeline"))["sink"]["filled"] is False
            found(await browser.get("/v1/segments/spender"))

    ran(ask)


def test_paths_that_lead_nowhere(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(filled.url) as browser:
            for path in ("/v1", "/v1/", "/v1/nothing", "/v1/segments/spender/nothing", "/v2/segments"):
                assert (await browser.get(path)).status == 404
            assert refused(await browser.get("/v1/nothing")) == (404, "no_such_path")
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                answer = await browser.ask(method, "/v1/segments")
                assert refused(answer) == (405, "wrong_method")
                assert "GET" in answer.headers["Allow"]

    ran(ask)


def test_requests_are_counted_by_their_paths(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(filled.url) as browser:
            for customer in ("both", "nobody"):
                await browser.get(f"{path_of(customer)}/segments")
            await browser.get("/v1/whatever")
            page = (await browser.get("/metrics")).text
            path = 'path="/v1/customers/{id}/segments"'
            assert f'segstream_dashboard_requests_total{{{path},status="200"}} 1.0' in page
            assert f'segstream_dashboard_requests_total{{{path},status="404"}} 1.0' in page
            assert f"segstream_dashboard_request_seconds_count{{{path}}} 2.0" in page
            assert 'path="unknown",status="404"' in page
            assert "segstream_dashboard_streams 0.0" in page
            assert "both" not in page

    ran(ask)


def test_a_broker_look_reckons_how_far_the_sink_is_behind() -> None:
    look = BrokerLook("nowhere:1")
    look._ends = {0: 10, 1: 5, 2: 0}
    assert look.lag({0: 7, 2: 0}) == 8
    assert look.lag({0: 12, 1: 5}) == 0
