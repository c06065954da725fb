"""``segstream replay``: arguments, outputs, exit codes and what it says."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from stream import preparation
from stream.cli import Failure
from stream.commands import plans as module
from stream.commands.outputs import Output
from stream.replay import sorting
from tests.cli.commands import invoke, records, usage_error
from tests.replay.replaying import DEFINITIONS, MINUTE, START, few_events, json_lines, plan_of, run, traffic, write

UNTIL = START + 50 * MINUTE
UNTIL_TEXT = "2025-10-09T09:43:20Z"


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    return write(tmp_path / "segments.yaml", DEFINITIONS.encode())


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return write(tmp_path / "events.jsonl", few_events())


# --- Outputs ------------------------------------------------------------------------------------------------------


def test_changes_go_to_standard_output_and_the_table_to_standard_error(definitions: Path, events: Path) -> None:
    result = invoke("replay", definitions, events)
    assert result.exit_code == 0
    assert records(result.stdout) == run([events]).changes
    assert "9 events of 3 customers; 0 duplicates skipped, 0 late" in result.stderr
    assert invoke("replay", definitions, events, "--output", "-").stdout == result.stdout


def test_output_to_a_file_is_there_when_the_command_ends(definitions: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", traffic() + b"bad\n")
    output, rejected = tmp_path / "out.jsonl", tmp_path / "rejected.jsonl"
    output.write_bytes(b"what was there before")
    result = invoke("replay", definitions, path, "--output", output, "--rejected", rejected)
    assert (result.exit_code, result.stdout) == (0, "")
    replayed = run([path])
    assert records(output.read_bytes()) == replayed.changes
    assert records(rejected.read_bytes()) == replayed.rejected
    assert output.read_bytes().endswith(b"}\n")
    assert "(--rejected FILE" not in result.stderr


def test_a_file_for_rejected_lines_is_made_though_there_are_none(definitions: Path, events: Path) -> None:
    rejected = events.with_name("rejected.jsonl")
    assert invoke("replay", definitions, events, "--rejected", rejected).exit_code == 0
    assert rejected.read_bytes() == b""


def test_one_of_the_two_may_be_standard_output(definitions: Path, events: Path, tmp_path: Path) -> None:
    events.write_bytes(b"bad\n" + events.read_bytes())
    output = tmp_path / "out.jsonl"
    result = invoke("replay", definitions, events, "--output", output, "--rejected", "-")
    assert [report["line"] for report in records(result.stdout)] == [1]
    assert len(records(output.read_bytes())) == len(run([events]).changes)


def test_several_sources_and_standard_input(definitions: Path, tmp_path: Path) -> None:
    first, last = write(tmp_path / "a.jsonl.gz", few_events()[:2]), write(tmp_path / "c", few_events()[5:])
    result = invoke("replay", definitions, first, "-", last, input=b"\r\n" + json_lines(few_events()[2:5]))
    assert records(result.stdout) == run([write(tmp_path / "all", few_events())]).changes
    assert "terminal" not in result.stderr


def test_rejected_lines_are_no_failure(definitions: Path, tmp_path: Path) -> None:
    result = invoke("replay", definitions, write(tmp_path / "e", b"hello\n"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No line holds a valid event" in result.stderr


def test_empty_input(definitions: Path, tmp_path: Path) -> None:
    for name in ("e.jsonl", "e.jsonl.gz"):
        result = invoke("replay", definitions, write(tmp_path / name, b""))
        assert (result.exit_code, result.stdout) == (0, "")
        assert "The input is empty" in result.stderr
    assert invoke("replay", definitions, "-").exit_code == 0


# --- Options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "until", [UNTIL_TEXT, "2025-10-09T11:43:20.000+02:00", str(UNTIL), f" {UNTIL} ", UNTIL_TEXT.lower()]
)
def test_until_in_all_its_forms(definitions: Path, events: Path, until: str) -> None:
    result = invoke("replay", definitions, events, "--until", until)
    assert result.exit_code == 0
    assert records(result.stdout) == run([events], until_ms=UNTIL).changes
    assert "2 after --until, 2025-10-09T09:43:20.000Z" in result.stderr


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("yesterday", "'yesterday': expected RFC 3339 with a zone, such as 2019-10-01T00:31:07.000Z, or milliseconds"),
        ("2025-02-01", "'2025-02-01': expected RFC 3339 with a zone"),
        ("2025-02-01T00:00:00", "expected RFC 3339 with a zone"),
        ("2025-02-30T00:00:00Z", "2025-02-30 is no day of the calendar"),
        ("2025-02-01T25:00:00Z", "25:00 is no time of day"),
        ("-1", "expected milliseconds from 0 to 253402300799999"),
        ("1.5", "expected RFC 3339 with a zone"),
        ("253402300800000", "expected milliseconds from 0 to"),
        ("9" * 5_000, "expected milliseconds from 0 to"),
        ("", "expected RFC 3339 with a zone"),
    ],
)
def test_bad_instants(definitions: Path, events: Path, until: str, expected: str) -> None:
    message = usage_error("replay", definitions, events, "--until", until)
    assert message.startswith("Error: Invalid value for '--until': ")
    assert expected in message


def test_sort(definitions: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "e", few_events()[::-1])
    result = invoke("replay", definitions, path, "--sort")
    assert records(result.stdout) == run([path], sort=True).changes
    assert "0 late" in result.stderr
    assert "late (--sort puts the events in order first)" in invoke("replay", definitions, path).stderr


# --- What is wrong with the arguments -----------------------------------------------------------------------------


def test_bad_definitions(definitions: Path, events: Path, tmp_path: Path) -> None:
    definitions.write_text(DEFINITIONS.replace("1h", "1").replace("purchase)", "purchas)", 1))
    output = tmp_path / "kept"
    output.write_text("what was there before")
    result = invoke("replay", definitions, events, "--output", output)
    assert (result.exit_code, result.stdout) == (64, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{definitions}:") and ": error: " in line for line in lines)
    assert "did you mean `purchase`?" in lines[1]
    assert output.read_text() == "what was there before"


def test_warnings_are_shown_and_nothing_stops(definitions: Path, events: Path) -> None:
    definitions.write_text(DEFINITIONS.replace("segments:", "features: {unused: count(click)}\nsegments:"))
    result = invoke("replay", definitions, events)
    assert result.exit_code == 0
    assert "2:12: warning: feature `unused` is not used by any segment" in result.stderr
    assert records(result.stdout)


def test_arguments_in_the_wrong_order(definitions: Path, events: Path) -> None:
    result = invoke("replay", events, definitions)
    assert result.exit_code == 64
    assert result.stderr.endswith("the definitions come first: segstream replay DEFINITIONS EVENTS...\n")


def test_files_that_cannot_be_read(definitions: Path, events: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert usage_error("replay", definitions, events, missing) == (
        f"Error: Invalid value for 'EVENTS...': File '{missing}' does not exist."
    )
    assert usage_error("replay", missing, events).endswith(f"File '{missing}' does not exist.")
    assert usage_error("replay", definitions, tmp_path).endswith(f"File '{tmp_path}' is a directory.")
    assert usage_error("replay", tmp_path, events).endswith(f"File '{tmp_path}' is a directory.")
    assert usage_error("replay", definitions) == "Error: Missing argument 'EVENTS...'."
    assert usage_error("replay", definitions, "-", events, "-") == "Error: standard input (-) can be read only once"
    if Path("/proc/self/mem").exists():
        assert usage_error("replay", definitions, "/proc/self/mem").startswith(
            "segstream: /proc/self/mem: can't be read"
        )
        assert usage_error("check", "/proc/self/mem").startswith("segstream: /proc/self/mem: can't be read")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read(definitions: Path, events: Path) -> None:
    events.chmod(0)
    assert usage_error("replay", definitions, events).endswith("is not readable.")


def test_input_that_is_cut_off(definitions: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl.gz", traffic())
    path.write_bytes(path.read_bytes()[:-100])
    result = invoke("replay", definitions, path, "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert result.stderr == f"segstream: {path}: can't be read: the gzip data is cut off, so the file is not complete\n"


def test_outputs_that_cannot_be_written(definitions: Path, events: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "no" / "out"
    expected = f"segstream: {nowhere}: can't be written: No such file or directory"
    assert usage_error("replay", definitions, events, "--output", nowhere) == expected
    assert usage_error("replay", definitions, events, "--rejected", nowhere) == expected
    assert usage_error("replay", definitions, events, "--output", tmp_path).endswith("is a directory.")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(definitions: Path, events: Path, tmp_path: Path) -> None:
    expected = "segstream: /dev/full: can't be written: No space left on device\n"
    long = write(tmp_path / "e", traffic() + b"bad\n" + b"x" * 2_000_000)
    for path in (events, long):
        result = invoke("replay", definitions, path, "--output", "/dev/full")
        assert (result.exit_code, result.stderr) == (2, expected)
    result = invoke("replay", definitions, long, "--rejected", "/dev/full", "--output", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (2, expected)


def test_two_outputs_in_one_place(definitions: Path, events: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    both = "--output and --rejected both go to"
    arguments: list[Path | str] = ["replay", definitions, events]
    assert both in usage_error(*arguments, "--rejected", "-")
    assert f"{both} {out}" in usage_error(*arguments, "--output", out, "--rejected", out)
    assert not out.exists()
    out.touch()
    (tmp_path / "x").mkdir()
    assert both in usage_error(*arguments, "--output", out, "--rejected", tmp_path / "x" / ".." / "out")
    (tmp_path / "link").symlink_to(out)
    assert both in usage_error(*arguments, "--output", out, "--rejected", tmp_path / "link")
    assert invoke(*arguments, "--output", os.devnull, "--rejected", os.devnull).exit_code == 0


def test_what_is_read_is_not_written_over(definitions: Path, events: Path, tmp_path: Path) -> None:
    before = definitions.read_bytes(), events.read_bytes()
    (tmp_path / "link").symlink_to(events)
    for option in ("--output", "--rejected"):
        rest: list[Path | str] = [] if option == "--output" else ["--output", tmp_path / "out"]
        for path in (definitions, events, tmp_path / "link"):
            message = usage_error("replay", definitions, events, *rest, option, path)
            assert message.startswith(f"Error: {option}: {path} is also read, and would be overwritten")
    assert (definitions.read_bytes(), events.read_bytes()) == before


def test_no_room_to_sort(monkeypatch: pytest.MonkeyPatch, definitions: Path, events: Path) -> None:
    monkeypatch.setattr(sorting, "RUN_BYTES", 1)
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    result = invoke("replay", definitions, events, "--sort")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == (
        "segstream: can't sort on disk: /nowhere: No such file or directory "
        "(the environment variable TMPDIR names another)"
    )


# --- The notice that the engine is being compiled -----------------------------------------------------------------


def prepared(monkeypatch: pytest.MonkeyPatch, *, seconds: float, after_s: float) -> None:
    monkeypatch.setattr(module, "NOTICE_AFTER_S", after_s)
    monkeypatch.setattr(preparation, "prepare", lambda _: time.sleep(seconds))
    module.prepare_aloud(plan_of())


def test_a_long_preparation_says_what_it_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(monkeypatch, seconds=0.5, after_s=0.01)
    captured = capsys.readouterr()
    assert captured.err.startswith("segstream: compiling the engine; this happens once")
    assert captured.out == ""


def test_a_quick_preparation_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    prepared(monkeypatch, seconds=0, after_s=0.1)
    time.sleep(0.2)
    assert capsys.readouterr() == ("", "")


def test_a_failed_preparation_says_nothing_afterwards(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(module, "NOTICE_AFTER_S", 0.1)
    monkeypatch.setattr(preparation, "prepare", fail)
    with pytest.raises(RuntimeError):
        module.prepare_aloud(plan_of())
    time.sleep(0.2)
    assert capsys.readouterr() == ("", "")


def test_closed_standard_output(monkeypatch: pytest.MonkeyPatch, definitions: Path, events: Path) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(Failure, match="standard output is closed: name a file"):
        Output("-")
