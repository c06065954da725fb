"""Small worlds for the simulation: definitions, events in three topics, requests to erase, and bad records."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from stream.contract import Kind
from stream.engine.centres import Centres
from stream.engine.plan import Plan
from stream.kafka.topics import CUSTOMER_ERASURES
from stream.worker.interfaces import Record
from stream.worker.settings import ClockMode
from tests.engine.driver import plan_of

Dict = dict[str, Any]
CUSTOMERS = "abc"


def _file(lateness: str, dedupe: Dict, **segments: Any) -> Dict:
    return {"version": 1, "buckets": 3, "dedupe": dedupe, "lateness": lateness, "segments": segments}


_RINGS = {"events": 3, "orders": 2}
#: Files that a world may begin with, or go on to.
FILES: list[Dict] = [
    _file(
        "0s",
        _RINGS,
        busy={"enter": "count(click, 9s) >= 2", "to": ["busy-topic"]},
        away={"enter": "since(last(click)) >= 4s", "for": "2s", "holdout": 0.5},
        buyer={"enter": "sum(purchase.total) >= 20", "exit": "since(last(purchase)) > 11s", "cooldown": "3s"},
    ),
    _file(
        "0s",
        _RINGS,
        away={"enter": "since(last(click)) >= 3s"},
        reader={"enter": "count(email) > count(click)", "min_stay": "2s", "to": ["busy-topic", "mail-topic"]},
        regular={"enter": "count(click) + count(purchase) >= 3", "exit": "since(last(click)) > 8s"},
    ),
    _file(
        "2s",
        {"events": 2, "orders": 0},
        busy={"enter": "count(click, 9s) >= 2", "exit": "count(click, 9s) == 0"},
        fond={"enter": "last(email) after last(purchase) or since(last(email)) > 6s", "to": ["mail-topic"]},
        loyal={"enter": 'member("busy") and count(purchase) >= 1', "once": True},
    ),
]
#: The first one with personas.
WITH_PERSONAS = len(FILES)
FILES.append(
    {
        **FILES[0],
        "personas": {
            "features": {"clicks": "count(click, 9s)", "spent": "sum(purchase.total)", "age": "last(email)"},
            "k": 2,
            "active_within": "20s",
            "aliases": {"p2": "fans"},
        },
        "segments": {
            **FILES[0]["segments"],
            "liked": {"enter": 'persona == "fans"', "for": "1s"},
            "other": {"enter": 'persona == "p1" and count(click, 9s) >= 1'},
        },
    }
)


def plans() -> list[Plan]:
    return [plan_of(file) for file in FILES]


@dataclass
class Scenario:
    """What happens in one world, apart from what goes wrong."""

    mode: ClockMode
    until_ms: int
    is_sorted: bool  # all is there from the beginning, each topic by time
    files: list[int]  # definitions, one after the other
    #: topic and record, in the order in which they are written
    arrivals: list[tuple[str, Record | None]] = field(default_factory=list)
    events: dict[tuple[Kind, int], Dict] = field(default_factory=dict)  # valid ones, by kind and offset
    erasures: list[tuple[str, int]] = field(default_factory=list)
    bad: set[tuple[str, int]] = field(default_factory=set)  # topic and offset
    models: list[Centres] = field(default_factory=list)  # in the order in which they come

    @property
    def same_as_replay(self) -> bool:
        """Whether the changes must be those of a replay of the sorted events."""
        return self.is_sorted and len(self.files) == 1 and not self.erasures and self.mode is not ClockMode.WALL


def make_scenario(random: Random) -> Scenario:
    """A world of a few customers and events."""
    mode = random.choice([ClockMode.FIXED, ClockMode.FIXED, ClockMode.EVENT, ClockMode.WALL])
    is_sorted = random.random() < 0.5
    first = random.randrange(WITH_PERSONAS)
    files = [first]
    if random.random() < 0.25:
        files.append(random.choice([i for i in range(WITH_PERSONAS) if i != first]))
    if is_sorted and mode is ClockMode.EVENT:
        files = [0 if i == 2 else i for i in files][:1]  # a lateness keeps the clock behind the replay's end
    scenario = Scenario(mode, 0, is_sorted, files)
    with_erasures = random.random() < 0.25
    _write(scenario, random, 70 if random.random() < 0.1 else random.randrange(8, 36), with_erasures=with_erasures)
    return scenario


def add_personas(scenario: Scenario, random: Random) -> None:
    """Has the world begin with the file that has personas, and some models come."""
    scenario.files[0] = WITH_PERSONAS
    plan = plans()[WITH_PERSONAS].personas
    assert plan is not None
    last = max(event["timestamp"] for event in scenario.events.values())
    instants = sorted(random.randrange(last + 2_000) for _ in range(random.randrange(1, 5)))
    for number, instant in enumerate(instants, 1):
        numbers = tuple(random.sample([1, 2, 3], random.choice([1, 2, 2, 3])))
        points = tuple(tuple(random.choice([0.0, 0.4, 1.2, 3.0]) for _ in plan.features) for _ in numbers)
        scenario.models.append(Centres(number, plan.features, numbers, (1.0, 0.7, 0.01), points, effective_ms=instant))


def _write(scenario: Scenario, random: Random, count: int, *, with_erasures: bool) -> None:
    offsets = dict.fromkeys((*(kind.topic for kind in Kind), CUSTOMER_ERASURES), 0)
    known: list[Dict] = []
    t = 0
    for number in range(count):
        t += random.choice([0, 0, 300, 1_000, 1_000, 5_000])
        kind = random.choice(list(Kind))
        topic = kind.topic
        if random.random() < 0.06:  # offsets without records
            offsets[topic] += 2
            scenario.arrivals.append((topic, None))
        if random.random() < 0.06:
            scenario.bad.add((topic, offsets[topic]))
            offsets[topic] += 1
            bad = random.choice([b"{", b"[]", b"\xff", None, b'{"event_id": "x"}'])
            scenario.arrivals.append((topic, Record(random.choice([b"a", None]), bad)))
        at = t if scenario.is_sorted or random.random() < 0.7 else max(0, t - random.choice([500, 2_000, 9_000]))
        event = _event(random, kind, number, at)
        if known and random.random() < 0.15:
            again = random.choice(known)
            event = {**again, "timestamp": at if scenario.is_sorted else again["timestamp"]}
            kind = next(k for k in Kind if k.word == event["type"])
            topic = kind.topic
        known.append(event)
        scenario.events[kind, offsets[topic]] = event
        offsets[topic] += 1
        record = Record(event["customer_id"].encode(), json.dumps(event).encode())
        scenario.arrivals.append((topic, record))
        if with_erasures and random.random() < 0.1:
            customer = random.choice(CUSTOMERS)
            instant = max(0, t - random.choice([0, 0, 1_000, 6_000]))
            scenario.erasures.append((customer, instant))
            value = json.dumps({"timestamp": instant}).encode()
            scenario.arrivals.append((CUSTOMER_ERASURES, Record(customer.encode(), value)))
            offsets[CUSTOMER_ERASURES] += 1
    if with_erasures and random.random() < 0.2:
        scenario.bad.add((CUSTOMER_ERASURES, offsets[CUSTOMER_ERASURES]))
        scenario.arrivals.append((CUSTOMER_ERASURES, Record(b"a", b"[1]")))
    last = max(event["timestamp"] for event in scenario.events.values())
    scenario.until_ms = random.choice([last + 3_000, last + 20_000, last, last // 2])


def _event(random: Random, kind: Kind, number: int, at: int) -> Dict:
    event = {
        "type": kind.word,
        "event_id": f"e{number}",
        "customer_id": random.choice(CUSTOMERS),
        "timestamp": at,
    }
    match kind:
        case Kind.CLICK:
            return {**event, "action": "page_view"}
        case Kind.PURCHASE:
            return {**event, "order_id": f"o{number}", "total": random.choice([0.1, 5, 12])}
        case _:
            return {**event, "action": "opened"}
