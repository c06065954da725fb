"""A shop's traffic without end: first some days all at once, then day after day at a pace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

from stream.simulate import Simulation

DAY_MS = 86_400_000


class Traffic:
    """Events of ``customers`` from ``start_ms`` on, in order of time; the same arguments give the same events.

    The customers' habits are drawn anew each ``days`` days, so that traffic does not dry up: a simulation's customers
    come and go within its period.
    """

    def __init__(self, customers: int, days: int, start_ms: int, seed: int) -> None:
        self._customers = customers
        self._days = days
        self._seed = seed
        self.start_ms = start_ms
        self.filled_ms = start_ms + days * DAY_MS
        self._first = self._round(0)
        self.events_expected = round(self._first.lines_expected)

    def _round(self, number: int) -> Simulation:
        start_ms = self.start_ms + number * self._days * DAY_MS
        return Simulation(customers=self._customers, days=self._days, start_ms=start_ms, seed=self._seed + number)

    def filling(self) -> Iterator[list[bytes]]:
        """The first days, in pieces."""
        for chunk in self._first.chunks():
            yield chunk.splitlines()

    def following(self) -> Iterator[tuple[int, bytes]]:
        """What comes after them, each with its instant."""
        for number in count(1):
            for chunk in self._round(number).chunks():
                for line in chunk.splitlines():
                    yield instant_of(line), line


def instant_of(line: bytes) -> int:
    """The instant of an event."""
    at_ms: int = json.loads(line)["timestamp"]
    return at_ms


class Pace:
    """How time passes in the shop: ``speed`` times as fast as here, but never later than it is.

    Where more than ``rate_max`` events a second would be due, time there passes slower.
    """

    def __init__(self, from_ms: int, speed: float, rate_max: float) -> None:
        self.shop_ms = float(from_ms)
        self._speed = speed
        self._rate_max = rate_max

    def due(self, coming: Coming, elapsed_s: float, now_ms: int) -> list[bytes]:
        """The events of the next ``elapsed_s`` seconds here."""
        until_ms = max(self.shop_ms, min(self.shop_ms + elapsed_s * self._speed * 1_000, now_ms))
        most = max(1, round(self._rate_max * elapsed_s))
        lines: list[bytes] = []
        while coming.at_ms < until_ms and len(lines) < most:
            self.shop_ms = max(self.shop_ms, coming.at_ms)
            lines.append(coming.take())
        if coming.at_ms >= until_ms:
            self.shop_ms = until_ms
        return lines


class Coming:
    """The event that comes next."""

    def __init__(self, events: Iterator[tuple[int, bytes]]) -> None:
        self._events = events
        self.at_ms, self._line = next(events)

    def take(self) -> bytes:
        """That event; the one after it is the next one then."""
        line = self._line
        self.at_ms, self._line = next(self._events)
        return line
