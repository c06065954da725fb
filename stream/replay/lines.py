"""JSON lines from files, gzip files and standard input, in batches, with the place of each."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stream.errors import InputError

STANDARD_INPUT = "-"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Lines:
    """Lines of one source, most blank ones left out. ``numbers`` are their places in it, counted from 1."""

    source: str
    lines: list[bytes]
    numbers: Sequence[int]


def total_bytes(sources: Sequence[str]) -> int | None:
    """The size of all sources as they lie on disk; None when one of them is not a file."""
    sizes = [Path(source).stat().st_size for source in sources if source != STANDARD_INPUT and Path(source).is_file()]
    return sum(sizes) if len(sizes) == len(sources) else None


def read_lines(sources: Sequence[str], on_bytes: Callable[[int], None] | None = None) -> Iterator[Lines]:
    """The lines of all sources, one source after the other, about a megabyte at a time.

    ``on_bytes`` is told how many bytes have been read since it was last called, as they lie on disk. Raises
    ``InputError`` when a source can't be opened or read.
    """
    for source in sources:
        try:
            yield from _read_source(source, on_bytes)
        except (OSError, EOFError, zlib.error) as error:
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise InputError(f"{source}: can't be read: {what}") from error


def _read_source(source: str, on_bytes: Callable[[int], None] | None) -> Iterator[Lines]:
    if source == STANDARD_INPUT:
        yield from _batches(source, sys.stdin.buffer, sys.stdin.buffer, None)
        return
    with Path(source).open("rb") as raw:
        if source.endswith(".gz"):
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield from _batches(source, unpacked, raw, on_bytes)
        else:
            yield from _batches(source, raw, raw, on_bytes)


def _batches(
    source: str, stream: BinaryIO | gzip.GzipFile, raw: BinaryIO, on_bytes: Callable[[int], None] | None
) -> Iterator[Lines]:
    number, told = 1, 0
    rest: list[bytes] = []  # pieces of a line whose end has not been read
    while block := stream.read(_BLOCK_BYTES):
        if on_bytes is not None:
            place = raw.tell()
            on_bytes(place - told)
            told = place
        head, newline, tail = block.rpartition(b"\n")
        if not newline:
            rest.append(block)
            continue
        batch = _lines(source, b"".join([*rest, head]), number)
        number += len(batch.numbers)
        rest = [tail] if tail else []
        yield _without_blank(batch)
    if rest:
        yield _without_blank(_lines(source, b"".join(rest), number))


def _lines(source: str, text: bytes, first: int) -> Lines:
    lines = text.split(b"\n")
    return Lines(source, lines, range(first, first + len(lines)))


def _without_blank(batch: Lines) -> Lines:
    # Looking for an empty line is cheap; only where there is one is each line asked.
    lines = batch.lines
    if b"" not in lines:
        return batch
    kept = [i for i, line in enumerate(lines) if not is_blank(line)]
    return Lines(batch.source, [lines[i] for i in kept], [batch.numbers[i] for i in kept])


def is_blank(line: bytes) -> bool:
    """Whether a line holds nothing but white space: such lines are passed over."""
    return not line or line.isspace()
