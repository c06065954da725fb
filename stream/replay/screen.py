"""What a person at a terminal sees of a replay: a progress bar, and the closing table. All on standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence

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
from rich.text import Text

from stream.instants import format_instant
from stream.language.tree import Definitions
from stream.replay.lines import total_bytes
from stream.replay.summary import Summary

#: Below this size a replay is over before anybody could read a bar.
BAR_FROM_BYTES = 16 << 20
#: Where nobody's screen sets a limit, the table is as wide as it needs, up to this.
_WIDTH_OF_FILES = 160
_DESCRIPTIONS_FROM_WIDTH = 120

#: Milliseconds until here are the first weeks of 1970; as seconds they reach beyond the year 2100.
_SECONDS_BELOW = 5_000_000_000

_EXAMPLE = '{"type": "click", "event_id": "e1", "customer_id": "c1", "timestamp": 1569889867000, "action": "search"}'

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000


class _Screen(Console):
    """Standard error. A reader of it that goes away is for the caller to know: rich would end the process."""

    def __init__(self) -> None:
        super().__init__(stderr=True, highlight=False, emoji=False, markup=False)
        if not self.is_terminal and not self.is_jupyter:
            self.width = _WIDTH_OF_FILES

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Bar:
    """The bytes of the sources as they are read, then, when they are sorted, those of the events as they are used."""

    def __init__(self, progress: Progress, total_bytes: int | None, *, sort: bool, doing: str) -> None:
        self._progress = progress
        self._reading = progress.add_task("reading" if sort else doing, total=total_bytes)
        self._sorted = progress.add_task(doing, total=None, visible=False)

    def bytes_read(self, count: int) -> None:
        self._progress.update(self._reading, advance=count)

    def bytes_sorted(self, count: int, total: int) -> None:
        self._progress.update(self._reading, visible=False)
        self._progress.update(self._sorted, total=total, advance=count, visible=True)


@contextlib.contextmanager
def progress_bar(sources: Sequence[str], *, sort: bool, doing: str = "replaying") -> Iterator[Bar | None]:
    """A bar, when standard error is a terminal and the input is long (or of unknown length)."""
    total = total_bytes(sources)
    if sys.stderr is None or not sys.stderr.isatty() or (total is not None and total < BAR_FROM_BYTES):
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=_Screen(), transient=True) as progress:
        yield Bar(progress, total, sort=sort, doing=doing)


def duration_words(ms: float | None) -> str:
    """A length of time as people say it, to three digits.

    >>> duration_words(90_000), duration_words(5_436_000), duration_words(10.4 * 86_400_000), duration_words(None)
    ('1.5 min', '1.51 h', '10.4 d', '–')
    """
    if ms is None:
        return "–"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s")):
        if ms >= unit:
            amount = ms / unit
            return f"{amount:.3g} {name}" if amount < 999.5 else f"{amount:,.0f} {name}"
    return f"{ms:.0f} ms"


def closing_table(
    summary: Summary, definitions: Definitions, *, until_ms: int | None, sort: bool, reported: bool
) -> None:
    """Prints what happened: a line a segment, then what was left out and why."""
    if sys.stderr is None:
        return
    screen = _Screen()
    if summary.events:
        screen.print(_segments_table(summary, definitions, described=screen.width >= _DESCRIPTIONS_FROM_WIDTH))
    for line in _closing_lines(summary, until_ms, sort=sort, reported=reported):
        screen.print(Text(line), soft_wrap=True)


def _segments_table(summary: Summary, definitions: Definitions, *, described: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    # On a narrow screen names are broken: no figure may be cut.
    table.add_column("segment", overflow="fold")
    for heading in ("entered", "exited", "members now", "share", "median stay"):
        table.add_column(heading, justify="right", no_wrap=True)
    described = described and any(segment.description for segment in definitions.segments)
    if described:
        table.add_column("what it means")
    for row, segment in zip(summary.segments, definitions.segments, strict=True):
        share = f"{row.members / summary.customers:.1%}" if summary.customers else "–"
        cells = [row.name, f"{row.entered:,}", f"{row.exited:,}", f"{row.members:,}", share]
        cells.append(duration_words(row.stays.median_ms()))
        if described:
            cells.append(segment.description or "")
        table.add_row(*cells)
    return table


def _closing_lines(summary: Summary, until_ms: int | None, *, sort: bool, reported: bool) -> Iterator[str]:
    """How many events there were, and what became of the others."""
    end = f" after --until, {format_instant(until_ms)}" if until_ms is not None else ""
    if summary.events:
        late = f"{summary.late:,} late"
        if summary.late and not sort:
            late += " (--sort puts the events in order first)"
        after = f", {summary.after_until:,}{end}" if summary.after_until else ""
        duplicates = f"{summary.duplicates:,} {_plural(summary.duplicates, 'duplicate')} skipped"
        events, customers = _plural(summary.events, "event"), _plural(summary.customers, "customer")
        yield f"{summary.events:,} {events} of {summary.customers:,} {customers}; {duplicates}, {late}{after}"
        assert summary.first_ms is not None
        assert summary.last_ms is not None
        hint = " (timestamps are in milliseconds: are these in seconds?)" if summary.last_ms < _SECONDS_BELOW else ""
        yield f"from {format_instant(summary.first_ms)} to {format_instant(summary.last_ms)}{hint}"
        if summary.personas:
            counts = (f"p{number} {count:,}" for number, count in summary.personas.items())
            yield f"personas now: {', '.join(counts)}"
    elif summary.after_until:
        yield f"All {summary.after_until:,} events are{end}, so none was applied"
    elif summary.rejected:
        yield "No line holds a valid event: each has to be one JSON object, such as"
        yield f"  {_EXAMPLE}"
    else:
        yield "The input is empty: there is no event in it"
    if summary.rejected:
        hint = "" if reported else " (--rejected FILE gets all of them)"
        yield f"{summary.rejected_lines:,} {_plural(summary.rejected_lines, 'line')} rejected{hint}:"
        for code, rejected in sorted(summary.rejected.items(), key=lambda item: -item[1].count):
            yield f"  {rejected.count:,} {code.replace('_', ' ')}; the first is {rejected.first}"


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
