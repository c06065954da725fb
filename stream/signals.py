"""What SIGTERM and SIGINT do to a process that goes on until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Iterator

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


def _asked_to_stop(stop: asyncio.Event, number: int) -> None:
    if stop.is_set():
        _log.warning("asked to stop a second time: ending at once")
        os._exit(_EXIT_KILLED)
    _log.info("%s: finishing what has been begun", signal.Signals(number).name)
    stop.set()
