"""Personas over the API: a real Redis that the sink's script has filled, and versions as the topics have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from stream.brokers.redis_server import RedisServer
from stream.instants import format_instant
from stream.personas.messages import model_records
from tests.dashboard import persona_shop as shop
from tests.dashboard.judging import judge
from tests.dashboard.shops import (
    DAY_MS,
    HOUR_MS,
    NOW_MS,
    Asked,
    Browser,
    FakePersonas,
    dashboard,
    fill,
    ran,
)

LEFT_OVER = 1  # of p4, which the newest version does not have
TOGETHER = sum(shop.MEMBERS.values()) + LEFT_OVER


@pytest.fixture(scope="module")
def filled() -> Iterator[RedisServer]:
    with RedisServer() as server:
        fill(server, shop.changes())
        yield server


def told(pinned: int | None = None) -> FakePersonas:
    return FakePersonas(shop.records(pinned), shop.events())


def found(answer: Asked) -> Any:
    assert answer.status == 200, answer.text
    return answer.json


async def ask(browser: Browser, path: str, of: str | None = None) -> Any:
    """An answer that is as the document says."""
    answer = await browser.get(path)
    judge(of or path.partition("?")[0], "get", answer)
    return found(answer)


def test_personas_in_short(filled: RedisServer) -> None:
    async def body() -> None:
        async with dashboard(filled.url, definitions=shop.DEFINITIONS, personas=told()) as browser:
            answer = await ask(browser, "/v1/personas")
            assert (answer["state"], answer["trouble"], answer["version"], answer["pinned"]) == (
                "learned",
                None,
                2,
                None,
            )
            assert answer["effective_at"] == shop.SECOND.effective_at
            assert answer["members"] == TOGETHER
            assert [one["name"] for one in answer["features"]] == ["orders", "recency", "click_gap"]
            assert [one["usual"] for one in answer["features"]] == pytest.approx(list(shop.USUAL))
            assert [one["days"] for one in answer["features"]] == [False, True, False]
            assert answer["features"][0]["words"] == "the number of orders within 30 days"
            personas = {one["id"]: one for one in answer["personas"]}
            assert list(personas) == ["p1", "p2", "p3", "p4"]
            assert {id_: one["members"] for id_, one in personas.items()} == {
                **{f"p{number}": members for number, members in shop.MEMBERS.items()},
                "p4": LEFT_OVER,
            }
            assert sum(one["share"] for one in personas.values()) == pytest.approx(1, abs=1e-5)
            one, two, _, four = personas.values()
            assert (two["alias"], two["label"], two["segment"]) == ("regulars", shop.LABELS[2], "persona_p2")
            assert one["alias"] is None
            assert (one["week_ago"], two["week_ago"], four["week_ago"]) == (14, 4, 4)
            assert [value["value"] for value in two["values"]] == pytest.approx(list(shop.CENTRES[2]))
            assert [value["deviation"] for value in one["values"]] == pytest.approx([0, 0, 0], abs=1e-4)
            # log(7) - log(2.5) is 1.03, and a scale 0.5.
            assert two["values"][0]["deviation"] == pytest.approx(2.0592, abs=1e-4)
            assert two["words"] == [
                "the number of orders within 30 days is far above the usual: 6, where 1.5 is usual",
                "the age of the last order is far below the usual: 4 days, where 20 days is usual",
            ]
            assert one["words"] == []
            # Of one that is gone there is its last label, and who still has it.
            assert (four["is_in_version"], four["values"], four["label"]) == (False, None, shop.LABELS[4])
            assert one["sparkline"][-1] == shop.MEMBERS[1]
            assert one["sparkline"][0] == 14

    ran(body)


def test_segments_are_not_disturbed(filled: RedisServer) -> None:
    async def body() -> None:
        async with dashboard(filled.url, definitions=shop.DEFINITIONS, personas=told()) as browser:
            segments = await ask(browser, "/v1/segments")
            assert [one["name"] for one in segments["segments"]] == ["buyer"]
            changes = (await ask(browser, "/v1/changes?of=segments&limit=2"))["changes"]
            assert {one["segment"] for one in changes} <= {"buyer", None}
            assert len(changes) == 2
        async with dashboard(filled.url, definitions=None) as browser:
            segments = await ask(browser, "/v1/segments")
            assert [one["name"] for one in segments["segments"]] == ["buyer"]

    ran(body)


def test_one_persona_in_full_with_its_members(filled: RedisServer) -> None:
    async def body() -> None:
        async with dashboard(filled.url, definitions=shop.DEFINITIONS, personas=told()) as browser:
            one = await ask(browser, "/v1/personas/p3", "/v1/personas/{id}")
            assert (one["members"], one["causes"]["in"]["event"], one["causes"]["in"]["model"]) == (4, 2, 0)
            assert one["overlap"] == [{"name": "buyer", "members": 4, "share": 1.0}]
            members = await ask(browser, "/v1/segments/persona_p3/members", "/v1/segments/{name}/members")
            assert {member["customer_id"] for member in members["members"]} == {"a1", "a18", "a19", "a20"}
            csv = await browser.get("/v1/segments/persona_p3/members.csv")
            assert len(csv.text.splitlines()) == 1 + 4
            two = await ask(browser, "/v1/personas/p2", "/v1/personas/{id}")
            assert two["median_stay_s"] == pytest.approx((8 * DAY_MS - 2 * HOUR_MS) / 1_000, rel=0.1)
            for unknown in ("p9", "p0", "x", "P1", "p1%00", "persona_p1"):
                for path in (f"/v1/personas/{unknown}", f"/v1/personas/{unknown}/history"):
                    answer = await browser.get(path)
                    assert (answer.status, answer.json["error"]) == (404, "unknown_persona")

    ran(body)


def test_a_persona_that_nobody_has_yet(filled: RedisServer) -> None:
    fifth = shop.model(3, NOW_MS, 1, 2, 3, 4)

    async def body() -> None:
        async with dashboard(
            filled.url.replace("/0", "/1"), definitions=shop.DEFINITIONS, personas=FakePersonas(model_records(fifth))
        ) as browser:
            answer = await ask(browser, "/v1/personas")
            assert [(one["members"], one["share"]) for one in answer["personas"]] == [(0, None)] * 4
            assert (await ask(browser, "/v1/personas/p4", "/v1/personas/{id}"))["members"] == 0
            assert await ask(browser, "/v1/personas/p4/history", "/v1/personas/{id}/history") == {"points": []}
            assert (await ask(browser, "/v1/personas/moves"))["moves"] == []

    ran(body)


def test_a_version_that_comes_between_two_looks_at_redis(filled: RedisServer) -> None:
    personas = FakePersonas(model_records(shop.SECOND))

    async def body() -> None:
        async with dashboard(filled.url, definitions=shop.DEFINITIONS, personas=personas) as browser:
            await ask(browser, "/v1/personas")
            fifth = msgspec.structs.replace(shop.SECOND.personas[0], number=5)
            newer = msgspec.structs.replace(
                shop.SECOND, version=3, personas=(*shop.SECOND.personas, fifth), next_number=6
            )
            for key, value in model_records(newer):
                personas.history.take(key, value)
            answer = await ask(browser, "/v1/personas")
            assert [(one["id"], one["members"]) for one in answer["personas"]][-1] == ("p5", 0)

    ran(body)


@pytest.mark.parametrize("hours", [24, 168, 2160])
def test_size_and_share_over_time(filled: RedisServer, hours: int) -> None:
    async def body() -> None:
        async with dashboard(filled.url, definitions=shop.DEFINITIONS, personas=told()) as browser:
            path = "/v1/personas/{id}/history"
            curves = [
                (await ask(browser, f"/v1/personas/p{number}/history?hours={hours}", path))["points"]
                for number in (1, 2, 3, 4)
            ]
            assert [curve[-1]["members"] for curve in curves] == [*shop.MEMBERS.values(), LEFT_OVER]
            for points in zip(*curves, strict=True):
                assert len({point["at"] for point in points}) == 1
                if sum(point["members"] for point in points):
                    assert sum(point["share"] for point in points) == pytest.approx(1, abs=1e-5)
                else:
                    assert {point["share"] for point in points} == {None}
            if hours == 24:
                assert (curves[0][0]["members"], curves[0][0]["share"]) == (14, round(14 / 22, 6))

    ran(body)


def test_who_moved(filled: RedisServer) -> None:
    async def body() -> None:
        async with dashboard(filled.url, definitions=shop.DEFINITIONS, personas=told()) as browser:
            day = await ask(browser, "/v1/personas/moves?hours=24")
            moves = {(one["from"], one["to"]): one["customers"] for one in day["moves"]}
            assert moves == {
                ("p1", "p2"): 1,
                ("p1", "p3"): 1,
                ("p4", "p3"): 1,
                ("p1", None): 2,  # one of them erased
                ("p2", None): 1,
                (None, "p1"): 1,
                (None, "p2"): 1,
            }
            assert day["since"] == format_instant((NOW_MS // HOUR_MS - 23) * HOUR_MS)
            assert day["known_from"] == format_instant(0)
            week = await ask(browser, "/v1/personas/moves?hours=168")
            assert {**moves, ("p4", "p3"): 3} == {(one["from"], one["to"]): one["customers"] for one in week["moves"]}
            whole = await ask(browser, "/v1/personas/moves?hours=2160")
            first = {(one["from"], one["to"]): one["customers"] for one in whole["moves"]}
            assert (first[None, "p1"], first[None, "p4"]) == (15, 4)
            assert (await browser.get("/v1/personas/moves?hours=25")).json["error"] == "bad_parameter"

    ran(body)


def test_versions_and_what_happened(filled: RedisServer) -> None:
    async def body() -> None:
        async with dashboard(filled.url, definitions=shop.DEFINITIONS, personas=told()) as browser:
            answer = await ask(browser, "/v1/personas/versions")
            second, first = answer["versions"]
            assert (second["version"], second["age_s"], second["before"]) == (2, 86_400, 1.5)
            assert (first["version"], first["before"], first["samples"]) == (1, None, 4_000)
            assert [one["id"] for one in first["personas"]] == ["p1", "p2", "p4"]
            said = [(one["version"], one["event"], one["persona"], one["words"]) for one in answer["events"]]
            assert said[0] == (3, "refused", None, "there is no new version: the distance is worse by 4 %")
            assert set(said[1:5]) == {
                (2, "birth", "p3", "is new: 33.3 % of the customers"),
                (2, "death", "p4", "is no more: it had 33.3 % of the customers"),
                (2, "drift", "p1", "its customers are suddenly further from its middle: 0.9, and 0.7 before"),
                (2, "shift", "p2", "has moved: the age of the last order was 9.04 days, and is 4 days now"),
            }
            assert [one[:2] for one in said[5:]] == [(1, "birth")] * 3

    ran(body)


def test_a_pinned_version_comes_back_as_a_new_one(filled: RedisServer) -> None:
    async def body() -> None:
        async with dashboard(filled.url, definitions=shop.DEFINITIONS, personas=told(pinned=1)) as browser:
            answer = await ask(browser, "/v1/personas")
            assert (answer["version"], answer["pinned"]) == (3, 1)
            assert {one["id"]: one["is_in_version"] for one in answer["personas"]} == {
                "p1": True,
                "p2": True,
                "p3": False,
                "p4": True,
            }
            versions = await ask(browser, "/v1/personas/versions")
            assert (versions["version"], versions["pinned"]) == (3, 1)
            assert [(one["version"], one["copy_of"]) for one in versions["versions"]] == [(3, 1), (2, None), (1, None)]

    ran(body)


@pytest.mark.parametrize(
    ("definitions", "problem", "state"),
    [
        ("version: 1\nsegments: {buyer: {enter: exists(last(click))}}\n", None, "not_defined"),
        (shop.DEFINITIONS, None, "no_version"),
        (None, None, "no_version"),
        (shop.DEFINITIONS, "topic persona-models is missing", "unknown"),
    ],
)
def test_why_there_are_none(redis_1: str, definitions: str | None, problem: str | None, state: str) -> None:
    async def body() -> None:
        personas = FakePersonas(problem=problem)
        async with dashboard(redis_1, definitions=definitions, personas=personas) as browser:
            answer = await ask(browser, "/v1/personas")
            assert (answer["state"], answer["trouble"]) == (state, problem)
            assert (answer["personas"], answer["version"], answer["features"]) == ([], None, [])
            versions = await ask(browser, "/v1/personas/versions")
            assert (versions["versions"], versions["events"]) == ([], [])

    ran(body)


@pytest.fixture
def redis_1(filled: RedisServer) -> str:
    """A Redis in which nothing lies."""
    return filled.url.replace("/0", "/1")


def test_features_of_other_definitions_are_told_as_they_are_written(filled: RedisServer) -> None:
    other = shop.without_features(shop.SECOND)

    async def body() -> None:
        personas = FakePersonas(model_records(other))
        async with dashboard(filled.url, definitions=shop.DEFINITIONS, personas=personas) as browser:
            answer = await ask(browser, "/v1/personas")
            assert [(one["name"], one["words"], one["days"]) for one in answer["features"]] == [
                (text, None, None) for text in other.features
            ]

    ran(body)


def test_versions_by_other_features_count_for_nothing(filled: RedisServer) -> None:
    newer = msgspec.structs.replace(shop.without_features(shop.SECOND), version=3)

    async def body() -> None:
        first = FakePersonas(model_records(newer), features=shop.FEATURES)
        async with dashboard(filled.url, definitions=shop.DEFINITIONS, personas=first) as browser:
            answer = await ask(browser, "/v1/personas")
            assert (answer["state"], answer["version"]) == ("other_features", None)
            # Who has one has it all the same.
            assert {one["id"]: one["is_in_version"] for one in answer["personas"]} == dict.fromkeys(
                ("p1", "p2", "p3", "p4"), False
            )
        both = FakePersonas([*shop.records(), *model_records(newer)], features=shop.FEATURES)
        async with dashboard(filled.url, definitions=shop.DEFINITIONS, personas=both) as browser:
            answer = await ask(browser, "/v1/personas")
            assert (answer["state"], answer["version"]) == ("learned", 2)
            versions = (await ask(browser, "/v1/personas/versions"))["versions"]
            assert [(one["version"], one["fits"]) for one in versions] == [(3, False), (2, True), (1, True)]

    ran(body)


def test_a_customer_s_persona(filled: RedisServer) -> None:
    async def body() -> None:
        async with dashboard(filled.url, definitions=shop.DEFINITIONS, personas=told()) as browser:
            customer = await ask(browser, "/v1/customers/a0", "/v1/customers/{id}")
            assert list(customer["segments"]) == ["buyer"]
            assert customer["persona"] == {
                "id": "p2",
                "segment": "persona_p2",
                "alias": "regulars",
                "label": shop.LABELS[2],
                "is_in_version": True,
                "since": format_instant(shop.MOVED_MS),
            }
            newest = customer["changes"][0]
            assert (newest["segment"], newest["change"]) == ("persona_p2", "entered")
            assert newest["words"] == (
                "3 orders within 30 days, last bought 19 days ago, "
                "the mean time from one of the clicks to the next divided by 1 day: 2.5"
            )
            by_model = customer["changes"][2]
            assert by_model["words"].startswith("a new model of personas: 3 orders within 30 days")
            assert (await ask(browser, "/v1/customers/a2", "/v1/customers/{id}"))["persona"] is None
            looked_up = await ask(browser, "/v1/customers/a0/segments", "/v1/customers/{id}/segments")
            assert list(looked_up["segments"]) == ["buyer", "persona_p2"]
            changes = (await ask(browser, "/v1/changes?of=personas&limit=100"))["changes"]
            assert all(one["segment"].startswith("persona_p") for one in changes)
            assert len(changes) == 22 + 2 * 5 + 2 + 1
            settings = await ask(browser, "/v1/settings")
            assert settings["aliases"] == {"p2": "regulars"}

    ran(body)


def test_counts_of_personas_move_with_the_others(filled: RedisServer) -> None:
    async def body() -> None:
        async with (
            dashboard(filled.url, definitions=shop.DEFINITIONS, personas=told()) as browser,
            browser.session.get(f"{browser.url}/v1/stream") as answer,
        ):
            async for line in answer.content:
                if line.startswith(b"data: "):
                    counts = json.loads(line.removeprefix(b"data: "))["counts"]
                    assert counts["persona_p1"] == [shop.MEMBERS[1], 0]
                    assert counts["buyer"] == [22, 0]
                    return
            raise AssertionError("the stream has ended without counts")

    ran(body)
