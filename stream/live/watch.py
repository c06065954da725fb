"""A thread that notices when nothing moves any more, says where, and ends the process."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import time

from stream.live.status import Phase, Status

#: With work to do and none done for so long, or without the loop turning.
STALLED_AFTER_S = 120.0
_LOOK_S = 1.0
EXIT_STALLED = 70

_log = logging.getLogger(__name__)


class Watch:
    """Ends the process with exit code 70 when a partition that lags makes no progress, or the loop stands still."""

    def __init__(self, status: Status, loop: asyncio.AbstractEventLoop, stalled_after_s: float) -> None:
        self._status = status
        self._loop = loop
        self._stalled_after_s = stalled_after_s
        self._turned_at = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()

    def _turn(self) -> None:
        self._turned_at = time.monotonic()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S):
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._turn)
            why = stall(self._status, time.monotonic(), self._turned_at, self._stalled_after_s)
            if why is not None:
                _log.critical("%s; ending, so that it can be started again. Where it stands:", why)
                for task in asyncio.all_tasks(self._loop):
                    task.print_stack(file=sys.stderr)
                faulthandler.dump_traceback(all_threads=True)
                sys.stderr.flush()
                os._exit(EXIT_STALLED)


def stall(status: Status, now_s: float, turned_at_s: float, stalled_after_s: float) -> str | None:
    """Why the worker is taken for stalled; None when it is not."""
    if now_s - turned_at_s > stalled_after_s:
        return f"the event loop has not turned for {now_s - turned_at_s:.0f} s"
    if status.unassigned_ms is not None and now_s - status.unassigned_ms / 1_000 > stalled_after_s:
        return f"the group has given no assignment for {now_s - status.unassigned_ms / 1_000:.0f} s"
    for one in list(status.partitions.values()):
        since_s = now_s - one.progress_ms / 1_000
        if one.phase in (Phase.RESTORING, Phase.BEHIND) and since_s > stalled_after_s:
            lag = sum(one.lag_records.values())
            state = f"{one.phase.value}, {lag:,} records behind"
            return f"partition {one.partition} ({state}) has made no progress for {since_s:.0f} s"
    return None
