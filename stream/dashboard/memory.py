"""Redis as the dashboard reads it: quick to say that it is away, and no more than is shown."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from importlib import resources
from typing import Any, cast

import msgspec
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from stream.dashboard.refusals import RefusedError
from stream.instants import format_instant
from stream.sinks.redis.keys import DEFAULT_PREFIX, HOUR_MS, MINUTE_MS
from stream.sinks.redis.reading import Client, Flow, RedisReader

#: Who waits for a page longer than that goes away.
_ANSWERED_WITHIN_S = 3.0
#: Customers are looked up over so many connections; what waits for one costs the server nothing.
_LOOKUPS_AT_ONCE = 64
_UNITS_AT_ONCE = 60
_FLOWS = resources.files(__package__).joinpath("flows.lua").read_text(encoding="utf-8")

_HOLDOUT = "|h"
_encode = msgspec.json.Encoder().encode


def connect(url: str) -> Client:
    """A client that tries once more where a connection has broken, and then says so."""
    return redis.asyncio.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=_ANSWERED_WITHIN_S,
        socket_connect_timeout=_ANSWERED_WITHIN_S,
        retry=Retry(NoBackoff(), 1),
    )


@contextlib.contextmanager
def refusing(shown: str) -> Iterator[None]:
    """Turns what Redis' client raises into a refusal; ``shown`` is the server's address as people may see it."""
    try:
        yield
    except ResponseError as error:
        reason = f"Redis at {shown} answers with an error: {error}"
        raise RefusedError(503, "redis_error", reason, retry_after_s=5) from error
    except (RedisError, OSError, TimeoutError) as error:
        reason = f"Redis at {shown} does not answer: {error}".rstrip(": ")
        raise RefusedError(503, "redis_unreachable", reason, retry_after_s=2) from error


class Memory:
    """What the sink has written, read for the dashboard. ``reader`` raises Redis' own errors; see `refusing`."""

    def __init__(self, client: Client, shown: str, prefix: str = DEFAULT_PREFIX) -> None:
        self.reader = RedisReader(client, prefix)
        self._client = client
        self._customer_prefix = self.reader.keys.customer("")
        self._shown = shown
        self._lookups = asyncio.Semaphore(_LOOKUPS_AT_ONCE)
        self._flows = client.register_script(_FLOWS)

    def refusing(self) -> contextlib.AbstractContextManager[None]:
        return refusing(self._shown)

    async def lookup(self, customer: str, *, with_holdout: bool) -> bytes:
        """A customer's segments as JSON, by one question to Redis. Raises ``RefusedError`` for one who is not known."""
        with self.refusing():
            async with self._lookups:
                found: dict[str, str] = await cast("Any", self._client.hgetall(self._customer_prefix + customer))
        if not found or "erased" in found:
            raise RefusedError(404, "unknown_customer", "nothing is known of such a customer")
        segments = {}
        for name, text in sorted(found.items()):
            if name[0] != "@":
                continue
            holdout = text.endswith(_HOLDOUT)
            if with_holdout or not holdout:
                since_ms = int(text.removesuffix(_HOLDOUT))
                segments[name[1:]] = {"since": format_instant(since_ms), "holdout": holdout}
        return _encode({"customer_id": customer, "sequence": int(found["sequence"]), "segments": segments})

    async def flows(self, segment: str, unit_ms: int, first: int, last: int) -> list[Flow]:
        """What flowed in the minutes or hours from number ``first`` to ``last``. Raises ``RefusedError``."""
        keys = self.reader.keys
        key = {MINUTE_MS: keys.minutes, HOUR_MS: keys.hours}[unit_ms](segment)
        flows: list[Flow] = []
        # In pieces: while a script runs nobody else is answered.
        for begin in range(first, last + 1, _UNITS_AT_ONCE):
            end = min(last, begin + _UNITS_AT_ONCE - 1)
            with self.refusing():
                text = str(await self._flows(keys=[key], args=[begin, end]))
            for field in text.split():
                number, cause, direction, count = field.split(":")
                flows.append(Flow(int(number) * unit_ms, cause, direction, int(count)))
        return flows

    async def server(self) -> dict[str, Any]:
        """Of Redis itself: its version, and the memory it takes in bytes."""
        with self.refusing():
            memory = await self._client.info("memory")
            server = await self._client.info("server")
        return {"used_memory": int(memory["used_memory"]), "version": str(server["redis_version"])}

    async def problem(self) -> str | None:
        """For a probe: what is wrong with Redis."""
        try:
            with self.refusing():
                await cast("Any", self._client.ping())
        except RefusedError as refusal:
            return str(refusal)
        return None
