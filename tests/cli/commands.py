"""The command for the tests: within this process, or as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from stream.cli import cli

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "stream"]


def invoke(*arguments: Path | str, input: bytes = b"", env: Mapping[str, str | None] | None = None) -> Result:  # noqa: A002 (as click calls it)
    """Runs the command in this process. An exception is a failure of the test."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=input, env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def usage_error(*arguments: Path | str, **options: Any) -> str:
    """The message of a command that has to refuse its arguments."""
    result = invoke(*arguments, **options)
    assert result.exit_code == 2
    assert result.stdout == ""
    return result.stderr.splitlines()[-1]


def environment(**variables: str) -> dict[str, str]:
    """The environment of a subprocess: without what other tests or this terminal would add."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEGSTREAM_", "PYTHONUNBUF"))}
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


def run(*arguments: Path | str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Runs the command as a process of its own."""
    options.setdefault("env", environment())
    options.setdefault("timeout", 120)
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, check=False, **options)


def records(data: bytes | str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]
