"""An owner step by step, where nothing goes wrong."""

from __future__ import annotations

import itertools
import json
from typing import Any
from unittest import mock

import numpy as np
import pytest

from stream.contract import Kind
from stream.engine import partition
from stream.kafka.partitioning import partition_of
from stream.kafka.topics import CUSTOMER_ERASURES, DEAD_LETTERS, MEMBERSHIPS
from stream.worker import owner as owner_module
from stream.worker.definitions_history import next_definitions
from stream.worker.errors import EarlierDefinitionsError, FencedError, SourceTruncatedError
from stream.worker.partitioning import murmur2, partitions_of
from stream.worker.received import Received
from stream.worker.records import Checkpoint
from stream.worker.settings import ClockMode, Limits, Pace, StreamClock
from tests.engine.making import click, file, purchase
from tests.worker.quiet import CHANGELOG, Quiet, brief, finish, headers

BUSY = file(busy={"enter": "count(click) >= 2", "to": ["extra"]})
EVENT_CLOCK = StreamClock(ClockMode.EVENT)
CHECKPOINT = b"\xffcheckpoint"


def quiet(definitions: Any = BUSY, **settings: Any) -> Quiet:
    return Quiet(definitions, **{"clock": EVENT_CLOCK, **settings})


def test_changes_go_where_they_belong() -> None:
    world = quiet()
    world.produce(click("e1", 0), click("e2", 1_000))
    world.step()
    (change,) = world.values()
    assert (change["id"], change["segment"], change["event_id"]) == ("a:1", "busy", "e2")
    assert world.values("extra") == [change]
    expected = {"busy": {"since": "1970-01-01T00:00:01.000Z", "holdout": False}}
    assert world.values(MEMBERSHIPS) == [{"customer_id": "a", "sequence": 1, "segments": expected}]
    (record,) = world.broker.log("segment-changes").records
    assert record.key == b"a"
    assert headers(record)["ce_id"] == b"a:1"
    assert headers(record)["ce_type"] == b"segstream.segment.entered"


def test_rows_lie_before_the_checkpoint_and_that_before_the_commit() -> None:
    world = quiet()
    world.produce(click("e1", 0), click("e2", 0, "b"))
    world.step()
    assert world.broker.committed["clicks"] == 0
    written = len(world.keys())
    world.broker.notes.clear()
    world.step(later_ms=1_000)
    assert world.keys()[written:] == [b"a", b"b", CHECKPOINT]
    assert "commit" in world.broker.notes[-1]
    assert world.broker.committed["clicks"] == 2


def test_a_checkpoint_when_live_is_due_after_a_second_and_idle_after_ten() -> None:
    world = quiet()
    world.produce(click("e1", 0))
    world.step(later_ms=999)
    before = len(world.keys())
    world.step(later_ms=1)
    assert world.keys()[before:] == [b"a", CHECKPOINT]
    before = len(world.keys())
    for _ in range(9):
        world.step(later_ms=1_000)
    assert len(world.keys()) == before
    world.step(later_ms=1_000)
    assert world.keys()[before:] == [CHECKPOINT]


def test_a_checkpoint_while_behind_is_due_by_time_or_events_with_records_in_between() -> None:
    world = quiet(pace=Pace(behind_events=3))
    world.broker.log("clicks").skip(0)
    owner = world.owner

    def push(count: int, later_ms: int) -> list[bytes | None]:
        """Reads clicks of a topic that goes on far beyond them."""
        before = len(world.keys())
        start = world.broker.log("clicks").next
        world.produce(*(click(f"e{start + i}", 0, f"c{start + i}") for i in range(count)))
        world.broker.now_ms += later_ms
        owner.push(Kind.CLICK, Received.of(world.broker.log("clicks").records[start:]), 1_000)
        finish(owner.step())
        return world.keys()[before:]

    assert push(2, 1_000) == []
    assert push(1, 0) == [b"c0", b"c1", b"c2", CHECKPOINT]
    assert push(1, 9_999) == []
    assert push(0, 1) == [CHECKPOINT]  # a record at least every 10 s, the row waits
    assert push(0, 10_000) == [CHECKPOINT]
    assert push(0, 10_000) == [b"c3", CHECKPOINT]


def test_another_owner_goes_on_where_the_first_one_stood() -> None:
    world = quiet()
    world.produce(click("e1", 0), click("e2", 0, "b"))
    world.step(later_ms=1_000)
    world.produce(click("e3", 5))
    world.step()  # applied and sent, not committed
    assert len(world.values()) == 1
    world.start(BUSY, clock=EVENT_CLOCK)
    assert world.owner.partition.stream_ms == 0
    world.produce(click("e4", 6), click("e5", 6, "b"))
    world.step(later_ms=1_000)
    assert sorted({change["id"] for change in world.values()}) == ["a:1", "b:1"]
    assert world.broker.committed["clicks"] == 5


def test_the_owner_before_is_fenced_at_its_next_record() -> None:
    world = quiet()
    first = world.owner
    world.start(BUSY, clock=EVENT_CLOCK)
    sent = len(world.values())
    world.produce(click("e1", 0), click("e2", 0))
    first.push(Kind.CLICK, Received.of(world.broker.log("clicks").records), 2)
    with pytest.raises(FencedError, match="another worker"):
        finish(first.step())
    assert len(world.values()) == sent
    with pytest.raises(AssertionError, match="not assigned"):
        finish(first.step())


def test_a_partition_that_nobody_else_had_is_kept_in_memory() -> None:
    world = quiet()
    world.produce(click("e1", 0))
    world.step()
    finish(world.owner.drain())
    partition = world.owner.partition
    finish(world.owner.assign())
    assert world.owner.partition is partition
    other = world.make(BUSY, clock=EVENT_CLOCK)
    finish(other.assign())
    finish(world.owner.assign())
    assert world.owner.partition is not partition


# --- Clocks -------------------------------------------------------------------------------------------------------


def test_a_fixed_clock_stops_before_the_first_later_event() -> None:
    world = quiet(file(away="since(last(click)) >= 4s"), clock=StreamClock(ClockMode.FIXED, 10_000))
    world.produce(click("e1", 0), click("e2", 9_000, "b"), click("e3", 10_001), purchase("e4", 3_000, "b"))
    world.step()
    assert brief(world.values()) == [("away", "entered", "timer")]
    assert not world.owner.is_done
    world.step(later_ms=1_000)
    assert world.owner.is_done
    assert world.owner.partition.stream_ms == 10_000
    assert (world.broker.committed["clicks"], world.broker.committed["purchases"]) == (2, 1)


def test_the_wall_clock_moves_a_partition_that_is_caught_up() -> None:
    world = quiet(file(away="since(last(click)) >= 4s"), clock=StreamClock())
    world.produce(click("e1", 0))
    world.step(later_ms=8_999)
    assert world.values() == []
    world.step(later_ms=1)  # 5 s of lateness, by default
    assert brief(world.values()) == [("away", "entered", "timer")]


def test_timers_of_very_many_customers_fire_group_by_group() -> None:
    world = quiet(file(away="since(last(click)) >= 4s"), clock=StreamClock())
    world.produce(*(click(f"e{i}", 0, f"c{i}") for i in range(10)))
    world.step()
    world.broker.notes.clear()
    with mock.patch.object(partition, "_ROWS_AT_ONCE", 4):
        world.step(later_ms=9_000)
    assert len(world.values()) == 10
    written = [note.split()[2] for note in world.broker.notes if note.startswith("owner writes segment-changes")]
    before = [note.split()[2] for note in world.broker.notes if " writes " in note]
    assert len(written) >= 3
    first = before.index("segment-changes")
    assert CHANGELOG in before[first:], "the second group is written when the first has been sent"


def test_a_customer_with_very_many_changes_at_once_fills_no_outbox() -> None:
    flips = file(odd={"enter": "count(click, 1s) >= 1"}, even={"enter": "count(click, 1s) == 0"})
    world = quiet(flips, limits=Limits(outbox_bytes=16_384))
    world.produce(*(click(f"e{i}", 2_000 * i) for i in range(300)))
    world.step(later_ms=1_000)
    assert [change["sequence"] for change in world.values()] == list(range(1, len(world.values()) + 1))
    assert len(world.values()) > 1_000
    sizes = [len(record.value or b"") for record in world.broker.log(CHANGELOG).records]
    assert max(sizes) < 16_384 + 4_096
    assert sum(sizes) > 10 * 16_384


def test_events_are_cut_into_runs_by_customer() -> None:
    random = np.random.default_rng(1)
    hashes = random.integers(0, 40, 500).astype(np.uint64) << np.uint64(3)
    for most in (1, 3, 20, 500):
        bounds = [0]
        while bounds[-1] < len(hashes):
            bounds.append(owner_module._run_end(hashes, bounds[-1], most))
        for start, stop in itertools.pairwise(bounds):
            assert start < stop
            assert np.unique(hashes[start:stop], return_counts=True)[1].max() <= most
        assert bounds[-1] == 500


# --- Bad input ----------------------------------------------------------------------------------------------------


def test_what_is_refused_becomes_a_letter_and_is_committed() -> None:
    world = quiet(limits=Limits(letter_bytes=20, letter_kept_bytes=10))
    world.put("clicks", b"a", b"{")
    world.put("clicks", None, None)
    world.put("clicks", b"k" * 30, b"v" * 30)
    world.produce(click("e1", 0))
    world.step(later_ms=1_000)
    letters = world.broker.log(DEAD_LETTERS).records
    assert [(letter.key, letter.value) for letter in letters[:2]] == [(b"a", b"{"), (None, b"")]
    assert [headers(letter)["source_offset"] for letter in letters] == [b"0", b"1", b"2"]
    assert headers(letters[0])["code"] == b"not_json"
    assert headers(letters[1])["source_value"] == b"null"
    assert (letters[2].value, headers(letters[2])["source_bytes"]) == (b"v" * 10, b"30")
    assert (letters[2].key, headers(letters[2])["source_key_bytes"]) == (b"k" * 10, b"30")
    assert world.broker.committed["clicks"] == 4
    assert list(world.owner.partition.profiles) == ["a"]


def test_an_event_in_a_wrong_partition_is_a_letter() -> None:
    customers = [f"c{i}" for i in range(20)]
    world = quiet(partitions=3)
    world.produce(*(click(f"e-{customer}", 0, customer) for customer in customers))
    world.step()
    mine = [customer for customer in customers if partition_of(customer.encode(), 3) == 0]
    assert sorted(world.owner.partition.profiles) == sorted(mine)
    letters = world.broker.log(DEAD_LETTERS).records
    assert len(letters) == len(customers) - len(mine)
    assert {headers(letter)["code"] for letter in letters} == {b"wrong_partition"}


def test_what_is_refused_is_skipped() -> None:
    world = quiet(partitions=3)
    world.produce(*(click(f"e{i}", i, f"c{i}") for i in range(9)))
    world.put("clicks", b"a", b"{")
    world.put("clicks", None, None)
    world.owner.push(Kind.CLICK, Received.of(world.broker.log("clicks").records), 11)
    given = world.owner.intake.give()
    assert len(given.letters) > 2
    assert given.positions["clicks"] == 11
    assert given.taken is not None
    assert given.taken.events.customers() == [f"c{offset}" for offset in given.taken.offsets.tolist()]
    world.owner.push(Kind.CLICK, Received.of([]), 12)
    assert world.owner.intake.positions()["clicks"] == 11


def test_murmur2_is_that_of_kafka() -> None:
    keys = [b"21", b"foobar", b"a-little-bit-long-string", b"a-little-bit-longer-string", b"abc", b""]
    assert murmur2(keys).tolist() == [-973932308, -790332482, -985981536, -1486304829, 479470107, 275646681]
    many = [f"customer-{i}".encode() * (i % 7) for i in range(300)]
    assert partitions_of(many, 8).tolist() == [partition_of(key, 8) for key in many]


@pytest.mark.parametrize(("topic", "count"), [("clicks", 3), ("clicks", 0)])
def test_a_topic_that_was_made_anew_stops_the_start(topic: str, count: int) -> None:
    world = quiet()
    world.produce(*(click(f"e{i}", i, "a") for i in range(5)))
    world.step(later_ms=1_000)
    log = world.broker.log(topic)
    log.next = count
    for committed in (world.broker.committed[topic], None):
        if committed is None:  # the group's offsets may have expired; the rows tell
            del world.broker.committed[topic]
        with pytest.raises(SourceTruncatedError, match="made anew"):
            finish(world.make(BUSY, clock=EVENT_CLOCK).assign())


# --- Definitions --------------------------------------------------------------------------------------------------


def test_new_definitions_are_passed_once_and_cannot_be_undone_by_an_old_worker() -> None:
    world = quiet()
    world.produce(click("e1", 0), click("e2", 0))
    world.step(later_ms=1_000)
    later = file(rare="count(click) < 9")
    world.start(later, clock=EVENT_CLOCK, quiet_changes=True)
    assert brief(world.values()[1:]) == [("busy", "exited", "definitions"), ("rare", "entered", "definitions")]
    assert [change["quiet"] for change in world.values()] == [False, True, True]
    world.start(later, clock=EVENT_CLOCK)
    assert len(world.values()) == 3
    with pytest.raises(EarlierDefinitionsError, match="--force-definitions"):
        finish(world.make(BUSY, clock=EVENT_CLOCK).assign())
    assert len(world.values()) == 3
    world.start(BUSY, clock=EVENT_CLOCK, force_definitions=True)
    assert brief(world.values()[3:]) == [("rare", "exited", "definitions"), ("busy", "entered", "definitions")]
    with pytest.raises(EarlierDefinitionsError):
        finish(world.make(later, clock=EVENT_CLOCK).assign())


def test_a_segment_without_history_lets_nobody_in_unless_asked_to() -> None:
    for allow_empty in (False, True):
        world = quiet()
        world.produce(click("e1", 0))
        world.step(later_ms=1_000)
        world.start(file(quiet="never(email)"), clock=EVENT_CLOCK, allow_empty=allow_empty)
        assert len(world.values()) == allow_empty


def test_the_history_of_definitions() -> None:
    def after(hashes: tuple[str, ...], present: str, *, passing: bool = False, force: bool = False) -> Any:
        checkpoint = Checkpoint(0, 0, hashes, passing=passing, sent_to=0, memberships_to=0)
        return next_definitions(checkpoint, present, force=force, where="partition 1")

    assert next_definitions(None, "a", force=False, where="") == (("a",), False)
    assert after(("a",), "a") == (("a",), False)
    assert after(("a",), "a", passing=True) == (("a",), True)
    assert after(("a",), "b") == (("a", "b"), True)
    assert after(("a", "b"), "a", force=True) == (("b", "a"), True)
    with pytest.raises(EarlierDefinitionsError, match="partition 1"):
        after(("a", "b"), "a")
    assert len(after(tuple(map(str, range(500))), "x").hashes) == 100


# --- Erasure ------------------------------------------------------------------------------------------------------


def erase(world: Quiet, customer: str, instant: int | None = None) -> None:
    value = None if instant is None else json.dumps({"timestamp": instant}).encode()
    world.put(CUSTOMER_ERASURES, customer.encode(), value)


def test_an_erasure_says_goodbye_and_keeps_a_number() -> None:
    world = quiet()
    world.produce(click("e1", 0), click("e2", 5))
    world.step(later_ms=1_000)
    erase(world, "a", 7)
    world.step()
    assert brief(world.values()[1:]) == [("busy", "exited", "erasure"), (None, "erased", "erasure")]
    assert [change["sequence"] for change in world.values()] == [1, 2, 3]
    assert [change["values"] for change in world.values()[1:]] == [{}, {}]
    assert world.values(MEMBERSHIPS)[-1] is None
    assert "a" not in world.owner.partition.profiles
    erase(world, "a", 7)
    world.produce(click("e3", 7), click("e4", 8), click("e5", 9))
    world.step(later_ms=1_000)
    assert brief(world.values()[3:]) == [("busy", "entered", "event")]
    assert world.values()[-1]["sequence"] == 4


def test_what_stays_in_the_changelog_does_not_name_the_customer() -> None:
    world = quiet()
    world.produce(click("e1", 0, "somebody"))
    world.step(later_ms=1_000)
    erase(world, "somebody", 7)
    world.step(later_ms=1_000)
    world.step(later_ms=10_000)
    log = world.broker.log(CHANGELOG)
    log.compact(world.broker.now_ms + 1)
    assert not [record for record in log.records if b"somebody" in (record.key or b"") + (record.value or b"")]
    world.start(BUSY, clock=EVENT_CLOCK)
    world.produce(click("e2", 7, "somebody"), click("e3", 8, "somebody"), click("e4", 8, "somebody"))
    world.step()
    assert [change["sequence"] for change in world.values()] == [1, 2]


def test_somebody_who_was_never_seen_can_be_erased() -> None:
    world = quiet()
    world.broker.now_ms = 50
    erase(world, "z")
    world.step()
    assert brief(world.values()) == [(None, "erased", "erasure")]
    world.produce(click("e1", 50, "z"))
    world.step()
    assert "z" not in world.owner.partition.profiles
    assert world.owner.partition.latest_ms == 50  # it moves the stream clock all the same


BAD_TIMESTAMPS: list[Any] = [True, -1, 1.5, None, "yesterday", []]
BAD_REQUESTS = [
    (None, None),
    (b"", None),
    (b"\xff", None),
    (b"k" * 257, None),
    (b"a", b"["),
    (b"a", b"[]"),
    (b"a", b"\xff"),
    *((b"a", json.dumps({"timestamp": bad}).encode()) for bad in BAD_TIMESTAMPS),
]


@pytest.mark.parametrize(("key", "value"), BAD_REQUESTS)
def test_a_request_that_makes_no_sense_is_a_letter(key: bytes | None, value: bytes | None) -> None:
    world = quiet()
    world.put(CUSTOMER_ERASURES, key, value)
    world.step(later_ms=1_000)
    (letter,) = world.broker.log(DEAD_LETTERS).records
    assert headers(letter)["code"] == b"bad_erasure"
    assert headers(letter)["source_topic"] == b"customer-erasures"
    assert world.broker.committed[CUSTOMER_ERASURES] == 1
    assert world.values() == []
