"""What is reckoned from sizes and flows."""

from __future__ import annotations

import asyncio
import datetime
from random import Random

import pytest

from stream.dashboard.figures import alerts, by_cause, curve, knows, size_before, total
from stream.dashboard.kept import Kept
from stream.language.tree import Literal, Segment, Type
from stream.sinks.redis.keys import HOUR_MS, MINUTE_MS
from stream.sinks.redis.reading import Flow

TRUE = Literal(value=True, type=Type.BOOLEAN)
CLOCK_MS = 1_000 * HOUR_MS + 25 * MINUTE_MS
TODAY = datetime.date(2025, 6, 1)


def flow(hours_ago: int, direction: str, number: int, cause: str = "event") -> Flow:
    return Flow((1_000 - hours_ago) * HOUR_MS, cause, direction, number)


def test_a_curve_goes_backwards_from_the_present_size() -> None:
    flows = [flow(0, "in", 3), flow(1, "out", 2), flow(1, "in", 1, "timer"), flow(3, "in", 4)]
    points = curve(10, CLOCK_MS, flows, HOUR_MS, 5)
    assert [point.members for point in points] == [4, 8, 8, 7, 10]
    assert [(point.entered, point.exited) for point in points] == [(0, 0), (4, 0), (0, 0), (1, 2), (3, 0)]
    assert [point.at_ms for point in points] == [*(hour * HOUR_MS for hour in range(997, 1_001)), CLOCK_MS]


@pytest.mark.parametrize("seed", range(5))
def test_a_curve_is_what_really_happened(seed: int) -> None:
    random, size, sizes, flows = Random(seed), 500, {}, []
    for minute in range(990 * 60, CLOCK_MS // MINUTE_MS + 1):
        for direction in ("in", "out"):
            number = random.randint(0, 3)
            size += number if direction == "in" else -number
            flows.append(Flow(minute * MINUTE_MS, random.choice(["event", "timer"]), direction, number))
        sizes[minute] = size
    for step_ms in (MINUTE_MS, 15 * MINUTE_MS, HOUR_MS):
        points = curve(size, CLOCK_MS, flows, step_ms, 8)
        for point in points[:-1]:
            assert point.members == sizes[point.at_ms // MINUTE_MS - 1]
        assert points[-1].members == size
    assert size_before(size, CLOCK_MS, flows, 3 * HOUR_MS) == sizes[997 * 60]


def test_a_size_is_never_below_nothing() -> None:
    """A Redis that was filled anew does not know what flowed before."""
    assert [point.members for point in curve(2, CLOCK_MS, [flow(0, "in", 7)], HOUR_MS, 2)] == [0, 2]
    assert size_before(2, CLOCK_MS, [flow(0, "in", 7)], 2 * HOUR_MS) == 0


def test_flows_are_added_up_by_direction_and_cause() -> None:
    flows = [flow(0, "in", 3), flow(1, "in", 2, "timer"), flow(1, "out", 5), flow(30, "in", 100)]
    since = CLOCK_MS - 24 * HOUR_MS
    assert (total(flows, "in", since), total(flows, "out", since)) == (5, 5)
    found = by_cause(flows, since)
    assert found["in"] == {"event": 3, "timer": 2, "definitions": 0, "erasure": 0, "model": 0}
    assert found["out"]["event"] == 5


def test_what_is_not_known_is_known_not_to_be() -> None:
    assert knows(0, 5)
    assert knows(5, 5)
    assert not knows(6, 5)
    assert not knows(None, 5)


def kinds(members: int, day_ago: int | None, **keys: object) -> list[str]:
    segment = Segment("one", TRUE, TRUE, **keys)  # type: ignore[arg-type]
    return [alert["kind"] for alert in alerts(segment, members, day_ago, 0.3, TODAY)]


def test_alerts() -> None:
    assert kinds(100, 100) == []
    assert kinds(131, 100) == kinds(69, 100) == ["moved"]
    assert kinds(130, 100) == kinds(70, 100) == []
    assert kinds(0, 100) == ["moved"]
    assert kinds(100, None) == kinds(100, 0) == []
    assert kinds(10, 2) == []  # too few to say anything
    assert kinds(9, 9, min_size=10) == ["below_min_size"]
    assert kinds(10, 10, min_size=10) == []
    assert kinds(9, 9, review_by="2025-05-31") == ["review_due"]
    assert kinds(9, 9, review_by="2025-06-01") == []
    (alert,) = alerts(Segment("one", TRUE, TRUE), 200, 100, 0.3, TODAY)
    assert alert["message"] == "grew by 100 % within 24 hours: from 100 to 200"


# --- answers that are kept --------------------------------------------------------------------------------------------


def test_an_answer_is_kept_for_a_while_and_made_once_for_all_who_wait() -> None:
    now, made = [0.0], []

    async def make(key: str) -> int:
        made.append(key)
        await asyncio.sleep(0)
        return len(made)

    async def ask() -> None:
        kept: Kept[str, int] = Kept(make, 5, at_most=2, now=lambda: now[0])
        assert list(await asyncio.gather(kept.get("a"), kept.get("a"), kept.get("a"))) == [1, 1, 1]
        now[0] = 5
        assert await kept.get("a") == 1
        now[0] = 5.1
        assert await kept.get("a") == 2
        await kept.get("b")
        await kept.get("c")
        assert await kept.get("a") == 5  # the oldest has gone

    asyncio.run(ask())


def test_a_failure_is_not_kept() -> None:
    outcomes: list[int | Exception] = [OSError("away"), 7]

    async def make(_: str) -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def ask() -> None:
        kept: Kept[str, int] = Kept(make, 5)
        with pytest.raises(OSError, match="away"):
            await kept.get("a")
        assert await kept.get("a") == 7

    asyncio.run(ask())


def test_who_leaves_takes_the_answer_from_nobody() -> None:
    go_on = asyncio.Event()

    async def make(_: str) -> int:
        await go_on.wait()
        return 7

    async def ask() -> None:
        kept: Kept[str, int] = Kept(make, 5)
        first, second = asyncio.create_task(kept.get("a")), asyncio.create_task(kept.get("a"))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        go_on.set()
        assert await second == 7

    asyncio.run(ask())
