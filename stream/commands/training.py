"""What commands that learn personas need, and say where it is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from stream.cli import EXIT_CONFIG, Failure


@contextlib.contextmanager
def training_parts() -> Iterator[None]:
    """Ends the command where something that is imported here is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        reason = f"training needs {error.name}, which is not installed: pip install 'segstream[personas]' brings it"
        raise Failure(reason, EXIT_CONFIG) from error
