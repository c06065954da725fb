"""What is wrong with a definitions file, and where: one line a problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that a person has to change; lines and characters count from 1.

    >>> print(Problem("shop.yaml", 3, 5, "error", "unknown key `entr` (did you mean `enter`?)"))
    shop.yaml:3:5: error: unknown key `entr` (did you mean `enter`?)
    """

    source: str
    line: int
    column: int
    severity: Severity
    message: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}: {self.severity}: {self.message}"
