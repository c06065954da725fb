"""What people see: the closing table, the hints below it, and the progress bar."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from stream.instants import format_instant
from stream.replay import screen
from stream.replay.run import Outlets, replay
from stream.replay.screen import closing_table, duration_words, progress_bar
from tests.replay.replaying import (
    DEFINITIONS,
    HOUR,
    START,
    Replayed,
    few_events,
    json_lines,
    plan_of,
    run,
    traffic,
    write,
)

_UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(replayed: Replayed, definitions: str = DEFINITIONS, until_ms: int | None = None, **options: bool) -> str:
    """The closing table as it is written to a file."""
    before, sys.stderr = sys.stderr, io.StringIO()
    try:
        flags = {"sort": False, "reported": False} | options
        closing_table(replayed.summary, plan_of(definitions).definitions, until_ms=until_ms, **flags)
        return sys.stderr.getvalue()
    finally:
        sys.stderr = before


def rows(table: str) -> dict[str, list[str]]:
    """The cells of each segment's line."""
    found = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines() if line.startswith(" ")]
    return {cells[0]: cells[1:] for cells in found if len(cells) >= 6}


def test_the_table_shows_the_summary(tmp_path: Path) -> None:
    replayed = run([write(tmp_path / "e.jsonl", traffic())])
    table = shown(replayed)
    cells = rows(table)
    assert cells["segment"][:5] == ["entered", "exited", "members now", "share", "median stay"]
    assert list(cells)[1:] == ["busy", "buyer", "silent", "pro"]
    summary = replayed.summary
    for segment in summary.segments:
        entered, exited, members, share, median = cells[segment.name][:5]
        assert (entered, exited, members) == (f"{segment.entered:,}", f"{segment.exited:,}", f"{segment.members:,}")
        assert share == f"{segment.members / summary.customers:.1%}"
        exact = segment.stays.median_ms()
        if exact is None:
            assert median == "–"
        else:
            number, unit = median.split()
            assert float(number) * _UNITS_MS[unit] == pytest.approx(exact, rel=0.006)
    assert (
        f"{summary.events:,} events of {summary.customers:,} customers; {summary.duplicates:,} duplicates skipped, "
        f"{summary.late:,} late (--sort puts the events in order first)\n" in table
    )
    assert "first)" not in shown(replayed, sort=True)
    assert summary.first_ms is not None
    assert summary.last_ms is not None
    span = f"from {format_instant(summary.first_ms)} to {format_instant(summary.last_ms)}"
    assert table.splitlines()[-1] == span


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (None, "–"),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (59_990, "60 s"),
        (60_000, "1 min"),
        (90_500, "1.51 min"),
        (5_436_000, "1.51 h"),
        (10.44 * 86_400_000, "10.4 d"),
        (999.6 * 86_400_000, "1,000 d"),
        (3_660 * 86_400_000, "3,660 d"),
    ],
)
def test_durations(ms: float | None, words: str) -> None:
    assert duration_words(ms) == words


def test_rejected_lines_by_reason_with_an_example(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", json_lines(few_events()) + b"[]\n{\n{}\n[[1]]\n")
    lines = shown(run([path])).splitlines()[-4:]
    assert lines == [
        "4 lines rejected (--rejected FILE gets all of them):",
        f"  2 not an object; the first is {path}, line 10: expected a JSON object, got an array",
        f"  1 not json; the first is {path}, line 11: not valid JSON: it ends too early",
        f"  1 missing field; the first is {path}, line 12: `type` is missing: it must say click, purchase or email",
    ]
    assert "4 lines rejected:" in shown(run([path]), reported=True)


def test_one_of_each_is_no_plural(tmp_path: Path) -> None:
    event = few_events()[:1]
    text = shown(run([write(tmp_path / "e.jsonl", json_lines(event * 2) + b"[]\n")]))
    assert "2 events of 1 customer; 1 duplicate skipped, 0 late\n" in text
    assert "\n1 line rejected (" in text


def test_seconds_in_the_place_of_milliseconds(tmp_path: Path) -> None:
    events = [event | {"timestamp": event["timestamp"] // 1_000} for event in few_events()]
    text = shown(run([write(tmp_path / "e.jsonl", events)]))
    assert text.splitlines()[-1] == (
        "from 1970-01-21T08:53:20.000Z to 1970-01-21T08:53:34.400Z "
        "(timestamps are in milliseconds: are these in seconds?)"
    )


def test_where_nothing_was_applied_the_table_would_say_nothing(tmp_path: Path) -> None:
    assert shown(run([write(tmp_path / "e", b"")])) == "The input is empty: there is no event in it\n"
    text = shown(run([write(tmp_path / "e", b"[]")]))
    example = text.splitlines()[1]
    assert text.startswith("No line holds a valid event: each has to be one JSON object, such as\n")
    assert run([write(tmp_path / "e", example.encode())]).summary.events == 1
    assert "1 line rejected" in text
    # Seconds in the place of milliseconds lie in January 1970.
    seconds = START // 1_000
    replayed = run([write(tmp_path / "e", few_events())], until_ms=seconds)
    assert shown(replayed, until_ms=seconds) == (
        "All 9 events are after --until, 1970-01-21T08:53:20.000Z, so none was applied\n"
    )
    replayed = run([write(tmp_path / "e", few_events())], until_ms=START + HOUR)
    assert "0 late, 2 after --until, 2025-10-09T09:53:20.000Z\n" in shown(replayed, until_ms=START + HOUR)


def test_no_figure_is_cut_on_a_narrow_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "a" + "_long" * 12
    definitions = f"version: 1\nsegments:\n  {name}:\n    description: Everybody\n    enter: count(click) >= 1\n"
    replayed = run([write(tmp_path / "e", few_events())], definitions)
    assert name in shown(replayed, definitions)
    assert "Everybody" in shown(replayed, definitions)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    for width in ("72", "200"):
        monkeypatch.setenv("COLUMNS", width)
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        closing_table(replayed.summary, plan_of(definitions).definitions, until_ms=None, sort=True, reported=False)
        text = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue())
        assert max(map(len, text.splitlines())) <= int(width)
        assert all(heading in text for heading in ("entered", "members now", "median stay", "100.0%"))
        assert "…" not in text
        assert ("Everybody" in text) == (width == "200")
        assert name in text.replace("\n", "").replace(" ", "") or width == "72"


def test_texts_are_shown_as_they_are(tmp_path: Path) -> None:
    """Rich would take brackets for styles and colons for pictures."""
    definitions = (
        "version: 1\nsegments:\n  s:\n    description: '[bold]5 % [/] off :smile:'\n    enter: count(click) >= 1\n"
    )
    path = write(tmp_path / "[red]e:smile:", json_lines(few_events()) + b'{"type":"[bold]"}')
    text = shown(run([path], definitions), definitions)
    assert "[bold]5 % [/] off :smile:" in text
    assert f'{path}, line 10: `type`: expected click, purchase or email, got "[bold]"' in text


def bar_of(
    monkeypatch: pytest.MonkeyPatch, sources: list[Path | str], *, sort: bool = False, stderr: io.StringIO | None = None
) -> str:
    """What a replay with a progress bar writes to a terminal."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal() if stderr is None else stderr
    monkeypatch.setattr(sys, "stderr", terminal)
    names = [str(source) for source in sources]
    with progress_bar(names, sort=sort) as bar:
        read, applied = (bar.bytes_read, bar.bytes_sorted) if bar else (None, None)
        replay(plan_of(), names, Outlets(lambda _: None, None, read, applied), sort=sort)
        if bar is not None:
            bar._progress.refresh()
    return terminal.getvalue()


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.gz"])
@pytest.mark.parametrize("sort", [False, True])
def test_the_bar_reaches_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, sort: bool) -> None:
    monkeypatch.setattr(screen, "BAR_FROM_BYTES", 1)
    path = write(tmp_path / name, traffic())
    text = bar_of(monkeypatch, [path], sort=sort)
    assert "replaying" in text
    assert ("reading" in text) == sort
    size = len(traffic()) - traffic().count(b"\n") if sort else path.stat().st_size
    numbers = re.findall(r"([\d.]+)/([\d.]+) (kB|MB)", text)
    assert numbers
    assert numbers[-1][0] == numbers[-1][1]
    assert float(numbers[-1][1]) == pytest.approx(size / (1_000 if numbers[-1][2] == "kB" else 1_000_000), rel=0.1)


def test_input_of_unknown_length_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(traffic())))
    assert "replaying" in bar_of(monkeypatch, ["-"])


def test_short_input_has_no_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bar_of(monkeypatch, [write(tmp_path / "e", traffic())]) == ""


def test_a_file_has_no_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "BAR_FROM_BYTES", 1)
    assert bar_of(monkeypatch, [write(tmp_path / "e", traffic())], stderr=io.StringIO()) == ""
