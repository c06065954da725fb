"""``segstream config``: effective settings, where they come from, and variables that are of no use."""

from __future__ import annotations

from collections.abc import Mapping

import click
import pytest

from stream.cli import cli
from stream.commands import config
from tests.cli.commands import environment, invoke, run, usage_error
from tests.docs.test_docs_names import commands

#: A variable that is None is taken out of the environment.
Variables = Mapping[str, str | None]


def rows(*arguments: str, env: Variables | None = None) -> dict[str, tuple[str, str, str]]:
    """Value, source and options by variable."""
    result = invoke("config", *arguments, env=env)
    assert (result.exit_code, result.stderr) == (0, "")
    found = {}
    for line in result.stdout.splitlines():
        variable, _, rest = line.partition("=")
        value, source, options = rest.split("  ", 1)[0], *rest.split("  ", 1)[1].split(maxsplit=1)
        found[variable] = (value, source, options)
    return found


def test_every_option_of_every_command_is_there() -> None:
    shown = rows()
    pairs = {
        (option, command)
        for _, _, options in shown.values()
        for part in options.split("; ")
        for option, _, names in [part.partition(" of ")]
        for command in names.split(", ")
    }
    assert pairs == {
        (parameter.opts[0], name)
        for name, command in commands()
        for parameter in command.params
        if isinstance(parameter, click.Option)
    }


def test_the_variables_are_those_that_the_commands_obey() -> None:
    """A value that an option refuses is refused under the very name that is shown."""
    shown = rows("simulate")
    assert next(iter(shown)) == "SEGSTREAM_SIMULATE_EVENTS"
    for variable in ("SEGSTREAM_SIMULATE_EVENTS", "SEGSTREAM_SIMULATE_LATE"):
        assert variable in shown
        done = run("simulate", env=environment(**{variable: "?"}))
        assert done.returncode == 2
        assert b"'?' is not a" in done.stderr


def test_sources_and_defaults() -> None:
    shown = rows(env={"SEGSTREAM_BROKER": "kafka:9092", "SEGSTREAM_ID": "", "SEGSTREAM_PRODUCE_SORT": "1"})
    assert shown["SEGSTREAM_BROKER"][:2] == ("kafka:9092", "environment")
    assert shown["SEGSTREAM_ID"][:2] == ("segstream", "default")
    assert shown["SEGSTREAM_PRODUCE_SORT"][:2] == ("1", "environment")
    assert shown["SEGSTREAM_CHANGES_FOLLOW"][:2] == ("false", "default")
    assert shown["SEGSTREAM_PRODUCE_RATE"][:2] == ("", "default")
    assert shown["SEGSTREAM_TOPICS_CREATE_PARTITIONS"] == ("8", "default", "--partitions of topics create")


def test_some_commands_only() -> None:
    assert list(rows("erase")) == ["SEGSTREAM_BROKER", "SEGSTREAM_ERASE_AT"]
    assert set(rows("topics", "erase")) > {"SEGSTREAM_TOPICS_CREATE_WAIT", "SEGSTREAM_ERASE_AT"}
    assert list(rows("topics describe"))[-1] == "SEGSTREAM_TOPICS_DESCRIBE_DEFINITIONS"
    assert "No such command 'ersae'" in usage_error("config", "ersae")


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("SEGSTREAM_BROKR", ": did you mean SEGSTREAM_BROKER?"),
        ("SEGSTREAM_TOPIC_CREATE_WAIT", ": did you mean SEGSTREAM_TOPICS_CREATE_WAIT?"),
        ("SEGSTREAM_", ""),
        ("SEGSTREAM_QQQ", ""),
    ],
)
def test_a_variable_of_no_use_is_an_error(variable: str, hint: str) -> None:
    result = invoke("config", env={variable: "1"})
    assert result.exit_code == 64
    assert result.stderr == f"segstream: {variable} is no setting of any command{hint}\n"
    assert "SEGSTREAM_BROKER=127.0.0.1:9092" in result.stdout


def test_variables_of_others_are_no_concern() -> None:
    assert rows(env={"SEGSTREAM_KAFKA_CACHE": "/x", "SEGSTREAMER": "1", "segstream_x": "1"}) == rows()


def test_a_value_that_its_option_refuses() -> None:
    result = invoke("config", env={"SEGSTREAM_PRODUCE_RATE": "abc", "SEGSTREAM_BROKER": "nowhere"})
    assert result.exit_code == 64
    assert result.stderr.splitlines() == [
        "segstream: SEGSTREAM_BROKER: 'nowhere' is not an address such as 127.0.0.1:9092",
        "SEGSTREAM_PRODUCE_RATE: 'abc' is not a whole number above zero (such as 5000, 20k or 1M)",
    ]


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.option("--password", hide_input=True, type=click.IntRange(0))
    @click.option("--redis", default="redis://shop:hunter2@redis.example.com/0")
    def sink() -> None: ...

    monkeypatch.setattr(cli, "commands", {"sink": sink, "config": config.config})
    result = invoke("config", env={"SEGSTREAM_SINK_PASSWORD": "hunter3"})
    assert result.exit_code == 64, "it is no number"
    assert "SEGSTREAM_SINK_PASSWORD=********" in result.stdout
    assert "SEGSTREAM_SINK_REDIS=redis://shop:********@redis.example.com/0" in result.stdout
    assert "hunter" not in result.output
    assert config._PASSWORD_IN_URL.sub("", "127.0.0.1:9092") == "127.0.0.1:9092"
