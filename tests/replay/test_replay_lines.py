"""Lines from files: plain, packed and standard input, cut in any way, each with its place."""

from __future__ import annotations

import gzip
import io
import os
import random
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream.errors import InputError
from stream.replay import lines as reading
from stream.replay.lines import is_blank, read_lines, total_bytes
from tests.replay.replaying import DEFINITIONS, click, few_events, json_lines, run, write


def numbered(*sources: Path | str) -> list[tuple[str, int, bytes]]:
    """All lines that are not blank, with their sources and numbers."""
    return [
        (batch.source, number, line)
        for batch in read_lines([str(source) for source in sources])
        for number, line in zip(batch.numbers, batch.lines, strict=True)
        if not is_blank(line)
    ]


def standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def expected(source: Path | str, data: bytes) -> list[tuple[str, int, bytes]]:
    """The same by Python's own means."""
    found = enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
    return [(str(source), number, line.removesuffix(b"\r")) for number, line in found if line.strip()]


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 7, 10, 64, 1 << 20])
@pytest.mark.parametrize("packed", [False, True])
def test_lines_lie_across_the_borders_of_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, packed: bool
) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", block_bytes)
    draw = random.Random(block_bytes)
    for case in range(40):
        pieces = [b"\n", b"\r\n", b" ", b"x", b"\xc3\xa4", b"a long line", b"\t", b"\x00", b"\r", b"\xef\xbb\xbf"]
        data = b"".join(draw.choices(pieces, k=draw.randrange(40)))
        path = write(tmp_path / (f"{case}.gz" if packed else f"{case}.jsonl"), data)
        assert numbered(path) == expected(path, data), data


def test_blank_lines_count_and_are_passed_over(tmp_path: Path) -> None:
    data = (
        b"\n   \n\t\n" + json_lines([click("e1", 0)]) + b"\r\n \r\nbad\n\n\n" + json_lines([click("e2", 1)]) + b"\n\n"
    )
    replayed = run([write(tmp_path / "e.jsonl", data)])
    assert replayed.bad_lines == [7]
    assert replayed.summary.events == 2


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_are_no_part_of_lines(tmp_path: Path, end: bytes, last: bool) -> None:
    good = [line for line in json_lines(few_events()).split(b"\n") if line]
    data = end.join([*good, b"", b'{"a": 1', b"\xff"]) + (end if last else b"")
    replayed = run([write(tmp_path / "e.jsonl", data)])
    assert replayed.changes == run([write(tmp_path / "good.jsonl", few_events())]).changes
    assert [
        (report["line"], report.get("original"), report.get("original_base64")) for report in replayed.rejected
    ] == [
        (len(good) + 2, '{"a": 1', None),
        (len(good) + 3, None, "/w=="),
    ]


def test_the_last_line_needs_no_end(tmp_path: Path) -> None:
    whole = json_lines(few_events())
    assert run([write(tmp_path / "a", whole)]).changes == run([write(tmp_path / "b", whole.rstrip(b"\n"))]).changes


def test_sources_are_read_in_the_order_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = few_events()
    first = write(tmp_path / "first.jsonl", events[:3])
    second = write(tmp_path / "second.jsonl.gz", json_lines(events[3:5]) + b"bad\n")
    standard_input(monkeypatch, b"\nbad\n" + json_lines(events[5:7]))
    third = write(tmp_path / "third", json_lines(events[7:]) + b"bad")
    replayed = run([first, second, "-", third])
    assert replayed.changes == run([write(tmp_path / "all", events)]).changes
    assert [(report["source"], report["line"]) for report in replayed.rejected] == [
        (str(second), 3),
        ("-", 2),
        (str(third), 3),
    ]
    assert run([write(tmp_path / "again", events[::-1])]).changes != replayed.changes  # their order does matter


def test_a_file_may_come_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", few_events())
    once, twice = run([path]), run([path, path])
    assert (twice.summary.events, twice.summary.duplicates) == (18, 9)
    assert twice.changes == once.changes


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n \r\n\t\n"])
def test_nothing_in_it(tmp_path: Path, data: bytes) -> None:
    replayed = run([write(tmp_path / "e.jsonl", data), write(tmp_path / "e.gz", data)])
    assert (replayed.changes, replayed.rejected) == ([], [])
    assert (replayed.summary.events, replayed.summary.customers) == (0, 0)


def test_nothing_valid_in_it(tmp_path: Path) -> None:
    replayed = run([write(tmp_path / "e.jsonl", b"[]\n{}\nhello\n")])
    assert (replayed.changes, replayed.bad_lines) == ([], [1, 2, 3])
    assert replayed.summary.rejected_lines == 3


def test_a_byte_order_mark_begins_a_file_and_no_line(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    path = write(tmp_path / "e.jsonl", mark + json_lines(few_events()) + mark + json_lines([click("e99", 0)]))
    assert run([path]).bad_lines == [len(few_events()) + 1]


def test_gzip_data_is_known_by_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = json_lines(few_events())
    changes = run([write(tmp_path / "plain", data)]).changes
    packed = write(tmp_path / "e.gz", data).rename(tmp_path / "packed.jsonl")
    assert run([packed]).changes == changes
    standard_input(monkeypatch, packed.read_bytes())
    assert run(["-"]).changes == changes
    # Several members one after the other are one file: so `cat a.gz b.gz` and log rotation make them.
    members = [gzip.compress(line + b"\n") for line in data.splitlines()]
    (tmp_path / "members.gz").write_bytes(b"".join(members))
    assert run([tmp_path / "members.gz"]).changes == changes


def test_damaged_files_say_so_and_where(tmp_path: Path) -> None:
    draw = random.Random(3)
    lines = [f"{i} {draw.getrandbits(4_000):x}".encode() for i in range(3_000)]
    packed = gzip.compress(b"\n".join(lines))

    def failure(data: bytes, name: str = "e.jsonl.gz") -> str:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError) as caught:
            numbered(tmp_path / name)
        return str(caught.value).replace(f"{tmp_path}/", "")

    cut_off = (
        r"e\.jsonl\.gz: can't be read( beyond line [\d,]+)?: the gzip data is cut off, so the file is not complete"
    )
    for kept in (0, 5, 30, len(packed) // 2, len(packed) - 1):
        assert re.fullmatch(cut_off, failure(packed[:kept])) or kept == 5, kept
    assert "beyond line 1," in failure(packed[: len(packed) * 2 // 3])
    assert "the gzip data is damaged (Error -3" in failure(packed[:5_000] + b"\xff" * 5_000 + packed[10_000:])
    assert "the gzip data is damaged (CRC check failed" in failure(packed[:-8] + b"\x00" * 8)
    assert failure(b"plain\n") == "e.jsonl.gz: can't be read: it is called .gz, but what it holds is no gzip data"
    assert failure(b"PK\x03\x04" + b"x" * 50, "e.zip") == (
        "e.zip: can't be read: this is zip data, and only gzip is unpacked here "
        "(try unzip -p FILE | segstream replay DEFINITIONS -)"
    )
    assert "Zstandard" in failure(b"\x28\xb5\x2f\xfd" + b"x" * 50, "e.zst")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}/no: can't be read: No such file or directory")):
        numbered(tmp_path / "no")
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}: can't be read: Is a directory")):
        numbered(tmp_path)
    if Path("/proc/self/mem").exists():  # opens, and then fails
        with pytest.raises(InputError, match=re.escape("/proc/self/mem: can't be read: Input/output error")):
            numbered("/proc/self/mem")


def test_what_was_read_before_the_damage_has_been_replayed(tmp_path: Path) -> None:
    good, bad = write(tmp_path / "a.jsonl", few_events()), tmp_path / "b.gz"
    bad.write_bytes(gzip.compress(b"x" * 1_000)[:-4])
    with pytest.raises(InputError, match=r"b\.gz"):
        run([good, bad])


def test_lines_beyond_all_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1_000)
    monkeypatch.setattr(reading, "LINE_BYTES_MAX", 1 << 20)
    path = write(tmp_path / "e", b"short\n" + b"x" * 1_000_000 + b"\n")
    assert len(numbered(path)) == 2
    write(path, b"short\n" + b"x" * 2_000_000)
    with pytest.raises(InputError, match=re.escape("e: line 2 is longer than 1 MiB: expected one JSON object a line")):
        numbered(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read(tmp_path: Path) -> None:
    path = write(tmp_path / "e", b"")
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        numbered(path)


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.gz"])
def test_bytes_read_are_those_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1_000)
    path = write(tmp_path / name, json_lines(click(f"e{i}", i) for i in range(500)))
    told: list[int] = []
    for _ in read_lines([str(path), str(path)], told.append):
        pass
    assert sum(told) == total_bytes([str(path), str(path)]) == 2 * path.stat().st_size
    assert total_bytes([str(path), "-"]) is None
    standard_input(monkeypatch, path.read_bytes())
    told.clear()
    for _ in read_lines(["-"], told.append):
        pass
    assert sum(told) == path.stat().st_size


def test_the_end_of_the_input_is_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal a person would have to press Ctrl-D twice."""

    class Terminal(io.BytesIO):
        ends = 0

        def read1(self, size: int | None = -1, /) -> bytes:
            data = super().read1(size)
            self.ends += not data
            return data

    for data in (b"", b"short", b"0123456789" * 5):
        terminal = Terminal(data)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=terminal))
        assert [line for _, _, line in numbered("-")] == ([data] if data else [])
        assert terminal.ends == 1


def test_names_that_are_no_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.jsonl"))
    path.write_bytes(b"bad\n")
    replayed = run([path], DEFINITIONS)
    assert replayed.rejected[0]["source"] == f"{tmp_path}/��.jsonl"
    path.unlink()
    with pytest.raises(InputError, match="��"):
        run([path])


def test_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        run(["-"])
