"""The time of day and the time since some beginning."""

from __future__ import annotations

import time


class SystemTime:
    """`Time` as the system has it."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def steady_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000
