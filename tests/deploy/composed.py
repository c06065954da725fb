"""docker-compose.yml and the files beside it, taken apart; and the programs that check them, where they are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from stream.cli import cli

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = ROOT / "docker-compose.yml"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
GRAFANA = DEPLOY / "grafana" / "dashboards" / "segstream.json"
TOKEN = "a-token-for-this-test"

_VARIABLE = re.compile(r"\$\{(\w+)(?::?[-?]([^}]*))?\}")


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skips, and says how to get them, where one of the programs is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    packages = " ".join(sorted({"prometheus" if one == "promtool" else one for one in missing}))
    return pytest.mark.skipif(
        bool(missing), reason=f"NOT CHECKED: {', '.join(missing)} not installed (apt-get install {packages})"
    )


@lru_cache(maxsize=1)
def compose() -> dict[str, Any]:
    """The file as it is written."""
    content: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return content


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    """The services of our own image."""
    return {name: service for name, service in services().items() if "build" in service}


def used_variables() -> set[str]:
    """The variables that whoever starts it may set."""
    return {match[1] for match in _VARIABLE.finditer(COMPOSE.read_text(encoding="utf-8"))}


def filled(value: object) -> str:
    """A value with the defaults of the variables in it."""
    return _VARIABLE.sub(lambda match: match[2] or "", str(value))


@lru_cache(maxsize=1)
def commands() -> dict[str, click.Command]:
    """All commands, those within groups by both names."""
    found: dict[str, click.Command] = {}

    def walk(prefix: str, command: click.Command) -> None:
        found[prefix] = command
        if isinstance(command, click.Group):
            for name in command.list_commands(click.Context(command)):
                walk(f"{prefix} {name}".strip(), command.commands[name])

    walk("", cli)
    return found


def variables(command: str) -> dict[str, click.Option]:
    """The options of a command by their environment variables."""
    options = [one for one in commands()[command].params if isinstance(one, click.Option)]
    prefix = f"SEGSTREAM_{command}".upper().replace(" ", "_").replace("-", "_")
    return {str(one.envvar or f"{prefix}_{(one.name or '').upper()}"): one for one in options}


def parsed(words: list[str]) -> tuple[str, list[str]]:
    """A command line as the name of its command and what follows."""
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in commands() and not isinstance(commands()[name], click.Group):
            return name, words[length:]
    raise AssertionError(f"no command of ours: {words}")


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """The command lines of our services, each with the service's name."""
    for name, service in ours().items():
        if service.get("entrypoint") == ["sh", "-c"]:
            (script,) = service["command"]
            for part in script.split("|"):
                words = part.split()
                assert words[0] == "segstream", part
                yield name, words[1:]
        else:
            assert "entrypoint" not in service, name
            yield name, [str(word) for word in service["command"]]


def alerts() -> list[dict[str, Any]]:
    content = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(GRAFANA.read_text(encoding="utf-8"))["panels"]
    return found


def queries() -> list[str]:
    """Grafana's queries, with its variable for the interval filled in."""
    return [
        target["expr"].replace("$__rate_interval", "1m") for panel in panels() for target in panel.get("targets", [])
    ]


def metric_names(expression: str) -> set[str]:
    """The metrics that an expression names, without what is behind a histogram's name."""
    found = re.findall(r"\b(?:segstream|process)_\w+", re.sub(r"\{[^}]*\}", "", expression))
    return {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in found}


def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program's result."""
    return subprocess.run(
        [str(word) for word in words],
        cwd=ROOT,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
