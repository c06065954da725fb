"""The script that writes everything, as it is called. What it does stands in apply.lua, beside this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, cast

import msgspec
import redis.asyncio
from redis.exceptions import NoScriptError

from stream.sinks.records import Change, Memberships, to_ms
from stream.sinks.redis.keys import Keys

#: A customer, the number of the last change (-1: a tombstone), and segments with since when and whether held out.
FilledCustomer = tuple[str, int, Sequence[tuple[str, int, bool]]]

_SOURCE = resources.files(__package__).joinpath("apply.lua").read_bytes()
_CODES = {"entered": 1, "exited": 2, "erased": 3}
_TOMBSTONE = -1
_encode = msgspec.msgpack.Encoder().encode
_raw_decode = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_encode = msgspec.json.Encoder()


class RefusedError(Exception):
    """The script did nothing: Redis holds other offsets, or is being filled."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """What a batch takes from one partition: from the offset ``start`` to before ``stop``."""

    partition: int
    start: int
    stop: int


@dataclass(frozen=True)
class Applied:
    """What became of a batch. ``unknown``: changes that were not a customer's first, of one who was not known."""

    entered: int
    exited: int
    erased: int
    duplicates: int
    gaps: int
    unknown: int


class Script:
    """Calls the script in one Redis, under one prefix. All raise ``redis.RedisError``, and nothing is half done then.

    Where the connection was lost it may have been done, or not: what ``offsets`` says tells which.
    """

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._sha: str | None = None

    async def apply(self, request: bytes) -> Applied:
        """Applies a batch that `batch_request` made. Raises ``RefusedError``."""
        answer = await self._call(b"apply", request)
        return Applied(*answer[1:])

    async def begin(self, token: str, topic: str) -> None:
        """From here on nothing is applied until this filling has ended. Raises ``RefusedError`` while another fills."""
        await self._call(b"begin", _encode({"token": token, "topic": topic}))

    async def clear(self, token: str, keys: Sequence[str]) -> None:
        """Deletes what lay there before. Raises ``RefusedError``, as all steps, when another filling has begun."""
        await self._call(b"clear", _encode({"token": token, "keys": keys}))

    async def fill(self, token: str, customers: Sequence[FilledCustomer]) -> None:
        """Writes customers' memberships; the latest of a customer is what holds."""
        await self._call(b"fill", _encode({"token": token, "customers": customers}))

    async def finish(self, token: str, offsets: Mapping[int, int], *, is_empty: bool) -> None:
        """Everything is filled; changes are to be applied from these offsets on."""
        request = {"token": token, "places": list(offsets.items()), "is_empty": is_empty}
        await self._call(b"finish", _encode(request))

    async def _call(self, action: bytes, request: bytes) -> list[Any]:
        if self._sha is None:
            self._sha = await self._load()
        try:
            answer = await self._run(self._sha, action, request)
        except NoScriptError:  # another server, or the same one anew
            self._sha = await self._load()
            answer = await self._run(self._sha, action, request)
        if answer[0] == b"refused":
            raise RefusedError
        return answer

    async def _load(self) -> str:
        loaded: Any = await cast("Any", self._client.script_load(_SOURCE.decode()))
        return loaded.decode() if isinstance(loaded, bytes) else str(loaded)

    async def _run(self, sha: str, action: bytes, request: bytes) -> list[Any]:
        arguments: tuple[Any, ...] = (self._keys.prefix.encode(), action, request)
        answer: Any = await cast("Any", self._client.evalsha(sha, 0, *arguments))
        return list(answer)


def batch_request(
    topic: str,
    places: Sequence[Place],
    changes: Sequence[tuple[Change, bytes]],
    *,
    keep_evidence: bool,
    feed: bool = True,
) -> bytes:
    """The request for a batch: changes with their JSON, from these places of ``topic``.

    ``feed``: whether they may be among the latest.
    """
    return _encode(
        {
            "topic": topic,
            "places": places,
            "keep_changes": keep_evidence,
            "feed": feed,
            "definitions": changes[-1][0].definitions if changes else "",
            "changes": [
                (
                    change.customer_id,
                    change.sequence,
                    _CODES[change.change],
                    change.segment or "",
                    to_ms(change.at),
                    change.cause,
                    change.holdout,
                    # As text: the oldest servers know no bytes in MessagePack.
                    (value if keep_evidence else without_evidence(value)).decode(),
                )
                for change, value in changes
            ],
        }
    )


def filled_customer(customer_id: str, memberships: Memberships | None) -> FilledCustomer:
    """A customer as `Script.fill` takes it; None: a tombstone's."""
    if memberships is None:
        return customer_id, _TOMBSTONE, ()
    found = [(name, to_ms(one.since), one.holdout) for name, one in memberships.segments.items()]
    return customer_id, memberships.sequence, found


def without_evidence(value: bytes) -> bytes:
    """A change's JSON with nothing in its evidence.

    >>> without_evidence(b'{"id":"c1:1","values":{"count(click)":3}}')
    b'{"id":"c1:1","values":{}}'
    """
    parts = _raw_decode.decode(value)
    parts["values"] = msgspec.Raw(b"{}")
    return _raw_encode.encode(parts)
