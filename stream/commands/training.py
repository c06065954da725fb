"""What commands that learn personas need, and say where it is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stream.cli import EXIT_CONFIG, Failure

if TYPE_CHECKING:
    from stream.engine.plan import Plan


def check_personas(plan: Plan, definitions: Path) -> None:
    """Ends the command where the file has none."""
    if plan.personas is None:
        raise Failure(f"{definitions}: there is no `personas:` that says which features to cluster by", EXIT_CONFIG)


@contextlib.contextmanager
def training_parts() -> Iterator[None]:
    """Ends the command where something that is imported here is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        reason = f"training needs {error.name}, which is not installed: pip install 'segstream[personas]' brings it"
        raise Failure(reason, EXIT_CONFIG) from error
