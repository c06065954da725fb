"""The layout in plain Python: what has to lie in Redis after changes, written down a second time and in another way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import redis

from stream.instants import parse_instant
from stream.sinks.redis.keys import stay_bucket

HOUR_MS = 3_600_000
Dict = dict[str, Any]


@dataclass
class Person:
    sequence: int = 0
    segments: dict[str, tuple[int, bool]] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    erased_ms: int | None = None


class Model:
    """What has to be there. Nothing is added up: sizes and overlaps are counted when they are asked for."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.moves: list[tuple[str, int, str, str]] = []
        self.stays: list[tuple[str, int]] = []
        self.feed: list[tuple[str, str]] = []
        self.seen: set[str] = set()
        self.gaps = self.unknown = self.duplicates = 0
        self.last_gap: Dict | None = None
        self.at_ms = -1
        self.first_ms: int | None = None

    def apply(self, line: bytes) -> None:
        change = json.loads(line)
        customer, sequence, at_ms = change["customer_id"], change["sequence"], parse_instant(change["at"])
        person = self.people.setdefault(customer, Person())
        if sequence <= person.sequence:
            self.duplicates += 1
            return
        if person.sequence == 0 and sequence > 1:
            self.unknown += 1
        elif sequence > person.sequence + 1:
            self.gaps += 1
            self.last_gap = {"customer": customer, "expected": person.sequence + 1, "got": sequence, "at": at_ms}
        person.sequence = sequence
        self.at_ms = max(self.at_ms, at_ms)
        self.first_ms = at_ms if self.first_ms is None else self.first_ms
        name, cause = change["segment"], change["cause"]
        match change["change"]:
            case "erased":
                self.moves += [(left, at_ms, cause, "out") for left in person.segments]
                self.people[customer] = Person(sequence, erased_ms=at_ms)
                self.feed = [(who, text) for who, text in self.feed if who != customer]
                if self.last_gap and self.last_gap["customer"] == customer:
                    self.last_gap = None
                return
            case "entered":
                if name not in person.segments:
                    self.moves.append((name, at_ms, cause, "in"))
                person.segments[name] = (at_ms, change["holdout"])
            case "exited":
                before = person.segments.pop(name, None)
                if before is not None:
                    self.moves.append((name, at_ms, cause, "out"))
                    self.stays.append((name, stay_bucket(max(0, (at_ms - before[0]) // 1_000))))
        self.seen.add(name)
        person.erased_ms = None
        person.changes.append(line.decode())
        if cause != "erasure":
            self.feed.append((customer, line.decode()))

    def memberships(self) -> dict[str, dict[str, tuple[int, bool]]]:
        return {customer: person.segments for customer, person in self.people.items()}

    def expected(self) -> Dict:
        """What `found` has to find."""
        hour = self.at_ms // HOUR_MS
        minutes = Counter((name, f"{at // 60_000}:{cause}:{way}") for name, at, cause, way in self.moves)
        hours = Counter((name, f"{at // HOUR_MS}:{cause}:{way}") for name, at, cause, way in self.moves)
        return {
            **memberships_in_keys(self.memberships()),
            "sequences": {customer: person.sequence for customer, person in self.people.items()},
            "erased": {c: person.erased_ms for c, person in self.people.items() if person.erased_ms is not None},
            "segments": self.seen,
            "changes": {c: person.changes[::-1][:10] for c, person in self.people.items() if person.changes},
            "minutes": {key: n for key, n in minutes.items() if int(key[1].split(":")[0]) >= hour * 60 - 1_440},
            "hours": {key: n for key, n in hours.items() if int(key[1].split(":")[0]) >= hour - 2_160},
            "stays": dict(Counter(self.stays)),
            "feed": self.feed,
            "gaps": (self.gaps, self.unknown, self.last_gap),
            "at_ms": self.at_ms,
            "history_from_ms": self.first_ms,
        }


def memberships_in_keys(people: Mapping[str, Mapping[str, tuple[int, bool]]]) -> Dict:
    """The sets, the memberships of each customer, and how many are in both of two segments."""
    members: dict[str, set[str]] = {}
    holdout: dict[str, set[str]] = {}
    overlap: Counter[str] = Counter()
    for customer, segments in people.items():
        for name, (_, is_held_out) in segments.items():
            members.setdefault(name, set()).add(customer)
            if is_held_out:
                holdout.setdefault(name, set()).add(customer)
        overlap.update(f"{one}|{other}" for one, other in combinations(sorted(segments), 2))
    return {
        "members": members,
        "holdout": holdout,
        "overlap": dict(overlap),
        "customers": {customer: dict(segments) for customer, segments in people.items() if segments},
    }


def found(client: redis.Redis, prefix: str = "segstream:") -> Dict:
    """All that lies in Redis, under the same names. A key that is none of the layout's is an error."""
    result: Dict = {
        name: {}
        for name in ("members", "holdout", "customers", "sequences", "erased", "changes", "minutes", "hours", "stays")
    }
    result |= {"segments": set(), "overlap": {}, "feed": [], "gaps": (0, 0, None), "offsets": {}, "meta": {}}
    for key in client.scan_iter(count=1_000):
        assert key.startswith(prefix), key
        kind, _, rest = key.removeprefix(prefix).partition(":")
        match kind:
            case "segment":
                name, _, what = rest.partition(":")
                assert what in ("members", "holdout"), key
                result[what][name] = client.smembers(key)
            case "customer":
                _read_customer(result, rest, client.hgetall(key), client.pttl(key))
            case "changes":
                result["changes"][rest] = client.lrange(key, 0, -1)
                assert client.pttl(key) > 89 * 24 * HOUR_MS
            case "flow":
                name, _, unit = rest.partition(":")
                result[unit] |= {(name, field): int(n) for field, n in client.hgetall(key).items()}
            case "stay":
                result["stays"] |= {(rest, int(bucket)): int(n) for bucket, n in client.hgetall(key).items()}
            case "overlap":
                result["overlap"] = {pair: int(n) for pair, n in client.hgetall(key).items()}
            case "feed":
                entries: Iterable[tuple[str, dict[str, str]]] = client.xrange(key)
                result["feed"] = [(fields["customer"], fields["change"]) for _, fields in entries]
            case "gaps":
                gaps = client.hgetall(key)
                last = json.loads(gaps["last"]) if "last" in gaps else None
                result["gaps"] = (int(gaps.get("count", 0)), int(gaps.get("unknown", 0)), last)
            case "segments":
                result["segments"] = client.smembers(key)
            case "offsets":
                result["offsets"] = {int(partition): int(offset) for partition, offset in client.hgetall(key).items()}
            case "meta":
                result["meta"] = client.hgetall(key)
            case _:
                raise AssertionError(f"a key that is not in the layout: {key}")
    result["at_ms"] = int(result["meta"].get("at_ms", -1))
    history = result["meta"].get("history_from_ms")
    result["history_from_ms"] = None if history is None else int(history)
    return result


def _read_customer(result: Dict, customer: str, fields: Dict, ttl_ms: int) -> None:
    result["sequences"][customer] = int(fields.pop("sequence"))
    fields.pop("day", None)
    erased = fields.pop("erased", None)
    if erased is not None:
        result["erased"][customer] = int(erased)
        assert not fields, fields
    assert (ttl_ms > 0) == (erased is not None), (customer, ttl_ms)
    if fields:
        result["customers"][customer] = {
            name.removeprefix("@"): (int(text.removesuffix("|h")), text.endswith("|h")) for name, text in fields.items()
        }
