"""The Redis servers that these tests run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stream.brokers.redis_server import RedisServer
from tests.sinks.servers import PARAMETERS, redis_line, redis_server, server_of, shared_redis

__all__ = ["redis_server", "shared_redis"]  # fixtures


def pytest_report_header() -> str:
    return redis_line()


@pytest.fixture(scope="module", params=PARAMETERS)
def own_redis(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server that the tests of a module kill and start again."""
    with server_of(request.param) as server:
        yield server
