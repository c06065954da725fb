"""Random changes of a definitions file: what people do to theirs, and what nobody should.

``redefined`` gives a valid file made from another by some such changes; see ``tests.strategies`` for ``Source``.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import Any

from hypothesis import strategies as st

from stream.language.checker import check
from tests.strategies import CHURN, NUMBERS, WORDS, Definer, Drawn, Seeded, Source

Dict = dict[str, Any]

_THRESHOLD = re.compile(r"(?<=[<>=!]= |.[<>] )-?\d+(?:\.\d+)?(?![\w.])")
_DURATION = re.compile(r"\b(?:\d+(?:ms|[smhdw]))+\b")
_MEMBER = re.compile(r"""member\(["'](\w+)["']\)""")


@lru_cache(maxsize=4096)
def _is_valid(text: str) -> bool:
    return check(text, "test").definitions is not None


class Changer(Definer):
    """Makes one definitions file from another."""

    def __init__(self, source: Source, file: Dict) -> None:
        super().__init__(source)
        self.content = copy.deepcopy(file)
        self.declared = self.content.get("fields", {})

    @property
    def segments(self) -> dict[str, Dict]:
        segments: dict[str, Dict] = self.content["segments"]
        return segments

    def one(self) -> str:
        """The name of some segment."""
        return self.pick(list(self.segments))

    def fresh_name(self) -> str:
        return next(name for name in (f"n{place}" for place in range(100)) if name not in self.segments)

    def words(self, kind: str, name: str) -> list[str]:
        return WORDS["tone"] if name in self.declared.get(kind, {}) else super().words(kind, name)

    # What can happen to a file

    def nothing(self) -> None:
        pass

    def rewrite(self, pattern: re.Pattern[str], replacement: Callable[[], str]) -> None:
        """Replaces one match in a condition or a feature."""
        places: list[tuple[Dict, str, re.Match[str]]] = []
        for holder in (self.content.get("features", {}), *self.segments.values()):
            for key, text in holder.items():
                if key in ("enter", "exit") or holder is self.content.get("features"):
                    places += [(holder, key, match) for match in pattern.finditer(text)]
        if places:
            holder, key, match = self.pick(places)
            holder[key] = holder[key][: match.start()] + replacement() + holder[key][match.end() :]

    def threshold(self) -> None:
        self.rewrite(_THRESHOLD, lambda: self.pick(NUMBERS))

    def length(self) -> None:
        self.rewrite(_DURATION, self.duration)

    def words_only(self) -> None:
        """Changes that mean nothing: brackets, a description."""
        segment = self.segments[self.one()]
        segment["enter"] = f"({segment['enter']})"
        segment["description"] = "the same"

    def wait(self) -> None:
        segment = self.segments[self.one()]
        key = self.pick(["for", "min_stay", "cooldown"])
        if key in segment and self.chance(30):
            del segment[key]
        else:
            segment[key] = self.duration()

    def flags(self) -> None:
        segment = self.segments[self.one()]
        if self.chance(50):
            segment["once"] = not segment.get("once", False)
        else:
            segment["holdout"] = self.pick([0, 0.5, 1])

    def leaving(self) -> None:
        segment = self.segments[self.one()]
        if "exit" in segment and self.chance(40):
            del segment["exit"]
        else:
            segment["exit"] = self.condition().text

    def entering(self) -> None:
        self.segments[self.one()]["enter"] = self.condition().text

    def never(self) -> None:
        self.add({"enter": self.call("never", self.kind()).text})

    def new_segment(self) -> None:
        self.above = list(self.segments)
        self.add(self.segment())

    def add(self, segment: Dict) -> None:
        """Adds a segment somewhere."""
        entries = list(self.segments.items())
        entries.insert(self.source.integer(0, len(entries)), (self.fresh_name(), segment))
        self.content["segments"] = dict(entries)

    def remove(self) -> None:
        if len(self.segments) > 1:
            del self.segments[self.one()]

    def rename(self) -> None:
        """One segment gets another's place under a new name, or two exchange their names."""
        old, new = self.one(), self.fresh_name()
        if self.chance(40):
            new = self.one()
        names = {old: new, new: old}
        self.content["segments"] = {names.get(name, name): body for name, body in self.segments.items()}

    def reorder(self) -> None:
        entries = list(self.segments.items())
        entries.append(entries.pop(self.source.integer(0, len(entries) - 1)))
        self.content["segments"] = dict(reversed(entries) if self.chance(30) else entries)

    def buckets(self) -> None:
        self.content["buckets"] = self.pick([24, 2, 3, 5, 7, 12, 120])

    def dedupe(self) -> None:
        self.content["dedupe"] = {"events": self.pick([16, 0, 1, 2, 4, 64]), "orders": self.pick([8, 0, 1, 2, 64])}

    def churn(self) -> None:
        self.content["churn"] = self.pick(CHURN)

    def declare(self) -> None:
        """A field of the file's own gets another type, or is there for the first time."""
        fields = self.content.setdefault("fields", {})
        kind = self.pick(["click", "purchase", "email"])
        declared = fields.setdefault(kind, {})
        name = self.pick([*declared, "score"])
        declared[name] = self.pick(["number", "text", "boolean"])
        self.declared = fields

    def lateness(self) -> None:
        self.content["lateness"] = self.pick(["0s", "5s", "1h"])

    def change(self) -> None:
        """One change; nothing where the file would not be valid any more."""
        before = copy.deepcopy(self.content)
        self.weighted(
            (1, self.nothing),
            (6, self.threshold),
            (4, self.length),
            (2, self.words_only),
            (4, self.wait),
            (2, self.flags),
            (3, self.leaving),
            (2, self.entering),
            (2, self.never),
            (4, self.new_segment),
            (4, self.remove),
            (3, self.rename),
            (3, self.reorder),
            (3, self.buckets),
            (3, self.dedupe),
            (2, self.churn),
            (1, self.lateness),
            (2, self.declare),
        )
        self.mend()
        if not _is_valid(json.dumps(self.content)):
            self.content = before

    def mend(self) -> None:
        """Memberships of segments that are not above any more become something else."""
        above: set[str] = set()
        for name, segment in self.segments.items():
            for key in segment.keys() & {"enter", "exit"}:
                segment[key] = _MEMBER.sub(
                    lambda found: found[0] if found[1] in above else "(count(click) >= 2)",
                    segment[key],
                )
            above.add(name)

    def changed(self) -> Dict:
        self.many(1, 5, self.change)
        return self.content


def suited(events: list[Dict], file: Dict) -> list[Dict]:
    """The events as they are valid under a file: with values of the types that it declares."""
    found = []
    for event in events:
        suitable = dict(event)
        for name, type_ in file.get("fields", {}).get(event["type"], {}).items():
            value = event.get(name)
            if value is not None:
                number = float(len(str(value))) if isinstance(value, bool | str) else value
                values = {"number": number, "text": f"{value}", "boolean": bool(value)}
                suitable[name] = values[type_]
        found.append(suitable)
    return found


def _redefined(source: Source, file: Dict) -> Dict:
    changer = Changer(source, file)
    if changer.chance(8):
        return Definer(source).file()
    return changer.changed()


@st.composite
def redefinitions(draw: Any, file: Dict) -> Dict:
    """A valid file made from ``file``, which stays as it is."""
    return _redefined(Drawn(draw), file)


def random_redefinition(random: Random, file: Dict) -> Dict:
    """As ``redefinitions``, from a seeded generator."""
    return _redefined(Seeded(random), file)
