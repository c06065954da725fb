"""A part of the demo: one of our commands in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from stream.demo.guard import Guard

_LOG_LINES_SHOWN = 15


class Part:
    """``segstream ARGUMENTS`` by the same Python, with a log of its own. Variables SEGSTREAM_... are kept from it."""

    def __init__(self, name: str, arguments: list[str], folder: Path, guard: Guard) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SEGSTREAM_")}
        with self._log.open("wb") as log:
            # In a session of its own a Ctrl-C at the terminal reaches us only, and we stop it in order.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stream", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        guard.tell_process(self._process.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def how_it_ended(self) -> str:
        """How it has ended, for people."""
        code = self._process.returncode
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"has ended with exit code {code}"

    def last_lines(self) -> str:
        """The end of its log."""
        return last_lines(self._log)

    def ask_to_stop(self) -> None:
        if self.is_running():
            self._process.terminate()

    def wait(self, within_s: float) -> bool:
        """Whether it ends in that time."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """Kills it, and returns when it is gone."""
        if self.is_running():
            self._process.kill()
        self._process.wait()


def last_lines(log: Path) -> str:
    """The end of a log; empty where nothing has been said."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_LOG_LINES_SHOWN:])
