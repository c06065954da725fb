"""Segments that somebody thinks about, checked as if they stood in a definitions file.

A draft is a whole file, or a mapping of segments, with or without ``segments:`` above. Segments alone stand in the
present file's place of those of their names, or behind all others, and may use its features and fields.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from stream.language import tree
from stream.language.checker import KEYS, SEGMENTS_EXAMPLE, check, check_nodes, decode
from stream.language.problems import Problem
from stream.language.source import Mapping, Node, Scalar, Sequence, read
from stream.language.tree import Definitions, Expression
from stream.language.values import Values
from stream.language.yaml_mistakes import YamlError

_SEGMENTS = "segments"
_Entry = tuple[Scalar, Node]


@dataclass(frozen=True, slots=True)
class Draft:
    """The outcome: the whole file's meaning (None where there is an error), and the names of the drafted segments."""

    definitions: Definitions | None
    names: tuple[str, ...]
    problems: list[Problem]


def check_draft(text: str | bytes, source: str, present: str | bytes | None) -> Draft:
    """All that is wrong with a draft, each at its place in ``text``, and its meaning when nothing is.

    ``present`` is the definitions file, without errors, that segments alone are a part of; None where it is not known.
    """
    decoded, report = decode(text, source)
    if report.has_errors:
        return Draft(None, (), report.problems())
    try:
        root = read(decoded)
    except YamlError as error:
        report.error(error.at, error.message)
        return Draft(None, (), report.problems())
    keys = [key.text for key, _ in root.entries]
    if keys != [_SEGMENTS] and set(keys).intersection(KEYS):
        checked = check(decoded, source)
        segments = () if checked.definitions is None else checked.definitions.segments
        return Draft(checked.definitions, tuple(segment.name for segment in segments), checked.problems)
    if present is None:
        report.error(root.at, "the present definitions file is not known here: give a whole one, with `version: 1`")
        return Draft(None, (), report.problems())
    drafted: Mapping | None = root
    if keys == [_SEGMENTS]:
        drafted = Values(report).mapping(*root.entries[0], SEGMENTS_EXAMPLE, is_required=True)
    if drafted is not None and not drafted.entries:
        report.error(drafted.at, f"there is no segment: it takes {SEGMENTS_EXAMPLE}")
    if drafted is None or report.has_errors:
        return Draft(None, (), report.problems())
    return _within(decoded, source, drafted.entries, present)


def _within(text: str, source: str, drafted: tuple[_Entry, ...], present: str | bytes) -> Draft:
    """Checks the drafted segments among those of the present file.

    The two texts lie one behind the other, so that each node has a place of its own.
    """
    file, _ = decode(present, source)
    start = len(text) + 1
    whole, report = decode(f"{text}\n{file}", source)
    root = _moved(read(file), start)
    assert isinstance(root, Mapping)
    entries = [(key, _merged(node, drafted) if key.text == _SEGMENTS else node) for key, node in root.entries]
    checked = check_nodes(dataclasses.replace(root, entries=tuple(entries)), report)
    assert len(whole) == start + len(file)
    first_line = report.line(start)
    problems = [problem for problem in checked.problems if problem.line < first_line]
    if checked.definitions is None and all(problem.severity == "warning" for problem in problems):
        # Of what the draft does to the present file; its own places say nothing to whoever wrote the draft.
        problems += [
            dataclasses.replace(problem, line=1, column=1, message=f"with this draft: {problem.message}")
            for problem in checked.problems
            if problem.line >= first_line and problem.severity == "error"
        ]
    return Draft(checked.definitions, tuple(dict.fromkeys(key.text for key, _ in drafted)), sorted(problems))


def _merged(present: Node, drafted: tuple[_Entry, ...]) -> Node:
    """The present segments, each replaced by the first draft of its name; the other drafts behind them."""
    if not isinstance(present, Mapping):
        return present
    first: dict[str, _Entry] = {}
    rest: list[_Entry] = []
    names = {key.text for key, _ in present.entries}
    for entry in drafted:
        name = entry[0].text
        if name in names and name not in first:
            first[name] = entry
        else:
            rest.append(entry)
    kept = [first.get(key.text, (key, node)) for key, node in present.entries]
    return dataclasses.replace(present, entries=(*kept, *rest))


def _moved(node: Node, by: int) -> Node:
    """The same node at a place further on."""
    match node:
        case Scalar():
            return dataclasses.replace(node, at=node.at + by)
        case Sequence(at, items):
            return dataclasses.replace(node, at=at + by, items=tuple(_moved(item, by) for item in items))
        case Mapping(at, entries):
            moved = ((dataclasses.replace(key, at=key.at + by), _moved(value, by)) for key, value in entries)
            return dataclasses.replace(node, at=at + by, entries=tuple(moved))


def parts(definitions: Definitions) -> int:
    """How many parts all conditions and features of personas have, written out: what evaluating them costs."""
    known: dict[int, int] = {}
    conditions = [one for segment in definitions.segments for one in (segment.enter, segment.exit)]
    clustered = () if definitions.personas is None else definitions.personas.features
    return sum(_parts(one, known) for one in (*conditions, *(expression for _, expression in clustered)))


def _parts(node: Expression, known: dict[int, int]) -> int:
    found = known.get(id(node))
    if found is None:
        found = known[id(node)] = 1 + sum(_parts(inner, known) for inner in _inner(node))
    return found


def _inner(node: Expression) -> tuple[Expression, ...]:
    match node:
        case tree.And(operands) | tree.Or(operands):
            return operands
        case tree.Not(inner) | tree.Exists(inner) | tree.Since(inner) | tree.Rank(inner) | tree.TextMatch(_, inner, _):
            return (inner,)
        case tree.In(value, literals, _):
            return (value, *literals)
        case tree.Compare(_, left, right) | tree.After(left, right) | tree.Before(left, right):
            return left, right
        case tree.Arithmetic(_, left, right, _):
            return left, right
        case tree.Rfm(recency, frequency, money):
            return recency, frequency, money
        case tree.Aggregate(where=where):
            return () if where is None else (where,)
        case _:
            return ()
