"""The schema of definitions files knows the keys, the defaults and the limits that the checker knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from stream.language import checker, personas, segments
from stream.language.literals import write_duration
from stream.language.tree import Personas
from tests.docs.examples import context

SCHEMA: dict[str, Any] = json.loads(
    Path(__file__).parents[2].joinpath("schemas/definitions.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
SECTION: dict[str, Any] = SCHEMA["properties"]["personas"]["properties"]


def with_personas(**keys: Any) -> dict[str, Any]:
    section = {"features": {"orders": "count(purchase)"}, "k": 6, **keys}
    return {"version": 1, "personas": section, "segments": {"a": {"enter": "never(click)"}}}


def test_keys_are_those_of_the_checker() -> None:
    assert set(SCHEMA["properties"]) == set(checker.KEYS)
    assert set(SCHEMA["$defs"]["segment"]["properties"]) == set(segments._KEYS)
    assert set(SECTION) == set(personas.KEYS)


def test_defaults_of_personas_are_those_of_the_tree() -> None:
    plain = Personas(features=(), k_min=2, k_max=2)
    assert {key: entry["default"] for key, entry in SECTION.items() if "default" in entry} == {
        "min_share": plain.min_share,
        "margin": plain.margin,
        "active_within": write_duration(plain.active_within_ms),
        "every": write_duration(plain.every_ms),
        "samples": plain.samples,
        "aliases": plain.aliases,
    }


def test_the_large_example_of_the_docs_fits() -> None:
    content = yaml.safe_load(context().replace("2027-03-31", '"2027-03-31"'))
    assert list(VALIDATOR.iter_errors(content)) == []


@pytest.mark.parametrize(
    "keys",
    [
        {"k": 2},
        {"k": 50},
        {"k": {"min": 2, "max": 50}},
        {"min_share": 0.5},
        {"margin": 0.9},
        {"samples": 1_000_000},
        {"aliases": {"p1": "regulars", "p20": "p_5"}},
        {"features": {f"f{number}": f"count(click) + {number}" for number in range(16)}},
    ],
)
def test_what_the_checker_takes_fits(keys: dict[str, Any]) -> None:
    assert list(VALIDATOR.iter_errors(with_personas(**keys))) == []
    problems = checker.check(json.dumps(with_personas(**keys)), "f").problems
    assert [problem for problem in problems if problem.severity == "error"] == []


@pytest.mark.parametrize(
    "keys",
    [
        {"k": 1},
        {"k": 51},
        {"k": {"min": 2}},
        {"k": {"min": 1, "max": 9}},
        {"min_share": 0.51},
        {"margin": -0.1},
        {"samples": 0},
        {"samples": 1_000_001},
        {"active_within": "90 days"},
        {"every": 5},
        {"aliases": {"p03": "regulars"}},
        {"aliases": {"p3": "p4"}},
        {"aliases": {"p3": "Regulars"}},
        {"features": {}},
        {"features": {f"f{number}": f"count(click) + {number}" for number in range(17)}},
        {"other": 1},
    ],
)
def test_what_the_checker_refuses_does_not_fit(keys: dict[str, Any]) -> None:
    assert list(VALIDATOR.iter_errors(with_personas(**keys))) != []
    assert checker.check(json.dumps(with_personas(**keys)), "f").definitions is None
