"""Readers and producers for as long as they are needed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TypeVar

from stream.live.producer import LogProducer
from stream.live.reader import LogReader

_T = TypeVar("_T", LogReader, LogProducer)


@contextlib.asynccontextmanager
async def started(one: _T) -> AsyncIterator[_T]:
    """Starts it, and stops it at the end."""
    await one.start()
    try:
        yield one
    finally:
        await one.stop()
