"""How long a website waits for a customer's segments: ``GET /v1/customers/ID/segments`` of a real dashboard.

Requests arrive as visitors do, at random instants that do not wait for answers (an open loop), and each is timed from
the instant at which it was due: a server that stands still for a moment makes all those late who came meanwhile. The
dashboard, Redis and whoever asks are a process each, on one machine. With ``--streams`` so many browsers look on
meanwhile, and changes come in, so that their counts move.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from random import Random
from urllib.parse import quote

import numpy as np

from benchmarks.report import ROOT
from stream.brokers.redis_server import RedisServer
from stream.instants import format_instant
from stream.sinks.records import parse_change
from stream.sinks.redis.keys import Keys
from stream.sinks.redis.script import Place, Script, batch_request
from stream.sinks.redis.server import make_client

_SEGMENTS = ("new_visitor", "returning_visitor", "cart_abandoner", "big_spender", "mobile_shopper", "shopper_abroad")
_DEFINITIONS = ROOT / "stream" / "segments.yaml"
_NOW_MS = 1_760_000_000_000
_SHARES = (50, 90, 99, 99.9, 100)
_CONNECTIONS_MAX = 400
_CHANGES_AT_ONCE = 20
_CHANGES_EVERY_S = 0.1
_LISTENS_AS = "the dashboard is at "


def _customer(number: int) -> str:
    return f"c{number:07}"


async def _fill(url: str, customers: int) -> None:
    """So many customers, each in all segments above."""
    async with make_client(url) as client:
        script = Script(client, Keys())
        await script.begin("bench", "bench")
        memberships = [(name, _NOW_MS - place, place == 2) for place, name in enumerate(_SEGMENTS)]
        for begin in range(0, customers, 500):
            numbers = range(begin, min(begin + 500, customers))
            await script.fill("bench", [(_customer(number), len(_SEGMENTS), memberships) for number in numbers])
        await script.finish("bench", {0: 0}, is_empty=False)


class _Connection(asyncio.Protocol):
    """One connection that is kept, with one request at a time: a client that costs as little as can be."""

    def __init__(self) -> None:
        self._received = b""
        self._answered: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """The status of the answer, once all of it has come."""
        assert self._transport is not None
        self._received = b""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or self._answered is None:
            return
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) >= int(length.partition(b":")[2]):
            self._answered.set_result(int(head.split(b" ", 2)[1]))
            self._answered = None

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error or ConnectionResetError("the dashboard has hung up"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Load:
    """Asks at random instants, ``rate`` times a second on average."""

    def __init__(self, port: int, customers: int, rate: float, seconds: float, seed: int) -> None:
        self._port = port
        self._customers = customers
        self._rate = rate
        self._seconds = seconds
        self._random = Random(seed)
        self._idle: list[_Connection] = []
        self._connections = 0
        self.waited_s: list[float] = []
        self.wrong: list[str] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due, end = loop.time() + 0.5, loop.time() + 0.5 + self._seconds
        tasks: set[asyncio.Task[None]] = set()
        while due < end:
            await asyncio.sleep(due - loop.time())
            task = asyncio.create_task(self._ask(due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            due += self._random.expovariate(self._rate)
        if tasks:
            await asyncio.wait(tasks, timeout=10)
        for one in self._idle:
            one.close()

    async def _ask(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        path = f"/v1/customers/{quote(_customer(self._random.randrange(self._customers)))}/segments"
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        connection = self._idle.pop() if self._idle else await self._connect()
        if connection is None:
            self.wrong.append("no connection is free")
            return
        try:
            status = await connection.ask(request)
        except ConnectionError as error:
            self.wrong.append(str(error))
            return
        self.waited_s.append(loop.time() - due)
        self._idle.append(connection)
        if status != 200:
            self.wrong.append(f"status {status}")

    async def _connect(self) -> _Connection | None:
        if self._connections >= _CONNECTIONS_MAX:
            return None
        self._connections += 1
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self._port)
        return connection


async def _look_on(port: int, told: list[int]) -> None:
    """One browser that looks on; counts the bytes it is sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    try:
        while data := await reader.read(65_536):
            told.append(len(data))
    finally:
        writer.close()


async def _change(url: str) -> None:
    """Customers who come and go, so that counts move."""
    async with make_client(url) as client:
        script, offset, random = Script(client, Keys()), 0, Random(1)
        sequences = dict.fromkeys(range(1_000), len(_SEGMENTS))
        while True:
            made = []
            for _ in range(_CHANGES_AT_ONCE):
                number = random.randrange(1_000)
                sequences[number] += 1
                change = {
                    "id": f"{_customer(number)}:{sequences[number]}",
                    "customer_id": _customer(number),
                    "segment": random.choice(_SEGMENTS),
                    "change": random.choice(["entered", "exited"]),
                    "at": format_instant(_NOW_MS + offset),
                    "sequence": sequences[number],
                    "cause": "timer",
                    "event_id": None,
                    "values": {"count(click)": 3},
                    "holdout": False,
                    "quiet": False,
                    "definitions": "0123456789abcdef",
                }
                made.append(json.dumps(change).encode())
            place = Place(0, offset, offset + len(made))
            batch = [(parse_change(one), one) for one in made]
            await script.apply(batch_request("bench", [place], batch, keep_evidence=True))
            offset += len(made)
            await asyncio.sleep(_CHANGES_EVERY_S)


@contextlib.contextmanager
def _dashboard(url: str) -> Iterator[tuple[int, int]]:
    """``segstream dashboard`` in a process: its port and its id. There is no broker."""
    options = ["--redis", url, "--port", "0", "--broker", "127.0.0.1:9"]
    command = [sys.executable, "-m", "stream", "dashboard", str(_DEFINITIONS), *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith(_LISTENS_AS):
                raise RuntimeError(f"the dashboard has not started: {line}")
            yield int(line.rpartition(":")[2].strip("/\n")), process.pid
        finally:
            process.terminate()


def _cpu_s(pid: int) -> float:
    """What a process has used of a core until now."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def _meanwhile(port: int, url: str, streams: int, told: list[int]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(_look_on(port, told)) for _ in range(streams)]
    if streams:
        tasks.append(asyncio.create_task(_change(url)))
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _measure(port: int, pid: int, url: str, arguments: argparse.Namespace) -> bool:
    load = _Load(port, arguments.customers, arguments.rate, arguments.seconds, arguments.seed)
    told: list[int] = []
    warm = _Load(port, arguments.customers, arguments.rate, 2, arguments.seed + 1)
    async with _meanwhile(port, url, arguments.streams, told):
        await warm.run()
        used, began = _cpu_s(pid), time.monotonic()
        await load.run()
        used, lasted = _cpu_s(pid) - used, time.monotonic() - began
    waited_ms = 1_000 * np.array(load.waited_s)
    print(
        f"{len(waited_ms):,} answers, {len(load.wrong)} failures, at {arguments.rate:g} a second with "
        f"{arguments.streams} streams; the dashboard used {used / lasted:.0%} of a core"
    )
    if told:
        print(f"the streams were sent {sum(told) / 1_000 / lasted:,.0f} kB a second")
    for share in _SHARES:
        print(f"  {share:>5g} %  {np.percentile(waited_ms, share):8.2f} ms")
    if load.wrong:
        print(f"  the first failure: {load.wrong[0]}")
    return not load.wrong


def _punctual_loop() -> asyncio.AbstractEventLoop:
    """With epoll, asyncio wakes up to a millisecond late, and who asks late would be counted as the server's time."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--streams", type=int, default=0, help="so many browsers look on")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with RedisServer() as server:
        asyncio.run(_fill(server.url, arguments.customers))
        with _dashboard(server.url) as (port, pid), asyncio.Runner(loop_factory=_punctual_loop) as runner:
            is_right = runner.run(_measure(port, pid, server.url, arguments))
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()
