"""Which records of a changelog count."""

from __future__ import annotations

from collections.abc import Collection

from stream.worker.interfaces import Record, StoredRecord
from stream.worker.records import Checkpoint, Residue, fence_key, residue_key, stamped
from stream.worker.restoring import Restorer
from stream.worker.snapshots import Head


class Changelog:
    """Records written by hand, each with the stamp that its writer gives it."""

    def __init__(self) -> None:
        self.records: list[StoredRecord] = []

    def fence(self, token: str) -> int:
        self._append(Record(fence_key(token), b"{}"))
        return len(self.records) - 1

    def row(self, customer: str, value: bytes | None, epoch: int, number: int) -> None:
        self._append(stamped([Record(customer.encode(), value)], epoch, number)[0])

    def _append(self, record: Record) -> None:
        self.records.append(StoredRecord(len(self.records), 0, *record))

    def restored(self, at_once: int = 1, head: Head | None = None) -> tuple[dict[bytes, bytes], list[bytes]]:
        """The rows that count, and what must be written again; with a snapshot's head only what comes behind it."""
        found: dict[bytes, tuple[int, bytes | None]] = {}

        def keys_of(epochs: Collection[int]) -> list[bytes]:
            return [key for key, (epoch, value) in found.items() if epoch in epochs and value is not None]

        restorer = Restorer(keys_of)
        if head is not None:
            restorer.begin(head)
        for start in range(0 if head is None else head.offset, len(self.records), at_once):
            piece = restorer.add(self.records[start : start + at_once])
            for key, value, offset, epoch in zip(piece.keys, piece.values, piece.offsets, piece.epochs, strict=True):
                assert (self.records[offset].key, self.records[offset].value) == (key, value)
                found[key or b""] = (int(epoch), value)
        return {key: value for key, (_, value) in found.items() if value is not None}, list(restorer.rewrite)


def test_the_latest_record_of_the_latest_owner_counts() -> None:
    log = Changelog()
    first = log.fence("first")
    log.row("a", b"1", first, 0)
    log.row("b", b"1", first, 1)
    second = log.fence("second")
    log.row("a", b"2", second, 0)
    log.row("b", None, second, 1)
    assert log.restored() == ({b"a": b"2"}, [])


def test_last_words_do_not_count_and_are_answered() -> None:
    log = Changelog()
    first = log.fence("first")
    log.row("a", b"1", first, 0)
    second = log.fence("second")
    log.row("a", b"stale", first, 1)
    log.row("b", b"stale", first, 2)
    assert log.restored() == ({b"a": b"1"}, [b"a", b"b"])
    log.row("a", b"2", second, 0)
    assert log.restored() == ({b"a": b"2"}, [b"b"])


def test_a_late_copy_does_not_count() -> None:
    log = Changelog()
    epoch = log.fence("first")
    log.row("a", b"1", epoch, 0)
    log.row("a", b"2", epoch, 1)
    log.row("a", b"1", epoch, 0)
    assert log.restored() == ({b"a": b"2"}, [b"a"])


def test_a_fence_that_came_twice_is_one_fence() -> None:
    for acknowledged in (0, 1):
        log = Changelog()
        log.fence("first")
        log.fence("first")
        log.row("a", b"1", acknowledged, 0)
        # When a cleaner drops the first copy, rows of that epoch would not count any more.
        for at_once in (1, 10):
            assert log.restored(at_once) == ({b"a": b"1"}, [] if acknowledged else [b"a"])


def test_a_copy_of_an_older_fence_takes_nothing_over() -> None:
    log = Changelog()
    first = log.fence("first")
    log.row("a", b"1", first, 0)
    second = log.fence("second")
    log.row("b", b"2", second, 0)
    log.fence("first")
    log.row("c", b"2", second, 1)
    for at_once in (1, 2, 10):
        assert log.restored(at_once) == ({b"a": b"1", b"b": b"2", b"c": b"2"}, [b"a", b"c"])


def head_of(log: Changelog, fences: dict[str, int], number: int) -> Head:
    """The head of a snapshot at the end of the changelog, by the owner of the last of these fences."""
    (latest, epoch) = list(fences.items())[-1]
    checkpoint = Checkpoint(-1, -1, ("d",), passing=False, sent_to=-1, memberships_to=0)
    known = {fence_key(token): [offset] for token, offset in fences.items()}
    residues = {7: Residue(1, 5)}
    return Head("t", 0, 0, len(log.records), epoch, fence_key(latest), number, checkpoint, known, {}, residues, {})


def test_behind_a_snapshot_its_owner_goes_on() -> None:
    log = Changelog()
    first = log.fence("first")
    log.row("a", b"1", first, 0)
    head = head_of(log, {"first": first}, 0)
    log.row("b", b"1", first, 1)
    log.row("a", b"1", first, 0)  # a copy that came late
    log.row("c", b"1", first, 2)
    second = log.fence("second")
    log.row("b", b"2", first, 3)  # last words
    log.row("c", b"2", second, 0)
    assert log.restored(head=head) == ({b"b": b"1", b"c": b"2"}, [b"a", b"b"])


def test_a_fence_from_before_a_snapshot_that_comes_again_is_known() -> None:
    log = Changelog()
    first = log.fence("first")
    second = log.fence("second")
    head = head_of(log, {"first": first, "second": second}, -1)
    log.fence("first")  # a copy, by a request that was long on its way
    log.row("a", b"1", second, 0)
    assert log.restored(head=head)[0] == {b"a": b"1"}


def test_what_a_snapshot_holds_is_written_again_when_a_fence_comes_twice() -> None:
    log = Changelog()
    first = log.fence("first")
    head = head_of(log, {"first": first}, -1)
    log.fence("first")
    _, rewrite = log.restored(head=head)
    assert rewrite == [residue_key(7)]
