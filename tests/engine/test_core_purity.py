"""The core is pure: language, events, engine and personas read no files and no clocks, and speak to nobody."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared_data import PROJECT

ROOMS = ("language", "events", "engine", "personas")
#: The rooms each room may know, besides itself and the modules of the package's ground floor.
KNOWS: dict[str, set[str]] = {
    "language": set(),
    "events": set(),
    "engine": {"language", "events"},
    "personas": {"engine"},
}
GROUND = {"stream.compiled", "stream.contract", "stream.errors", "stream.instants"}

#: What a module of the core may import of others' work.
ALLOWED = {"lark", "llvmlite", "msgspec", "numba", "numpy", "orjson", "xxhash", "yaml", "river", "scipy"}
#: What of the standard library has to do with the world outside.
OUTSIDE = {
    "aiohttp", "asyncio", "click", "faust", "fileinput", "glob", "http", "io", "logging", "multiprocessing", "os",
    "pathlib", "random", "redis", "rich", "secrets", "select", "shutil", "signal", "socket", "ssl", "subprocess", "sys",
    "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
#: Calls that ask the system for something, by the last parts of their names.
CALLS = {
    "open", "input", "print", "exec", "eval", "__import__", "read_text", "read_bytes", "write_text", "write_bytes",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.monotonic", "np.random",
    "numpy.random", "fromfile", "tofile", "loadtxt", "memmap",
}  # fmt: skip

#: Exceptions, each with its reason: file, what, why.
EXCEPTIONS = {
    ("compiled.py", "os"): "finds a folder for compiled code, which is kept from one start to the next",
    ("compiled.py", "pathlib"): "the same",
    ("compiled.py", "read_bytes"): "the same: the folder is named after the sources",
    ("language/parser.py", "read_text"): "the grammar lies beside the code, and is part of it",
    ("personas/centres.py", "np.random"): "generators it is given",
    ("personas/moves.py", "np.random"): "generators it is given",
    ("personas/training.py", "np.random"): "generators that are told their seed",
}


def modules() -> list[Path]:
    found = [path for room in ROOMS for path in sorted((PROJECT / "stream" / room).rglob("*.py"))]
    assert len(found) > 30
    return found + [PROJECT / "stream" / f"{name.split('.')[1]}.py" for name in sorted(GROUND)]


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT / "stream").as_posix()


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    yield tree
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from running(node)


def imports(tree: ast.AST) -> set[str]:
    """The full names of all modules that are imported, wherever that stands."""
    found = set()
    for node in running(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            found.add(node.module or "")
            if node.module == "stream" or ((node.module or "").startswith("stream.") and node.module not in GROUND):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def calls(tree: ast.AST) -> set[str]:
    """The names of all that is called or looked up, as they are written."""
    return {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)}


def impurities(name: str, source: str) -> set[str]:
    """What a module of the core should not use."""
    tree = ast.parse(source)
    found = set()
    for module in imports(tree):
        top = module.split(".")[0]
        if top in OUTSIDE or not (top in ALLOWED or top == "stream" or top in sys.stdlib_module_names):
            found.add(top)
        if top == "stream" and module not in GROUND:
            room = [*module.split("."), ""][1]
            mine = name.split("/", maxsplit=1)[0]
            if room and room != mine and f"stream.{room}" not in GROUND and room not in KNOWS.get(mine, set()):
                found.add(module)
    for call in calls(tree):
        found |= {
            banned for banned in CALLS if call == banned or call.endswith(f".{banned}") or call.startswith(f"{banned}.")
        }
    return {what for what in found if (name, what) not in EXCEPTIONS}


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_of_the_core_is_pure(path: Path) -> None:
    assert impurities(name_of(path), path.read_text(encoding="utf-8")) == set()


def test_every_exception_is_needed() -> None:
    for name, what in EXCEPTIONS:
        source = (PROJECT / "stream" / name).read_text(encoding="utf-8")
        called = calls(ast.parse(source))
        assert what in imports(ast.parse(source)) | called | {call.split(".")[-1] for call in called}, (name, what)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time", "time"),
        ("from time import monotonic", "time"),
        ("def f():\n    import socket", "socket"),
        ("import faust.types", "faust"),
        ("from redis import asyncio", "redis"),
        ("import requests", "requests"),
        ("open('x')", "open"),
        ("import datetime\ndatetime.datetime.now()", "datetime.now"),
        ("from datetime import datetime\ndatetime.now()", "datetime.now"),
        ("import random", "random"),
        ("import numpy as np\nnp.random.default_rng()", "np.random"),
        ("from pathlib import Path", "pathlib"),
        ("print(1)", "print"),
        ("from stream.live import app", "stream.live"),
        ("from stream import replay", "stream.replay"),
    ],
)
def test_what_is_not_pure_is_found(source: str, found: str) -> None:
    assert found in impurities("language/some.py", source)


def test_the_engine_is_unknown_to_the_rooms_below() -> None:
    assert impurities("events/some.py", "from stream.engine.plan import Plan")
    assert not impurities("engine/some.py", "from stream.events.columns import Columns")


def test_importing_the_core_brings_nothing_of_the_rim() -> None:
    """Also not by way of somebody else's package."""
    names = [
        f"stream.{name_of(path)}".removesuffix(".py").replace("/", ".").removesuffix(".__init__") for path in modules()
    ]
    script = (
        "import importlib, json, sys\n"
        # River imports scikit-learn where that is installed, and that brings asyncio; nothing of ours asks for it.
        "sys.modules['sklearn'] = None\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted(name for name in sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(run.stdout))
    assert set(names) <= loaded
    rim = {"faust", "redis", "aiohttp", "aiokafka", "click", "rich", "asyncio"}
    assert {name.split(".")[0] for name in loaded} & rim == set()
    ours = {name for name in loaded if name.startswith("stream.") and name.count(".") == 1} - GROUND
    assert ours == {f"stream.{room}" for room in ROOMS}
