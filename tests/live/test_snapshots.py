"""Snapshots on disk and standbys: what begins with them gives what all others give; what is damaged is passed over."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from stream.brokers.process import BrokerProcess
from stream.engine.partition import Clock, Partition
from stream.errors import SnapshotFolderError
from stream.live.snapshot_folder import PartitionSnapshots, SnapshotFolder, read_snapshot, write_snapshot
from stream.simulate import Simulation
from stream.worker.records import Checkpoint, Marker, Residue
from stream.worker.snapshots import FRESH_MS, Head, Saved
from tests.cli.commands import invoke
from tests.engine.driver import Lane, plan_of
from tests.engine.making import click, file
from tests.live.workers import PARTITIONS, SEGMENTS, Expected, Worker, assert_same, last_ms, send, workers

DAY_MS = 86_400_000
TEXTS = file(s='last(click.category) == "shoes" or trait("plan") == "pro"')


def saved_of(customers: int = 3) -> Saved:
    lane = Lane(plan_of(TEXTS), Clock.HELD, 0, Random(0))
    traits = {"plan": "prö"}
    lane.partition.apply(lane.columns([click(f"e{i}", i, f"c{i}", traits=traits) for i in range(customers)]))
    checkpoint = Checkpoint(5, 6, ("d",), passing=False, sent_to=7, memberships_to=8)
    residues, markers = {1 << 63: Residue(2, 3)}, {"ö": Marker(1, 2, (3, 4, 5))}
    fences = {b"\xfffence/a": [0], b"\xfffence/b": [4, 5]}
    head = Head("t", 3, 1_000, 9, 5, b"\xfffence/b", 2, checkpoint, fences, {7: b"{}"}, residues, markers)
    return Saved(head, lane.partition.image())


@pytest.mark.parametrize("customers", [0, 3, 3_000])
def test_what_is_read_is_what_was_written(tmp_path: Path, customers: int) -> None:
    saved = saved_of(customers)
    write_snapshot(tmp_path / "a.snapshot", saved)
    found = read_snapshot(tmp_path / "a.snapshot")
    assert found.head == saved.head
    partitions = [Partition(plan_of(TEXTS)) for _ in range(2)]
    for partition, one in zip(partitions, (saved, found), strict=True):
        partition.place(one.image)
    assert partitions[0].snapshot() == partitions[1].snapshot()
    assert len(partitions[1].profiles) == customers
    assert [path.name for path in tmp_path.iterdir()] == ["a.snapshot"]


_MANY_READERS = """
import sys, threading
from pathlib import Path
from stream.live.snapshot_folder import read_snapshot

sys.setswitchinterval(1e-6)
together = threading.Barrier(8)

def read():
    together.wait()
    for _ in range(3):
        read_snapshot(Path(sys.argv[1]))

threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_a_process_that_starts_may_read_several_at_once(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "a.snapshot", saved_of())
    for _ in range(3):
        subprocess.run([sys.executable, "-c", _MANY_READERS, str(tmp_path / "a.snapshot")], check=True)


def test_what_is_damaged_anywhere_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.snapshot"
    write_snapshot(path, saved_of())
    whole = path.read_bytes()
    random = Random(0)
    damaged = [whole[:size] for size in (0, 5, 30, 100, len(whole) // 2, len(whole) - 1)]
    while len(damaged) < 60:
        at = random.randrange(len(whole))
        damaged.append(whole[:at] + bytes([whole[at] ^ 1 << random.randrange(8)]) + whole[at + 1 :])
    for data in damaged:
        path.write_bytes(data)
        caplog.clear()
        found = asyncio.run(PartitionSnapshots(path).load())
        if found is None:
            assert "is passed over: it can't be read" in caplog.text
        else:  # what was hit lies between the arrays
            assert found.head == saved_of().head
    assert asyncio.run(PartitionSnapshots(tmp_path / "none.snapshot").load()) is None


def test_a_folder_belongs_to_one_worker(tmp_path: Path) -> None:
    with (
        SnapshotFolder(tmp_path, "cluster"),
        pytest.raises(SnapshotFolderError, match="another worker uses it"),
        SnapshotFolder(tmp_path, "other"),
    ):
        pass
    (tmp_path / "cluster" / "t-0.part").touch()
    with SnapshotFolder(tmp_path, "cluster"):
        assert list((tmp_path / "cluster").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(SnapshotFolderError, match="it must be writable"), SnapshotFolder(tmp_path / "file", "c"):
        pass


def test_names_of_clusters_may_hold_anything(tmp_path: Path) -> None:
    with SnapshotFolder(tmp_path, "../we/ird\0 id") as folder:
        assert folder.of("topic", 3).path.parent.parent == tmp_path


@pytest.mark.parametrize(
    ("topic", "partition", "now_ms", "why"),
    [
        ("t", 3, 1_000, None),
        ("t", 3, 999 + FRESH_MS, None),
        ("t", 3, 1_000 + FRESH_MS, "it is 720 min old; 720 are allowed"),
        ("t", 3, 999, "it is -0 min old; 720 are allowed"),
        ("u", 3, 1_000, "it is of topic t, partition 3"),
        ("t", 2, 1_000, "it is of topic t, partition 3"),
    ],
)
def test_where_and_when_a_snapshot_counts(topic: str, partition: int, now_ms: int, why: str | None) -> None:
    assert saved_of().head.why_not(topic, partition, now_ms, FRESH_MS) == why


# --- workers ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    path.write_bytes(b"".join(Simulation(events=4_000, customers=200, days=60, seed=19, late=0.03).chunks()))
    return path


def test_a_start_with_snapshots_goes_on_from_them(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    end_ms = last_ms(events) + 3 * DAY_MS
    send(broker.address, events)
    folder = tmp_path / "snapshots"
    for i, until_ms in enumerate((end_ms - 30 * DAY_MS, end_ms - 10 * DAY_MS, end_ms)):
        options = ("--clock", str(until_ms), "--exit-when-done", "--snapshots", str(folder))
        with Worker(broker.address, tmp_path / f"worker-{i}.log", *options) as worker:
            assert worker.exit_code() == 0, worker.says()
            assert worker.says().count(": begins with the snapshot at offset ") == (PARTITIONS if i else 0)
            assert worker.says().count(": snapshot at offset ") == PARTITIONS
        assert_same(broker.address, Expected(events, until_ms))


def test_snapshots_of_another_group_do_not_count(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    until_ms = last_ms(events)
    send(broker.address, events)
    options = ("--clock", str(until_ms), "--exit-when-done", "--snapshots", str(tmp_path / "snapshots"))
    for name in ("segstream", "other"):
        with Worker(broker.address, tmp_path / f"{name}.log", *options, "--id", name) as worker:
            assert worker.exit_code() == 0, worker.says()
            assert "begins with the snapshot" not in worker.says()


def test_two_workers_can_not_share_a_folder(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    send(broker.address, events)
    with SnapshotFolder(tmp_path, "any"):
        result = invoke("worker", SEGMENTS, "--broker", broker.address, "--snapshots", tmp_path)
    assert result.exit_code == 64
    assert "another worker uses it: give each worker a folder of its own" in result.stderr


def test_a_standby_takes_over(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    until_ms = last_ms(events) + 3 * DAY_MS
    middle = ("--clock", str(until_ms - 20 * DAY_MS), "--exit-when-done")
    send(broker.address, events)
    with Worker(broker.address, tmp_path / "first.log", *middle) as first:
        assert first.exit_code() == 0, first.says()
    options = ("--clock", str(until_ms), "--standbys", "1")
    with workers(2, broker.address, tmp_path, *options) as (one, other):
        one.has_said("standby for partitions: ")
        other.has_said("standby for partitions: ")
        other.kill()
        one.has_said(": followed up to offset ")
        with Worker(broker.address, tmp_path / "last.log", *options, "--exit-when-done") as last:
            assert last.exit_code() == 0, last.says() + one.says()
    assert_same(broker.address, Expected(events, until_ms))


@pytest.fixture(autouse=True)
def _log_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stream")
