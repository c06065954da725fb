"""What one fetch brought of one topic partition; it travels through Faust as one message."""

from __future__ import annotations

from dataclasses import dataclass

from stream.worker.received import Received


@dataclass(frozen=True, slots=True)
class Fetched:
    """Records in order (there may be none), from where they were read, where reading goes on, and where the end is.

    ``generation`` is that of the assignment they were read under. ``start`` is the ``position`` of the one before;
    where it is not, one is missing.
    """

    topic: str
    partition: int
    generation: int
    records: Received
    start: int
    position: int
    end: int
