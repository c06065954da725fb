"""Reads changes as they come until SIGTERM, and writes how long after their events they were written and received.

usage: python -m benchmarks.change_reader BROKER FILE

Only changes that events have caused, whose ids say when they were made: see `benchmarks.paced_producer`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.brokers import PARTITIONS
from stream.kafka.topics import SEGMENT_CHANGES

_POLL_MS = 50
#: Once it has been asked to stop, it stops when nothing has come for so long.
_NOTHING_MORE_MS = 2_000


class Change(msgspec.Struct):
    """What matters of a change."""

    cause: str
    event_id: str | None


async def read(broker: str) -> dict[str, list[float]]:
    """Reads until SIGTERM, and what is there by then; prints a line when it reads."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, group_id=None, enable_auto_commit=False)
    decode = msgspec.json.Decoder(Change).decode
    found: dict[str, list[float]] = {"sent_us": [], "written_ms": [], "received_ms": []}
    await consumer.start()
    try:
        consumer.assign([TopicPartition(SEGMENT_CHANGES, number) for number in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        print("reading", flush=True)
        fetched = None
        while fetched or not stop.is_set():
            fetched = await consumer.getmany(timeout_ms=_NOTHING_MORE_MS if stop.is_set() else _POLL_MS)
            received_ms = time.time_ns() / 1e6
            for record in (one for part in fetched.values() for one in part):
                change = decode(record.value)
                if change.cause == "event" and change.event_id is not None:
                    sent_us = int(change.event_id.partition("-")[0])
                    found["sent_us"].append(sent_us)
                    found["written_ms"].append(record.timestamp - sent_us / 1e3)
                    found["received_ms"].append(received_ms - sent_us / 1e3)
    finally:
        await consumer.stop()
    return found


def main() -> None:
    broker, path = sys.argv[1:]
    Path(path).write_text(json.dumps(asyncio.run(read(broker))), encoding="utf-8")


if __name__ == "__main__":
    main()
