"""Types are made ready for decoding while modules are imported, by one thread."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared_data import PROJECT

_EARLY = """
import msgspec
from msgspec import convert
_decode = msgspec.json.Decoder(int).decode
def f(data):
    return msgspec.json.decode(data), _decode(data), Decoder(plan.wanted)
"""


def late_types(source: str) -> list[int]:
    """The lines where msgspec is told a type by the call that decodes, or by a decoder that a function makes.

    The first such call of a process works the type out, and meanwhile another thread finds it half done: it crashes.
    """
    return [call.lineno for call, within in _calls(ast.parse(source)) if _tells_a_type(call, within_function=within)]


def _calls(node: ast.AST, *, within: bool = False) -> Iterator[tuple[ast.Call, bool]]:
    """All calls, and whether they stand in a function."""
    if isinstance(node, ast.Call):
        yield node, within
    within = within or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, within=within)


def _tells_a_type(call: ast.Call, *, within_function: bool) -> bool:
    whole = ast.unparse(call.func)
    name = whole.rpartition(".")[2]
    if name == "Decoder":
        return within_function and whole.startswith("msgspec.")
    if whole in ("convert", "msgspec.convert"):
        return True
    return name in ("decode", "convert") and any(word.arg == "type" for word in call.keywords)


def test_what_is_looked_for_is_found() -> None:
    assert late_types(_EARLY) == []
    late = (
        "msgspec.json.decode(d, type=int)",
        "convert(d, type=int)",
        "msgspec.convert(d, int)",
        "msgspec.json.Decoder(int)",
    )
    for call in late:
        assert late_types(f"{_EARLY}def g(d):\n    return {call}") == [8], call


@pytest.mark.parametrize("path", sorted((PROJECT / "stream").rglob("*.py")), ids=lambda path: path.stem)
def test_no_type_is_told_late(path: Path) -> None:
    assert late_types(path.read_text(encoding="utf-8")) == [], "make a Decoder of the type where the module begins"
