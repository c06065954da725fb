"""The API's document is complete, and answers are as it says: real ones, and those that pages are built with."""

from __future__ import annotations

import json
from collections.abc import Iterator

import jsonschema
import pytest

from stream.brokers.redis_server import RedisServer
from stream.dashboard.app import make_app
from stream.dashboard.openapi import DOCUMENT
from tests.dashboard.fake import FakeAnswers
from tests.dashboard.judging import judge
from tests.dashboard.shops import (
    Browser,
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
def filled() -> Iterator[RedisServer]:
    with RedisServer() as server:
        fill(server, some_changes())
        yield server


PATHS = {
    "/v1/settings": ["/v1/settings"],
    "/v1/segments": ["/v1/segments"],
    "/v1/segments/{name}": [
        f"/v1/segments/{name}" for name in ("newcomer", "spender", "empty", "lapsed", "in_checkout")
    ],
    "/v1/segments/{name}/history": ["/v1/segments/newcomer/history?hours=168", "/v1/segments/lapsed/history?hours=24"],
    "/v1/segments/{name}/members": ["/v1/segments/newcomer/members", "/v1/segments/lapsed/members"],
    "/v1/segments/{name}/members.csv": ["/v1/segments/newcomer/members.csv", "/v1/segments/lapsed/members.csv"],
    "/v1/customers/{id}/segments": ["/v1/customers/both/segments?include=holdout", "/v1/customers/nobody/segments"],
    "/v1/customers/{id}": ["/v1/customers/both", "/v1/customers/nobody", "/v1/customers/%FF", "/v1/customers/away"],
    "/v1/customers": ["/v1/customers?id=both", "/v1/customers?id=nobody", "/v1/customers", "/v1/customers?id=.."],
    "/v1/personas": ["/v1/personas"],
    "/v1/personas/moves": [f"/v1/personas/moves?hours={hours}" for hours in (24, 168, 2160)],
    "/v1/personas/versions": ["/v1/personas/versions"],
    "/v1/personas/{id}": ["/v1/personas/p1", "/v1/personas/p3", "/v1/personas/p99", "/v1/personas/p0"],
    "/v1/personas/{id}/history": ["/v1/personas/p1/history?hours=24", "/v1/personas/p3/history?hours=2160"],
    "/v1/pipeline": ["/v1/pipeline"],
    "/v1/changes": ["/v1/changes", "/v1/changes?limit=x", "/v1/changes?of=personas", "/v1/changes?of=nobody"],
    "/v1/openapi.json": ["/v1/openapi.json"],
}
DRAFTS = [
    "version: 1\nsegments:\n  one:\n    enter: never(click)\n",
    "version: 1\nsegments:\n  one:\n    enter: never(clik)\n",
    "{",
]


async def judge_all(browser: Browser) -> None:
    for path, asked in PATHS.items():
        for one in asked:
            judge(path, "get", await browser.get(one))
    for draft in DRAFTS:
        answer = await browser.ask("POST", "/v1/drafts", data=draft, headers={"Content-Type": "text/yaml"})
        assert answer.status == 200
        judge("/v1/drafts", "post", answer)


def test_real_answers_are_as_the_document_says(filled: RedisServer) -> None:
    async def ask() -> None:
        async with dashboard(filled.url, FakeWorkers(announcement(0, "http://127.0.0.1:9"))) as browser:
            assert (await browser.get("/v1/openapi.json")).json == json.loads(json.dumps(DOCUMENT))
            await judge_all(browser)
        async with dashboard(filled.url, broker=FakeBroker("away")) as browser:
            await judge_all(browser)
        async with dashboard(filled.url.replace("/0", "/1")) as browser:
            await judge_all(browser)

    ran(ask)


def test_invented_answers_are_as_the_document_says() -> None:
    """What pages are built with has the shape of what they will meet."""

    async def ask() -> None:
        async with serving(make_app(FakeAnswers())) as browser:
            await judge_all(browser)

    ran(ask)


def test_the_document_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    assert PATHS.keys() | {"/v1/drafts", "/v1/stream"} == DOCUMENT["paths"].keys()
    routes = {
        route.resource.canonical
        for route in make_app(FakeAnswers()).router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/v1/")
    }
    assert routes == DOCUMENT["paths"].keys()
