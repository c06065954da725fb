"""Ctrl-C, SIGTERM and a closing terminal: the first one ends the demo in order, a further one at once."""

from __future__ import annotations

import asyncio
import signal
from types import FrameType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Takes the signals while it is entered.

    The first one cancels the task that is ``watched``, or is a ``KeyboardInterrupt`` where there is none. Once
    `close` has been called nothing is interrupted any more, and further ones only say that there is ``hurry``.
    """

    def __init__(self) -> None:
        self.has_come = False
        self.hurry = False
        self._is_closing = False
        self._task: asyncio.Task[None] | None = None
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}

    def watch(self, task: asyncio.Task[None]) -> None:
        """From now on the task is what is interrupted."""
        self._task = task

    def close(self) -> None:
        """From now on all is being ended."""
        self._is_closing = True

    def _handle(self, _: int, __: FrameType | None) -> None:
        if self._is_closing:
            self.hurry = self.has_come
            self.has_come = True
            return
        if self.has_come:
            self.hurry = True
            return
        self.has_come = True
        if self._task is None:
            raise KeyboardInterrupt
        self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
