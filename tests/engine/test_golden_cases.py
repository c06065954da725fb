"""The golden cases: each replayed in many ways, and by the reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine.agreement import assert_same, tolerance_ms
from tests.engine.driver import Way, replay
from tests.engine.golden import CASES, all_cases, read_case
from tests.reference import replay as reference_replay

Dict = dict[str, Any]

WAYS = [
    Way(1),
    Way(7),
    Way(1_000),
    Way(1, restore="always"),  # crashed at each step and resumed
    Way(7, restore="always"),
    Way(0, crashes=True, seed=1),
    Way(0, crashes=True, seed=2),
    Way(1, partitions=3),
    Way(1_000, partitions=8),
    Way(0, partitions=3, crashes=True, seed=3),
]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("path", all_cases(), ids=lambda path: path.stem)
def test_a_case(path: Path, way: Way) -> None:
    case = read_case(path)
    got = replay(case.definitions, case.events, case.until_ms, way)
    assert_same(got, case.changes, tolerance_ms=tolerance_ms(case.definitions))


@pytest.mark.parametrize("path", all_cases(), ids=lambda path: path.stem)
def test_the_reference_agrees(path: Path) -> None:
    case = read_case(path)
    got = reference_replay(case.definitions, case.events, case.until_ms)
    assert_same(got, case.changes, tolerance_ms=tolerance_ms(case.definitions))


def test_there_are_cases() -> None:
    assert len(all_cases()) >= 12


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda content: content.update(changes=[]), "these have changes: \\[\\]"),
        (lambda content: content["changes"].pop(), "said to have none"),
        (lambda content: content.pop("changes"), "missing keys \\['changes'\\]"),
        (lambda content: content.update(chnages=[]), "unknown keys \\['chnages'\\]"),
        (lambda content: content.update(silent={"customers": ["ann"]}), "said to have none: \\['ann'\\]"),
    ],
)
def test_a_case_that_shows_nothing_is_refused(tmp_path: Path, edit: Callable[[Dict], object], message: str) -> None:
    """No segment and no customer is without a change by accident."""
    content: Dict = {
        "about": "One click.",
        "definitions": {"version": 1, "segments": {"came": {"enter": "count(click) >= 1"}}},
        "events": [{"type": "click", "event_id": "e1", "customer_id": "ann", "timestamp": 0, "action": "page_view"}],
        "changes": [
            {
                "customer": "ann",
                "segment": "came",
                "change": "entered",
                "at": "1970-01-01T00:00:00.000Z",
                "by": "e1",
                "values": {"count(click)": 1},
            }
        ],
    }
    path = tmp_path / "case.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert_same(reference_replay(content["definitions"], content["events"]), read_case(path).changes)
    edit(content)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_case(path)


def test_every_case_is_in_the_folder() -> None:
    """A file with another ending would never be run."""
    assert [path.name for path in sorted(CASES.iterdir())] == [path.name for path in all_cases()]
