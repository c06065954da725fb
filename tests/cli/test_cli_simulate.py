"""``segstream simulate``: arguments in, files out."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from stream.cli import cli
from stream.instants import format_instant
from stream.simulate import DEFAULT_CUSTOMERS, DEFAULT_DAYS, DEFAULT_START_MS, Simulation
from stream.simulate.habits import HABIT_SETS
from stream.simulate.scenarios import SCENARIOS
from tests.cli.commands import invoke, records, run, usage_error
from tests.replay.replaying import SEGMENTS, write
from tests.replay.replaying import run as replay

ARGUMENTS = ["simulate", "--events", "3k", "--customers", "50", "--seed", "4", "--duplicates", "5%", "--late", "0.1"]


def test_the_same_arguments_give_the_same_bytes() -> None:
    first, second = run(*ARGUMENTS), run(*ARGUMENTS)
    assert (first.returncode, first.stderr) == (0, b"")
    assert first.stdout == second.stdout
    same = Simulation(events=3_000, customers=50, seed=4, duplicates=0.05, late=0.1)
    assert first.stdout == b"".join(same.chunks())


def test_output_and_truth(tmp_path: Path) -> None:
    output, truth = tmp_path / "e.jsonl", tmp_path / "t.jsonl"
    result = invoke(*ARGUMENTS, "--output", output, "--truth", truth)
    assert (result.exit_code, result.output) == (0, "")
    assert output.read_text() == invoke(*ARGUMENTS).stdout
    habits = records(truth.read_bytes())
    assert len({record["customer_id"] for record in habits}) == len(habits) == 50
    assert {event["customer_id"] for event in records(output.read_bytes())} <= {
        record["customer_id"] for record in habits
    }


@pytest.mark.parametrize(
    ("written", "count"), [("1", 1), ("17", 17), ("2k", 2_000), ("1_234", 1_234), ("1,234", 1_234)]
)
def test_exactly_so_many_events(written: str, count: int) -> None:
    lines = invoke("simulate", "--events", written, "--customers", "30").stdout.splitlines()
    assert len(lines) == count


def test_what_comes_out_can_be_replayed(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", invoke(*ARGUMENTS).stdout_bytes)
    replayed = replay([path], SEGMENTS.read_text(encoding="utf-8"))
    assert replayed.rejected == []
    assert replayed.summary.events == 3_000
    assert replayed.summary.duplicates > 50
    assert replayed.summary.late > 50
    assert len(replayed.changes) > 100


def test_start_in_both_forms() -> None:
    arguments = ["simulate", "--customers", "20", "--days", "2"]
    text = invoke(*arguments, "--start", "2024-02-01T00:00:00Z")
    number = invoke(*arguments, "--start", "1706745600000")
    assert text.exit_code == 0
    assert text.stdout == number.stdout != ""
    times = [event["timestamp"] for event in records(text.stdout)]
    assert 1706745600000 <= min(times) <= max(times) < 1706745600000 + 2 * 86_400_000


def test_defaults_are_those_that_the_help_names() -> None:
    words = " ".join(invoke("simulate", "--help").stdout.split())
    assert f"Default: {format_instant(DEFAULT_START_MS).replace('.000', '')}." in words
    assert f"Default: {DEFAULT_CUSTOMERS:,}, or" in words
    assert f"Default: {DEFAULT_DAYS}, or" in words


def test_sets_and_scenarios_are_all_that_there_are() -> None:
    choices = {option.name: option.type for option in cli.commands["simulate"].params}
    for name, known in (("habits", HABIT_SETS), ("scenario", SCENARIOS)):
        choice = choices[name]
        assert isinstance(choice, click.Choice)
        assert list(choice.choices) == list(known)


def test_a_scenario_is_in_the_events_and_in_the_truth(tmp_path: Path) -> None:
    truth = tmp_path / "t.jsonl"
    arguments = ["--customers", "100", "--days", "6", "--habits", "personas", "--scenario", "switch"]
    result = invoke("simulate", *arguments, "--scenario-day", "4", "--truth", truth)
    same = Simulation(customers=100, days=6, habits="personas", scenario="switch", scenario_day=4)
    assert result.stdout_bytes == b"".join(same.chunks())
    assert {record["later_from"] for record in records(truth.read_bytes())} == {None, same.start_ms + 4 * 86_400_000}


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--events", "0", "'0' is not a whole number above zero (such as 5000, 20k or 1M)"),
        ("--events", "-5", "'-5' is not a whole number above zero"),
        ("--events", "many", "'many' is not a whole number above zero"),
        ("--events", "", "'' is not a whole number above zero"),
        ("--events", "k", "'k' is not a whole number above zero"),
        ("--events", "1.5k", "'1.5k' is not a whole number above zero"),
        ("--events", "٣", "is not a whole number above zero"),
        ("--events", "9" * 5_000, "is not a whole number above zero"),
        ("--events", "9999999M", "--events must be from 1 to 1000000000000, not 9999999000000"),
        ("--customers", "1_000M", "--customers must be from 1 to 20000000"),
        ("--days", "4k", "--days must be from 1 to 3660, not 4000"),
        ("--days", "0", "'0' is not a whole number above zero"),
        ("--start", "2024-01-01", "'2024-01-01': expected RFC 3339 with a zone"),
        ("--start", "253402300799999", "--start must be from 0 to"),
        ("--seed", "-1", "-1 is not in the range x>=0"),
        ("--seed", "abc", "'abc' is not a valid integer"),
        ("--duplicates", "3", "'3' is not a share from 0 to 1 (such as 0.05 or 5%)"),
        ("--duplicates", "-0.1", "is not a share from 0 to 1"),
        ("--late", "nan", "is not a share from 0 to 1"),
        ("--late", "101%", "is not a share from 0 to 1"),
        ("--late", "%", "is not a share from 0 to 1"),
        ("--habits", "mine", "'mine' is not one of 'shop', 'personas'"),
        ("--scenario", "flood", "'flood' is not one of 'none', 'switch', 'birth', 'death', 'doubling'"),
        ("--scenario-day", "0", "'0' is not a whole number above zero"),
        ("--scenario-day", "2", "--scenario-day needs a scenario"),
        ("--output", "/nowhere/e", "segstream: /nowhere/e: can't be written: No such file or directory"),
        ("--truth", "/nowhere/t", "segstream: /nowhere/t: can't be written: No such file or directory"),
        ("--truth", "-", "--output and --truth both go to standard output: name another file for one"),
    ],
)
def test_bad_values(option: str, value: str, expected: str) -> None:
    message = usage_error("simulate", option, value)
    assert expected in message
    assert option in message or value in message


def test_one_file_for_both(tmp_path: Path) -> None:
    path = tmp_path / "e"
    message = usage_error("simulate", "--events", "5", "--output", path, "--truth", path)
    assert f"--output and --truth both go to {path}" in message
