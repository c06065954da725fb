"""What workers say of themselves each second, and who is there according to it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream.brokers.process import BrokerProcess
from stream.kafka.administration import find_topics
from stream.kafka.connection import connected_admin
from stream.kafka.topics import WORKERS, workers_topic
from stream.kafka.workers import GONE_AFTER_S, Announcement, FollowedWorkers, PresentWorkers
from stream.live import announcing
from stream.live.announcing import Announcements, Announcer
from stream.live.clock import SystemTime
from stream.live.metrics import Durations
from stream.live.status import PartitionStatus, Phase, Status
from tests.kafka.kafka_records import make_topics, records_of
from tests.live.test_delays import Clock
from tests.live.workers import SEGMENTS, Worker, prepared_plan
from tests.schemas.test_messages import judge

WITHIN_S = 60.0


def status() -> Status:
    partitions = {
        3: PartitionStatus(3, Phase.LIVE, lag_records={"clicks": 2}, stream_ms=9, profiles=5, members={"big": 1}),
        1: PartitionStatus(1, remaining_records=7),
        5: PartitionStatus(5, Phase.LOST, profiles=9),
    }
    return Status("shop", "1.2.3", "9f86d081884c7d65", started_ms=0, partitions=partitions)


def as_json(told: Announcement) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(told))
    judge("worker").validate(found)
    return found


# --- what is said -----------------------------------------------------------------------------------------------------


def test_partitions_are_told_but_for_those_that_somebody_has_taken() -> None:
    clock = Clock()
    clock.now_ms = 12_345
    told = as_json(Announcements(status(), Durations(), clock, "http://10.0.0.7:6066").next())
    assert (told["worker"], told["url"], told["at_ms"]) == ("shop", "http://10.0.0.7:6066", 12_345)
    first, second = told["partitions"]
    assert (first["partition"], first["phase"], first["stream_ms"], first["remaining_records"]) == (
        1,
        "restoring",
        None,
        7,
    )
    assert second == {
        "partition": 3,
        "phase": "live",
        "stream_ms": 9,
        "lag_records": {"clicks": 2},
        "profiles": 5,
        "members": {"big": 1},
        "remaining_records": 0,
    }


def test_rates_are_of_the_last_seconds() -> None:
    one, clock, durations = status(), Clock(), Durations()
    announcements = Announcements(one, durations, clock, None)
    rates = []
    for events in (100, 100, 100, 0, 0, 0, 0, 0, 0):
        clock.now_ms += 1_000
        one.counters.events["clicks"] += events
        one.counters.changes["big", "entered", "event"] += events // 10
        told = announcements.next()
        as_json(told)
        rates.append((told.events_per_s, told.changes_per_s))
    assert rates == [(100, 10), (100, 10), (100, 10), (75, 7.5), (60, 6), (40, 4), (20, 2), (0, 0), (0, 0)]


def test_delays_are_of_the_last_seconds_too() -> None:
    clock, durations = Clock(), Durations()
    announcements = Announcements(status(), durations, clock, None)
    durations.change_delay.observe(0.02, 98)  # 10 ... 25 ms
    durations.change_delay.observe(0.3, 2)  # 250 ... 500 ms
    clock.now_ms += 1_000
    told = announcements.next().change_delay_ms
    assert told.p50 is not None
    assert told.p99 is not None
    assert 10 < told.p50 < 25
    assert 250 < told.p99 <= 500
    for _ in range(5):
        clock.now_ms += 1_000
        told = announcements.next().change_delay_ms
    assert (told.p50, told.p99) == (None, None)
    durations.change_delay.observe(1_000)
    assert announcements.next().change_delay_ms.p99 == 60_000


# --- who is there -----------------------------------------------------------------------------------------------------


def spoken(instance: str, at_ms: int, workers: PresentWorkers, now_s: float) -> None:
    clock = Clock()
    clock.now_ms = at_ms
    told = Announcements(status(), Durations(), clock, None)
    told.instance = instance
    workers.take(instance.encode(), msgspec.json.encode(told.next()), now_s)


def names(workers: PresentWorkers, now_s: float) -> list[str]:
    return [told.instance for told in workers.present(now_s)]


def test_who_has_spoken_lately_is_there() -> None:
    workers = PresentWorkers()
    spoken("b", 1_000_000, workers, 5)
    spoken("a", 1_009_000, workers, 14)
    assert names(workers, 14) == ["a", "b"]
    spoken("a", 1_011_000, workers, 15)
    assert names(workers, 15) == ["a"]


def test_the_last_one_is_gone_when_time_has_passed_without_a_word() -> None:
    workers = PresentWorkers()
    spoken("a", 1_000_000, workers, 5)
    assert names(workers, 5 + GONE_AFTER_S) == ["a"]
    assert names(workers, 5.1 + GONE_AFTER_S) == []


def test_who_ends_in_order_is_gone_at_once() -> None:
    workers = PresentWorkers()
    spoken("a", 1_000_000, workers, 5)
    workers.take(b"a", None, 5)
    assert names(workers, 5) == []


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"instance": 1}'])
def test_what_is_no_announcement_is_passed_over(value: bytes, caplog: pytest.LogCaptureFixture) -> None:
    workers = PresentWorkers()
    workers.take(b"a", value, 5)
    assert names(workers, 5) == []
    assert "is no announcement" in caplog.text


# --- on a broker ------------------------------------------------------------------------------------------------------


async def until(workers: FollowedWorkers, changed: asyncio.Event, count: int) -> list[Announcement]:
    """Waits until so many workers are there."""
    async with asyncio.timeout(WITHIN_S):
        while len(found := workers.present()) != count:
            changed.clear()
            await changed.wait()
    return found


def test_a_worker_comes_speaks_and_goes(broker: BrokerProcess, tmp_path: Path) -> None:
    make_topics(broker.address, 2)
    prepared_plan(SEGMENTS)

    async def follow() -> None:
        changed = asyncio.Event()
        async with FollowedWorkers(broker.address, changed.set) as workers:
            with Worker(broker.address, tmp_path / "worker.log", "--port", "0") as worker:
                (told,) = await until(workers, changed, 1)
                while [one.phase for one in told.partitions] != ["live", "live"]:
                    changed.clear()
                    await changed.wait()
                    (told,) = workers.present()
                assert workers.problem is None
                assert told.url is not None
                assert f"probes and metrics: {told.url}" in worker.says()
                assert (told.worker, told.events_per_s) == ("segstream", 0)
                worker.ask_to_stop()
                await until(workers, changed, 0)
                code = await asyncio.to_thread(worker.exit_code)
                assert code == 0, worker.says()

    asyncio.run(asyncio.wait_for(follow(), WITHIN_S))
    *lived, last = records_of(broker.address, WORKERS, partitions=1)
    for record in lived:
        judge("worker").validate(json.loads(record.value))
    assert {record.key for record in lived} == {last.key}
    assert last.value is None


def test_a_cluster_that_is_older_than_the_topic_gets_it(broker: BrokerProcess) -> None:
    async def announce() -> int:
        changed = asyncio.Event()
        told = Announcements(status(), Durations(), SystemTime(), None)
        async with FollowedWorkers(broker.address, changed.set) as workers, Announcer(broker.address, told):
            await until(workers, changed, 1)
        async with connected_admin(broker.address) as admin:
            return (await find_topics(admin, [WORKERS]))[WORKERS].partitions

    assert asyncio.run(announce()) == workers_topic().partitions == 1


def test_without_a_broker_the_worker_goes_on_and_says_so_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic can't be made, then not be written to: a warning each, however often it is tried."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setattr(announcing, "_MADE_WITHIN_S", 0.05)
    monkeypatch.setattr(announcing, "_MADE_AGAIN_AFTER_S", 0.01)
    tries = asyncio.Semaphore(0)

    class Counting(Announcer):
        async def _is_made(self) -> bool:
            made = await super()._is_made()
            tries.release()
            return made

    async def announce() -> None:
        async with Counting(address, Announcements(status(), Durations(), SystemTime(), None)):
            for _ in range(3):
                await asyncio.wait_for(tries.acquire(), WITHIN_S)

    with caplog.at_level(logging.WARNING, announcing.__name__):
        asyncio.run(announce())
    (said,) = [record.message for record in caplog.records if record.name == announcing.__name__]
    assert said.startswith(f"topic {WORKERS} can't be made, so nobody learns of this worker")
