"""Sorting events by timestamp, kind and place in the file, in runs on disk: memory does not grow with the events."""

from __future__ import annotations

import heapq
import struct
import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np

from stream.events.columns import Columns

_HEAD = struct.Struct("<qbqi")  # timestamp, kind, place, length of the line

Entry = tuple[int, int, int, bytes]


class Sorter:
    """Takes lines of valid events, gives them back sorted as ``--sort`` says.

    Up to ``run_bytes`` of lines are held in memory; more than that is sorted and written to a temporary file.
    """

    def __init__(self, run_bytes: int = 256 << 20) -> None:
        self._run_bytes = run_bytes
        self._held: list[Entry] = []
        self._held_bytes = 0
        self._count = 0
        self._runs: list[IO[bytes]] = []

    def add(self, events: Columns, lines: list[bytes]) -> None:
        """Adds the valid events of a batch; ``lines`` are all messages that were decoded, valid or not."""
        times, kinds = events.time_ms.tolist(), events.kind.tolist()
        for time_ms, kind, source in zip(times, kinds, events.source.tolist(), strict=True):
            line = lines[source]
            self._held.append((time_ms, kind, self._count, line))
            self._held_bytes += len(line)
            self._count += 1
        if self._held_bytes > self._run_bytes:
            self._write_run()

    def _write_run(self) -> None:
        run = tempfile.TemporaryFile(prefix="segstream-sort-")  # noqa: SIM115 (closed when the merge is done)
        for time_ms, kind, place, line in sorted(self._held):
            run.write(_HEAD.pack(time_ms, kind, place, len(line)))
            run.write(line)
        self._runs.append(run)
        self._held, self._held_bytes = [], 0

    def batches(self, count: int) -> Iterator[list[bytes]]:
        """All lines in order, ``count`` at a time. Ends the sorter's use."""
        self._held.sort()
        merged = heapq.merge(*map(_read_run, self._runs), self._held) if self._runs else iter(self._held)
        try:
            batch: list[bytes] = []
            for _, _, _, line in merged:
                batch.append(line)
                if len(batch) == count:
                    yield batch
                    batch = []
            if batch:
                yield batch
        finally:
            for run in self._runs:
                run.close()


def _read_run(run: IO[bytes]) -> Iterator[Entry]:
    run.seek(0)
    while head := run.read(_HEAD.size):
        time_ms, kind, place, length = _HEAD.unpack(head)
        yield time_ms, kind, place, run.read(length)


def up_to(events: Columns, until_ms: int | None) -> Columns:
    """The events that are not later than ``until_ms``."""
    if until_ms is None or not len(events) or int(events.time_ms.max()) <= until_ms:
        return events
    return events.select(np.flatnonzero(events.time_ms <= until_ms))
