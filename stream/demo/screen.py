"""What whoever runs the demo sees of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from stream.instants import format_instant

#: Where nobody sees a bar move, a line says so often how far it is.
_LINE_EVERY_S = 5.0
#: The rate is that of the last so many seconds.
_RATE_OVER_S = 3.0


@dataclass
class _Rate:
    """How many a second, lately."""

    since_s: float
    count: int = 0
    per_s: float = 0.0

    def update(self, now_s: float, count: int) -> float:
        if now_s - self.since_s >= _RATE_OVER_S or not self.per_s:
            passed_s = max(now_s - self.since_s, 1e-3)
            self.per_s = (count - self.count) / passed_s
            if now_s - self.since_s >= _RATE_OVER_S:
                self.since_s, self.count = now_s, count
        return self.per_s


class Screen:
    """Standard output: lines, and at a terminal a bar that moves under them."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, emoji=False, markup=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._rates: dict[str, _Rate] = {}
        self._said_s = time.monotonic()

    def say(self, text: str) -> None:
        self._console.print(text)

    def begin(self, expected: int, doing: dict[str, str]) -> None:
        """Bars for what is to be counted up to ``expected``: their names, and what is written before them."""
        now_s = time.monotonic()
        self._rates = {name: _Rate(now_s) for name in doing}
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._tasks = {name: self._bar.add_task(text, total=expected, said="") for name, text in doing.items()}
        self._bar.start()

    def count(self, **counts: int) -> None:
        """How far each bar is."""
        assert self._bar is not None, "it has not been begun"
        now_s = time.monotonic()
        said = {}
        for name, count in counts.items():
            rate = self._rates[name].update(now_s, count)
            said[name] = f"{count:,} events, {rate:,.0f} events/s"
            self._bar.update(self._tasks[name], completed=count, said=said[name])
        if not self._console.is_terminal and now_s - self._said_s > _LINE_EVERY_S:
            self._said_s = now_s
            self.say("; ".join(f"{name}: {text}" for name, text in said.items()))

    def follow(self, shop_ms: float, events: int, seconds: float) -> None:
        """How time goes on in the shop."""
        if self._console.is_terminal:
            at = format_instant(round(shop_ms))[:16].replace("T", " ")
            text = f"In the shop it is {at} UTC; {events / seconds:,.0f} events/s. Ctrl-C ends all."
            self._console.print(text, end="\r")

    def end(self) -> None:
        """The bars go."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
