"""Snapshots: rows of different times together, and what is damaged is refused."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any

import pytest

from stream.engine.layout import Layout
from stream.engine.partition import Partition
from stream.engine.snapshot import Snapshot
from stream.errors import SnapshotError
from tests import strategies
from tests.engine.driver import Driver, Lane, plan_of, through_bytes
from tests.engine.making import HOUR, brief, click, file, purchase

Dict = dict[str, Any]

WITH_TEXTS = file(
    s='last(click.category) == "shoes" or trait("plan") == "pro" or count(click, 1h) > 3', t="p_alive(purchase) < 0.5"
)
WITHOUT_TEXTS = file(s="count(click, 1h) > 3 or sum(purchase.total) >= 5", t="since(last(click)) >= 1h")
EVENTS = [
    click("e1", 1, "a", category="Schürze", traits={"plan": "prö"}),
    click("e2", 2, "b", category="", traits={"plan": 5}),
    purchase("e3", 3, "c"),
]


def lane_of(definitions: Dict) -> Lane:
    lane = Driver(definitions).lanes[0]
    lane.partition.apply(lane.columns(EVENTS))
    return lane


def restore(definitions: Dict, snapshot: Snapshot) -> Partition:
    partition = Partition(plan_of(definitions))
    partition.restore(snapshot)
    return partition


# --- Whole ones ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("definitions", [WITH_TEXTS, WITHOUT_TEXTS], ids=["texts", "no texts"])
def test_what_was_restored_is_written_the_same(definitions: Dict) -> None:
    snapshot = lane_of(definitions).partition.snapshot()
    again = restore(definitions, through_bytes(snapshot)).snapshot()
    assert again == snapshot
    assert (snapshot.definitions, snapshot.stream_ms, snapshot.latest_ms) == (
        plan_of(definitions).definitions_hash,
        -1,
        3,
    )


@pytest.mark.parametrize("seed", range(30))
def test_random_partitions_are_written_the_same_again(seed: int) -> None:
    definitions, events, until_ms = strategies.random_case(Random(seed))
    driver = Driver(definitions)
    driver.apply(events)
    driver.advance(until_ms)
    snapshot = driver.lanes[0].partition.snapshot()
    assert restore(definitions, through_bytes(snapshot)).snapshot() == snapshot


def test_a_partition_without_customers() -> None:
    partition = restore(WITH_TEXTS, through_bytes(Partition(plan_of(WITH_TEXTS)).snapshot()))
    assert len(partition.profiles) == 0
    assert (partition.stream_ms, partition.latest_ms) == (-1, -1)
    assert len(partition.redefine()) == 0


def test_some_customers_only() -> None:
    snapshot = lane_of(WITH_TEXTS).partition.snapshot(["c", "a"])
    assert [customer for customer, _ in snapshot.rows] == ["c", "a"]
    assert set(restore(WITH_TEXTS, snapshot).profiles) == {"a", "c"}


def test_a_restored_row_takes_the_place_of_an_older_one() -> None:
    definitions = file(s="count(click) >= 3", t="since(last(click)) >= 1h")
    lane = Driver(definitions).lanes[0]
    lane.partition.apply(lane.columns([click("e1", 1, "a"), click("e1", 1, "b")]))
    older = lane.partition.snapshot()
    lane.partition.apply(lane.columns([click("e2", 2, "a"), click("e2", 2, "b")]))
    lane.partition.advance(HOUR)
    newer = lane.partition.snapshot(["a"])
    partition = restore(definitions, older)
    partition.restore(newer)
    assert len(partition.profiles) == 2
    assert (partition.stream_ms, partition.latest_ms) == (HOUR, 2)
    partition.restore(older)  # clocks never go back
    assert (partition.stream_ms, partition.latest_ms) == (HOUR, 2)
    partition.restore(newer)
    changes = partition.apply(lane.columns([click("e3", 3, "a"), click("e3", 3, "b")])).changes
    assert [record["customer_id"] for record in changes.records] == ["a"]
    assert brief(list(changes.records)) == [("s", "entered", 3)]


def test_wrong_offsets_do_not_come_back_with_another_customer() -> None:
    """Offsets are kept per customer and topic, through bytes."""
    lane = Driver(file(s="count(click) >= 2")).lanes[0]
    lane.write(click("e1", 1))
    lane.write(click("e2", 2, "b"))
    lane.read(2)
    lane.save()
    lane.start(earlier=2)
    lane.read(2)  # asserts that both are replayed
    assert len(lane.partition.profiles) == 2


# --- Damaged ones -------------------------------------------------------------------------------------------------


def damaged(snapshot: Snapshot, customer: str, data: bytes) -> Snapshot:
    """The snapshot with another row of one customer."""
    rows = [(name, data if name == customer else row) for name, row in snapshot.rows]
    return dataclasses.replace(snapshot, rows=rows)


@pytest.mark.parametrize("definitions", [WITH_TEXTS, WITHOUT_TEXTS], ids=["texts", "no texts"])
def test_a_row_that_is_cut_off_anywhere(definitions: Dict) -> None:
    snapshot = lane_of(definitions).partition.snapshot()
    for customer, data in snapshot.rows:
        for length in range(len(data)):
            with pytest.raises(SnapshotError, match=f"customer '{customer}'"):
                restore(definitions, damaged(snapshot, customer, data[:length]))


@pytest.mark.parametrize("definitions", [WITH_TEXTS, WITHOUT_TEXTS], ids=["texts", "no texts"])
@pytest.mark.parametrize("more", [b"\0", b"\xc0", b"\x90", b"\0" * 8, b"\x93\xc0\xc0\xc0"])
def test_a_row_that_is_too_long(definitions: Dict, more: bytes) -> None:
    snapshot = lane_of(definitions).partition.snapshot()
    for customer, data in snapshot.rows:
        with pytest.raises(SnapshotError, match=f"customer '{customer}'"):
            restore(definitions, damaged(snapshot, customer, data + more))


def test_a_row_with_other_texts_than_its_layout_has() -> None:
    snapshot = lane_of(WITH_TEXTS).partition.snapshot()
    (customer, data), *_ = snapshot.rows
    words = data.rindex(b"\x92")  # an array of two
    assert restore(WITH_TEXTS, damaged(snapshot, customer, data[:words] + b"\x92\xc0\xc0")).snapshot() != snapshot
    for texts in (b"\x90", b"\x91\xc0", b"\x93\xc0\xc0\xc0", b"\x92\xc0\x05", b"\xc0", b"\x80", b"\x92\xc0", b"\xc1"):
        with pytest.raises(SnapshotError, match=f"customer '{customer}'"):
            restore(WITH_TEXTS, damaged(snapshot, customer, data[:words] + texts))


def test_a_row_with_texts_that_are_not_utf8() -> None:
    snapshot = lane_of(WITH_TEXTS).partition.snapshot()
    (customer, data), *_ = snapshot.rows
    assert "Schürze".encode() in data
    with pytest.raises(SnapshotError, match=f"customer '{customer}'"):
        restore(WITH_TEXTS, damaged(snapshot, customer, data.replace("Schürze".encode(), b"Sch\xff\xffrze")))


def test_a_row_of_a_layout_that_is_not_there() -> None:
    snapshot = lane_of(WITH_TEXTS).partition.snapshot()
    with pytest.raises(SnapshotError, match="which the snapshot does not have"):
        restore(WITH_TEXTS, dataclasses.replace(snapshot, layouts={}))
    for customer, data in snapshot.rows:
        for place in range(8):
            other = bytes([*data[:place], data[place] ^ 1, *data[place + 1 :]])
            with pytest.raises(SnapshotError, match="which the snapshot does not have"):
                restore(WITH_TEXTS, damaged(snapshot, customer, other))


def test_a_row_that_names_another_layout() -> None:
    mine, other = (lane_of(definitions).partition.snapshot() for definitions in (WITH_TEXTS, WITHOUT_TEXTS))
    layouts = {**mine.layouts, **other.layouts}
    (customer, data), *_ = mine.rows
    wrong = other.rows[0][1][:8] + data[8:]
    with pytest.raises(SnapshotError, match=f"customer '{customer}'"):
        restore(WITH_TEXTS, dataclasses.replace(damaged(mine, customer, wrong), layouts=layouts))


def test_a_layout_that_is_cut_off_anywhere() -> None:
    snapshot = lane_of(WITH_TEXTS).partition.snapshot()
    ((layout_id, data),) = snapshot.layouts.items()
    for length in range(len(data)):
        with pytest.raises(SnapshotError, match=f"layout {layout_id:016x} is damaged"):
            restore(WITH_TEXTS, dataclasses.replace(snapshot, layouts={layout_id: data[:length]}))


def test_a_layout_with_any_byte_changed() -> None:
    """It is refused, unless it says the same (a misspelt key whose value is the default)."""
    snapshot = lane_of(WITH_TEXTS).partition.snapshot()
    ((layout_id, data),) = snapshot.layouts.items()
    harmless = 0
    for place in range(len(data)):
        for flipped in (0x01, 0x80, 0xFF):
            other = bytes([*data[:place], data[place] ^ flipped, *data[place + 1 :]])
            changed = dataclasses.replace(snapshot, layouts={layout_id: other})
            if _says_the_same(data, other):
                assert restore(WITH_TEXTS, changed).snapshot() == snapshot
                harmless += 1
            else:
                with pytest.raises(SnapshotError, match=f"layout {layout_id:016x} is damaged"):
                    restore(WITH_TEXTS, changed)
    assert harmless < len(data)


def _says_the_same(data: bytes, other: bytes) -> bool:
    try:
        return Layout.decode(data) == Layout.decode(other)
    except ValueError:
        return False


def test_a_layout_in_the_place_of_another() -> None:
    mine, other = (lane_of(definitions).partition.snapshot() for definitions in (WITH_TEXTS, WITHOUT_TEXTS))
    ((layout_id, _),), ((_, data),) = mine.layouts.items(), other.layouts.items()
    with pytest.raises(SnapshotError, match="damaged: its hash is"):
        restore(WITH_TEXTS, dataclasses.replace(mine, layouts={layout_id: data}))
