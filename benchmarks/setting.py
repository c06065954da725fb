"""What a measurement is told: where the broker is, how large and how often."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sizes:
    """How much of everything; smaller ones are for trying, not for figures."""

    common_events: int
    ready_events: int
    ready_customers: int
    million_events: int
    million_customers: int
    faust_events: int
    table_events: int
    double_events: int
    delay_rate: int
    delay_seconds: int
    redis_events: int
    redis_customers: int


@dataclass(frozen=True)
class Setting:
    """``yardstick`` is its folder, None where it is absent; ``folder`` takes events and logs."""

    broker: str | None
    yardstick: Path | None
    rounds: int
    folder: Path
    sizes: Sizes
