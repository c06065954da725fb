"""Rows are put in place as they are read; what cannot be waits, or is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stream.engine.partition import Partition
from stream.errors import SnapshotError
from stream.events.bytestrings import Bytestrings
from stream.worker.errors import ChangelogError
from stream.worker.outbox import Outbox, Outgoing
from stream.worker.placing import Placer
from stream.worker.records import Marker, marker_value, row_values
from stream.worker.restoring import Piece
from tests.engine.driver import Driver, plan_of
from tests.engine.making import click, file

TEXTS = file(s='last(click.category) == "shoes" or trait("plan") == "pro" or count(click, 1h) > 3')
OTHER = file(s="count(click, 2h) > 3")
EVENTS = [
    click("e1", 1, "a", category="Schürze", traits={"plan": "prö"}),
    click("e2", 2, "b", category="", traits={"plan": 5}),
    click("e3", 3, "ö"),
]
OUTBOX = b"\x92\x91\x92\xc4\x01x\x90\xc0"


def rows_of(definitions: Any = TEXTS, events: Any = EVENTS) -> dict[str, bytes]:
    lane = Driver(definitions).lanes[0]
    lane.partition.apply(lane.columns(events))
    return dict(lane.partition.snapshot().rows)


def value(row: bytes, outbox: bytes = b"") -> bytes:
    (found,) = row_values([outbox], Bytestrings.of([row]))
    return found or b""


def piece(entries: dict[bytes, tuple[int, int, bytes | None]]) -> Piece:
    """By key: offset, epoch and value."""
    offsets, epochs, values = zip(*entries.values(), strict=True)
    return Piece(
        Bytestrings.of(list(entries)), Bytestrings.of(values), np.array(offsets, np.int64), np.array(epochs, np.int64)
    )


@pytest.fixture
def placer() -> Placer:
    return Placer(Partition(plan_of(TEXTS)))


def placed(placer: Placer) -> dict[str, bytes]:
    return dict(placer._partition.snapshot().rows)


def test_rows_are_as_they_were_written(placer: Placer) -> None:
    rows = rows_of()
    placer.take(piece({customer.encode(): (7, 1, value(row)) for customer, row in rows.items()}))
    assert placed(placer) == rows
    assert placer.other_rows() == []
    assert len(placer._partition.redefine()) == 0, "they are not looked at again"
    assert sorted(placer.keys_of([1])) == sorted(customer.encode() for customer in rows)


def test_a_later_piece_replaces_what_an_earlier_one_said(placer: Placer) -> None:
    rows, later = rows_of(), rows_of(events=[click("e9", 50, "a")])
    placer.take(piece({b"a": (1, 1, value(rows["a"], OUTBOX)), b"b": (2, 1, value(rows["b"]))}))
    assert [customer for customer, _ in placer.unsent(0)] == ["a"]
    assert list(placer.unsent(1)) == []
    placer.take(piece({b"a": (3, 2, value(later["a"])), b"b": (4, 2, None)}))
    assert placed(placer) == {"a": later["a"]}
    assert list(placer.unsent(-1)) == []
    assert placer.keys_of([1]) == []
    assert placer.keys_of([2]) == [b"a"]
    marker = Marker(4, 9, (1, -1, -1))
    placer.take(piece({b"a": (5, 3, marker_value(b"", marker)), b"x": (6, 3, None)}))
    assert placed(placer) == {}
    assert list(placer.markers()) == [("a", marker)]
    assert (placer.keys_of([2]), placer.keys_of([3])) == ([], [b"a"])
    placer.take(piece({b"a": (7, 3, value(rows["a"]))}))
    assert placed(placer) == {"a": rows["a"]}
    assert list(placer.markers()) == []


def test_rows_in_other_layouts_wait(placer: Placer) -> None:
    rows, other = rows_of(), rows_of(OTHER)
    placer.take(piece({b"a": (1, 1, value(other["a"])), b"b": (2, 1, value(rows["b"]))}))
    assert placer.other_rows() == [("a", other["a"])]
    assert placed(placer) == {"b": rows["b"]}
    placer.take(piece({b"a": (3, 1, value(rows["a"])), b"b": (4, 1, value(other["b"]))}))
    assert placer.other_rows() == [("b", other["b"])]
    assert placed(placer) == {"a": rows["a"]}


def test_outboxes_are_let_go_of_when_they_have_been_sent(placer: Placer) -> None:
    rows = rows_of()
    placer.take(piece({c.encode(): (i, 1, value(row, OUTBOX)) for i, (c, row) in enumerate(rows.items())}))
    assert [box for _, box in placer.unsent(-1)] == [Outbox([Outgoing(b"x")])] * 3
    placer.forget_sent(1)
    assert [customer for customer, _ in placer.unsent(-1)] == ["ö"]


def test_what_is_damaged_is_told(placer: Placer) -> None:
    row = rows_of()["a"]
    with pytest.raises(ChangelogError, match="offset 7"):
        placer.take(piece({b"a": (7, 1, b"\x01\x00")}))
    for cut in (8, 20, len(row) - 1):
        with pytest.raises(SnapshotError, match="customer 'a'"):
            placer.take(piece({b"a": (7, 1, value(row[:cut]))}))
    with pytest.raises(SnapshotError, match="customer 'a'"):
        placer.take(piece({b"a": (7, 1, value(row + b"x"))}))
    with pytest.raises(SnapshotError, match="no UTF-8"):
        placer.take(piece({b"\xc3": (7, 1, value(row))}))


def test_an_image_and_what_comes_behind_it() -> None:
    lane = Driver(TEXTS).lanes[0]
    lane.partition.apply(lane.columns(EVENTS))
    lane.partition.remove("b")
    placer = Placer(Partition(plan_of(TEXTS)))
    placer.take_image(lane.partition.image(), {"gone": Marker(3, 9, (1, 2, 3))}, "a snapshot")
    assert [customer for customer, _ in placer.markers()] == ["gone"]
    later = rows_of(events=[click("e9", 50, "b")])
    placer.take(piece({b"a": (40, 1, None), b"b": (41, 1, value(later["b"])), b"gone": (42, 1, None)}))
    assert placed(placer) == {"ö": rows_of()["ö"], "b": later["b"]}
    assert list(placer.markers()) == []
    assert sorted(placer.keys_of([1])) == sorted([b"b", "ö".encode()]), "what an image holds is of any epoch"
