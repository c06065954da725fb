"""Filling an empty Redis from the topic ``memberships``: faster than all changes that ever were, which may be gone."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping

import redis.asyncio

from stream.kafka.topics import MEMBERSHIPS, SEGMENT_CHANGES
from stream.live.reader import LogReader
from stream.sinks.records import parse_memberships
from stream.sinks.redis.keys import Keys
from stream.sinks.redis.script import FilledCustomer, Script, filled_customer
from stream.sinks.redis.status import SinkStatus
from stream.worker.interfaces import StoredRecord

_SLICE = 1_000
_SCANNED_AT_ONCE = 1_000
#: A change and the memberships after it are sent together, and may be acknowledged one after the other.
_APART_MS = 60_000
_FIRST_STEP_BACK = 1_000

_log = logging.getLogger(__name__)


class Filling:
    """Fills one Redis. ``partitions`` are how many the topics of changes and of memberships have."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        script: Script,
        keys: Keys,
        reader: LogReader,
        status: SinkStatus,
        partitions: Mapping[str, int],
    ) -> None:
        self._client = client
        self._script = script
        self._keys = keys
        self._reader = reader
        self._status = status
        self._partitions = partitions

    async def run(self, topic: str) -> None:
        """Removes what is there, and writes what holds now. Raises ``RefusedError`` when somebody else fills."""
        token = uuid.uuid4().hex
        await self._script.begin(token, topic)
        self._status.filling(0)
        await self._clear(token)
        offsets = {n: await self._resume_at(n) for n in range(self._partitions[SEGMENT_CHANGES])}
        customers = 0
        for partition in range(self._partitions[MEMBERSHIPS]):
            customers += await self._fill(token, partition)
        await self._script.finish(token, offsets, is_empty=not customers)
        self._status.filled()
        _log.info("filled from %s records of %s", f"{customers:,}", MEMBERSHIPS)

    async def _clear(self, token: str) -> None:
        found: list[str] = []
        async for key in self._client.scan_iter(match=_pattern(self._keys.prefix), count=_SCANNED_AT_ONCE):
            text = bytes(key).decode(errors="replace")
            if self._keys.is_ours(text) and text != self._keys.meta:
                found.append(text)
            if len(found) >= _SCANNED_AT_ONCE:
                await self._script.clear(token, found)
                found = []
        await self._script.clear(token, found)

    async def _fill(self, token: str, partition: int) -> int:
        end = await self._reader.end(MEMBERSHIPS, partition)
        start = await self._reader.start_of(MEMBERSHIPS, partition)
        count = 0
        latest: dict[str, FilledCustomer] = {}
        async for records in self._reader.read(MEMBERSHIPS, partition, start, end):
            for record in records:
                customer = _parse(record, partition)
                if customer is not None:
                    latest[customer[0]] = customer
                    count += 1
                if len(latest) >= _SLICE:
                    await self._script.fill(token, list(latest.values()))
                    latest.clear()
            self._status.filling(end - 1 - records[-1].offset)
        if latest:
            await self._script.fill(token, list(latest.values()))
        return count

    async def _resume_at(self, partition: int) -> int:
        """Where changes are to be read from: so far back that all earlier ones are in ``memberships``.

        Those that are in there too are known by their sequence.
        """
        reader = self._reader
        end = await reader.end(SEGMENT_CHANGES, partition)
        start = await reader.start_of(SEGMENT_CHANGES, partition)
        step, last_ms = _FIRST_STEP_BACK, None
        position = end - 1
        while position > start:
            async for records in reader.read(SEGMENT_CHANGES, partition, position, position + 1):
                last_ms = records[0].timestamp_ms if last_ms is None else last_ms
                if records[0].timestamp_ms < last_ms - _APART_MS:
                    return position
            position -= step
            step *= 4
        return start


def _parse(record: StoredRecord, partition: int) -> FilledCustomer | None:
    """The customer in a record; None for one that is nobody's."""
    try:
        customer_id = (record.key or b"").decode()
        memberships = None if record.value is None else parse_memberships(record.value)
    except ValueError as error:
        _log.warning("%s, partition %d, offset %d: passed over: %s", MEMBERSHIPS, partition, record.offset, error)
        return None
    return filled_customer(customer_id, memberships) if customer_id else None


def _pattern(prefix: str) -> str:
    r"""The pattern of all keys that begin so.

    >>> print(_pattern("a*b:"))
    a\*b:*
    """
    return re.sub(r"([*?\[\]\\])", r"\\\1", prefix) + "*"
