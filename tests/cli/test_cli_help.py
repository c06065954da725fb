"""The command's help, its environment variables, and how soon it is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from stream import __version__
from stream.cli import COMMANDS as TABLE
from stream.cli import cli
from stream.commands import plans
from tests.cli.commands import COMMAND, ROOT, environment, invoke, records, run
from tests.replay.replaying import DEFINITIONS, START, few_events, write

COMMANDS = {name: command for name, command in cli.commands.items() if isinstance(command, click.Command)}
OPTIONS = [
    (name, parameter)
    for name, command in COMMANDS.items()
    for parameter in command.params
    if isinstance(parameter, click.Option)
]


def variable(command: str, option: click.Option) -> str:
    return str(option.envvar or f"SEGSTREAM_{command}_{option.name}".upper())


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=lambda value: str(getattr(value, "name", value)))
def test_every_option_shows_its_environment_variable(command: str, option: click.Option) -> None:
    words = "".join(invoke(command, "--help", env={"COLUMNS": "200"}).stdout.split())
    assert f"[envvar:{variable(command, option)}" in words
    assert option.help


def test_the_help_of_all_commands() -> None:
    assert set(COMMANDS) >= {"check", "replay", "simulate"}
    overview = invoke("--help")
    assert overview.exit_code == 0
    listed = overview.stdout.split("Commands:")[1].split()
    assert listed == [word for name in sorted(TABLE) for word in [name, *TABLE[name][1].split()]]
    assert "..." not in overview.stdout.split("Commands:")[1]  # no sentence is cut
    for name in COMMANDS:
        result = invoke(name, "-h")
        assert result.exit_code == 0
        assert result.stdout.startswith(f"Usage: segstream {name} ")
        assert max(map(len, result.stdout.splitlines())) <= 80
    usage = invoke("replay", "--help").stdout
    assert "DEFINITIONS EVENTS..." in usage
    assert "--until TIME" in usage
    assert "--rejected FILE" in usage
    usage = invoke("simulate", "--help").stdout
    assert "--duplicates SHARE" in usage
    assert "--events N" in usage


@pytest.mark.parametrize("name", TABLE)
def test_every_line_of_the_table_leads_to_its_command(name: str) -> None:
    assert COMMANDS[name].name == name
    assert COMMANDS[name].short_help is None, "it stands in the table"
    assert not COMMANDS[name].hidden, "the list of commands has all of the table"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], *([name, "--help"] for name in TABLE)])
def test_slow_imports_wait_until_they_are_needed(arguments: list[str]) -> None:
    """Seen in a fresh process: a module that some other test imported would hide it."""
    program = (
        "import sys\n"
        "from stream.cli import main\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    print('modules:', *sorted(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), cwd=ROOT, capture_output=True, check=True, text=True
    )
    loaded = set(done.stdout.rsplit("modules:", 1)[1].split())
    slow = {"numba", "llvmlite", "numpy", "msgspec", "orjson", "lark", "yaml", "rich", "xxhash", "aiokafka", "faust"}
    assert not loaded & slow
    places = {name: f"stream.commands.{place.split(':')[0]}" for name, (place, _) in TABLE.items()}
    assert loaded & set(places.values()) == {places[name] for name in arguments[:1] if name in places}


def test_a_check_that_finds_errors_needs_no_engine(tmp_path: Path) -> None:
    path = write(tmp_path / "s.yaml", b"version: 2\n")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], "check", str(path)],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 1
    assert "stream.language.checker" in done.stderr
    assert "numba" not in done.stderr


def test_version() -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"segstream, version {__version__}\n")
    assert run("--version").stdout.decode() == result.stdout


def test_a_slip_is_met_with_a_suggestion(tmp_path: Path) -> None:
    done = run("repaly")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == b"Usage: segstream [OPTIONS] COMMAND [ARGS]..."
    assert b"Did you mean 'replay'?" in done.stderr
    assert "Did you mean --until?" in invoke("replay", "a", "b", "--untl", "1").stderr.replace("'", "")


# --- Environment variables ----------------------------------------------------------------------------------------


def test_variables_stand_for_options_of_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "NOTICE_AFTER_S", 3_600)  # compiling may take long, and is not what this is about
    definitions = write(tmp_path / "s.yaml", DEFINITIONS.encode())
    events = write(tmp_path / "e", [*few_events()[::-1], {"type": "sale"}])
    output, rejected = tmp_path / "out", tmp_path / "rejected"
    until = START + 3_600_000
    by_options = invoke("replay", definitions, events, "--until", str(until), "--sort", "--rejected", rejected)
    assert by_options.stdout
    assert len(records(rejected.read_bytes())) == 1
    expected = rejected.read_bytes()
    rejected.unlink()
    variables = {
        "SEGSTREAM_REPLAY_UNTIL": str(until),
        "SEGSTREAM_REPLAY_SORT": "1",
        "SEGSTREAM_REPLAY_REJECTED": str(rejected),
        "SEGSTREAM_REPLAY_OUTPUT": str(output),
    }
    # Models need other definitions; their variable is tried where they are.
    expected_variables = {*variables, "SEGSTREAM_REPLAY_PERSONAS"}
    assert expected_variables == {variable(name, option) for name, option in OPTIONS if name == "replay"}
    by_variables = invoke("replay", definitions, events, env=variables)
    assert (by_variables.exit_code, by_variables.stdout) == (0, "")
    assert output.read_text() == by_options.stdout
    assert rejected.read_bytes() == expected
    assert by_variables.stderr == by_options.stderr
    # An option goes first, and an empty variable is none.
    later = invoke("replay", definitions, events, "--output", "-", env={**variables, "SEGSTREAM_REPLAY_UNTIL": ""})
    assert len(later.stdout) > len(by_options.stdout)


def test_variables_stand_for_options_of_simulate(tmp_path: Path) -> None:
    output, truth = tmp_path / "e", tmp_path / "t"
    values = {
        "events": "500",
        "customers": "20",
        "days": "3",
        "start": "2024-01-01T00:00:00Z",
        "seed": "5",
        "habits": "personas",
        "scenario": "death",
        "scenario-day": "2",
        "duplicates": "0.1",
        "late": "10%",
        "output": str(output),
        "truth": str(truth),
    }
    variables = {f"SEGSTREAM_SIMULATE_{name.upper().replace('-', '_')}": value for name, value in values.items()}
    assert set(variables) == {variable(name, option) for name, option in OPTIONS if name == "simulate"}
    assert invoke("simulate", env=variables).exit_code == 0
    expected = output.read_bytes(), truth.read_bytes()
    output.unlink()
    truth.unlink()
    assert run("simulate", *(part for name, value in values.items() for part in (f"--{name}", value))).returncode == 0
    assert (output.read_bytes(), truth.read_bytes()) == expected
    assert expected[0].count(b"\n") == 500


def test_a_bad_variable_is_named() -> None:
    result = invoke("replay", "a", "b", env={"SEGSTREAM_REPLAY_UNTIL": "soon"})
    assert result.exit_code == 2
    assert "Error: Invalid value for '--until': 'soon': expected RFC 3339" in result.stderr or "does not exist" in (
        result.stderr
    )
    done = run("simulate", env=environment(SEGSTREAM_SIMULATE_EVENTS="0"))
    assert done.returncode == 2
    assert b"'0' is not a whole number above zero" in done.stderr
