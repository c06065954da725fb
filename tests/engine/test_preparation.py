"""Compiled code is got ready once: by this process and another one, then from the cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.shared_data import PROJECT

PREPARE = """
from stream import preparation
from stream.engine.plan import compile_plan
from stream.events.event_scan import scan
from stream.language.checker import load

plan = compile_plan(load(b'{"version": 1, "segments": {"s": {"enter": "count(click) > 1"}}}', "s"))
preparation.prepare(plan)
print(sum(scan.stats.cache_hits.values()), sum(scan.stats.cache_misses.values()))
"""


def prepare(cache: Path) -> list[str]:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    environment.pop("NUMBA_DISABLE_JIT", None)
    command = [sys.executable, "-c", PREPARE]
    done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_two_processes_share_the_first_compilation(tmp_path: Path) -> None:
    assert prepare(tmp_path) == ["1", "0"]  # another process has compiled and kept the decoder
    assert prepare(tmp_path) == ["1", "0"]
