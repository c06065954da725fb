"""The Redis server: how it is reached, and what it must be like."""

from __future__ import annotations

import re
from typing import Any, cast

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,  # noqa: A004 (Redis' own)
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004
)

from stream.errors import RedisSettingError

#: Without an answer for so long the connection is given up.
ANSWERED_WITHIN_S = 10.0
OLDEST = (6, 2)
_KEEPING_POLICY = "noeviction"
#: What a server answers by when it can't write just now, and may again.
_PASSING = re.compile(r"\b(?:READONLY|MISCONF|OOM|MASTERDOWN|NOREPLICAS|LOADING|BUSY|UNKILLABLE)\b")


def make_client(url: str, name: str | None = None) -> redis.asyncio.Redis:
    """A client whose answers are bytes, and which tries nothing twice: who calls knows better what to do.

    ``name`` is what CLIENT LIST shows.
    """
    return redis.asyncio.Redis.from_url(
        url,
        socket_timeout=ANSWERED_WITHIN_S,
        socket_connect_timeout=ANSWERED_WITHIN_S,
        client_name=name,
        retry=Retry(NoBackoff(), 0),
    )


async def check_server(client: redis.asyncio.Redis, name: str) -> str:
    """The server's version. Raises ``RedisSettingError`` where it can't be used; ``name`` is what people call it."""
    try:
        info: Any = await cast("Any", client.info())
    except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise RedisSettingError(f"Redis at {name} does not let us in ({error}): name a user and password") from error
    version = str(info["redis_version"])
    wrong = problem(version, str(info.get("maxmemory_policy", _KEEPING_POLICY)), bool(info.get("cluster_enabled", 0)))
    if wrong:
        raise RedisSettingError(f"Redis at {name} {wrong}")
    return version


def problem(version: str, policy: str, is_cluster: bool) -> str | None:
    """What keeps a server from being used, with what to do; None: nothing.

    >>> problem("6.0.16", "noeviction", False)
    'is version 6.0.16: version 6.2 or later is needed'
    """
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        return f"is version {version}: version 6.2 or later is needed"
    if is_cluster:
        return "is a cluster (cluster-enabled yes): a script writes all keys at once, so it has to be one node"
    if policy != _KEEPING_POLICY:
        return (
            f"has maxmemory-policy {policy}, and would throw away memberships when its memory is full: "
            f"CONFIG SET maxmemory-policy {_KEEPING_POLICY}, and in its configuration file too"
        )
    return None


def is_passing(error: RedisError) -> bool:
    """Whether it may work again without anybody changing a program: it can't be reached, or can't write just now."""
    if isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError):
        return False
    if isinstance(error, ReadOnlyError | OutOfMemoryError | MasterDownError):
        return True
    if isinstance(error, ResponseError):
        return _PASSING.search(str(error)) is not None
    return isinstance(error, ConnectionError | TimeoutError)


def shown(url: str) -> str:
    """An address for people, without its password.

    >>> shown("redis://shop:secret@10.0.0.7:6379/0")
    'redis://shop:***@10.0.0.7:6379/0'
    """
    return re.sub(r"(?<=//)([^/@]*):[^/@]*@", r"\1:***@", url)
