"""Sorting events by timestamp, kind and place in the file, in runs on disk: memory does not grow with the events."""

from __future__ import annotations

import contextlib
import heapq
import struct
import tempfile
from collections.abc import Iterator
from typing import IO, Self

import numpy as np

from stream.errors import SortSpaceError
from stream.events.columns import Columns
from stream.replay.lines import BLOCK_BYTES

#: So much is held in memory; more than that is sorted and written to a temporary file.
RUN_BYTES = 256 << 20
_ENTRY_BYTES = 256  # what an entry takes besides its line, measured
_HEAD = struct.Struct("<qbqi")  # timestamp, kind, place, length of the line

Entry = tuple[int, int, int, bytes]


class Sorter:
    """Takes lines of valid events, gives them back sorted as ``--sort`` says.

    Runs lie in temporary files without names: they are gone with the process, however it ends, and when the sorter is
    closed. Raises ``SortSpaceError`` when there is no room for them.
    """

    def __init__(self) -> None:
        self.bytes_added = 0
        self._held: list[Entry] = []
        self._held_bytes = 0
        self._count = 0
        self._runs: list[IO[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forgets everything and gives back the room on disk."""
        self._held = []
        for run in self._runs:
            # Of a run that could not be written to its end there is something left to write, which fails again.
            with contextlib.suppress(OSError):
                run.close()

    def add(self, events: Columns, lines: list[bytes]) -> None:
        """Adds the valid events of a batch; ``lines`` are all messages that were decoded, valid or not."""
        times, kinds = events.time_ms.tolist(), events.kind.tolist()
        for time_ms, kind, source in zip(times, kinds, events.source.tolist(), strict=True):
            line = lines[source]
            self._held.append((time_ms, kind, self._count, line))
            self._held_bytes += len(line) + _ENTRY_BYTES
            self.bytes_added += len(line)
            self._count += 1
        if self._held_bytes > RUN_BYTES:
            self._write_run()

    def _write_run(self) -> None:
        self._held.sort()
        with _on_disk():
            run = tempfile.TemporaryFile(prefix="segstream-sort-")  # noqa: SIM115 (closed with the sorter)
            self._runs.append(run)
            for time_ms, kind, place, line in self._held:
                run.write(_HEAD.pack(time_ms, kind, place, len(line)))
                run.write(line)
            run.seek(0)
        self._held, self._held_bytes = [], 0

    def batches(self) -> Iterator[list[bytes]]:
        """All lines in order, about a megabyte at a time."""
        self._held.sort()
        merged = heapq.merge(*map(_read_run, self._runs), self._held) if self._runs else iter(self._held)
        batch: list[bytes] = []
        batch_bytes = 0
        for _, _, _, line in merged:
            batch.append(line)
            batch_bytes += len(line)
            if batch_bytes >= BLOCK_BYTES:
                yield batch
                batch, batch_bytes = [], 0
        if batch:
            yield batch


def _read_run(run: IO[bytes]) -> Iterator[Entry]:
    while True:
        with _on_disk():
            head = run.read(_HEAD.size)
            if not head:
                return
            time_ms, kind, place, length = _HEAD.unpack(head)
            line = run.read(length)
        assert len(line) == length, "a run is shorter than what was written"
        yield time_ms, kind, place, line


@contextlib.contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SortSpaceError(tempfile.tempdir, error.strerror or str(error)) from error


def up_to(events: Columns, until_ms: int | None) -> Columns:
    """The events that are not later than ``until_ms``."""
    if until_ms is None or not len(events) or int(events.time_ms.max()) <= until_ms:
        return events
    return events.select(np.flatnonzero(events.time_ms <= until_ms))
