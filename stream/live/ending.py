"""How a process with a Faust app ends: asked by a signal, in order, and at once where that takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator

import faust

from stream.live.watch import EXIT_STALLED

#: So long leaving the group may take.
_LEFT_WITHIN_S = 20.0
_EXIT_KILLED = 137

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def asked_to_stop() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set. The second one ends the process at once."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _asked_to_stop, stop, number)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _end_at_once() -> None:
    """Threads that do not end would keep the process for ever."""
    _log.critical("the process does not come to its end; ending at once")
    os._exit(EXIT_STALLED)


def _asked_to_stop(stop: asyncio.Event, number: int) -> None:
    if stop.is_set():
        _log.warning("asked to stop a second time: ending at once")
        os._exit(_EXIT_KILLED)
    _log.info("%s: finishing what has been begun", signal.Signals(number).name)
    stop.set()


async def leave(app: faust.App, starting: asyncio.Task[None]) -> None:
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
