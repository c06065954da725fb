"""An invented pipeline: its workers, and a dead letter."""

from __future__ import annotations

import time
from collections.abc import Mapping
from random import Random

from stream.dashboard.answers import Json
from stream.instants import format_instant
from tests.dashboard.fake_customer import HOSTILE


def pipeline(workers: list[Json], now_ms: int) -> Json:
    """How events flow through these workers."""
    return {
        "workers": workers,
        "events_per_s": sum(one["events_per_s"] for one in workers),
        "changes_per_s": sum(one["changes_per_s"] for one in workers),
        "lag_records": sum(sum(part["lag_records"].values()) for worker in workers for part in worker["partitions"]),
        "dead_letters": {
            "total": 3,
            "latest": [
                {
                    "code": "missing_field",
                    "reason": "`customer_id` is missing",
                    "source_topic": "clicks",
                    "partition": 2,
                    "offset": 1_234,
                    "value": f'{{"action": "{HOSTILE}"}}',
                    "at": format_instant(now_ms - 90_000),
                }
            ],
        },
        "sink": {"lag_records": now_ms // 1_000 % 40, "gaps": 0, "filled": True},
        "redis": {"used_memory": 187_654_321, "version": "7.0.15"},
        "broker_error": None,
    }


def worker(number: int, now_ms: int, sizes: Mapping[str, int], random: Random) -> Json:
    """What one worker tells of itself."""
    partitions = [
        {
            "partition": 4 * number + index,
            "phase": "live" if index < 3 else "restoring",
            "stream_ms": now_ms - random.randint(0, 4_000),
            "lag_records": {"clicks": random.randint(0, 30), "purchases": 0, "emails": random.randint(0, 3)},
            "profiles": 2_500,
            "members": {name: size // 8 for name, size in sizes.items()},
            "remaining_records": 0 if index < 3 else 4_321,
        }
        for index in range(4)
    ]
    return {
        "instance": f"i-{number}",
        "worker": "segstream",
        "url": f"http://127.0.0.1:606{6 + number}" if number == 0 else None,
        "at_ms": int(time.time() * 1_000),
        "definitions": "9771060ed6667186",
        "version": "0.1.0",
        "partitions": partitions,
        "events_per_s": round(random.uniform(300, 400), 1),
        "changes_per_s": round(random.uniform(20, 40), 1),
        "change_delay_ms": {"p50": round(random.uniform(5, 9), 1), "p99": round(random.uniform(20, 60), 1)},
        "dead_letters_total": 3 - number,
    }
