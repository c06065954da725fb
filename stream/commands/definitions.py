"""The definitions file that a command is given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stream.cli import EXIT_CONFIG, Failure

if TYPE_CHECKING:
    from stream.language.checker import Checked
    from stream.language.tree import Definitions

#: The language takes a sixteenth of this at most, so of more there is no need to read.
_BYTES_MAX = 16 << 20

#: Adds the argument DEFINITIONS to a command.
definitions_argument = click.argument("definitions", type=click.Path(exists=True, dir_okay=False, path_type=Path))


def checked_file(definitions: Path) -> Checked:
    """What the check finds in the file: its problems and, where none is an error, its meaning."""
    return read_and_checked(definitions)[1]


def read_and_checked(definitions: Path) -> tuple[bytes, Checked]:
    """The file as it is written, and what the check finds in it."""
    from stream.language.checker import check as check_definitions

    try:
        with definitions.open("rb") as file:
            text = file.read(_BYTES_MAX)
    except OSError as error:
        raise Failure(f"{definitions}: can't be read: {error.strerror}") from error
    if len(text) == _BYTES_MAX:
        # It may have been cut within a character. The check refuses it for its length.
        text = text.decode("utf-8", "replace").encode()
    return text, check_definitions(text, str(definitions))


def meant(checked: Checked, hint: str | None = None) -> Definitions:
    """What a file means; prints its problems, and ends the command where one is an error, with a ``hint`` behind it."""
    for problem in checked.problems:
        click.echo(str(problem), err=True)
    if checked.definitions is None:
        if hint is not None:
            click.echo(hint, err=True)
        sys.exit(EXIT_CONFIG)
    return checked.definitions
