"""Workers, ours and the yardstick, each in a process of its own, and what they say of themselves."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.brokers import ROOT
from stream.instants import format_instant

READY = ROOT / "stream" / "segments.yaml"
ENDED_WITHIN_S = 1_800.0
_LOG_LINES_SHOWN = 20
_YARDSTICK = re.compile(r"plain loop: (\d+) events, (\d+) changes, ([\d,]+) events/s, ([\d,]+) per CPU second")


@dataclass(frozen=True)
class Rate:
    """Events and what came of them, and how fast it went by both clocks."""

    events: int
    changes: int
    a_second: float
    a_cpu_second: float


@dataclass(frozen=True)
class Measured:
    """What `benchmarks.measured_worker` has printed; ``started_at`` is when its process was started."""

    started_at: float
    events: int
    events_when_warm: int
    changes: int
    profiles: int
    base_bytes: int
    resident_bytes: int
    peak_bytes: int
    moments: dict[str, dict[str, float]]

    def span(self, clock: str, begin: str, end: str) -> float:
        """Seconds between two moments on one of the clocks."""
        return self.moments[end][clock] - self.moments[begin][clock]

    @property
    def rate(self) -> Rate:
        """From the first event read until all was acknowledged and committed."""
        wall, cpu = self.span("wall", "first", "done"), self.span("cpu", "first", "done")
        return Rate(self.events, self.changes, self.events / wall, self.events / cpu)

    @property
    def warm_cpu_of_an_event(self) -> float:
        """CPU seconds for an event, of those after the worker was asked to note that it was warm."""
        return self.span("cpu", "warm", "done") / (self.events - self.events_when_warm)

    @property
    def bytes_a_profile(self) -> float:
        return (self.resident_bytes - self.base_bytes) / self.profiles


def environment() -> dict[str, str]:
    """This one's, without settings of the command."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEGSTREAM_")}
    return {**kept, "PYTHONPATH": str(ROOT)}


def ours(definitions: Path, address: str, app_id: str, folder: Path, *options: str) -> Measured:
    """Runs a measured worker to its end."""
    command = [sys.executable, "-m", "benchmarks.measured_worker", str(definitions)]
    command += ["--broker", address, "--id", app_id, *options]
    started_at = time.time()
    log = folder / f"{app_id}.log"
    output = run(command, log)
    found = json.loads(output.splitlines()[-1])
    if found.pop("exit_code") or found.pop("assignments") != 1:
        raise RuntimeError(f"a worker has not run as it should:\n{end_of(log)}")
    return Measured(started_at, **found)


def until(instant_ms: int) -> tuple[str, ...]:
    """The options of a worker that does all there is up to an instant, and ends."""
    return "--clock", format_instant(instant_ms), "--exit-when-done"


def yardstick(folder: Path, address: str, events: int, log: Path) -> Rate:
    """Runs the plain loop."""
    output = run([sys.executable, str(folder / "plain_loop.py"), address, str(events)], log)
    found = _YARDSTICK.search(output)
    if found is None:
        raise RuntimeError(f"the yardstick says: {output}")
    numbers = [int(number.replace(",", "")) for number in found.groups()]
    return Rate(numbers[0], numbers[1], numbers[2], numbers[3])


def run(command: Sequence[str], log: Path) -> str:
    """What a process prints; its standard error goes to a log, whose end is shown where it fails."""
    with log.open("ab") as errors:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            env=environment(),
            cwd=ROOT,
            text=True,
            timeout=ENDED_WITHIN_S,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{end_of(log)}")
    return done.stdout


def end_of(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES_SHOWN:])


def worker_options() -> frozenset[str]:
    """The options that ``segstream worker`` has."""
    from stream.commands.worker import worker

    return frozenset(name for parameter in worker.params for name in parameter.opts)


def start(*arguments: str, log: Path) -> subprocess.Popen[str]:
    """Starts a Python module; its standard output is for the caller, its standard error goes to the log."""
    with log.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            env=environment(),
            cwd=ROOT,
            text=True,
        )


def last_line(process: subprocess.Popen[str], within_s: float = ENDED_WITHIN_S) -> dict[str, Any]:
    """The JSON that a process prints before it ends."""
    try:
        output, _ = process.communicate(timeout=within_s)
    finally:
        process.kill()
    if process.returncode or not output:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found
