"""When two lists of changes are the same: everything, with evidence and its order; numbers to 9 digits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from stream.instants import parse_instant

Dict = dict[str, Any]


def assert_same(got: Sequence[Dict], expected: Sequence[Dict], *, tolerance_ms: int = 0) -> None:
    """Compares changes in their order. ``definitions`` counts only where both have it, ``quiet`` too."""
    for place in range(max(len(got), len(expected))):
        mine = got[place] if place < len(got) else None
        theirs = expected[place] if place < len(expected) else None
        if mine is None or theirs is None or difference(mine, theirs, tolerance_ms):
            what = "" if mine is None or theirs is None else difference(mine, theirs, tolerance_ms)
            counts = f"change {place} of {len(got)}, expected {len(expected)}"
            raise AssertionError(f"{counts}: {what}\n  got      {mine}\n  expected {theirs}")


def difference(mine: Dict, theirs: Dict, tolerance_ms: int = 0) -> str:
    """The first thing in which two changes differ; empty when none."""
    optional = {"definitions", "quiet"}
    if mine.keys() - optional != theirs.keys() - optional:
        return f"keys: {sorted(mine.keys() ^ theirs.keys())}"
    for key in [key for key in mine if key in theirs and key not in ("at", "values")]:
        if mine[key] != theirs[key] or type(mine[key]) is not type(theirs[key]):
            return str(key)
    if abs(parse_instant(mine["at"]) - parse_instant(theirs["at"])) > tolerance_ms:
        return "at"
    if list(mine["values"]) != list(theirs["values"]):
        return "the keys of values"
    for key, value in mine["values"].items():
        if not same_value(value, theirs["values"][key]):
            return str(key)
    return ""


def same_value(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, float) or isinstance(theirs, float):
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (mine, theirs))
        return numbers and math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-9)
    return type(mine) is type(theirs) and bool(mine == theirs)


def tolerance_ms(*definitions: Any) -> int:
    """How far instants may be apart: those that ``p_alive`` or ``p_buy`` decides, 1 ms."""
    return int(any(word in str(file) for file in definitions for word in ("p_alive", "p_buy")))


@contextmanager
def about(**what: Any) -> Iterator[None]:
    """Adds to a failure what it was about."""
    try:
        yield
    except Exception as error:
        for name, value in what.items():
            error.add_note(f"{name}: {value if isinstance(value, str) else json.dumps(value, default=str)}")
        raise
