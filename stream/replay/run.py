"""A replay: lines through the decoder and one partition, changes and rejected lines out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream.engine.changes import Changes
from stream.engine.partition import Clock, Partition
from stream.engine.plan import Plan
from stream.events.columns import Columns
from stream.events.decoder import Decoder
from stream.replay.lines import Lines, is_blank, read_lines
from stream.replay.sorting import Sorter, up_to
from stream.replay.summary import SegmentSummary, Summary
from stream.replay.versions import Recorded, Versions


@dataclass(frozen=True)
class Outlets:
    """Where a replay's results go: changes in order, rejected lines, and progress.

    ``bytes_read`` is told how many bytes of the sources have been read since it was last called, as they lie on disk.
    Of a sorted replay ``bytes_sorted`` is told how many bytes of events have been applied, and of how many.
    """

    changes: Callable[[Changes], None]
    rejected: Callable[[dict[str, Any]], None] | None = None
    bytes_read: Callable[[int], None] | None = None
    bytes_sorted: Callable[[int, int], None] | None = None


def replay(
    plan: Plan,
    sources: Sequence[str],
    outlets: Outlets,
    *,
    until_ms: int | None = None,
    sort: bool = False,
    versions: Versions | None = None,
) -> Summary:
    """Applies the events of ``sources`` in order (or sorted), then moves the stream clock to the end.

    The end is ``until_ms``, or the largest timestamp of the valid events. ``versions``: where models of personas come
    from; each is applied before the first event of its instant or later. Raises ``InputError`` for a source that can't
    be read, ``ModelError`` for a model of other definitions. Memory grows with the customers, not with the events.
    """
    partition = Partition(plan, Clock.HELD)
    decoder = Decoder(plan.wanted)
    summary = Summary([SegmentSummary(segment.name) for segment in plan.definitions.segments])

    def emit(changes: Changes) -> None:
        if len(changes):
            summary.count_changes(changes)
            outlets.changes(changes)

    batches = _events(decoder, sources, outlets, summary, until_ms)
    if sort:
        batches = _sorted(decoder, batches, outlets)

    inputs = versions or Recorded(())

    def take_versions(to_ms: int) -> None:
        while inputs.next_ms is not None and inputs.next_ms <= to_ms:
            for changes in inputs.take(partition):
                emit(changes)

    for batch, _ in batches:
        for events in _between(batch, inputs):
            take_versions(int(events.time_ms[0]))
            applied = partition.apply(events)
            summary.count_events(events, applied.status)
            emit(applied.changes)
    end_ms = partition.latest_ms if until_ms is None else until_ms
    take_versions(end_ms)
    for changes in partition.advance_in_groups(end_ms):
        emit(changes)
    summary.customers = len(partition.profiles)
    summary.personas = partition.personas()
    for segment, members in zip(summary.segments, partition.members().values(), strict=True):
        segment.members = members
    return summary


def _between(batch: Columns, versions: Versions) -> Iterator[Columns]:
    """The batch cut before each event at whose time the next version is due."""
    if len(batch) and versions.next_ms is None:
        versions.begin(int(batch.time_ms[0]))
    latest = np.maximum.accumulate(batch.time_ms)
    start = 0
    while start < len(batch):
        due_ms = versions.next_ms
        # Where it is due at once, it is taken before what comes until the one after it.
        end = len(batch) if due_ms is None else max(start + 1, int(np.searchsorted(latest, due_ms)))
        yield batch.part(start, end)
        start = end


def _events(
    decoder: Decoder, sources: Sequence[str], outlets: Outlets, summary: Summary, until_ms: int | None
) -> Iterator[tuple[Columns, list[bytes]]]:
    """The valid events of all sources up to ``until_ms``, with the lines they are from; bad lines are reported."""
    for batch in read_lines(sources, outlets.bytes_read):
        events, rejections = decoder.decode_mixed(batch.lines)
        for rejection in rejections:
            if is_blank(batch.lines[rejection.index]):
                continue
            summary.count_rejection(rejection, batch.source, batch.numbers[rejection.index])
            if outlets.rejected is not None:
                outlets.rejected(rejected_line(batch, rejection.index, rejection.reason))
        wanted = up_to(events, until_ms)
        summary.after_until += len(events) - len(wanted)
        yield wanted, batch.lines


def _sorted(
    decoder: Decoder, batches: Iterator[tuple[Columns, list[bytes]]], outlets: Outlets
) -> Iterator[tuple[Columns, list[bytes]]]:
    """The same events by timestamp, kind and place."""
    with Sorter() as sorter:
        for events, lines in batches:
            sorter.add(events, lines)
        for lines in sorter.batches():
            events, rejections = decoder.decode_mixed(lines)
            assert not rejections, "a line was valid before it was sorted"
            yield events, lines
            if outlets.bytes_sorted is not None:
                outlets.bytes_sorted(sum(map(len, lines)), sorter.bytes_added)


def rejected_line(batch: Lines, index: int, reason: str) -> dict[str, Any]:
    """The report of a bad line; ``schemas/rejected-line.schema.json`` describes it."""
    line = batch.lines[index]
    report: dict[str, Any] = {"source": batch.source, "line": batch.numbers[index], "reason": reason}
    try:
        report["original"] = line.decode()
    except UnicodeDecodeError:
        report["original_base64"] = base64.b64encode(line).decode()
    return report
