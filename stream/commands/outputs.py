"""Where commands write: files and standard output, told apart from each other and from what is read."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import click

from stream.cli import Failure

#: How a command line names standard input and output.
STANDARD = "-"

#: The type of an option that names a file to write, or standard output.
OUTPUT_FILE = click.Path(dir_okay=False, writable=True, allow_dash=True)


def check_apart(outputs: Mapping[str, str | None], inputs: Sequence[str]) -> None:
    """Refuses to write two things to one place, or over what is read."""
    read = [place_of(name, sys.stdin) for name in inputs if name != STANDARD or sys.stdin is not None]
    written: dict[Any, str] = {}
    for option, path in outputs.items():
        place = path and place_of(path, None)
        if place is None:
            continue
        if place in written:
            where = "standard output" if path == STANDARD else path
            raise click.UsageError(f"{written[place]} and {option} both go to {where}: name another file for one")
        if place in read:
            raise click.UsageError(f"{option}: {path} is also read, and would be overwritten: name another file")
        written[place] = option


def place_of(path: str, standard: IO[str] | None) -> Any:
    """What tells a file from others, however it is named; None for what several may share, such as /dev/null."""
    try:
        if path != STANDARD:
            status = Path(path).stat()
        elif standard is None:
            return STANDARD
        else:
            status = os.fstat(standard.fileno())
    except FileNotFoundError:
        return Path(path).resolve()
    except OSError:  # the standard input of a test is no file
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


class Output:
    """A file to write to, or standard output; what is written is there when the block ends."""

    def __init__(self, path: str) -> None:
        self._path = path
        if path != STANDARD:
            try:
                self._file: IO[bytes] = Path(path).open("wb", buffering=1 << 20)  # noqa: SIM115 (closed with this)
            except OSError as error:
                raise self._failure(error) from error
        elif sys.stdout is None:
            raise Failure("standard output is closed: name a file")
        else:
            self._file = standard_output()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            if sys.stdout is not None and self._file is sys.stdout.buffer:
                self._file.flush()
            else:
                self._file.close()
        except OSError as error:
            if kind is None:  # else what was wrong first is what to tell
                raise self._failure(error) from error

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failure(error) from error

    def flush(self) -> None:
        """Hands on what has been written until now."""
        try:
            self._file.flush()
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> Exception:
        if isinstance(error, BrokenPipeError):
            return error
        name = "standard output" if self._path == STANDARD else self._path
        return Failure(f"{name}: can't be written: {error.strerror}")


def standard_output() -> IO[bytes]:
    """Standard output with a buffer of its own.

    Under PYTHONUNBUFFERED Python's has none, and then writes less than it is given where the reader is slow.
    """
    try:
        return os.fdopen(sys.stdout.fileno(), "wb", closefd=False)
    except io.UnsupportedOperation:  # a test's has no number
        return sys.stdout.buffer
