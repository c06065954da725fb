"""The layout in plain Python: what has to lie in Redis after changes, written down a second time and in another way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, islice
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
        #: Of personas only: customer, number of the change, instant, persona, and whether in or out.
        self.persona_moves: list[tuple[str, int, int, str, str]] = []
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
                for left in person.segments:
                    self._move(customer, -1, left, at_ms, cause, "out")
                self.people[customer] = Person(sequence, erased_ms=at_ms)
                self.feed = [(who, text) for who, text in self.feed if who != customer]
                if self.last_gap and self.last_gap["customer"] == customer:
                    self.last_gap = None
                return
            case "entered":
                if name not in person.segments:
                    self._move(customer, sequence, name, at_ms, cause, "in")
                person.segments[name] = (at_ms, change["holdout"])
            case "exited":
                before = person.segments.pop(name, None)
                if before is not None:
                    self._move(customer, sequence, name, at_ms, cause, "out")
                    self.stays.append((name, stay_bucket(max(0, (at_ms - before[0]) // 1_000))))
        self.seen.add(name)
        person.erased_ms = None
        person.changes.append(line.decode())
        if cause != "erasure":
            self.feed.append((customer, line.decode()))

    def _move(self, customer: str, sequence: int, segment: str, at_ms: int, cause: str, way: str) -> None:
        self.moves.append((segment, at_ms, cause, way))
        if segment.startswith("persona_p"):
            self.persona_moves.append((customer, sequence, at_ms, segment.removeprefix("persona_"), way))

    def between_personas(self) -> Counter[tuple[int, str]]:
        """By hour and ``FROM>TO``: an exit and the entry that follows it at the same instant are one move."""
        ins = {(who, number, at): persona for who, number, at, persona, way in self.persona_moves if way == "in"}
        found: Counter[tuple[int, str]] = Counter()
        for who, number, at, persona, way in self.persona_moves:
            if way == "out":
                entered = ins.pop((who, number + 1, at), "") if number > 0 else ""
                found[at // HOUR_MS, f"{persona}>{entered}"] += 1
        found.update((at // HOUR_MS, f">{persona}") for (_, _, at), persona in ins.items())
        return found

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
            "between": {key: n for key, n in self.between_personas().items() if key[0] >= hour - 2_160},
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
    result |= {
        "between": {},
        "segments": set(),
        "overlap": {},
        "feed": [],
        "gaps": (0, 0, None),
        "offsets": {},
        "meta": {},
    }
    for keys in batched(client.scan_iter(count=1_000), 1_000):
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                assert key.startswith(prefix), key
                _ask(pipe, key, key.removeprefix(prefix))
                pipe.pttl(key)
            answers = pipe.execute()
        for key, value, ttl_ms in zip(keys, answers[::2], answers[1::2], strict=True):
            _take(result, key.removeprefix(prefix), value, ttl_ms)
    result["at_ms"] = int(result["meta"].get("at_ms", -1))
    _leave_out_old(result)
    history = result["meta"].get("history_from_ms")
    result["history_from_ms"] = None if history is None else int(history)
    return result


def _leave_out_old(result: Dict) -> None:
    """Flows that may be there or not: they are removed within 24 hours of the stream clock."""
    hour = result["at_ms"] // HOUR_MS
    for unit, per_hour, kept in (("minutes", 60, 1_440), ("hours", 1, 2_160)):
        first = hour * per_hour - kept
        numbers = {key: int(key[1].split(":")[0]) for key in result[unit]}
        assert all(number >= first - 24 * per_hour for number in numbers.values()), unit
        result[unit] = {key: count for key, count in result[unit].items() if numbers[key] >= first}


def batched(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(keys)
    while some := list(islice(rest, size)):
        yield some


def _ask(pipe: Any, key: str, name: str) -> None:
    match name.partition(":")[0]:
        case "segment" | "segments":
            pipe.smembers(key)
        case "customer" | "flow" | "stay" | "moves" | "overlap" | "gaps" | "offsets" | "meta":
            pipe.hgetall(key)
        case "changes":
            pipe.lrange(key, 0, -1)
        case "feed":
            pipe.xrange(key)
        case _:
            raise AssertionError(f"a key that is not in the layout: {key}")


def _take(result: Dict, name: str, value: Any, ttl_ms: int) -> None:
    kind, _, rest = name.partition(":")
    match kind:
        case "segment":
            segment, _, what = rest.partition(":")
            assert what in ("members", "holdout"), name
            result[what][segment] = value
        case "customer":
            _read_customer(result, rest, value, ttl_ms)
        case "changes":
            result["changes"][rest] = value
            assert ttl_ms > 90 * 24 * HOUR_MS - HOUR_MS
        case "flow":
            segment, _, unit = rest.partition(":")
            result[unit] |= {(segment, field): int(n) for field, n in value.items()}
        case "moves":
            result["between"] |= {(int(rest), field): int(n) for field, n in value.items()}
        case "stay":
            result["stays"] |= {(rest, int(bucket)): int(n) for bucket, n in value.items()}
        case "overlap" | "offsets":
            result[kind] = {int(field) if kind == "offsets" else field: int(n) for field, n in value.items()}
        case "feed":
            result["feed"] = [(fields["customer"], fields["change"]) for _, fields in value]
        case "gaps":
            last = json.loads(value["last"]) if "last" in value else None
            result["gaps"] = (int(value.get("count", 0)), int(value.get("unknown", 0)), last)
        case "segments" | "meta":
            result[kind] = value


def _read_customer(result: Dict, customer: str, fields: Dict, ttl_ms: int) -> None:
    result["sequences"][customer] = int(fields.pop("sequence"))
    fields.pop("day", None)
    fields.pop("left", None)
    erased = fields.pop("erased", None)
    if erased is not None:
        result["erased"][customer] = int(erased)
        assert not fields, fields
    assert (ttl_ms > 0) == (erased is not None), (customer, ttl_ms)
    if fields:
        result["customers"][customer] = {
            name.removeprefix("@"): (int(text.removesuffix("|h")), text.endswith("|h")) for name, text in fields.items()
        }
