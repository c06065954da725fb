"""Sends a file of events at a steady pace in small slices, as if each happened now, and prints how it went.

usage: python -m benchmarks.paced_producer BROKER FILE RATE WARM_UP_S

An event's id says when it was made, in microseconds since the epoch; its timestamp is the same in milliseconds. After
WARM_UP_S seconds it prints a line, and at the end a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from benchmarks.brokers import PARTITIONS
from stream.contract import TOPICS, Kind
from stream.kafka.partitioning import partition_of
from stream.kafka.sending import Sender, connected_sender

_SLICE_S = 0.005


class Prepared(NamedTuple):
    """An event, and where it goes."""

    topic: str
    partition: int
    key: bytes
    event: dict[str, Any]


def prepare(path: Path) -> list[Prepared]:
    topics = {kind.word: TOPICS[kind] for kind in Kind}
    found = []
    with path.open("rb") as lines:
        for line in lines:
            event = orjson.loads(line)
            key = event["customer_id"].encode()
            found.append(Prepared(topics[event["type"]], partition_of(key, PARTITIONS), key, event))
    return found


async def send(broker: str, events: list[Prepared], rate: int, warm_up_s: int) -> dict[str, float]:
    """Sends what is due every few milliseconds; a slice is on its way before the next one is made."""
    warm_events = min(rate * warm_up_s, len(events))
    warm_us = sent = 0
    latest_s = warm_s = 0.0
    async with connected_sender(broker) as sender:
        began = time.perf_counter()
        while sent < len(events):
            due = min(int((time.perf_counter() - began) * rate) + 1, len(events))
            if sent < warm_events <= due:
                print("warm", flush=True)
                warm_us, warm_s = _now_us(), time.perf_counter()
            if warm_us:
                latest_s = max(latest_s, time.perf_counter() - began - sent / rate)
            await _send_slice(sender, events[sent:due])
            sent = due
            await asyncio.sleep(max(0.0, began + sent / rate + _SLICE_S - time.perf_counter()))
        took_s = time.perf_counter() - warm_s
        await sender.flush()
    return {"warm_us": warm_us, "rate": (sent - warm_events) / took_s, "latest_ms": latest_s * 1_000}


async def _send_slice(sender: Sender, events: list[Prepared]) -> None:
    now_us = _now_us()
    groups: dict[tuple[str, int], list[tuple[bytes, bytes]]] = {}
    for number, (topic, partition, key, event) in enumerate(events):
        event["event_id"] = f"{now_us}-{number}"
        event["timestamp"] = now_us // 1_000
        groups.setdefault((topic, partition), []).append((key, orjson.dumps(event)))
    for (topic, partition), records in groups.items():
        await sender.send(topic, partition, records)
    await sender.submit()


def _now_us() -> int:
    return time.time_ns() // 1_000


def main() -> None:
    broker, path, rate, warm_up_s = sys.argv[1:]
    result = asyncio.run(send(broker, prepare(Path(path)), int(rate), int(warm_up_s)))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
