"""Texts in which ``‸`` marks the places that problems have to point at."""

from __future__ import annotations

from stream.language.checker import check

MARK = "‸"


def unmarked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its marks, and line and column (from 1) of each mark."""
    plain, *rest = text.split(MARK)
    places = []
    for part in rest:
        lines = plain.splitlines(keepends=True) or [""]
        if lines[-1].endswith("\n"):
            lines.append("")
        places.append((len(lines), len(lines[-1]) + 1))
        plain += part
    return plain, places


def problems(text: str) -> list[tuple[int, int, str]]:
    """Line, column and ``severity: message`` of everything that is wrong with a file."""
    found = check(text, "shop.yaml").problems
    return [(problem.line, problem.column, f"{problem.severity}: {problem.message}") for problem in found]


def assert_problems(marked: str, *messages: str) -> None:
    """The file has these problems (``error: ...``, ``warning: ...``), in this order, at the marks."""
    text, places = unmarked(marked)
    assert problems(text) == [(*place, message) for place, message in zip(places, messages, strict=True)]


def file_with(condition: str) -> str:
    """A file in which ``condition`` is the ``enter`` of segment ``this``; it may name features, personas, segments."""
    return (
        "version: 1\n"
        "fields: {click: {paid: boolean}}\n"
        "features:\n  orders: count(purchase)\n  pause: since(last(click))\n"
        "personas: {features: {orders: orders}, k: 4, aliases: {p3: regulars, p12: hunters}}\n"
        "segments:\n"
        "  above:\n    enter: orders > 3 and pause > 1d\n"
        f"  this:\n    enter: |\n      {condition}\n"
        "  below:\n    enter: never(purchase)\n"
    )
