"""Traffic that several test modules look at, made once a process."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import orjson

from stream.simulate import Simulation

Event = dict[str, Any]


@dataclass(frozen=True)
class Traffic:
    """A simulation with its events in order of arrival and its truth by customer."""

    simulation: Simulation
    events: list[Event]
    truth: dict[str, dict[str, Any]]

    def sessions(self) -> dict[str, list[Event]]:
        """The clicks and purchases of each visit, in order."""
        found: dict[str, list[Event]] = {}
        for event in self.events:
            if "session_id" in event:
                found.setdefault(event["session_id"], []).append(event)
        return found

    def habit_of(self, event: Event) -> str:
        """The hidden habit of an event's customer."""
        return str(self.truth[event["customer_id"]]["habit"])


@functools.cache
def four_weeks() -> Traffic:
    """Four weeks of 1,500 customers, as they happened."""
    simulation = Simulation(customers=1_500, days=28, seed=11)
    events = [orjson.loads(line) for chunk in simulation.chunks() for line in chunk.splitlines()]
    truth = {record["customer_id"]: record for record in map(orjson.loads, simulation.truth())}
    return Traffic(simulation, events, truth)
