"""JSON lines from files, gzip files and standard input, in batches, with the place of each."""

from __future__ import annotations

import contextlib
import gzip
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, cast

from stream.errors import InputError

STANDARD_INPUT = "-"
#: So much is read at once: enough lines for a batch, few enough to stay in the processor's cache.
BLOCK_BYTES = 1 << 20
#: Whatever has lines as long as this holds no events, and must not fill the memory.
LINE_BYTES_MAX = 256 << 20

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
#: How files begin that other programs have packed, and what unpacks them to standard output. No JSON begins so.
_OTHER_PACKINGS = {
    b"PK\x03\x04": ("zip", "unzip -p"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", "zstd -dc"),
    b"\xfd7zXZ\x00": ("xz", "xz -dc"),
    b"BZh91AY&SY": ("bzip2", "bzip2 -dc"),
}
_START_BYTES = max(map(len, _OTHER_PACKINGS))


@dataclass(frozen=True)
class Lines:
    """Lines of one source without their ends, most blank ones left out. ``numbers`` are their places, from 1."""

    source: str
    lines: list[bytes]
    numbers: Sequence[int]


def total_bytes(sources: Sequence[str]) -> int | None:
    """The size of all sources as they lie on disk; None when one of them is not a file."""
    sizes = [Path(source).stat().st_size for source in sources if source != STANDARD_INPUT and Path(source).is_file()]
    return sum(sizes) if len(sizes) == len(sources) else None


def read_lines(sources: Sequence[str], on_bytes: Callable[[int], None] | None = None) -> Iterator[Lines]:
    """The lines of all sources, one source after the other, about a megabyte at a time.

    Gzip data is unpacked, whatever the source is called. ``on_bytes`` is told how many bytes have been read since it
    was last called, as they lie on disk. Raises ``InputError`` when a source can't be opened or read to its end.
    """
    for source in sources:
        # A file's name may be no UTF-8; what is written about it has to be.
        name = source.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        last = 0
        try:
            for batch in _read_source(source, name, on_bytes):
                yield batch
                last = batch.numbers[-1] if batch.numbers else last
        except BrokenPipeError:
            raise  # of what ``on_bytes`` writes to: reading knows no such thing
        except (OSError, EOFError, zlib.error) as error:
            where = f" beyond line {last:,}" if last else ""
            raise InputError(f"{name}: can't be read{where}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "the gzip data is cut off, so the file is not complete"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"the gzip data is damaged ({error})"


def _read_source(source: str, name: str, on_bytes: Callable[[int], None] | None) -> Iterator[Lines]:
    with _opened(source) as raw:
        stream = _Counted(raw, on_bytes)
        if stream.start.startswith(_GZIP):
            # Of a file, gzip only asks `read` unless one seeks in what is unpacked.
            with gzip.GzipFile(fileobj=cast("BinaryIO", stream), mode="rb") as unpacked:
                yield from _batches(name, unpacked)
            return
        if source.endswith(".gz"):
            if not stream.start:
                raise EOFError
            raise InputError(f"{name}: can't be read: it is called .gz, but what it holds is no gzip data")
        for start, (packing, unpack) in _OTHER_PACKINGS.items():
            if stream.start.startswith(start):
                raise InputError(
                    f"{name}: can't be read: this is {packing} data, and only gzip is unpacked here "
                    f"(try {unpack} FILE | segstream replay DEFINITIONS -)"
                )
        yield from _batches(name, stream)


def _opened(source: str) -> contextlib.AbstractContextManager[BufferedIOBase]:
    """A file, or standard input (which is left open)."""
    if source != STANDARD_INPUT:
        return Path(source).open("rb")
    if sys.stdin is None:
        raise InputError("standard input is closed: there is nothing to read")
    return contextlib.nullcontext(cast("BufferedIOBase", sys.stdin.buffer))


class _Counted:
    """A file whose ``start`` is known, and that tells how much of it has been read."""

    def __init__(self, raw: BufferedIOBase, on_bytes: Callable[[int], None] | None) -> None:
        self._raw = raw
        self._on_bytes = on_bytes
        self._has_ended = False
        self._ahead = b""
        self.start = self._ahead = self._read(_START_BYTES)

    def read(self, size: int, /) -> bytes:
        """``size`` bytes, fewer only at the end."""
        block, self._ahead = self._ahead[:size], self._ahead[size:]
        block += self._read(size - len(block))
        if self._on_bytes is not None:
            self._on_bytes(len(block))
        return block

    def _read(self, size: int) -> bytes:
        """``size`` bytes that have not been read ahead.

        One request of the system a time: a Ctrl-C that comes between two is not held up by the second. After the end
        nothing is asked for again: at a terminal a person would have to end their input twice.
        """
        pieces: list[bytes] = []
        while size and not self._has_ended:
            piece = self._raw.read1(size)
            pieces.append(piece)
            size -= len(piece)
            self._has_ended = not piece
        return b"".join(pieces)


def _batches(source: str, stream: _Counted | gzip.GzipFile) -> Iterator[Lines]:
    number = 1
    rest: list[bytes] = []  # pieces of a line whose end has not been read
    rest_bytes = 0
    while block := stream.read(BLOCK_BYTES):
        head, newline, tail = block.rpartition(b"\n")
        if newline:
            batch = _lines(source, b"".join([*rest, head]), number)
            number += len(batch.numbers)
            rest, rest_bytes = [], 0
            yield _without_blank(batch)
        if tail:
            rest.append(tail)
            rest_bytes += len(tail)
            if rest_bytes > LINE_BYTES_MAX:
                limit = f"{LINE_BYTES_MAX >> 20:,} MiB"
                raise InputError(f"{source}: line {number:,} is longer than {limit}: expected one JSON object a line")
    if rest:
        yield _without_blank(_lines(source, b"".join(rest), number))


def _lines(source: str, text: bytes, first: int) -> Lines:
    if first == 1:
        text = text.removeprefix(_BYTE_ORDER_MARK)
    lines = text.split(b"\n")
    if b"\r" in text:  # as Windows ends lines; no JSON text holds a raw one
        lines = [line.removesuffix(b"\r") for line in lines]
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
