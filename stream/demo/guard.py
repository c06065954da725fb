"""A small process that outlives the one that started it, and takes away what that one could not: after a kill -9.

Run as a program it reads lines from its standard input: ``process ID`` and ``folder PATH`` are what there is to take
away. When the input ends, which is when the other process is gone however that came about, it ends those processes and
removes those folders. Mostly there is nothing left to do.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Self

#: So long processes may take until a SIGKILL has ended them.
_GONE_WITHIN_S = 10.0
_POLL_S = 0.02


class Guard:
    """The guard, as its parent has it. What is ``told`` goes when this process goes.

    Each process must lead a session of its own, and goes with all that belong to it.
    """

    def __init__(self) -> None:
        # In a session of its own, no Ctrl-C and no closing terminal reaches it. It needs no packages.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def tell_process(self, pid: int) -> None:
        self._tell(f"process {pid}")

    def tell_folder(self, folder: Path) -> None:
        self._tell(f"folder {folder}")

    def close(self) -> None:
        """Has what is left taken away, and returns when nothing is."""
        with contextlib.suppress(BrokenPipeError):
            self._pipe.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # somebody has killed it; whoever looks after all parts notices
            self._pipe.write(f"{line}\n".encode())
            self._pipe.flush()

    @property
    def _pipe(self) -> IO[bytes]:
        assert self._process.stdin is not None, "it was made with one"
        return self._process.stdin

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def watch(lines: Iterable[bytes]) -> None:
    """Waits for the end of the lines, and takes away what they have told of."""
    processes: list[int] = []
    folders: list[str] = []
    for line in lines:
        word, _, rest = os.fsdecode(line).rstrip("\n").partition(" ")
        if word == "process":
            processes.append(int(rest))
        elif word == "folder":
            folders.append(rest)
    deadline = time.monotonic() + _GONE_WITHIN_S
    while any(_killed(pid) for pid in processes) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _killed(pid: int) -> bool:
    """Kills a process with its group; whether there was any."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of one that is dead and has not been asked for its result
        return False
    return True


if __name__ == "__main__":
    watch(sys.stdin.buffer)
