"""Personas on the dashboard beside a real worker that takes versions, and a real sink: all as a replay says."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.redis_server import RedisServer
from stream.instants import parse_instant
from stream.language.persona_names import persona_of
from stream.simulate import Simulation
from tests.dashboard.test_dashboard_whole import get, running, until
from tests.live.personas import definitions, publish, trained
from tests.live.workers import Expected, Worker, last_ms, send

DAY_MS = 86_400_000


def moves_of(expected: Expected, since_ms: int) -> Counter[tuple[str | None, str | None]]:
    """From the changes of each customer, in their order: whom they left, and whom they came to at that instant."""
    by_customer: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for change in map(json.loads, expected.changes.values()):
        if persona_of(change["segment"]) is not None:
            by_customer[change["customer_id"]].append(change)
    found: Counter[tuple[str | None, str | None]] = Counter()
    for changes in by_customer.values():
        at_once: dict[str, dict[str, str]] = defaultdict(dict)
        for change in changes:
            at_once[change["at"]][change["change"]] = persona_of(change["segment"]) or ""
        for at, both in at_once.items():
            if parse_instant(at) >= since_ms:
                found[both.get("exited"), both.get("entered")] += 1
    return found


def test_personas_are_those_of_a_replay(tmp_path: Path) -> None:
    events, file = tmp_path / "events.jsonl", definitions(tmp_path)
    events.write_bytes(b"".join(Simulation(customers=150, days=25, seed=3, habits="personas").chunks()))
    models = trained(file, events)
    until_ms = last_ms(events) + DAY_MS
    expected = Expected(events, until_ms, file, models)
    members: Counter[str] = Counter()
    having: dict[str, str] = {}
    for customer, record in expected.members.items():
        for name in record["segments"]:
            if (id_ := persona_of(name)) is not None:
                members[id_] += 1
                having[customer] = id_
    assert len(members) > 2
    with EmbeddedBroker() as broker, RedisServer() as redis, contextlib.ExitStack() as stack:
        send(broker.address, events)
        asyncio.run(publish(broker.address, models))
        options = ("--clock", str(until_ms), "--port", "0")
        stack.enter_context(Worker(broker.address, tmp_path / "worker.log", *options, definitions=file))
        places = ("--broker", broker.address, "--redis", redis.url)
        stack.enter_context(running(tmp_path / "sink.log", "sink", "redis", *places))
        shown = ("dashboard", str(file), *places, "--port", "0")
        url = stack.enter_context(running(tmp_path / "dashboard.log", *shown)).url()

        def counts() -> dict[str, int]:
            found = get(f"{url}/v1/personas").json["personas"]
            return {one["id"]: one["members"] for one in found if one["members"]}

        until(lambda: counts() == members, lambda: (counts(), members))
        until(lambda: not get(f"{url}/v1/pipeline").json["lag_records"])
        answer = get(f"{url}/v1/personas").json
        assert (answer["state"], answer["version"]) == ("learned", models[-1].version)
        assert {one["id"]: one["alias"] for one in answer["personas"]}["p2"] == "fans"
        assert all(one["is_in_version"] for one in answer["personas"] if one["members"])
        moves = get(f"{url}/v1/personas/moves?hours=2160").json["moves"]
        assert {(one["from"], one["to"]): one["customers"] for one in moves} == moves_of(expected, 0)
        hours = get(f"{url}/v1/personas/moves?hours=168").json
        week = {(one["from"], one["to"]): one["customers"] for one in hours["moves"]}
        assert week == moves_of(expected, parse_instant(hours["since"]))
        assert sum(week.values()) < sum(one["customers"] for one in moves)
        for customer in list(having)[:5]:
            assert get(f"{url}/v1/customers/{customer}").json["persona"]["id"] == having[customer]
        assert {one["name"] for one in get(f"{url}/v1/segments").json["segments"]} == {"likes", "top", "buyer"}
