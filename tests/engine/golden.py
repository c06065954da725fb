"""Golden cases: ``tests/cases/*.yaml``, definitions and events in, changes out. A new case is a new file.

* ``about``: what the case shows, in a sentence or two.
* ``definitions``: a definitions file.
* ``events``: in the order of their arrival.
* ``until``: where time stops, where that is not at the latest event.
* ``changes``: all that comes out, customer by customer, each with ``customer``, ``segment``, ``change``, ``at``, ``by``
  (the event's id, or ``timer``), ``values``, and ``holdout`` where it is true.
* ``silent``: ``segments`` and ``customers`` without any change. All others must have some, so that no case can come
  to show nothing without anybody noticing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.reference import instant

Dict = dict[str, Any]
CASES = Path(__file__).parents[1] / "cases"


class _Loader(yaml.SafeLoader):
    """Reads instants as the text that they are."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Case:
    """One golden case; ``changes`` are whole records but for ``definitions``, customer by customer."""

    name: str
    definitions: Dict
    events: list[Dict]
    until_ms: int | None
    changes: list[Dict]


def read_case(path: Path) -> Case:
    """Reads a case; raises ``ValueError`` for one that is not as it should be."""
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # it is a SafeLoader
    _check_keys(content, {"about", "definitions", "events", "changes"}, {"until", "silent"}, path.name)
    sequences: Counter[str] = Counter()
    changes = []
    for change in content["changes"]:
        _check_keys(change, {"customer", "segment", "change", "at", "by", "values"}, {"holdout"}, path.name)
        customer = change["customer"]
        sequences[customer] += 1
        changes.append(
            {
                "id": f"{customer}:{sequences[customer]}",
                "customer_id": customer,
                "segment": change["segment"],
                "change": change["change"],
                "at": change["at"],
                "sequence": sequences[customer],
                "cause": "timer" if change["by"] == "timer" else "event",
                "event_id": None if change["by"] == "timer" else change["by"],
                "values": change["values"],
                "holdout": change.get("holdout", False),
                "quiet": False,
            }
        )
    changes.sort(key=lambda change: change["customer_id"])
    silent = content.get("silent", {})
    _check_keys(silent, set(), {"segments", "customers"}, path.name)
    _check_all("segment", list(content["definitions"]["segments"]), changes, silent.get("segments", []))
    customers = list(dict.fromkeys(event["customer_id"] for event in content["events"]))
    _check_all("customer_id", customers, changes, silent.get("customers", []))
    until = content.get("until")
    return Case(
        path.stem, content["definitions"], content["events"], None if until is None else instant(until), changes
    )


def _check_keys(mapping: Dict, needed: set[str], allowed: set[str], where: str) -> None:
    missing, unknown = needed - mapping.keys(), mapping.keys() - needed - allowed
    if missing or unknown:
        raise ValueError(f"{where}: missing keys {sorted(missing)}, unknown keys {sorted(unknown)}")


def _check_all(key: str, names: list[str], changes: list[Dict], silent: list[str]) -> None:
    """All of ``names`` but the ``silent`` ones have a change."""
    changed = [name for name in names if any(change[key] == name for change in changes)]
    if sorted(changed + silent) != sorted(names):
        raise ValueError(f"of {key}s {names}, these have changes: {changed}, and these are said to have none: {silent}")


def all_cases() -> list[Path]:
    return sorted(CASES.glob("*.yaml"))
