"""A replay: lines through the decoder and one partition, changes and rejected lines out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stream.engine.changes import Changes
from stream.engine.partition import Clock, Partition
from stream.engine.plan import Plan
from stream.events.columns import Columns
from stream.events.decoder import Decoder
from stream.replay.lines import Lines, is_blank, read_lines
from stream.replay.sorting import Sorter, up_to
from stream.replay.summary import SegmentSummary, Summary

_SORTED_BATCH = 4_096


@dataclass(frozen=True)
class Outlets:
    """Where a replay's results go: changes in order, rejected lines, and progress in bytes read."""

    changes: Callable[[Changes], None]
    rejected: Callable[[dict[str, Any]], None]
    bytes_read: Callable[[int], None] | None = None


def replay(
    plan: Plan, sources: Sequence[str], outlets: Outlets, *, until_ms: int | None = None, sort: bool = False
) -> Summary:
    """Applies the events of ``sources`` in order (or sorted), then moves the stream clock to the end.

    The end is ``until_ms``, or the largest timestamp of the valid events. Raises ``InputError`` for a source that can't
    be read. Memory grows with the customers, not with the events.
    """
    partition = Partition(plan, Clock.HELD)
    decoder = Decoder(plan.wanted)
    summary = Summary([SegmentSummary(segment.name) for segment in plan.definitions.segments])

    def emit(changes: Changes) -> None:
        if len(changes):
            summary.count_changes(changes)
            outlets.changes(changes)

    for events in _events(decoder, sources, outlets, summary, sort=sort):
        wanted = up_to(events, until_ms)
        summary.after_until += len(events) - len(wanted)
        applied = partition.apply(wanted)
        summary.count_events(applied.status)
        emit(applied.changes)
    emit(partition.advance(partition.latest_ms if until_ms is None else until_ms))
    summary.customers = len(partition.profiles)
    for segment, members in zip(summary.segments, partition.members().values(), strict=True):
        segment.members = members
    return summary


def _events(
    decoder: Decoder, sources: Sequence[str], outlets: Outlets, summary: Summary, *, sort: bool
) -> Iterator[Columns]:
    """The valid events of all sources in order; bad lines are reported on the way."""
    sorter = Sorter() if sort else None
    for batch in read_lines(sources, outlets.bytes_read):
        events, rejections = decoder.decode_mixed(batch.lines)
        for rejection in rejections:
            if is_blank(batch.lines[rejection.index]):
                continue
            summary.rejected[rejection.code] += 1
            outlets.rejected(rejected_line(batch, rejection.index, rejection.reason))
        if sorter is None:
            yield events
        else:
            sorter.add(events, batch.lines)
    if sorter is not None:
        for lines in sorter.batches(_SORTED_BATCH):
            events, _ = decoder.decode_mixed(lines)
            yield events


def rejected_line(batch: Lines, index: int, reason: str) -> dict[str, Any]:
    """The report of a bad line; ``schemas/rejected-line.schema.json`` describes it."""
    line = batch.lines[index]
    report: dict[str, Any] = {"source": batch.source, "line": batch.numbers[index], "reason": reason}
    try:
        report["original"] = line.decode()
    except UnicodeDecodeError:
        report["original_base64"] = base64.b64encode(line).decode()
    return report
