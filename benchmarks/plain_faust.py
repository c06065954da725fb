"""Plain Faust, as one would write it in an afternoon: an agent, and three of the common work's segments in a table.

At least once, as Faust does it: nothing says which of an event's effects have been kept when it is read again.

usage: python -m benchmarks.plain_faust nothing|table BROKER ID FOLDER [EVENTS]

With EVENTS it prints a line of JSON when it has seen so many, and ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import faust

MODES = ("nothing", "table")
TOPICS = ("clicks", "purchases")
CHANGES = "plain-faust-changes"
TABLE = "profiles"
_SESSION_S = 10.0
_PARTITIONS = 8
_DAY, _WEEK = 86_400_000, 7 * 86_400_000
_BUCKETS = 24


class Stopwatch:
    """From the first event to the last of so many; prints how long it took, and ends the process."""

    def __init__(self, events: int | None) -> None:
        self._left = events
        self._begun: tuple[float, float] | None = None
        self.changes = 0

    def tick(self) -> None:
        """An event has been dealt with."""
        if self._left is None:
            return
        self._left -= 1
        if not self._left and self._begun is not None:
            wall, cpu = time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]
            print(json.dumps({"wall": wall, "cpu": cpu, "changes": self.changes}), flush=True)
            os._exit(0)

    def begin(self) -> None:
        """An event has come."""
        if self._begun is None:
            self._begun = time.perf_counter(), time.process_time()


def make_app(mode: str, broker: str, app_id: str, folder: str, stopwatch: Stopwatch) -> faust.App:
    app = faust.App(
        app_id,
        broker=f"kafka://{broker}",
        store="memory://",
        datadir=folder,
        topic_partitions=_PARTITIONS,
        broker_session_timeout=_SESSION_S,
        web_enabled=False,
    )
    events = app.topic(*TOPICS, key_serializer="raw", value_serializer="json")
    if mode == "nothing":

        @app.agent(events)
        async def take(stream: faust.StreamT[dict[str, Any]]) -> None:
            async for _ in stream:
                stopwatch.begin()
                stopwatch.tick()

        return app

    changes = app.topic(CHANGES, value_serializer="json")
    profiles = app.Table(TABLE, default=_new_profile, partitions=_PARTITIONS)

    @app.agent(events)
    async def segment(stream: faust.StreamT[dict[str, Any]]) -> None:
        async for event in stream:
            stopwatch.begin()
            customer = event["customer_id"]
            profile = profiles[customer]
            for name, change in apply(profile, event):
                record = {"customer_id": customer, "segment": name, "change": change, "at": event["timestamp"]}
                await changes.send(key=customer, value=record)
                stopwatch.changes += 1
            profiles[customer] = profile
            stopwatch.tick()

    return app


def _new_profile() -> dict[str, Any]:
    return {"events": 0, "clicks": [], "carts": [], "carted": 0, "bought": 0, "in": []}


def apply(profile: dict[str, Any], event: dict[str, Any]) -> list[tuple[str, str]]:
    """Applies an event to a profile; the segments that were entered and left by it."""
    at = event["timestamp"]
    profile["events"] += 1
    is_cart = event["type"] == "click" and event["action"] == "add_to_cart"
    if event["type"] == "click":
        _add(profile["clicks"], at // (_DAY // _BUCKETS), 1)
    if is_cart:
        _add(profile["carts"], at // (_WEEK // _BUCKETS), event["price"])
        profile["carted"] = at
    if event["type"] == "purchase":
        profile["bought"] = at
    _drop(profile["clicks"], at // (_DAY // _BUCKETS))
    _drop(profile["carts"], at // (_WEEK // _BUCKETS))
    truths = (
        ("frequent", sum(count for _, count in profile["clicks"]) >= 20),
        ("big_cart", sum(price for _, price in profile["carts"]) >= 500),
        ("abandoned", profile["carted"] > profile["bought"]),
    )
    found = []
    for name, holds in truths:
        if holds != (name in profile["in"]):
            (profile["in"].append if holds else profile["in"].remove)(name)
            found.append((name, "entered" if holds else "exited"))
    return found


def _add(buckets: list[list[float]], number: int, amount: float) -> None:
    if not buckets or buckets[-1][0] != number:
        buckets.append([number, 0])
    buckets[-1][1] += amount


def _drop(buckets: list[list[float]], number: int) -> None:
    while buckets and buckets[0][0] <= number - _BUCKETS:
        del buckets[0]


def main() -> None:
    mode, broker, app_id, folder, *events = sys.argv[1:]
    stopwatch = Stopwatch(int(events[0]) if events else None)
    app = make_app(mode, broker, app_id, folder, stopwatch)
    # Standard output is for the figures.
    faust.Worker(
        app, loglevel="WARNING", quiet=True, stdout=sys.stderr, redirect_stdouts=False
    ).execute_from_commandline()


if __name__ == "__main__":
    main()
