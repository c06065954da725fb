"""What the commands share that speak to Redis: their options."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from stream.sinks.redis.keys import DEFAULT_PREFIX

DEFAULT_REDIS = "redis://127.0.0.1:6379/0"


class RedisUrl(click.ParamType):
    """The address of a Redis: ``redis://``, ``rediss://`` (encrypted) or ``unix://``."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from redis.asyncio.connection import parse_url

        is_url = False
        with contextlib.suppress(ValueError):
            parse_url(value)
            is_url = True
        if not is_url:
            self.fail(f"expected an address such as {DEFAULT_REDIS}, rediss://USER:PASSWORD@HOST:PORT/DB", param, ctx)
        return str(value)


class RedisPrefix(click.ParamType):
    """What the names of all keys begin with."""

    name = "prefix"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not isinstance(value, str) or not value or not value.isprintable():
            self.fail(f"{value!r} is no beginning of a key's name such as {DEFAULT_PREFIX}", param, ctx)
        return value


redis_option = click.option(
    "--redis",
    "redis_url",
    type=RedisUrl(),
    default=DEFAULT_REDIS,
    show_default=True,
    envvar="SEGSTREAM_REDIS",
    show_envvar=True,
    help="Where Redis listens.",
)
redis_prefix_option = click.option(
    "--redis-prefix",
    type=RedisPrefix(),
    default=DEFAULT_PREFIX,
    show_default=True,
    envvar="SEGSTREAM_REDIS_PREFIX",
    show_envvar=True,
    help="What the names of all keys in Redis begin with.",
)
