"""Which definitions a partition has been under, and whether a worker may go on with its own."""

from __future__ import annotations

from typing import NamedTuple

from stream.worker.errors import EarlierDefinitionsError
from stream.worker.records import Checkpoint

#: So many hashes are kept; a fleet does not fall further behind.
_KEPT = 100


class NextDefinitions(NamedTuple):
    """The hashes from now on, and whether every row must be evaluated once under the last of them."""

    hashes: tuple[str, ...]
    is_pass_due: bool


def next_definitions(checkpoint: Checkpoint | None, present: str, *, force: bool, where: str) -> NextDefinitions:
    """What a worker with ``present`` does after a ``checkpoint`` of the changelog.

    Raises ``EarlierDefinitionsError`` when the partition has left these definitions for others, unless ``force``.
    """
    if checkpoint is None or not checkpoint.definitions:
        return NextDefinitions((present,), is_pass_due=False)
    earlier = checkpoint.definitions
    if earlier[-1] == present:
        return NextDefinitions(earlier, is_pass_due=checkpoint.passing)
    if present in earlier and not force:
        raise EarlierDefinitionsError(
            f"{where} has gone on from definitions {present} to {earlier[-1]}: start this worker with the later file, "
            "or with --force-definitions to go back to this one"
        )
    kept = tuple(known for known in earlier if known != present)
    return NextDefinitions((*kept, present)[-_KEPT:], is_pass_due=True)
