"""The shop's events on their way to Kafka: as fast as it goes, or as they are due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from stream.demo.traffic import Coming, Pace, Traffic
from stream.kafka.routing import Router
from stream.kafka.sending import Sender

#: Events go out so often. More batches would be livelier, but a broker that keeps all of them pays for each.
TICK_S = 3.0
#: Lines are sent in pieces of so many, so that others get their turn.
_PIECE = 5_000


async def fill(traffic: Traffic, router: Router, sender: Sender, sent: Callable[[int], None]) -> None:
    """Sends the first days; tells how many events have been sent each time that it is more."""
    for chunk in traffic.filling():
        for start in range(0, len(chunk), _PIECE):
            lines = chunk[start : start + _PIECE]
            await _send(lines, router, sender)
            sent(len(lines))
            await asyncio.sleep(0)
    await sender.flush()


async def follow(
    traffic: Traffic, router: Router, sender: Sender, speed: float, rate_max: float
) -> AsyncIterator[tuple[float, int]]:
    """Sends what comes after the first days, when it is due; where the shop's time is then, and how many were sent."""
    pace = Pace(traffic.filled_ms, speed, rate_max)
    coming = Coming(traffic.following())
    due_s = time.monotonic()
    while True:
        lines = pace.due(coming, TICK_S, time.time_ns() // 1_000_000)
        await _send(lines, router, sender)
        await sender.flush()
        yield pace.shop_ms, len(lines)
        # A machine that has slept goes on from where it was.
        due_s = max(due_s + TICK_S, time.monotonic())
        await asyncio.sleep(due_s - time.monotonic())


async def _send(lines: list[bytes], router: Router, sender: Sender) -> None:
    groups, unroutable = router.route(lines)
    assert not unroutable, "simulated events are valid"
    for (topic, partition), records in groups.items():
        await sender.send(topic, partition, records)
