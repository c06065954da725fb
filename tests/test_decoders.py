"""Types are made ready for decoding while modules are imported, by one thread."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.shared_data import PROJECT

_BOTH = """
import msgspec
from msgspec import convert
_decode = msgspec.json.Decoder(int).decode
def f(data):
    return msgspec.json.decode(data), _decode(data)
"""


def late_types(source: str) -> list[int]:
    """The lines where msgspec is told a type by the call that decodes.

    The first such call of a process works the type out, and meanwhile another thread finds it half done: it crashes.
    """
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if ast.unparse(call.func).rpartition(".")[2] in ("decode", "convert")
        and any(word.arg == "type" for word in call.keywords)
    ]


def test_what_is_looked_for_is_found() -> None:
    assert late_types(_BOTH) == []
    assert late_types(_BOTH + "def g(d):\n    return msgspec.json.decode(d, type=int), convert(d, type=int)") == [8, 8]


@pytest.mark.parametrize("path", sorted((PROJECT / "stream").rglob("*.py")), ids=lambda path: path.stem)
def test_no_type_is_told_late(path: Path) -> None:
    assert late_types(path.read_text(encoding="utf-8")) == [], "make a Decoder of the type where the module begins"
