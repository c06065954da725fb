"""The sink as a process: what it refuses, what it waits for, and what it goes on from."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from stream.brokers import process
from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.process import BrokerProcess, free_ports
from stream.brokers.redis_server import RedisServer, find_program, packaged_program
from stream.errors import BrokerStartError, RedisUnreachableError
from stream.instants import format_instant
from stream.kafka.topics import MEMBERSHIPS, SEGMENT_CHANGES
from stream.sinks.redis.server import problem, shown
from stream.sinks.redis.sink import Options, run
from tests.cli.commands import run as run_command
from tests.cli.commands import usage_error
from tests.kafka.kafka_records import make_topics, put
from tests.sinks.model import Model, found
from tests.sinks.servers import any_server, client_of
from tests.sinks.sinks import Sink, offsets_in, until_lag_0
from tests.sinks.test_script import START_MS, line

PARTITIONS = 2


@pytest.fixture(scope="module")
def module_server() -> Iterator[RedisServer]:
    with any_server() as server:
        yield server


@pytest.fixture
def server(module_server: RedisServer) -> RedisServer:
    if not module_server.is_running():
        module_server.start()
    with client_of(module_server) as client:
        client.flushall()
        client.config_set("maxmemory-policy", "noeviction")
    return module_server


@pytest.fixture
def kafka() -> Iterator[BrokerProcess]:
    """A broker with two partitions of everything."""
    with EmbeddedBroker() as broker:
        make_topics(broker.address, PARTITIONS)
        yield broker


def send(broker: BrokerProcess, lines: Sequence[bytes], partition: int = 0) -> None:
    records = [(json.loads(one)["customer_id"].encode(), one) for one in lines]
    put(broker.address, SEGMENT_CHANGES, [(partition, records)])


def some(customer: str, first: int, count: int) -> list[bytes]:
    """Changes of one customer, in and out of a segment, a minute apart."""
    return [
        line(customer, n, "entered" if n % 2 else "exited", "buyers", START_MS + n * 60_000)
        for n in range(first, first + count)
    ]


def sink_once(broker: BrokerProcess, server: RedisServer, *options: str) -> Any:
    """Applies what there is, and ends."""
    return run_command("sink", "redis", "--broker", broker.address, "--redis", server.url, "--exit-when-done", *options)


def assert_holds(server: RedisServer, *lines: bytes) -> None:
    """Memberships, flows and lists are what these changes come to."""
    model = Model()
    for one in lines:
        model.apply(one)
    with client_of(server) as client:
        there = found(client)
    for name, value in model.expected().items():
        if name not in ("feed", "history_from_ms"):
            assert there[name] == value, name


def asked(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(condition: Callable[[], bool], sink: Sink) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert sink.is_running(), sink.says()
        assert time.monotonic() < deadline, sink.says()
        time.sleep(0.05)


# --- going on ---------------------------------------------------------------------------------------------------------


def test_it_goes_on_where_it_ended(kafka: BrokerProcess, server: RedisServer) -> None:
    a, b = some("a", 1, 5), some("b", 1, 4)
    send(kafka, a[:3])
    send(kafka, b[:2], partition=1)
    result = sink_once(kafka, server)
    assert result.returncode == 0, result.stderr
    assert_holds(server, *a[:3], *b[:2])
    send(kafka, a[1:])  # repeats among them
    send(kafka, b[2:], partition=1)
    assert sink_once(kafka, server).returncode == 0
    assert_holds(server, *a, *b)
    assert offsets_in(server) == {0: 7, 1: 4}


def test_what_is_no_change_is_passed_over(kafka: BrokerProcess, server: RedisServer) -> None:
    a = some("a", 1, 3)
    bad = [b"", b"{", b'{"customer_id":"a"}', line("a", 3, "entered", None, 1), line("a", 3, "entered", "A:b", 1)]
    put(kafka.address, SEGMENT_CHANGES, [(0, [(b"a", one) for one in [a[0], *bad, *a[1:]]] + [(b"a", None)])])
    result = sink_once(kafka, server)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count(b"passed over, it is no change") == len(bad) + 1
    assert_holds(server, *a)


def test_gaps_are_told_of(kafka: BrokerProcess, server: RedisServer, tmp_path: Path) -> None:
    a = [*some("a", 1, 2), *some("a", 5, 2)]
    send(kafka, a)
    with Sink(kafka.address, server, tmp_path / "sink.log", "--port", "0") as sink:
        until_lag_0(kafka.address, server, sink, PARTITIONS)
        url = address(sink)
        wait_for(lambda: "segstream_sink_gaps_total 1.0" in asked(f"{url}/metrics")[1], sink)
        assert "changes never came" in sink.says()
    assert_holds(server, *a)


def address(sink: Sink) -> str:
    sink.has_said("probes and metrics: ")
    return sink.says().partition("probes and metrics: ")[2].split()[0]


def test_an_empty_redis_is_filled_from_memberships(kafka: BrokerProcess, server: RedisServer) -> None:
    def record(customer: str, sequence: int, **since_ms: int) -> tuple[bytes, bytes]:
        segments = {name: {"since": format_instant(ms), "holdout": name == "new"} for name, ms in since_ms.items()}
        value = {"customer_id": customer, "sequence": sequence, "segments": segments}
        return customer.encode(), json.dumps(value).encode()

    # Of `late` the change lies in its topic already, and the memberships after it do not.
    send(kafka, [*some("a", 1, 3), *some("late", 1, 1)])
    memberships = [record("a", 1, buyers=1), record("gone", 2, new=5), record("a", 3, buyers=7, new=9)]
    put(kafka.address, MEMBERSHIPS, [(0, [*memberships, (b"gone", None), (b"\xff", b"{}"), (b"x", b"[]")])])
    put(kafka.address, MEMBERSHIPS, [(1, [record("b", 4, buyers=11)])])
    with client_of(server) as client:
        client.set("segstream:mine", "kept")
        client.sadd("segstream:segment:buyers:members", "left by an interrupted filling")
    result = sink_once(kafka, server)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count(b"memberships, partition 0") == 2
    with client_of(server) as client:
        assert client.get("segstream:mine") == "kept"
        client.delete("segstream:mine")
        there = found(client)
    late = {"buyers": (START_MS + 60_000, False)}
    assert there["customers"] == {
        "a": {"buyers": (7, False), "new": (9, True)},
        "b": {"buyers": (11, False)},
        "late": late,
    }
    assert there["sequences"] == {"a": 3, "b": 4, "late": 1}
    assert there["members"] == {"buyers": {"a", "b", "late"}, "new": {"a"}}
    assert there["gaps"] == (0, 0, None)
    assert there["offsets"] == {0: 4, 1: 0}


def test_a_redis_that_is_emptied_restored_or_away_is_noticed(
    kafka: BrokerProcess, server: RedisServer, tmp_path: Path
) -> None:
    a = some("a", 1, 4)
    send(kafka, a[:1])
    with Sink(kafka.address, server, tmp_path / "sink.log", "--port", "0") as sink:
        until_lag_0(kafka.address, server, sink, PARTITIONS)
        url = address(sink)
        assert asked(f"{url}/readyz")[0] == 200
        with client_of(server) as client:
            client.flushall()  # and nothing new comes
        until_lag_0(kafka.address, server, sink, PARTITIONS)
        assert_holds(server, a[0])
        with client_of(server) as client:
            client.save()
        send(kafka, a[1:2])
        until_lag_0(kafka.address, server, sink, PARTITIONS)
        server.kill()
        wait_for(lambda: asked(f"{url}/readyz")[0] == 503, sink)
        assert "segstream_sink_redis_up 0.0" in asked(f"{url}/metrics")[1]
        assert asked(f"{url}/livez")[0] == 200
        send(kafka, a[2:3])
        server.start()  # as it was saved
        until_lag_0(kafka.address, server, sink, PARTITIONS)
        assert_holds(server, *a[:3])
        wait_for(lambda: asked(f"{url}/readyz")[0] == 200, sink)
        sink.ask_to_stop()
        assert sink.exit_code() == 0, sink.says()
        assert "Redis holds other offsets than before" in sink.says()
    (server.directory / "dump.rdb").unlink()


def test_two_sinks_do_no_harm(kafka: BrokerProcess, server: RedisServer, tmp_path: Path) -> None:
    lines: list[bytes] = []
    with (
        Sink(kafka.address, server, tmp_path / "one.log") as one,
        Sink(kafka.address, server, tmp_path / "two.log") as two,
    ):
        for number in range(6):
            more = [change for n in range(50) for change in some(f"c{number}-{n}", 1, 3)]
            send(kafka, more, partition=number % 2)
            lines += more
            until_lag_0(kafka.address, server, one, PARTITIONS)
        assert two.is_running()
    assert_holds(server, *lines)


def test_a_sink_that_is_stopped_ends_in_order(kafka: BrokerProcess, server: RedisServer, tmp_path: Path) -> None:
    with Sink(kafka.address, server, tmp_path / "sink.log") as sink:
        sink.has_said("going on from")
        sink.ask_to_stop()
        assert sink.exit_code(within_s=20) == 0, sink.says()
    server.stop()
    with Sink(kafka.address, server, tmp_path / "waiting.log") as sink:
        sink.has_said("can't be used")
        sink.ask_to_stop()
        assert sink.exit_code(within_s=20) == 0, sink.says()


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_redis_that_would_throw_keys_away_is_refused(kafka: BrokerProcess, server: RedisServer) -> None:
    with client_of(server) as client:
        client.config_set("maxmemory-policy", "volatile-ttl")
    result = sink_once(kafka, server)
    assert result.returncode == 64
    assert b"has maxmemory-policy volatile-ttl" in result.stderr
    assert b"CONFIG SET maxmemory-policy noeviction" in result.stderr


def _ports_of_a_cluster(count: int) -> tuple[int, ...]:
    """A cluster talks at a port 10,000 above its own too, so its own can't be any that is free."""
    while max(ports := free_ports(count)) > 55_535:
        pass
    return ports


def test_a_cluster_is_refused(kafka: BrokerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "free_ports", _ports_of_a_cluster)
    with any_server("--cluster-enabled", "yes") as server:
        result = sink_once(kafka, server)
    assert result.returncode == 64
    assert b"is a cluster" in result.stderr


def test_a_wrong_password_is_told_of(kafka: BrokerProcess, server: RedisServer) -> None:
    with client_of(server) as client:
        client.acl_setuser("shop", enabled=True, passwords=["+right"])
    url = server.url.replace("redis://", "redis://shop:wrong@")
    result = run_command("sink", "redis", "--broker", kafka.address, "--redis", url)
    assert result.returncode == 64
    assert b"does not let us in" in result.stderr
    assert b"wrong@" not in result.stderr


def test_old_versions_are_refused() -> None:
    for version in ("2.8.1", "5.0.14", "6.0.16", "6.1.240"):
        assert "6.2 or later" in (problem(version, "noeviction", is_cluster=False) or "")
    for version in ("6.2.0", "7.0.15", "8.2.3", "255.255.255"):
        assert problem(version, "noeviction", is_cluster=False) is None
    assert shown("redis://127.0.0.1:6379") == "redis://127.0.0.1:6379"


def test_a_redis_that_is_not_there_is_waited_for_and_then_told_of(kafka: BrokerProcess) -> None:
    (port,) = free_ports(1)
    options = Options(kafka.address, f"redis://127.0.0.1:{port}/0", wait_s=0.5)
    began = time.monotonic()
    with pytest.raises(RedisUnreachableError, match=r"waited 0\.5 s\): is it running\? --redis names another"):
        asyncio.run(run(options))
    assert time.monotonic() - began >= 0.5


def test_topics_that_were_made_anew_are_told_of(server: RedisServer) -> None:
    with EmbeddedBroker() as broker:
        make_topics(broker.address, PARTITIONS)
        send(broker, some("a", 1, 4))
        assert sink_once(broker, server).returncode == 0
        broker.kill()  # it has forgotten all
        broker.start()
        make_topics(broker.address, PARTITIONS)
        result = sink_once(broker, server)
        assert result.returncode == 64
        assert b"was truncated or made anew" in result.stderr
        send(broker, some("b", 1, 1))
        result = sink_once(broker, server, "--refill")
        assert result.returncode == 0, result.stderr
        assert_holds(server, *some("b", 1, 1))
    with EmbeddedBroker() as other:
        make_topics(other.address, PARTITIONS)
        result = sink_once(other, server)
        assert result.returncode == 64
        assert b"`--refill` empties what is under the prefix" in result.stderr


def test_wrong_options_are_told_of() -> None:
    assert "expected an address such as redis://" in usage_error("sink", "redis", "--redis", "127.0.0.1:6379")
    assert "no beginning of a key's name" in usage_error("sink", "redis", "--redis-prefix", "a\nb")


def test_a_server_is_found_on_path_or_in_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program() == packaged_program()
    monkeypatch.setattr("stream.brokers.redis_server.packaged_program", lambda: None)
    with pytest.raises(BrokerStartError, match="no redis-server on PATH"):
        find_program()
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_program() == program
