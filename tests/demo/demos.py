"""The demo as a user runs it, and what it has left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.cli.commands import COMMAND, environment

WITHIN_S = 180.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Process:
    """A process as ``/proc`` tells of it."""

    pid: int
    parent: int
    command: str


def processes() -> list[Process]:
    """All processes of this machine that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                found.append(Process(int(folder.name), int(parent), command))
    return found


def until(what: Callable[[], str] | str, check: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    """Waits until ``check`` gives something, and returns that; ``what`` says what was waited for, at the end."""
    deadline = time.monotonic() + within_s
    while not (found := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(_POLL_S)
    return found


class Demo:
    """``segstream demo``, small, with a folder of its own for what is temporary."""

    def __init__(self, folder: Path, *options: str) -> None:
        # Names of temporary files must be short: macOS's limit for sockets, and readable messages.
        self.temporary = Path(tempfile.mkdtemp(dir=folder))
        self.output = folder / "output"
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [*COMMAND, "demo", "--port", "0", "--customers", "300", "--days", "2", *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(TMPDIR=str(self.temporary)),
                start_new_session=True,
            )
        self.parts: dict[str, Process] = {}

    @property
    def pid(self) -> int:
        return self._process.pid

    def says(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def has_said(self, pattern: str) -> re.Match[str]:
        """Waits until it has said this."""

        def said() -> re.Match[str] | None:
            found = re.search(pattern, self.says())
            assert found or self._process.poll() is None, f"it has ended:\n{self.says()}"
            return found

        found: re.Match[str] = until(lambda: f"it says {pattern!r}, but:\n{self.says()}", said)
        return found

    def look(self) -> dict[str, Process]:
        """Its parts, by their names."""
        names = {
            "guard.py": "guard",
            "broker --listener": "broker",
            "redis-server": "redis",
            "stream worker": "worker",
            "stream sink": "sink",
            "stream dashboard": "dashboard",
        }
        children = [one for one in processes() if one.parent == self.pid]
        self.parts = {name: one for one in children for text, name in names.items() if text in one.command}
        assert len(self.parts) == len(children) == len(names), children
        return self.parts

    def ask(self, path: str) -> Any:
        """What the dashboard answers."""
        url = self.has_said(r"The dashboard: (\S+)")[1]
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(f"{url}{path}", timeout=10) as answer:
            return json.load(answer)
        return None

    def ports(self) -> set[int]:
        """The ports that its parts listen at."""
        return {port for port, inode in _listening().items() if inode in self._sockets()}

    def _sockets(self) -> set[str]:
        found = set()
        for part in self.parts.values():
            for link in Path(f"/proc/{part.pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    found.add(os.readlink(link))
        return {link[8:-1] for link in found if link.startswith("socket:[")}

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def exit_code(self) -> int:
        """Waits for its end."""
        try:
            return self._process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended:\n{self.says()}") from None

    def assert_nothing_is_left(self, ports: set[int]) -> None:
        """No process, no port, no directory."""
        pids = {part.pid for part in self.parts.values()}

        def left() -> list[object]:
            alive = [one for one in processes() if one.pid in pids or str(self.temporary) in one.command]
            return [*alive, *(port for port in ports if _is_taken(port)), *self.temporary.iterdir()]

        until(lambda: f"nothing is left: {left()}", lambda: not left(), 20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever the test has left: its end is the guard's work."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def _listening() -> dict[int, str]:
    """The ports that somebody listens at, with the inodes of the sockets."""
    found = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A":
            found[int(words[1].partition(":")[2], 16)] = words[9]
    return found


def _is_taken(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False
