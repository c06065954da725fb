"""Replays for the tests: files in, everything that comes out as lists."""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import orjson

from stream.engine.changes import Changes
from stream.engine.plan import Plan, compile_plan
from stream.language.checker import load
from stream.replay.run import Outlets, replay
from stream.replay.summary import Summary
from stream.simulate import Simulation

Dict = dict[str, Any]

ROOT = Path(__file__).parents[2]
SEGMENTS = ROOT / "stream" / "segments.yaml"
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
START = 1_760_000_000_000

#: Entries and exits by events and by time, a trait, a window and a holdout.
DEFINITIONS = """\
version: 1
segments:
  busy:
    enter: count(click, 1h) >= 2
  buyer:
    enter: count(purchase) >= 1 and since(last(purchase)) < 2h
    holdout: 0.3
  silent:
    enter: since(last(click)) >= 30m
    exit: since(last(click)) < 30m
    min_stay: 5m
  pro:
    enter: trait("plan") == "pro"
"""


@dataclass(frozen=True)
class Replayed:
    """What came out of a replay."""

    changes: list[Dict]
    rejected: list[Dict]
    summary: Summary

    @property
    def bad_lines(self) -> list[int]:
        return [report["line"] for report in self.rejected]

    def by_customer(self) -> list[Dict]:
        """The changes as ``tests.reference.replay`` orders them."""
        return sorted(self.changes, key=lambda change: (change["customer_id"], change["sequence"]))


@functools.cache
def plan_of(definitions: str = DEFINITIONS) -> Plan:
    return compile_plan(load(definitions, "test.yaml"))


def run(
    sources: Sequence[Path | str], definitions: str = DEFINITIONS, until_ms: int | None = None, *, sort: bool = False
) -> Replayed:
    """A replay of files by the library."""
    changes: list[Dict] = []
    rejected: list[Dict] = []

    def take(found: Changes) -> None:
        changes.extend(map(orjson.loads, found.json_lines().splitlines()))

    outlets = Outlets(take, rejected.append)
    summary = replay(plan_of(definitions), [str(s) for s in sources], outlets, until_ms=until_ms, sort=sort)
    return Replayed(changes, rejected, summary)


def click(event_id: str, at: int, customer: str = "a", **more: Any) -> Dict:
    common = {"type": "click", "event_id": event_id, "customer_id": customer, "timestamp": START + at}
    return {**common, "action": "page_view", **more}


def purchase(event_id: str, at: int, customer: str = "a", **more: Any) -> Dict:
    common = {"type": "purchase", "event_id": event_id, "customer_id": customer, "timestamp": START + at}
    return {**common, "order_id": f"o-{event_id}", "total": 10, **more}


def email(event_id: str, at: int, customer: str = "a", **more: Any) -> Dict:
    common = {"type": "email", "event_id": event_id, "customer_id": customer, "timestamp": START + at}
    return {**common, "action": "opened", **more}


def few_events() -> list[Dict]:
    """Three customers, all kinds, every segment of ``DEFINITIONS`` entered and left."""
    return [
        click("e1", 0, "a", traits={"plan": "pro"}),
        click("e2", 1 * MINUTE, "b"),
        click("e3", 2 * MINUTE, "a"),
        purchase("e4", 3 * MINUTE, "b"),
        email("e5", 4 * MINUTE, "ç", traits={"plan": "free"}),
        click("e6", 5 * MINUTE, "ç", category="Bücher"),
        click("e7", 50 * MINUTE, "a", traits={"plan": "basic"}),
        purchase("e8", 4 * HOUR, "a"),
        click("e9", 4 * HOUR, "ç"),
    ]


def json_lines(events: Iterable[Dict]) -> bytes:
    return b"".join(json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events)


def write(path: Path, content: bytes | Iterable[Dict]) -> Path:
    """A file of events, packed where its name says so."""
    data = content if isinstance(content, bytes) else json_lines(content)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@functools.cache
def traffic(events: int = 2_500, customers: int = 40, days: int = 60) -> bytes:
    """Simulated traffic with late events and duplicates."""
    simulation = Simulation(events=events, customers=customers, days=days, late=0.1, duplicates=0.05, seed=5)
    return b"".join(simulation.chunks())


@functools.cache
def schema(name: str) -> jsonschema.Draft202012Validator:
    """A validator of one of the project's schemas."""
    content = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(content)
    return jsonschema.Draft202012Validator(content)
