"""Events to measure with, as files."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from stream.simulate import DEFAULT_START_MS, Simulation

_TIMESTAMP = re.compile(rb'"timestamp":(\d+)')
_FIRST_VISIT = (
    b'{"type":"click","event_id":"first-%d","customer_id":"%s","timestamp":%d,"action":"page_view",'
    b'"page":"home","url":"https://shop.example.com/","device":"mobile","country":"DE"}\n'
)
_VISITS_AT_ONCE = 10_000
#: Between everybody's first visit and the rest: nobody is new any more.
_ABSENT_MS = 10 * 86_400_000


@dataclass(frozen=True)
class Traffic:
    """A file of events, sorted by time, and where they come from.

    ``all_came_ms``: one visit of each customer lies before this instant, and long before the rest.
    """

    path: Path
    events: int
    last_ms: int
    source: str
    all_came_ms: int | None = None


def common(folder: Path, yardstick: Path | None, events: int) -> Traffic:
    """The common work's events; simulated ones where the yardstick is not there."""
    if yardstick is None:
        return simulated(folder, events, customers=20_000)
    path = folder / f"common-{events}.jsonl"
    subprocess.run([sys.executable, str(yardstick / "same_work.py"), str(path), str(events)], check=True)
    with path.open("rb") as file:
        instants = [int(instant) for line in file for instant in _TIMESTAMP.findall(line)]
    return Traffic(path, len(instants), max(instants), "the common work's events")


def simulated(folder: Path, events: int, customers: int, *, all_come: bool = False) -> Traffic:
    """A simulated shop's events; with ``all_come`` each customer has come once before, which makes more events."""
    path = folder / f"simulated-{customers}-{events}.jsonl"
    simulation = Simulation(events=events, customers=customers)
    count = last_ms = 0
    with path.open("wb") as file:
        for chunk in chain(_first_visits(customers) if all_come else (), simulation.chunks()):
            file.write(chunk)
            count += chunk.count(b"\n")
            last_ms = max(last_ms, *map(int, _TIMESTAMP.findall(chunk)))
    source = f"simulated events of {customers:,} customers"
    if not all_come:
        return Traffic(path, count, last_ms, source)
    return Traffic(path, count, last_ms, f"{source} after one visit of each", _all_came_ms())


def _all_came_ms() -> int:
    return DEFAULT_START_MS - _ABSENT_MS


def _first_visits(customers: int) -> Iterator[bytes]:
    """One click each, a millisecond after the other, before the simulation begins; ids are the simulation's."""
    begin_ms = _all_came_ms() - customers
    for start in range(1, customers + 1, _VISITS_AT_ONCE):
        numbers = range(start, min(start + _VISITS_AT_ONCE, customers + 1))
        yield b"".join(_FIRST_VISIT % (i, b"c%06d" % i, begin_ms + i) for i in numbers)
