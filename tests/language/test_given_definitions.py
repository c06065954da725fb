"""Definitions that others wrote: the ready file of the package, and the conformance cases beside the project."""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from stream.language.canonical import text
from stream.language.checker import check, load
from stream.language.meaning import evidence
from stream.language.tree import Aggregate, Function

CASES = Path(__file__).parents[2].joinpath("../shared/data/cases.jsonl").resolve()
BUCKETS = 24


def _ready_file() -> str:
    return files("stream").joinpath("segments.yaml").read_text(encoding="utf-8")


def test_ready_file_has_no_problem() -> None:
    assert check(_ready_file(), "segments.yaml").problems == []


def test_ready_file_covers_what_a_shop_asks_for_at_a_small_price() -> None:
    definitions = load(_ready_file(), "segments.yaml")
    assert len(definitions.segments) >= 14
    assert all(segment.description for segment in definitions.segments)
    tags = Counter(tag for segment in definitions.segments for tag in segment.tags)
    assert tags.keys() == {"behaviour", "funnel", "value", "churn", "email", "device", "place"}
    aggregates = {one for segment in definitions.segments for one in evidence(segment) if isinstance(one, Aggregate)}
    assert sum(map(_bytes, aggregates)) <= 900


def _bytes(aggregate: Aggregate) -> int:
    """About what an aggregate costs per customer."""
    if aggregate.function is Function.DISTINCT:
        return 256 + 16
    if aggregate.window_ms is not None:
        return (4 if aggregate.function is Function.COUNT else 8) * BUCKETS
    return 32 if aggregate.function in (Function.P_ALIVE, Function.P_BUY) else 16


def test_ready_file_survives_the_way_through_json() -> None:
    """Canonical texts of its segments, as JSON, mean the same."""
    definitions = load(_ready_file(), "segments.yaml")
    content = {
        "version": 1,
        "segments": {
            segment.name: {"enter": text(segment.enter), "exit": text(segment.exit)} for segment in definitions.segments
        },
    }
    again = load(json.dumps(content), "json")
    for one, other in zip(definitions.segments, again.segments, strict=True):
        assert (one.enter, one.exit) == (other.enter, other.exit)


@pytest.mark.skipif(not CASES.exists(), reason=f"the conformance cases are not there: {CASES}")
def test_conformance_cases_load_and_name_the_same_evidence() -> None:
    with CASES.open(encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines]
    assert cases
    for case in cases:
        definitions = load(json.dumps(case["definitions"]), "case")
        keys = {segment.name: [text(one) for one in evidence(segment)] for segment in definitions.segments}
        for change in case["changes"]:
            assert list(change["values"]) == keys[change["segment"]]
