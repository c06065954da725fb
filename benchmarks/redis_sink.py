"""The Redis sink: changes a second into Redis, and what memberships take there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import redis

from benchmarks import brokers, traffic
from benchmarks.report import ROOT, head, show, spread
from benchmarks.setting import Setting
from benchmarks.workers import READY, environment
from stream.brokers.redis_server import RedisServer
from stream.engine.plan import compile_plan
from stream.kafka.partitioning import partition_of
from stream.kafka.sending import connected_sender
from stream.kafka.topics import SEGMENT_CHANGES, all_topics
from stream.language.checker import load
from stream.replay.run import Outlets, replay
from stream.sinks.records import parse_change
from stream.sinks.redis.keys import Keys
from stream.sinks.redis.script import FilledCustomer, Place, Script, batch_request
from stream.sinks.redis.server import make_client

_TOPIC = "measured"
_SLICE = 1_000
_LOOK_S = 0.02
_SINCE_MS = 1_735_787_045_000
_MILLION = 1_000_000


def redis_sink(setting: Setting) -> None:
    """Both parts."""
    sizes = setting.sizes
    command = (
        f"python -m benchmarks.live --only redis --redis-events {sizes.redis_events} "
        f"--redis-customers {sizes.redis_customers}"
    )
    head("The Redis sink", command)
    _throughput(setting)
    _memory(sizes.redis_customers)


# --- throughput -------------------------------------------------------------------------------------------------------


def _throughput(setting: Setting) -> None:
    """Changes that lie in their topic, through a sink in a process of its own, into an empty Redis."""
    lines = _changes(setting)
    walls: dict[bool, list[float]] = {True: [], False: []}
    servers: dict[bool, list[float]] = {True: [], False: []}
    sinks: dict[bool, list[float]] = {True: [], False: []}
    version = ""
    with brokers.fresh_broker(setting.broker) as address:
        brokers.make_topics(
            address, [topic for topic in all_topics() if topic.name in (SEGMENT_CHANGES, "memberships")]
        )
        with RedisServer() as server:
            _run_sink(address, server, setting.folder)  # it is filled from nothing: offsets 0
            empty = server.directory / "empty.rdb"
            with redis.Redis.from_url(server.url) as client:
                version = client.info("server")["redis_version"]
                client.save()
            (server.directory / "dump.rdb").rename(empty)
            asyncio.run(_put(address, lines))
            for _ in range(setting.rounds):
                for with_evidence in (True, False):
                    server.kill()
                    (server.directory / "dump.rdb").write_bytes(empty.read_bytes())
                    server.start()
                    options = () if with_evidence else ("--no-evidence",)
                    wall, cpu = _run_sink(address, server, setting.folder, *options, changes=len(lines))
                    with redis.Redis.from_url(server.url) as client:
                        info = client.info("cpu")
                    walls[with_evidence].append(len(lines) / wall)
                    sinks[with_evidence].append(len(lines) / cpu)
                    servers[with_evidence].append(len(lines) / (info["used_cpu_user"] + info["used_cpu_sys"]))
    show(f"changes, of the ready definitions; Redis {version}", f"{len(lines):,}")
    for with_evidence, name in ((True, "with evidence"), (False, "--no-evidence")):
        show(f"changes/s into Redis, {name}", spread(walls[with_evidence]))
        show(f"changes per CPU second of Redis, {name}", spread(servers[with_evidence]))
        show(f"changes per CPU second of the sink, {name}", spread(sinks[with_evidence]))


def _changes(setting: Setting) -> list[bytes]:
    sizes = setting.sizes
    events = traffic.simulated(setting.folder, sizes.redis_events, max(1, sizes.redis_events // 50))
    lines: list[bytes] = []
    outlets = Outlets(changes=lambda found: lines.extend(found.json_lines().splitlines()))
    replay(compile_plan(load(READY.read_bytes(), str(READY))), [str(events.path)], outlets)
    events.path.unlink()
    return lines


async def _put(address: str, lines: Sequence[bytes]) -> None:
    async with connected_sender(address) as sender:
        for line in lines:
            key = json.loads(line)["customer_id"].encode()
            await sender.send(SEGMENT_CHANGES, partition_of(key, brokers.PARTITIONS), [(key, line)])
        await sender.flush()


def _run_sink(address: str, server: RedisServer, folder: Path, *options: str, changes: int = 0) -> tuple[float, float]:
    """Seconds from the first change applied to the last, and the CPU seconds of the process, its start included."""
    command = [sys.executable, "-m", "stream", "sink", "redis", "--broker", address, "--redis", server.url]
    first = last = 0.0
    with (folder / "sink.log").open("ab") as log, redis.Redis.from_url(server.url) as client:
        process = subprocess.Popen(
            [*command, "--exit-when-done", *options], cwd=ROOT, env=environment(), stdout=log, stderr=log
        )
        while not first or not last:
            applied = sum(map(int, client.hvals("segstream:offsets")))
            first = first or (time.monotonic() if applied or not changes else 0.0)
            last = time.monotonic() if applied >= changes else 0.0
            time.sleep(_LOOK_S)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the sink has ended with {process.returncode}:\n{(folder / 'sink.log').read_text()}")
    return last - first, usage.ru_utime + usage.ru_stime


# --- memory -----------------------------------------------------------------------------------------------------------


def _memory(customers: int) -> None:
    """What Redis takes for so many customers with no, one and four memberships, and with ten changes each."""
    sizes = {f"{count}": asyncio.run(_filled(customers, count)) for count in (0, 1, 4)}
    with_changes = asyncio.run(_with_changes(customers))
    none, one, four = sizes["0"], sizes["1"], sizes["4"]
    per_membership = (four - one) / 3 / customers
    show(f"measured on {customers:,} customers; MB per million customers, in no segment", _mb(none / customers))
    show("MB per million memberships, the first of a customer", _mb((one - none) / customers))
    show("MB per million memberships, further ones", _mb(per_membership))
    show("MB more per million customers with ten changes of the usual size kept", _mb((with_changes - one) / customers))


def _mb(bytes_each: float) -> str:
    return f"{bytes_each * _MILLION / 1e6:,.0f}"


async def _filled(customers: int, memberships: int) -> int:
    """The bytes that Redis takes for customers with so many memberships each, above an empty one."""
    async with _script() as (client, script, before):
        await script.begin("t", _TOPIC)
        segments = [f"segment_{number}" for number in range(memberships)]
        for start in range(0, customers, _SLICE):
            some: list[FilledCustomer] = [
                (f"c{number:06}", 7, [(name, _SINCE_MS + number, False) for name in segments])
                for number in range(start, min(start + _SLICE, customers))
            ]
            await script.fill("t", some)
        await script.finish("t", {0: 0}, is_empty=False)
        return await _used(client) - before


async def _with_changes(customers: int) -> int:
    """The same for one membership each, and ten changes."""
    change = (
        b'{"id":"c%06d:%d","customer_id":"c%06d","segment":"segment_0","change":"%s","at":"2025-01-02T03:04:05.000Z",'
        b'"sequence":%d,"cause":"event","event_id":"0e8c1a5e-5a0a-4cdb-8f5e-%012d","values":{"last(click where action'
        b' == \\"add_to_cart\\")":"2025-01-02T02:34:05.000Z","last(purchase)":null,"last(click)":'
        b'"2025-01-02T03:04:05.000Z"},"holdout":false,"quiet":false,"definitions":"9771060ed6667186"}'
    )
    async with _script() as (client, script, before):
        await script.begin("t", _TOPIC)
        await script.finish("t", {0: 0}, is_empty=True)
        offset = 0
        for number in range(customers):
            if number % 50:
                continue
            values = [
                change % (one, n, one, b"exited" if n % 2 == 0 else b"entered", n, n)
                for one in range(number, min(number + 50, customers))
                for n in range(1, 12)
            ]
            place = Place(0, offset, offset + len(values))
            offset = place.stop
            batch = [(parse_change(value), value) for value in values]
            await script.apply(batch_request(_TOPIC, [place], batch, keep_evidence=True))
        await client.delete(Keys().feed)
        return await _used(client) - before


@contextlib.asynccontextmanager
async def _script() -> AsyncIterator[tuple[redis.asyncio.Redis, Script, int]]:
    """An empty Redis, the script in it, and what it takes."""
    server = RedisServer()
    await asyncio.to_thread(server.start)
    try:
        async with make_client(server.url) as client:
            yield client, Script(client, Keys()), await _used(client)
    finally:
        await asyncio.to_thread(server.close)


async def _used(client: redis.asyncio.Redis) -> int:
    return int((await client.info("memory"))["used_memory"])
