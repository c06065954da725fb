"""How a process with a Faust app ends: in order, and at once where that takes too long."""

from __future__ import annotations

import asyncio
import logging
import os
import threading

from stream.live.app import SegstreamApp
from stream.live.watch import EXIT_STALLED

#: So long leaving the group may take.
_LEFT_WITHIN_S = 20.0

_log = logging.getLogger(__name__)


def why_ended(app: SegstreamApp, starting: asyncio.Task[None]) -> BaseException | None:
    """What has ended the app, which is ``starting`` in a task; None while it goes on."""
    if starting.done() and starting.exception() is not None:
        return starting.exception()
    if app.should_stop:
        return app.crash_reason or RuntimeError("Faust has stopped")
    return None


def _end_at_once() -> None:
    """Threads that do not end would keep the process for ever."""
    _log.critical("the process does not come to its end; ending at once")
    os._exit(EXIT_STALLED)


async def leave(app: SegstreamApp, starting: asyncio.Task[None]) -> None:
    """Leaves the group. What has to be durable is; a broker that does not answer is not waited for."""
    last_resort = threading.Timer(2 * _LEFT_WITHIN_S, _end_at_once)
    last_resort.daemon = True
    last_resort.start()
    try:
        async with asyncio.timeout(_LEFT_WITHIN_S):
            await app.stop()
        last_resort.cancel()
    except TimeoutError:
        _log.warning("the group was not left within %g s; it will notice", _LEFT_WITHIN_S)
    if not starting.done():
        starting.cancel()
    await asyncio.wait([starting])
