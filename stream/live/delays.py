"""How long changes take: from an event being read, or from a timer's instant, to the change being acknowledged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.engine.changes import Changes
from stream.live.metrics import Durations
from stream.worker.interfaces import Time
from stream.worker.settings import ClockMode


class Delays:
    """Measures the delays of one partition.

    Call ``read`` when events have come, ``taken`` before and ``left`` after each step. An event counts as read when the
    oldest of those that were applied with it was: no delay is told too short. Those of timers are told where the time
    of day fires them, and while the partition is live: what is due when a partition is taken over was not late here.
    """

    def __init__(self, durations: Durations, time: Time, mode: ClockMode) -> None:
        self._durations = durations
        self._time = time
        self._tells_timers = mode is ClockMode.WALL
        self._waiting_ms: int | None = None  # since when the oldest event has been waiting that no step has taken
        self._taken_ms: int | None = None
        self.is_live = False

    def read(self) -> None:
        if self._waiting_ms is None:
            self._waiting_ms = self._time.steady_ms()

    def taken(self) -> None:
        self._taken_ms, self._waiting_ms = self._waiting_ms, None

    def left(self, waiting: int) -> None:
        """So many of the events that were taken wait for others."""
        if waiting and self._taken_ms is not None:
            self._waiting_ms = self._taken_ms
        self._taken_ms = None

    def sent(self, parts: Sequence[Changes]) -> None:
        """These changes have been acknowledged."""
        caused = sum(int(np.count_nonzero(changes.by_event)) for changes in parts)
        if caused and self._taken_ms is not None:
            self._durations.change_delay.observe((self._time.steady_ms() - self._taken_ms) / 1_000, caused)
        if self._tells_timers and self.is_live:
            now_ms = self._time.wall_ms()
            for changes in parts:
                for at_ms in changes.at_ms[~changes.by_event].tolist():
                    self._durations.timer_delay.observe(max(0, now_ms - at_ms) / 1_000)
