"""``segstream worker``: what it refuses to start with, and how it ends."""

from __future__ import annotations

import asyncio
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.brokers.process import BrokerProcess
from stream.kafka.connection import connected_admin
from stream.kafka.topics import all_topics, persona_topics
from stream.simulate import Simulation
from tests.cli.commands import usage_error
from tests.kafka.kafka_records import make_topics
from tests.live.workers import PARTITIONS, SEGMENTS, Worker, last_ms, send


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(Simulation(events=500, customers=30, days=10, seed=1).chunks()))
    return path


def refused(address: str, folder: Path, *options: str, definitions: Path = SEGMENTS) -> str:
    """What it says when it ends with 64."""
    log = folder / "refused.log"
    log.unlink(missing_ok=True)
    with Worker(address, log, *options, definitions=definitions) as worker:
        assert worker.exit_code() == 64, worker.says()
        return worker.says()


def test_topics_that_are_not_there(broker: BrokerProcess, tmp_path: Path) -> None:
    assert "topic clicks is missing: `segstream topics create` makes it" in refused(broker.address, tmp_path)


def test_other_topics_are_made(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    make_topics(broker.address, 3, all_topics()[:3])
    with Worker(broker.address, tmp_path / "worker.log") as worker:
        worker.has_said("partitions: 0, 1, 2")
        worker.ask_to_stop()
        assert worker.exit_code() == 0, worker.says()

    async def names() -> set[str]:
        async with connected_admin(broker.address) as admin:
            return set(await admin.list_topics())

    of_personas = {topic.name for topic in persona_topics()}  # its definitions have none
    found = asyncio.run(names())
    assert {topic.name for topic in all_topics()} - of_personas <= found
    assert not of_personas & found


def test_unequal_partition_counts(broker: BrokerProcess, tmp_path: Path) -> None:
    topics = all_topics()
    make_topics(broker.address, 2, topics[:2])
    make_topics(broker.address, 3, topics[2:])
    said = refused(broker.address, tmp_path)
    assert "topic emails has 3 partitions, but clicks has 2" in said


def test_definitions_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("segments: 7\n")
    assert f"{path}:1:" in refused("127.0.0.1:1", tmp_path, definitions=path)


def test_a_clock_far_ahead(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    send(broker.address, events)
    ahead = str(time.time_ns() // 1_000_000 + 2 * 3_600_000)
    said = refused(broker.address, tmp_path, "--clock", ahead, "--exit-when-done")
    assert "is more than an hour after the newest record" in said
    assert "--force" in said
    with Worker(broker.address, tmp_path / "forced.log", "--clock", ahead, "--exit-when-done", "--force") as worker:
        assert worker.exit_code() == 0, worker.says()


def test_definitions_that_were_left(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    send(broker.address, events)
    later = tmp_path / "later.yaml"
    later.write_text("version: 1\nsegments:\n  clickers:\n    enter: count(click) >= 3\n")
    options = ("--clock", str(last_ms(events)), "--exit-when-done")
    for definitions in (SEGMENTS, later):
        with Worker(broker.address, tmp_path / "worker.log", *options, definitions=definitions) as worker:
            assert worker.exit_code() == 0, worker.says()
    said = refused(broker.address, tmp_path, *options)
    assert "--force-definitions" in said
    with Worker(broker.address, tmp_path / "forced.log", *options, "--force-definitions") as worker:
        assert worker.exit_code() == 0, worker.says()


def test_until_done_needs_an_instant() -> None:
    said = usage_error("worker", SEGMENTS, "--exit-when-done")
    assert "--exit-when-done needs --clock TIME" in said


def test_no_broker(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    with Worker(address, tmp_path / "worker.log") as worker:
        assert worker.exit_code() == 69
        assert f"no broker answers at {address}" in worker.says()


def test_a_broker_that_goes_away(own_broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    send(own_broker.address, events)
    with Worker(own_broker.address, tmp_path / "worker.log") as worker:
        worker.has_said("partitions: 0")
        own_broker.kill()
        assert worker.exit_code() == 69, worker.says()
        assert "has not answered for" in worker.says() or "has acknowledged nothing" in worker.says()


def test_a_source_topic_that_was_made_anew(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    send(broker.address, events)
    options = ("--clock", str(last_ms(events)), "--exit-when-done")
    with Worker(broker.address, tmp_path / "worker.log", *options) as worker:
        assert worker.exit_code() == 0, worker.says()

    async def delete() -> None:
        async with connected_admin(broker.address) as admin:
            await admin.delete_topics(["clicks"])
            while "clicks" in await admin.list_topics():
                pass

    asyncio.run(delete())
    make_topics(broker.address, PARTITIONS)
    said = refused(broker.address, tmp_path, "--clock", str(last_ms(events)), "--exit-when-done", "--force")
    assert "it was truncated or made anew; `segstream reset` starts anew with it" in said


def test_probes_and_metrics_are_served(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    send(broker.address, events)
    with Worker(broker.address, tmp_path / "worker.log", "--clock", str(last_ms(events)), "--port", "0") as worker:
        worker.has_said("probes and metrics: ")
        (url,) = re.findall(r"probes and metrics: (\S+)", worker.says())
        _wait_for(lambda: _get(url, "/readyz")[0] == 200)
        _wait_for(lambda: 'segstream_events_total{topic="clicks"}' in _get(url, "/metrics")[1])
        assert _get(url, "/livez") == (200, "ok\n")
        port = url.rpartition(":")[2].rstrip("/")
        assert f"port {port} at 127.0.0.1 is taken" in refused(broker.address, tmp_path, "--port", port)


def _get(url: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url.rstrip("/") + path, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def _wait_for(condition: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
