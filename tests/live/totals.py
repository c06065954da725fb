"""One segment besides others that everybody enters when all is over: its evidence tells all that was ever applied.

An event that was lost, or counted twice, shows in it, whatever else it did or did not change.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stream.engine.partition import Partition
from stream.engine.snapshot import Snapshot
from stream.kafka.defaults import APP_ID
from stream.kafka.topics import changelog_name
from stream.worker.records import Body, KeyType, hash_of, key_type, parse_stored
from tests.live.workers import SEGMENTS, log_of, prepared_plan
from tests.reference import Reference, View

Dict = dict[str, Any]

NAME = "totals"
DAY_MS = 86_400_000

#: None of them depends on when it is looked at, nor (where a customer's instants differ) on the order of arrival.
_NUMBERS = [
    "sum(purchase.total)",
    "avg(purchase.total)",
    "min(purchase.total)",
    "max(purchase.total)",
    "sum(click.price)",
    "sum(click.quantity)",
    "min(click.price)",
    "max(click.price)",
    'count(click where action == "add_to_cart")',
    'count(email where action == "delivered")',
    "distinct(click.category)",
    "first(purchase.total)",
    "last(purchase.total)",
]
_OTHERS = [
    "last(click)",
    "last(purchase)",
    "last(email)",
    "first(click.product_id)",
    "last(click.product_id)",
    "first(purchase.currency)",
    "last(purchase.order_id)",
    "first(email.campaign_id)",
    "last(email.action)",
]


def _segment(after_days: int) -> str:
    since = [f"since(first({kind})) >= {after_days}d" for kind in ("click", "purchase", "email")]
    named = [f"{one} >= 1" for one in _NUMBERS] + [f"exists({one})" for one in _OTHERS]
    # Everybody has an event; the rest is there to be named in the evidence.
    looked_at = " or ".join(["count(click) + count(purchase) + count(email) >= 1", *named])
    return f"\n  {NAME}:\n    enter: ({' or '.join(since)}) and ({looked_at})\n"


def definitions_with_totals(folder: Path, after_days: int, *, remembered: int = 16) -> Path:
    """The ready definitions with the segment, entered so many days after the first event.

    ``remembered`` is how many ids of a customer are remembered, of events and of orders.
    """
    ready = SEGMENTS.read_text(encoding="utf-8")
    dedupe = f"dedupe: {{events: {remembered}, orders: {remembered}}}"
    assert ready.count("version: 1\n") == 1
    path = folder / "definitions.yaml"
    path.write_text(ready.replace("version: 1\n", f"version: 1\n{dedupe}\n") + _segment(after_days), encoding="utf-8")
    return path


def days_of(events: Path) -> int:
    """How many days the events span, begun ones counted."""
    times = [int(json.loads(line)["timestamp"]) for line in events.read_bytes().splitlines()]
    return (max(times) - min(times)) // DAY_MS + 1


def without_ties(lines: Iterable[bytes]) -> list[bytes]:
    """The lines but those of a customer at an instant that another event of theirs has; an event's copies stay."""
    first: dict[tuple[str, int], bytes] = {}
    kept = []
    for line in lines:
        event = json.loads(line)
        if first.setdefault((event["customer_id"], event["timestamp"]), line) == line:
            kept.append(line)
    return kept


def totals_in_changelog(address: str, definitions: Path, until_ms: int) -> dict[str, Dict]:
    """What workers have left of each customer, told by letting time go on to ``until_ms``.

    The latest record of each customer is what counts, where no stalled worker has written.
    """
    plan = prepared_plan(definitions)
    latest = {record.key: record for record in log_of(address, changelog_name(APP_ID))}
    rows, layouts = [], {}
    for key, record in latest.items():
        assert key is not None
        assert record.value is not None
        match key_type(key, record.offset):
            case KeyType.ROW:
                stored = parse_stored(record.value, key.decode())
                assert stored.body_type is Body.ROW
                rows.append((key.decode(), stored.body))
            case KeyType.LAYOUT:
                layouts[hash_of(key)] = record.value
            case _:
                pass
    partition = Partition(plan)
    partition.restore(Snapshot(plan.definitions_hash, -1, -1, layouts, rows))
    found: dict[str, Dict] = {}
    for change in partition.advance(until_ms).records:
        if change["segment"] == NAME:
            assert change["customer_id"] not in found, "it is entered once"
            found[change["customer_id"]] = json.loads(json.dumps(change["values"]))
    return found


def totals_of_reference(lines: list[bytes], after_days: int, remembered: int) -> dict[str, Dict]:
    """The same, computed the slow way from each customer's own events."""
    text = f"version: 1\ndedupe: {{events: {remembered}, orders: {remembered}}}\nsegments:{_segment(after_days)}"
    reference = Reference(text)
    for line in lines:
        reference.apply(json.loads(line))
    definitions = reference.definitions
    (segment,) = definitions.segments
    return {
        customer.id: View(customer, customer.clock, definitions).evidence(segment)
        for customer in reference.customers.values()
    }


def assert_same_totals(found: dict[str, Dict], expected: dict[str, Dict]) -> None:
    """Nobody is missing, and all that was counted is the same."""
    assert found.keys() == expected.keys()
    wrong = [one for one in expected if found[one] != expected[one]]
    differences = [
        (one, name, found[one].get(name), value)
        for one in wrong[:3]
        for name, value in expected[one].items()
        if found[one].get(name) != value
    ]
    assert not wrong, f"{len(wrong)} of {len(expected)} differ: (customer, value, found, expected) {differences}"
