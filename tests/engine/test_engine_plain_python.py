"""The kernel as plain Python (``NUMBA_DISABLE_JIT=1``) does what it does compiled.

That it does so matters to whoever debugs it; and Python looks at every index and overflow, as compiled code does not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from stream.engine.kernel import step
from tests.effort import FACTOR
from tests.shared_data import PROJECT

IS_PLAIN = os.environ.get("NUMBA_DISABLE_JIT") == "1"

#: What needs the shared files is not among them, so that nothing is left out.
SUBSET = [
    "engine/test_engine_plain_python.py::test_the_kernel_is_compiled_unless_told_otherwise",
    "engine/test_golden_cases.py",
    "engine/test_engine_agreement.py::test_seeded_replays[batches of 7, 1 partitions]",
    "engine/test_engine_agreement.py::test_seeded_replays[batches of any size, 3 partitions, crashes]",
    "engine/test_engine_agreement.py::test_seeded_event_clocks[batches of any size, 3 partitions]",
    "engine/test_engine_redefinition.py::test_seeded_changes_of_definitions[1]",
    "engine/test_engine_limits.py::test_many_different_values_in_and_out_of_order[0]",
    "engine/test_engine_limits.py::test_any_time_up_to_the_last_millisecond[253402300799999]",
    "engine/test_engine_churn.py::test_crossings_of_one_half",
    "engine/test_engine_churn.py::test_values_are_the_references",
]


def test_the_kernel_is_compiled_unless_told_otherwise() -> None:
    assert hasattr(step, "py_func") != IS_PLAIN


@pytest.mark.skipif(IS_PLAIN, reason="this is the plain run already")
def test_some_of_these_tests_in_plain_python() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/{place}" for place in SUBSET)],
        cwd=PROJECT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=600 * FACTOR,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6_000:] + run.stderr[-2_000:]
    summary = run.stdout.splitlines()[-1]
    passed = re.search(r"^(\d+) passed in [\d.]+s", summary)
    assert passed, f"something was left out: {summary}"
    assert int(passed[1]) > len(SUBSET)
