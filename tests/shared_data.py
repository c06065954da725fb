"""Real events and conformance cases, which lie beside the project and not in it (``../shared/data``)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[1]
DATA = PROJECT.parent / "shared" / "data"


def shared(name: str) -> Path:
    """The path of a shared file; the test is skipped, saying so, where it is absent."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"../shared/data/{name} is not here")
    return path


def shared_lines(name: str) -> list[bytes]:
    """The lines of a shared file, packed or not."""
    path = shared(name)
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return data.splitlines()


def shared_events(name: str) -> list[dict[str, Any]]:
    """The events of a shared file of JSON lines, packed or not."""
    return [json.loads(line) for line in shared_lines(name)]
