"""Every example in the docs is tried: it gives what the page says, or the test says what it gives."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest

from stream.cli import cli
from stream.contract import KINDS, Kind
from stream.engine import opcodes
from stream.engine.accumulators import Accumulator
from stream.events.decoder import Decoder
from stream.events.reasons import Code
from stream.instants import parse_instant, parse_time
from stream.language.canonical import text
from stream.language.checker import check, load
from stream.language.literals import read_duration
from stream.language.meaning import evidence
from stream.simulate import Simulation
from tests.docs import examples
from tests.docs.pages import (
    ROOT,
    Block,
    Table,
    all_blocks,
    all_tables,
    code,
    codes,
    page_id,
    pages,
    rows_of,
)
from tests.events.making import everything

REPAIR = "if this is as it should be: python -m tests.docs.examples"


def named(items: Iterable[Block | Table]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("item", list(items), ids=str)


def schema(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    return content


def assert_fits(record: object, name: str) -> None:
    jsonschema.Draft202012Validator(
        schema(name), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(record)


# --- definitions and expressions ------------------------------------------------------------------------------------


@named(all_blocks("yaml", "file"))
def test_whole_definitions_files_have_no_problems(item: Block) -> None:
    assert [str(problem) for problem in check(item.text, item.name).problems] == []


@named(all_blocks("yaml", "wrong"))
def test_wrong_definitions_files_have_errors(item: Block) -> None:
    assert check(item.text, item.name).definitions is None


def test_every_block_of_yaml_says_what_it_is() -> None:
    assert [str(block) for block in all_blocks("yaml") if block.words[1:2] not in (("file",), ("wrong",))] == []


@named(all_tables("expression"))
def test_expressions_in_tables_have_no_problems(item: Table) -> None:
    for row in item.rows:
        for expression in codes(row[0]):
            assert examples.problems_of(expression, "features") == [], expression


@named(all_tables("condition"))
def test_conditions_in_tables_have_no_problems(item: Table) -> None:
    for row in item.rows:
        for condition in codes(row[0]):
            assert examples.problems_of(condition) == [], condition


@named(all_blocks("text", "wrong"))
def test_wrong_expressions_get_the_messages_shown(item: Block) -> None:
    assert examples.wrong(item) == item.text, REPAIR


@pytest.mark.parametrize(("written", "canonical"), [tuple(map(code, row)) for row in rows_of("language", "written")])
def test_canonical_text_is_as_shown(written: str, canonical: str) -> None:
    condition = f"{written} < 0.5" if written.startswith("p_") else f"exists({written})"
    file = examples.context() + f"  this_one:\n    enter: |\n      {condition}\n"
    (only,) = evidence(load(file, "segments.yaml").segments[-1])
    assert text(only) == canonical


def test_literals_are_read_as_shown() -> None:
    numbers, durations, texts, truths, lists = (codes(row[0]) for row in rows_of("language", "literal"))
    for written in numbers:
        assert examples.problems_of(f"last(click.price) > {written}") == []
    for written in durations:
        assert read_duration(written) is not None
        assert examples.problems_of(f"gap(click) > {written}") == []
    for written in texts:
        assert examples.problems_of(f"last(click.category) == {written}") == []
    for written in truths:
        assert examples.problems_of(f"last(click.gift) == {written}") == []
    for written in lists:
        assert examples.problems_of(f"last(click.country) in {written}") == []


def test_windows_are_cut_as_shown() -> None:
    for window, bucket, span in rows_of("language", "window"):
        width = math.ceil(milliseconds(code(window)) / 24)
        assert width == milliseconds(code(bucket))
        least, most = span.split(" to ")
        assert (milliseconds(least), milliseconds(most)) == (23 * width, 24 * width)


def milliseconds(duration: str) -> int:
    found = read_duration(duration)
    assert found is not None
    return found


def test_conditions_on_what_is_missing_come_out_as_shown(tmp_path: Path) -> None:
    (table,) = [table for table in all_tables("condition") if table.head[1] == "for a customer without a click"]
    segments = "".join(f"  s{i}:\n    enter: |\n      {code(row[0])}\n" for i, row in enumerate(table.rows))
    event = {"type": "email", "event_id": "1", "customer_id": "ada", "timestamp": 0, "action": "opened"}
    (tmp_path / "s.yaml").write_text(f"version: 1\nsegments:\n{segments}", encoding="utf-8")
    (tmp_path / "e.jsonl").write_text(json.dumps(event), encoding="utf-8")
    changes = examples.printed("segstream replay s.yaml e.jsonl", str(tmp_path)).splitlines()
    entered = {json.loads(change)["segment"] for change in changes}
    for i, row in enumerate(table.rows):
        assert row[1] == ("true" if f"s{i}" in entered else "false"), row[0]


def p_alive(model: str, x: int, t_x: float, age: float) -> float:
    """By the formulas of the page, with the default parameters."""
    r, alpha, a, b = 0.243, 4.414, 0.793, 2.426
    if model == "bgnbd" and x == 0:
        return 1.0
    weight = b + x - 1 if model == "bgnbd" else b + x
    return 1 / (1 + a / weight * math.pow((alpha + age) / (alpha + t_x), r + x))


def test_churn_probabilities_are_as_shown() -> None:
    for customer, *cells in rows_of("language", "customer"):
        x, t_x, age = int(cells[0]), float(cells[1]), float(cells[2])
        buys = 1 - ((4.414 + age) / (4.414 + age + 90 / 7)) ** (0.243 + x)
        for model, alive, bought in (("bgnbd", *cells[3:5]), ("mbgnbd", *cells[5:7])):
            p = p_alive(model, x, t_x, age)
            assert (f"{p:.3f}", f"{p * buys:.3f}") == (alive, bought), customer


# --- events -----------------------------------------------------------------------------------------------------------


@named([block for kind in KINDS for block in all_blocks("json", kind)])
def test_single_events_keep_the_contract(item: Block) -> None:
    kind = KINDS[item.words[1]]
    assert_fits(json.loads(item.text), kind.word)
    columns, rejections = Decoder(everything()).decode(kind, [item.text.strip().encode()])
    assert (len(columns), rejections) == (1, [])


@named(all_blocks("json", "events"))
def test_lines_of_events_keep_the_contract(item: Block) -> None:
    lines = item.text.encode().splitlines()
    columns, rejections = Decoder(everything()).decode_mixed(lines)
    assert (len(columns), rejections) == (len(lines), [])
    for line in map(json.loads, lines):
        assert_fits(line, line["type"])


@named(all_blocks("text", "refused"))
def test_refused_messages_get_the_reasons_shown(item: Block) -> None:
    assert examples.refused(item) == item.text, REPAIR


def test_every_reason_has_an_example() -> None:
    shown = {
        line.split(":")[0].strip()
        for block in all_blocks("text", "refused")
        for line in block.text.splitlines()
        if line.startswith("  ")
    }
    assert shown == {code.value for code in Code}


def test_timestamps_are_read_as_shown() -> None:
    for written, same in rows_of("events", "written"):
        assert parse_time(code(written)) == parse_instant(code(same))


@named(all_blocks("json", "change"))
def test_changes_written_out_fit_their_schema_and_are_printed(item: Block) -> None:
    record = json.loads(item.text)
    assert_fits(record, "segment-change")
    lines = [line for block in all_blocks("console", "run") for line in block.text.splitlines()]
    assert record in [json.loads(line) for line in lines if line.startswith("{")]


def test_the_truth_has_the_keys_shown() -> None:
    (block,) = all_blocks("json", "truth")
    (line,) = Simulation(events=1, customers=1).truth()
    assert list(json.loads(block.text)) == list(json.loads(line))


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", pages(), ids=page_id)
def test_commands_print_what_is_shown(path: Path) -> None:
    for block, shown in examples.runs(path):
        if "help" in block.words:  # how lines are broken is the business of click, and of its version
            assert shown.split() == block.text.split(), f"{block}: {REPAIR}"
        else:
            assert shown == block.text, f"{block}: {REPAIR}"


def test_changes_that_are_printed_fit_their_schemas() -> None:
    seen = set()
    for block in all_blocks("console", "run"):
        for line in block.text.splitlines():
            if line.startswith("{"):
                record = json.loads(line)
                name = "segment-change" if "sequence" in record else "rejected-line"
                assert_fits(record, name)
                seen.add(name)
    assert seen == {"segment-change", "rejected-line"}


@named(all_blocks("console"))
def test_commands_in_examples_exist(item: Block) -> None:
    for line in item.text.splitlines():
        words = line.removeprefix("$ ").replace(".venv/bin/", "").split()
        if not line.startswith("$ ") or "segstream" not in words:
            continue
        name, part, *_ = [*words[words.index("segstream") + 1 :], ""]
        if name == "--version":
            continue
        assert name in cli.commands, line
        command = cli.commands[name]
        if isinstance(command, click.Group):
            assert part in command.commands, line
            command = command.commands[part]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= known, line


# --- the engine -------------------------------------------------------------------------------------------------------


def bytes_of(operation: int, window_ms: int | None) -> int:
    return 8 * Accumulator("", operation, Kind.CLICK, None, None, window_ms, 24 if window_ms else 0).words


def test_accumulators_take_the_bytes_shown() -> None:
    rows = rows_of("engine", "operation")
    operations = [getattr(opcodes, code(name)) for name, *_ in rows]
    for operation, (name, _, life, windowed) in zip(operations, rows, strict=True):
        assert bytes_of(operation, None) == int(life), name
        if windowed:
            assert bytes_of(operation, 86_400_000) == int(windowed), name
    assert sorted(operations) == list(range(len(rows)))
    with pytest.raises(AssertionError):  # there is no further operation
        bytes_of(len(rows), None)
