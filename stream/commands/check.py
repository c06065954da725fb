"""``segstream check``: what is wrong with a definitions file, and what it costs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stream.cli import EXIT_FOUND
from stream.commands.definitions import checked_file, definitions_argument


@click.command()
@definitions_argument
def check(definitions: Path) -> None:
    """Check a definitions file: all errors and warnings with their places, and what the file costs.

    Exit 1 when there is an error.
    """
    checked = checked_file(definitions)
    for problem in checked.problems:
        click.echo(str(problem))
    if checked.definitions is None:
        sys.exit(EXIT_FOUND)
    from stream.engine.cost import cost_lines
    from stream.engine.plan import compile_plan

    for line in cost_lines(compile_plan(checked.definitions)):
        click.echo(line)
