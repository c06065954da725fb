"""What a person at a terminal sees of a replay: a progress bar, and the closing table. All on standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from stream.language.tree import Definitions
from stream.replay.lines import total_bytes
from stream.replay.summary import Summary

#: Below this size a replay is over before anybody could read a bar.
_BAR_FROM_BYTES = 16 << 20

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000


@contextlib.contextmanager
def progress_bar(sources: Sequence[str]) -> Iterator[Callable[[int], None] | None]:
    """A bar of the bytes read, when standard error is a terminal and the input is long (or of unknown length)."""
    total = total_bytes(sources)
    if not sys.stderr.isatty() or (total is not None and total < _BAR_FROM_BYTES):
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replaying", total=total)
        yield lambda count: progress.update(task, advance=count)


def duration_words(ms: float | None) -> str:
    """A length of time as people say it, to two digits or so.

    >>> duration_words(90_000), duration_words(5_400_000), duration_words(None)
    ('1.5 min', '1.5 h', '–')
    """
    if ms is None:
        return "–"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s")):
        if ms >= unit:
            amount = ms / unit
            return f"{amount:.1f} {name}" if amount < 10 else f"{amount:.0f} {name}"
    return f"{ms:.0f} ms"


def closing_table(summary: Summary, definitions: Definitions, *, reported: bool) -> None:
    """Prints what happened: a line a segment, then what was left out and why."""
    console = Console(stderr=True, highlight=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("segment", no_wrap=True)
    for heading in ("entered", "exited", "members now", "of customers", "median stay"):
        table.add_column(heading, justify="right")
    shows_descriptions = any(segment.description for segment in definitions.segments) and console.width >= 120
    if shows_descriptions:
        table.add_column("what it means")
    for row, segment in zip(summary.segments, definitions.segments, strict=True):
        share = f"{row.members / summary.customers:.1%}" if summary.customers else "–"
        cells = [row.name, f"{row.entered:,}", f"{row.exited:,}", f"{row.members:,}", share]
        cells.append(duration_words(row.stays.median_ms()))
        if shows_descriptions:
            cells.append(segment.description or "")
        table.add_row(*cells)
    console.print(table)
    console.print(
        f"{summary.events:,} events of {summary.customers:,} customers; "
        f"{summary.duplicates:,} duplicates skipped, {summary.late:,} late"
        + (f", {summary.after_until:,} after --until" if summary.after_until else "")
    )
    rejected = summary.rejected.total()
    if rejected:
        hint = "" if reported else " (--rejected FILE tells which and why)"
        console.print(f"{rejected:,} lines rejected{hint}:")
        for code, count in summary.rejected.most_common():
            console.print(f"  {count:,} {code.replace('_', ' ')}")
