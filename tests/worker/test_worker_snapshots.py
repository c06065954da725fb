"""When an owner keeps a snapshot, and when a later one begins with it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stream.kafka.topics import CUSTOMER_ERASURES
from stream.worker.settings import Pace
from stream.worker.snapshots import FRESH_MS, Saved
from tests.engine.making import click, file
from tests.worker.quiet import CHANGELOG, Quiet, Shelf, finish

TWICE = file(s="count(click) >= 2")


def saved_world(pace: Pace | None = None) -> tuple[Quiet, Shelf]:
    """A customer, and a snapshot of it."""
    shelf = Shelf()
    world = Quiet(TWICE, shelf, pace=pace or Pace())
    world.produce(click("e1", 1, "ada"))
    world.step()
    finish(world.owner.drain())
    world.owner.save()
    assert shelf.saved is not None
    return world, shelf


def test_a_later_owner_reads_what_came_after() -> None:
    world, shelf = saved_world()
    world.produce(click("e2", 2, "ada"), click("e3", 3, "ben"))
    world.step(later_ms=2_000)
    finish(world.owner.drain())
    log = world.broker.log(CHANGELOG)
    assert shelf.saved is not None
    log.records = [record for record in log.records if record.offset >= shelf.saved.head.offset or record.offset == 0]
    owner = world.start(TWICE)
    assert (shelf.begun, shelf.why) == (1, None)
    assert sorted(owner.partition.profiles) == ["ada", "ben"]
    assert [change["id"] for change in world.values()] == ["ada:1"]


def test_nothing_is_kept_while_there_is_news() -> None:
    shelf = Shelf()
    world = Quiet(TWICE, shelf)
    world.produce(click("e1", 1, "ada"))
    world.step()  # applied, and not at a checkpoint yet
    world.owner.save()
    assert shelf.saved is None
    world.step(later_ms=2_000)
    world.owner.save()
    assert shelf.saved is not None


@pytest.mark.parametrize(("snapshot_ms", "kept"), [(5_000, True), (50_000, False)])
def test_snapshots_are_kept_in_time(snapshot_ms: int, kept: bool) -> None:
    shelf = Shelf()
    world = Quiet(TWICE, shelf, pace=Pace(snapshot_ms=snapshot_ms))
    for i in range(10):
        world.produce(click(f"e{i}", i, "ada"))
        world.step(later_ms=2_000)
    assert (shelf.saved is not None) == kept


def test_an_old_snapshot_would_bring_back_who_was_erased() -> None:
    for later_ms, why in ((FRESH_MS // 2, None), (FRESH_MS, "min old")):
        world, shelf = saved_world()
        world.put(CUSTOMER_ERASURES, b"ada", b'{"timestamp": 5}')
        for _ in range(4):
            world.step(later_ms=11_000)  # until nothing is left but a tombstone
        assert world.broker.log(CHANGELOG).records[-2].key is not None
        finish(world.owner.drain())
        if why is not None:
            world.broker.log(CHANGELOG).compact(world.broker.now_ms + 1)  # that is gone, too
        world.broker.now_ms += later_ms
        assert "ada" not in world.start(TWICE).partition.profiles
        assert why is None or why in (shelf.why or "")


def with_head(saved: Saved, **changed: Any) -> Saved:
    return Saved(msgspec.structs.replace(saved.head, **changed), saved.image)


def test_what_is_of_another_log_or_plan_does_not_count() -> None:
    for changed, why in (
        ({"version": 9}, "it is of version 9, this worker reads version 1"),
        ({"partition": 4}, "it is of topic segstream-profiles-changelog, partition 4"),
        ({"fence": b"another"}, "the changelog does not have its fence at offset 0: it was made anew, or truncated"),
        ({"offset": 10_000}, "the changelog does not have its fence at offset 0: it was made anew, or truncated"),
    ):
        world, shelf = saved_world()
        assert shelf.saved is not None
        shelf.saved = with_head(shelf.saved, **changed)
        assert sorted(world.start(TWICE).partition.profiles) == ["ada"]
        assert (shelf.begun, shelf.why) == (0, why)
    world, shelf = saved_world()
    assert sorted(world.start(file(s="count(click) >= 3")).partition.profiles) == ["ada"]
    assert shelf.why == "it is of other definitions, or of another version of segstream"
