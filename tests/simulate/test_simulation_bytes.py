"""What the lines are, byte by byte: their number, their order, the same for the same arguments."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from stream.contract import KINDS, hash64
from stream.simulate import DEFAULT_START_MS, Simulation

SMALL: dict[str, Any] = {"events": 5_000, "customers": 200, "seed": 3, "duplicates": 0.03, "late": 0.05}


def output(**arguments: Any) -> bytes:
    return b"".join(Simulation(**arguments).chunks())


def stamps(lines: list[bytes]) -> list[int]:
    return [int(orjson.loads(line)["timestamp"]) for line in lines]


def test_same_arguments_same_bytes() -> None:
    simulation = Simulation(**SMALL)
    first = b"".join(simulation.chunks())
    assert b"".join(simulation.chunks()) == first  # a second reading starts anew
    assert output(**SMALL) == first
    assert list(Simulation(**SMALL).truth()) == list(simulation.truth())


def test_golden_bytes() -> None:
    """A change of these hashes is a change of everybody's traffic: say so in the changelog."""
    assert f"{hash64(output(**SMALL).decode()):016x}" == "28a10753455cbf09"
    truth = b"".join(Simulation(**SMALL).truth())
    assert f"{hash64(truth.decode()):016x}" == "eead9a56049d040d"


def test_bytes_do_not_depend_on_the_process_or_the_vector_units() -> None:
    program = (
        "import sys; from stream.simulate import Simulation;"
        f"[sys.stdout.buffer.write(chunk) for chunk in Simulation(**{SMALL!r}).chunks()]"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512F AVX512_SKX"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, cwd=root, capture_output=True, check=True
    )
    assert done.stdout == output(**SMALL)


def test_another_seed_is_other_traffic() -> None:
    one, other = output(events=2_000, seed=1).splitlines(), output(events=2_000, seed=2).splitlines()
    assert not set(one) & set(other)
    ids = [{orjson.loads(line)["event_id"] for line in lines} for lines in (one, other)]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize(
    "arguments",
    [
        {"events": 1},
        {"events": 7, "customers": 3},
        {"events": 999, "customers": 1, "days": 1},
        {"events": 300, "customers": 5_000, "days": 2},
        {"events": 12_345},
        {"events": 12_345, "duplicates": 1.0, "late": 1.0},
        {"events": 40_000, "customers": 20, "days": 1, "duplicates": 0.1},
        {"events": 2_000, "customers": 50, "days": 40, "start_ms": 0, "seed": 2**70},
    ],
)
def test_exactly_so_many_events(arguments: dict[str, Any]) -> None:
    data = output(**arguments)
    assert data.count(b"\n") == arguments["events"]
    assert data.endswith(b"}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        {"events": 60_000},
        {"events": 60_000, "customers": 50, "days": 2},
        {"events": 60_000, "customers": 5_000, "days": 60},
        {"events": 60_000, "customers": 1_000, "duplicates": 0.5},
    ],
)
def test_the_last_event_is_near_the_end_of_the_period(arguments: dict[str, Any]) -> None:
    simulation = Simulation(**arguments, seed=8)
    last = stamps(b"".join(simulation.chunks()).splitlines())[-1]
    assert abs(last - simulation.end_ms) < 0.08 * (simulation.end_ms - simulation.start_ms)


def test_without_events_the_period_bounds_the_timestamps() -> None:
    simulation = Simulation(customers=300, days=3, late=0.2, duplicates=0.1)
    times = stamps(b"".join(simulation.chunks()).splitlines())
    assert simulation.start_ms == DEFAULT_START_MS
    assert datetime.fromtimestamp(DEFAULT_START_MS / 1000, UTC).isoformat() == "2025-01-06T00:00:00+00:00"
    assert simulation.start_ms <= min(times)
    assert max(times) < simulation.end_ms == simulation.start_ms + 3 * 86_400_000
    assert len(times) == pytest.approx(simulation.lines_expected, rel=0.15)


def test_defaults() -> None:
    simulation = Simulation()
    assert (simulation.events, simulation.customers, simulation.days) == (None, 1_000, 30)
    simulation = Simulation(events=81_000)
    assert (simulation.customers, simulation.days) == (1_000, 30)
    simulation = Simulation(events=81_000, customers=500)
    assert simulation.days == 60


def test_sorted_as_the_contract_merges_topics() -> None:
    """By timestamp, then click, purchase, e-mail: what ``replay --sort`` would make of it."""
    events = [orjson.loads(line) for line in output(events=30_000, customers=40, days=1).splitlines()]
    keys = [(event["timestamp"], KINDS[event["type"]]) for event in events]
    assert keys == sorted(keys)
    assert len({stamp for stamp, _ in keys}) < len(keys)  # ties do occur


def test_event_ids_are_unique_without_duplicates() -> None:
    events = [orjson.loads(line) for line in output(events=30_000).splitlines()]
    assert len({event["event_id"] for event in events}) == len(events)
    orders = [event["order_id"] for event in events if event["type"] == "purchase"]
    assert len(set(orders)) == len(orders)


def test_duplicates_repeat_identical_bytes_a_little_later() -> None:
    share = 0.1
    plain = output(customers=300, days=10)
    lines = output(customers=300, days=10, duplicates=share).splitlines()
    copies = Counter(lines)
    assert set(copies) == set(plain.splitlines())  # the events themselves stay as they were
    assert set(copies.values()) == {1, 2}
    repeated = sum(count == 2 for count in copies.values())
    n = len(copies)
    assert abs(repeated / n - share) < 4 * (share * (1 - share) / n) ** 0.5
    # Nothing else moves: the first copies are still in order, and a second comes within a minute or two.
    firsts = list(dict.fromkeys(lines))
    assert firsts == plain.splitlines()
    newest, seen, behind = 0, set(), []
    for line in lines:
        (stamp,) = stamps([line])
        newest = max(newest, stamp)
        if line in seen:
            behind.append(newest - stamp)
        seen.add(line)
    assert max(behind) < 120_000


def test_late_events_are_overtaken() -> None:
    share = 0.1
    arguments: dict[str, Any] = {"customers": 400, "days": 7}
    plain, mixed = output(**arguments).splitlines(), output(**arguments, late=share).splitlines()
    assert sorted(plain) == sorted(mixed)
    times = np.array(stamps(mixed))
    behind = np.maximum.accumulate(times) - times
    n = len(times)
    late = np.count_nonzero(behind) / n
    # A delay that nothing overtakes (at night) does not show, so the share may fall a little short.
    assert share * 0.85 < late < share + 4 * (share * (1 - share) / n) ** 0.5
    assert 3_600_000 < behind.max() <= 6 * 3_600_000 * 2
    assert 0 < np.percentile(behind[behind > 0], 10) < 600_000


def test_chunks_are_whole_lines_and_bounded() -> None:
    simulation = Simulation(events=200_000)
    sizes = []
    for chunk in simulation.chunks():
        assert chunk.endswith(b"\n")
        sizes.append(chunk.count(b"\n"))
    assert sum(sizes) == 200_000
    assert len(sizes) > 4
    assert max(sizes) < 100_000


def test_lines_are_about_300_bytes() -> None:
    assert 250 < len(output(events=20_000)) / 20_000 < 350


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"events": 0}, "events must be from 1 to"),
        ({"events": -5}, "events must be from 1 to"),
        ({"events": 10**13}, "events must be from 1 to"),
        ({"customers": 0}, "customers must be from 1 to"),
        ({"customers": -1}, "customers must be from 1 to"),
        ({"customers": 10**9}, "customers must be from 1 to"),
        ({"days": 0}, "days must be from 1 to"),
        ({"days": 3_661}, "days must be from 1 to"),
        ({"duplicates": -0.01}, "duplicates must be a share from 0 to 1, not -0.01"),
        ({"duplicates": 1.01}, "duplicates must be a share from 0 to 1, not 1.01"),
        ({"late": 2}, "late must be a share from 0 to 1, not 2"),
        ({"late": float("nan")}, "late must be a share from 0 to 1, not nan"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        ({"start_ms": -1}, "start_ms must be from 0 to"),
        ({"start_ms": 253_402_300_799_999}, "start_ms must be from 0 to"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        Simulation(**arguments)
