"""What the demo asks its parts over HTTP."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp

_POLL_S = 0.1
_SAMPLE = re.compile(r"^(segstream_events_total|segstream_lag_records)\{[^}]*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Applied:
    """How far a worker is: events that it has applied, and records that it has not."""

    events: int
    lag_records: int


class Asking:
    """A client for the parts, which all listen at this machine."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5.0))

    async def lives(self, url: str) -> None:
        """Returns when the part listens."""
        await self._until(f"{url}/livez")

    async def ready(self, url: str) -> None:
        """Returns when the part says that it is ready."""
        await self._until(f"{url}/readyz")

    async def _until(self, url: str) -> None:
        """Returns when the answer is that all is well."""
        while True:
            try:
                async with self._session.get(url) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass  # it does not listen yet
            await asyncio.sleep(_POLL_S)

    async def applied(self, url: str) -> Applied | None:
        """How far the worker is; None as long as it can't be asked."""
        try:
            async with self._session.get(f"{url}/metrics") as answer:
                page = await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return None
        totals = {"segstream_events_total": 0.0, "segstream_lag_records": 0.0}
        for name, value in _SAMPLE.findall(page):
            totals[name] += float(value)
        return Applied(int(totals["segstream_events_total"]), int(totals["segstream_lag_records"]))

    async def counted(self, url: str) -> None:
        """Returns when the dashboard counts members of any segment."""
        while True:
            try:
                async with self._session.get(f"{url}/v1/segments") as answer:
                    if answer.status == 200 and any(one["members"] for one in (await answer.json())["segments"]):
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass  # it may be too busy
            await asyncio.sleep(_POLL_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
