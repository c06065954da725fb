"""What the checks of a file share: its problems, the fields that events have, its features and segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.contract import FIELDS, FieldType, Kind
from stream.language.persona_names import PersonaNames
from stream.language.problems import Problem, Severity
from stream.language.source import Lines, Scalar
from stream.language.syntax import Node
from stream.language.tree import Expression

_MAX_MESSAGE = 500


class Report:
    """Collects problems, each once, and hands them over in the order of the file."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._lines = Lines(text)
        self._problems: set[Problem] = set()

    def error(self, at: int, message: str) -> None:
        """Add an error; ``at`` is an index into the file's text."""
        self._add(at, "error", message)

    def warning(self, at: int, message: str) -> None:
        self._add(at, "warning", message)

    def line(self, at: int) -> int:
        """The line of an index into the file's text."""
        return self._lines.position(at)[0]

    def _add(self, at: int, severity: Severity, message: str) -> None:
        line, column = self._lines.position(at)
        self._problems.add(Problem(self._source, line, column, severity, _one_line(message)))

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self._problems)

    def problems(self) -> list[Problem]:
        return sorted(self._problems)


def _one_line(message: str) -> str:
    """A problem is one line of readable length, whatever text of the file it quotes."""
    visible = "".join(character if character.isprintable() else " " for character in message)
    return visible if len(visible) <= _MAX_MESSAGE else visible[: _MAX_MESSAGE - 3] + "..."


@dataclass(slots=True)
class Feature:
    """One of ``features:``, and what became of it."""

    name: str
    key: Scalar
    value: Scalar | None  # None: there is no expression, which was reported
    syntax: Node | None = None  # None: it could not be parsed
    expression: Expression | None = None  # None: not checked yet, or wrong
    parts: int = 0  # the size of the expression, its own features included
    depth: int = 0
    uses: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)  # the segments that it asks for, through other features too
    is_used: bool = False


@dataclass(slots=True)
class Scope:
    """Everything that an expression may name."""

    report: Report
    declared: Mapping[Kind, Mapping[str, FieldType]]
    features: Mapping[str, Feature]
    segments: Mapping[str, int]  # name → its place in the order of the file
    personas: PersonaNames | None = None  # None: the file clusters nobody

    def fields_of(self, kind: Kind) -> dict[str, FieldType]:
        return {**FIELDS[kind], **self.declared.get(kind, {})}
