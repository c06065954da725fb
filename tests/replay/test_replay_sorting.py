"""``--sort``: the same as sorting beforehand, in memory and in runs on disk."""

from __future__ import annotations

import errno
import gc
import json
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stream.errors import InputError, SortSpaceError
from stream.events.decoder import Decoder
from stream.instants import parse_time
from stream.replay import sorting
from stream.replay.sorting import Sorter
from tests.replay.replaying import MINUTE, START, Dict, click, email, json_lines, plan_of, purchase, run, traffic, write

_ORDER = ["click", "purchase", "email"]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


def open_files() -> int:
    gc.collect()  # what tests before this one have left behind shall not close in its midst
    return len(os.listdir("/proc/self/fd"))


def shuffled(seed: int, count: int = 400) -> list[Dict]:
    """Events of all kinds with many equal timestamps, in both notations."""
    draw = random.Random(seed)
    events = []
    for i in range(count):
        make = draw.choice([click, purchase, email])
        event = make(f"e{i}", draw.randrange(60) * MINUTE, draw.choice("abc"), traits={"plan": draw.choice("pqr")})
        if draw.random() < 0.3:
            seconds = event["timestamp"] // 1000
            instant = np.datetime_as_string(np.datetime64(seconds, "s"))
            event["timestamp"] = f"{instant}{draw.choice(['Z', '.000Z', '.0004+00:00'])}"
        events.append(event)
    return events


def beforehand(events: list[Dict]) -> list[Dict]:
    """By timestamp, then click, purchase, email, then place: Python's sort keeps the last."""
    return sorted(events, key=lambda event: (parse_time(str(event["timestamp"])), _ORDER.index(event["type"])))


@pytest.mark.parametrize("run_bytes", [1, 3_000, 1 << 28])
@pytest.mark.parametrize("block_bytes", [100, 5_000, 1 << 20])
def test_the_same_as_sorting_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path, run_bytes: int, block_bytes: int
) -> None:
    monkeypatch.setattr(sorting, "RUN_BYTES", run_bytes)
    monkeypatch.setattr(sorting, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr("stream.replay.lines.BLOCK_BYTES", block_bytes)
    definitions = "\n".join(  # each change says which event came last, so no two events could change places unseen
        [
            "version: 1",
            "segments:",
            "  one: {enter: count(click) / 2 >= count(purchase) or trait('plan') == 'p'}",
            "  two: {enter: count(email) / 2 >= count(purchase) and last(click) after last(purchase)}",
        ]
    )
    events = shuffled(run_bytes % 97)
    first, second = write(tmp_path / "a.jsonl", events[:150]), write(tmp_path / "b.jsonl.gz", events[150:])
    before = open_files()
    replayed = run([first, second], definitions, sort=True)
    assert replayed.changes
    expected = run([write(tmp_path / "sorted.jsonl", beforehand(events))], definitions)
    assert replayed.changes == expected.changes
    assert replayed.summary == expected.summary
    assert open_files() == before


def test_ties_keep_the_order_of_kinds_and_of_the_files(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = shuffled(7)
    for run_bytes in (1, 2_000, 1 << 28):
        monkeypatch.setattr(sorting, "RUN_BYTES", run_bytes)
        decoder = Decoder(plan_of().wanted)
        found: list[str] = []
        with Sorter() as sorter:
            for start in range(0, len(events), 30):
                lines = json_lines(events[start : start + 30]).splitlines()
                sorter.add(decoder.decode_mixed(lines)[0], lines)
            assert sorter.bytes_added == len(json_lines(events)) - len(events)
            for batch in sorter.batches():
                found += [json.loads(line)["event_id"] for line in batch]
        assert found == [event["event_id"] for event in beforehand(events)]


def test_simulated_traffic_on_disk_and_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    path = write(tmp_path / "e.jsonl", traffic() + b"bad\n")
    in_memory = run([path], sort=True)
    assert in_memory.summary.late == 0
    assert in_memory.changes != run([path]).changes
    monkeypatch.setattr(sorting, "RUN_BYTES", 100_000)
    monkeypatch.setattr("stream.replay.lines.BLOCK_BYTES", 50_000)
    on_disk = run([path], sort=True)
    assert on_disk.changes == in_memory.changes
    assert on_disk.rejected == in_memory.rejected
    assert on_disk.summary == in_memory.summary


def test_until_holds_before_sorting(tmp_path: Path) -> None:
    events = shuffled(3)
    until = START + 30 * MINUTE
    path = write(tmp_path / "e.jsonl", events)
    replayed = run([path], until_ms=until, sort=True)
    early = [event for event in beforehand(events) if parse_time(str(event["timestamp"])) <= until]
    assert replayed.changes == run([write(tmp_path / "early", early)], until_ms=until).changes
    assert replayed.summary.after_until == len(events) - len(early) > 0


def test_temporary_files_go_when_reading_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    monkeypatch.setattr(sorting, "RUN_BYTES", 1)
    path = write(tmp_path / "e.jsonl", shuffled(1))
    before = open_files()
    with pytest.raises(InputError, match="no such file|No such file"):
        run([path, tmp_path / "missing"], sort=True)
    assert open_files() == before


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "RUN_BYTES", 1)
    path = write(tmp_path / "e.jsonl", shuffled(1))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "w+b", buffering=1_000))  # noqa: SIM115
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SortSpaceError) as caught:
        run([path], sort=True)
    assert caught.value.folder == str(tmp_path)
    assert str(caught.value) == (
        f"can't sort on disk: {tmp_path}: No space left on device (the environment variable TMPDIR names another)"
    )
    gc.collect()  # closes the file; what it could not write is no complaint


def test_a_missing_folder_for_temporary_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "RUN_BYTES", 1)
    path = write(tmp_path / "e.jsonl", shuffled(1))
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(SortSpaceError, match=r"can't sort on disk: /nowhere: No such file or directory \(.*TMPDIR"):
        run([path], sort=True)


def test_no_folder_for_temporary_files_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_will_do(**_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(sorting, "RUN_BYTES", 1)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "TemporaryFile", none_will_do)
    with pytest.raises(SortSpaceError, match="can't sort on disk: the temporary folder: No usable temporary directory"):
        run([write(tmp_path / "e.jsonl", shuffled(1))], sort=True)
