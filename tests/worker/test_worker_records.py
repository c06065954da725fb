"""The changelog on the wire: what is written is read back, and what is damaged is told."""

from __future__ import annotations

import pytest

from stream.events.bytestrings import Bytestrings
from stream.worker.errors import ChangelogError
from stream.worker.interfaces import Record, StoredRecord
from stream.worker.outbox import Outboxes, Outgoing, parse_outbox
from stream.worker.records import (
    Body,
    Checkpoint,
    KeyType,
    Marker,
    Residue,
    Stamp,
    checkpoint_record,
    fence_key,
    hash_of,
    key_type,
    layout_key,
    marker_value,
    parse_checkpoint,
    parse_marker,
    parse_residue,
    parse_stored,
    residue_key,
    residue_record,
    row_values,
    stamp_of,
    stamped,
)

CHECKPOINT = Checkpoint(5, 6, ("a", "b"), passing=True, sent_to=7, memberships_to=8)


def stored(record: Record) -> StoredRecord:
    return StoredRecord(3, 0, *record)


def test_keys_of_customers_are_never_taken_for_others() -> None:
    for customer in ("a", "fence/1", "checkpoint", "layout/0", "ÿfence/1", "\x00", "残"):
        assert key_type(customer.encode(), 0) is KeyType.ROW
    assert key_type(fence_key("x"), 0) is KeyType.FENCE
    assert key_type(checkpoint_record(CHECKPOINT).key, 0) is KeyType.CHECKPOINT
    assert key_type(layout_key(1 << 63), 0) is KeyType.LAYOUT
    assert key_type(residue_key(255), 0) is KeyType.RESIDUE
    assert hash_of(residue_key(255)) == 255
    assert hash_of(layout_key(1 << 63)) == 1 << 63


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"\xffother/1"])
def test_a_key_that_is_not_ours_is_an_error(key: bytes | None) -> None:
    with pytest.raises(ChangelogError, match="offset 12"):
        key_type(key, 12)


def test_rows_and_markers_come_back_with_their_outboxes() -> None:
    plain, full = row_values([b"", b"changes"], Bytestrings.of([b"row 1", b"row 2"]))
    assert plain is not None
    assert full is not None
    assert plain == b"\x02\x00\x00\x00\x00\x00row 1"
    assert parse_stored(plain, "x") == (Body.ROW, b"", b"row 1")
    assert parse_stored(full, "x") == (Body.ROW, b"changes", b"row 2")
    marker = Marker(4, 1_000, (1, -1, 3))
    found = parse_stored(marker_value(b"changes", marker), "x")
    assert (found.body_type, found.outbox) == (Body.MARKER, b"changes")
    assert parse_marker(found.body, "x") == marker


@pytest.mark.parametrize("cut", [0, 1, 5, 6, 13])
def test_a_value_that_is_cut_off_is_an_error(cut: int) -> None:
    (value,) = row_values([b"changes"], Bytestrings.of([b"row"]))
    assert value is not None
    with pytest.raises(ChangelogError, match="the record at 9"):
        parse_stored(value[:cut], "the record at 9")


def test_a_later_version_is_told() -> None:
    (value,) = row_values([b""], Bytestrings.of([b"row"]))
    assert value is not None
    with pytest.raises(ChangelogError, match="version 3"):
        parse_stored(b"\x03" + value[1:], "x")
    later = stored(Record(None, b'{"sequence": 1, "instant_ms": 2, "version": 3}'))
    with pytest.raises(ChangelogError, match="version 3"):
        parse_residue(later)


def test_checkpoints_and_residues_come_back() -> None:
    assert parse_checkpoint(stored(checkpoint_record(CHECKPOINT))) == CHECKPOINT
    assert parse_residue(stored(residue_record(5, Residue(1, 2)))) == Residue(1, 2)


@pytest.mark.parametrize("value", [None, b"", b"{", b"{}", b"[]", b'{"stream_ms": "x"}'])
def test_a_damaged_checkpoint_is_told(value: bytes | None) -> None:
    with pytest.raises(ChangelogError, match="checkpoint at offset 3"):
        parse_checkpoint(stored(Record(None, value)))


def test_a_damaged_marker_or_outbox_is_told() -> None:
    with pytest.raises(ChangelogError, match="marker"):
        parse_marker(b"\x00", "x")
    with pytest.raises(ChangelogError, match="wait"):
        parse_outbox(b"\x00", "x")


def test_stamps() -> None:
    for epoch, first, count in ((12, 3, 1), (0, 0, 12), (1_234_567, 97, 905), (5, 10**12 - 2, 4)):
        records = stamped([Record(b"a", None)] * count, epoch, first)
        assert [stamp_of(record.headers, "x") for record in records] == [Stamp(epoch, first + i) for i in range(count)]
    assert not len(stamped([], 1, 2))
    with pytest.raises(ChangelogError, match="no header"):
        stamp_of((), "x")
    for text in (b"", b"12", b"12/", b"/3", b"-1/3", b"12/3/4"):
        with pytest.raises(ChangelogError, match="damaged"):
            stamp_of((("epoch", text),), "x")


def test_an_outbox_is_sent_as_it_was_kept() -> None:
    values = [b'{"id":"a:%d","change":"entered","at":"1970-01-01T00:00:00.000Z"}' % i for i in (1, 2)]
    boxes = Outboxes()
    boxes.add(["a", "a"], values, [(), ("more",)])
    boxes.set_memberships(["a"], [b"{}"])
    (data,) = boxes.encoded(["a"])
    again = Outboxes()
    again.restore("a", parse_outbox(data, "x"))
    for mine, other in zip(again.batches(), boxes.batches(), strict=True):
        assert (mine.topic, mine.partition, list(mine.records)) == (other.topic, other.partition, list(other.records))
    assert list(again.memberships()) == list(boxes.memberships()) == [Record(b"a", b"{}")]
    changes, more = boxes.batches()
    assert [record.value for record in changes.records] == values
    assert (more.topic, [record.value for record in more.records]) == ("more", values[1:])
    assert dict(changes.records[1].headers)["ce_id"] == b"a:2"
    assert Outgoing(values[0]).topics == ()
    assert boxes.largest > sum(map(len, values))
    boxes.clear()
    assert (len(boxes), boxes.largest, boxes.encoded(["a"])) == (0, 0, [b""])
