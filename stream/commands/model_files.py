"""Files of models of personas, as `segstream personas train` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stream.cli import EXIT_CONFIG, Failure

if TYPE_CHECKING:
    from stream.engine.plan import Plan
    from stream.personas.model import Model


def read_models(path: Path, plan: Plan | None = None) -> list[Model]:
    """The models in a file, one a line, which fit the ``plan``; ends the command where one does not or is none."""
    from stream.engine.centres import check_fits
    from stream.errors import ModelError
    from stream.personas.assigning import centres_of
    from stream.personas.model import decode

    models = []
    with click.open_file(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.isspace():
                continue
            try:
                models.append(decode(line))
                if plan is not None:
                    check_fits(centres_of(models[-1]), plan.personas)
            except ModelError as error:
                raise Failure(f"{path}, line {number}: {error}", EXIT_CONFIG) from error
    if not models:
        raise Failure(f"{path}: there is no model in it; `segstream personas train` makes some", EXIT_CONFIG)
    return models
