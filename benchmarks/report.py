"""How figures are printed, and what they were measured on."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent


def show(what: str, figure: str) -> None:
    print(f"  {what:<66} {figure}", flush=True)


def head(what: str, command: str) -> None:
    """The title of a measurement, and the command that repeats it."""
    print(f"\n{what}:\n  $ {command}", flush=True)


def spread(figures: Iterable[float], digits: int = 0) -> str:
    """The median, and all of them behind it."""
    found = list(figures)
    return f"{statistics.median(found):,.{digits}f} ({each(found, digits)})"


def each(figures: Iterable[float], digits: int = 0) -> str:
    """One figure for each round."""
    return ", ".join(f"{figure:,.{digits}f}" for figure in figures)


def commit() -> str:
    """The commit that is measured, with a mark when files differ from it."""
    command = ["git", "describe", "--always", "--dirty"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return result.stdout.strip() or "unknown"
