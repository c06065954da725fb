"""Sinks as processes of their own."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import redis

from stream.brokers.redis_server import RedisServer
from stream.kafka.topics import SEGMENT_CHANGES
from stream.live.reader import LogReader
from tests.cli.commands import COMMAND, environment
from tests.live.workers import ENDED_WITHIN_S, PARTITIONS, Worker
from tests.sinks.servers import client_of


class Sink(Worker):
    """``segstream sink redis`` in a process."""

    def __init__(self, address: str, server: RedisServer, log: Path, *options: str) -> None:
        self.log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [*COMMAND, "sink", "redis", "--broker", address, "--redis", server.url, *options],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=environment(),
            )


def offsets_in(server: RedisServer) -> dict[int, int]:
    """How far Redis says that it has come; empty while it can't be asked, or is being filled."""
    try:
        with client_of(server) as client:
            held = client.hgetall("segstream:offsets")
    except redis.RedisError:
        return {}
    return {int(partition): int(offset) for partition, offset in held.items()}


def ends_of_changes(address: str, partitions: int = PARTITIONS) -> dict[int, int]:
    async def find() -> dict[int, int]:
        reader = LogReader(address)
        await reader.start()
        try:
            return {number: await reader.end(SEGMENT_CHANGES, number) for number in range(partitions)}
        finally:
            await reader.stop()

    return asyncio.run(find())


def until_lag_0(address: str, server: RedisServer, sink: Sink, partitions: int = PARTITIONS) -> None:
    """Waits until all that lies in the topic has been applied."""
    ends = ends_of_changes(address, partitions)
    deadline = time.monotonic() + ENDED_WITHIN_S
    while offsets_in(server) != ends:
        assert sink.is_running(), sink.says()
        assert time.monotonic() < deadline, f"{offsets_in(server)}, to come to {ends}:\n{sink.says()}"
        time.sleep(0.05)
