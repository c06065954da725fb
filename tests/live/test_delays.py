"""How long changes take, as metrics tell it: never too short."""

from __future__ import annotations

from typing import Any

import numpy as np

from stream.engine.changes import Changes
from stream.live.delays import Delays
from stream.live.metrics import Durations
from stream.worker.settings import ClockMode


class Clock:
    """Both kinds of time, moved by hand."""

    now_ms = 0

    def wall_ms(self) -> int:
        return self.now_ms

    def steady_ms(self) -> int:
        return self.now_ms


def changes(*by_event: bool, at_ms: int = 0) -> Changes:
    count = len(by_event)
    nothing: Any = [None] * count
    zeros = np.zeros(count, np.int64)
    return Changes(nothing, zeros, np.zeros(count, np.bool_), zeros, np.full(count, at_ms), np.array(by_event))


def test_the_oldest_event_that_was_applied_counts() -> None:
    durations, clock = Durations(), Clock()
    delays = Delays(durations, clock, ClockMode.WALL)
    for clock.now_ms in (1_000, 1_500):
        delays.read()
    delays.taken()
    clock.now_ms = 1_600
    delays.read()  # while a step is under way
    clock.now_ms = 2_000
    delays.sent([changes(True, False, True)])
    assert durations.change_delay.sum_s == 2 * 1.0
    delays.left(0)
    delays.taken()
    delays.sent([changes(True)])
    assert durations.change_delay.sum_s == 2 * 1.0 + 0.4


def test_what_waits_for_others_has_been_waiting_since_it_came() -> None:
    durations, clock = Durations(), Clock()
    delays = Delays(durations, clock, ClockMode.WALL)
    delays.read()
    delays.taken()
    clock.now_ms = 700
    delays.left(3)
    delays.read()
    delays.taken()
    delays.sent([changes(True)])
    assert durations.change_delay.sum_s == 0.7


def test_timers_are_told_of_where_the_time_of_day_fires_them() -> None:
    for mode, is_live, told_s in ((ClockMode.WALL, True, 5.5), (ClockMode.WALL, False, 0), (ClockMode.EVENT, True, 0)):
        durations, clock = Durations(), Clock()
        delays = Delays(durations, clock, mode)
        delays.is_live = is_live
        clock.now_ms = 10_000
        delays.sent([changes(False, True, at_ms=4_500)])
        assert durations.timer_delay.sum_s == told_s
        assert durations.change_delay.sum_s == 0
