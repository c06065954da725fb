"""What a partition takes of what is fetched: everything once, in order, of its own assignment only."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from stream.live.clock import SystemTime
from stream.live.fetched import Fetched
from stream.live.metrics import Durations
from stream.live.runner import Runner
from stream.worker.errors import SourceTruncatedError
from stream.worker.interfaces import StoredRecord
from stream.worker.received import Received
from stream.worker.settings import ClockMode


def runner_at(**positions: int) -> Runner:
    """A runner under generation 4 that has read up to these positions."""
    sources: Any = SimpleNamespace(generation=4)
    nobody: Any = None
    runner = Runner(2, nobody, sources, nobody, SystemTime(), Durations(), ClockMode.WALL, nobody, nobody)
    runner._next = dict(positions)
    return runner


def fetched(start: int, *offsets: int, generation: int = 4, position: int | None = None) -> Fetched:
    records = [StoredRecord(offset, 0, b"k", b"v") for offset in offsets]
    behind = offsets[-1] + 1 if offsets else start
    return Fetched("clicks", 2, generation, Received.of(records), start, behind if position is None else position, 100)


def test_one_follows_the_other() -> None:
    runner = runner_at(clicks=5)
    for one in (fetched(5, 5, 6), fetched(7, 9), fetched(10, position=12), fetched(12, 12)):
        runner.deliver(one)
    assert runner._next == {"clicks": 13}
    assert [offset for one in runner._inbox for offset in one.records.offsets.tolist()] == [5, 6, 9, 12]


def test_what_is_missing_ends_the_worker() -> None:
    runner = runner_at(clicks=5)
    runner.deliver(fetched(5, 5))
    with pytest.raises(AssertionError, match="topic clicks, partition 2: offsets 6 to 8 are missing"):
        runner.deliver(fetched(8, 8))


def test_going_back_means_another_topic() -> None:
    runner = runner_at(clicks=5)
    with pytest.raises(SourceTruncatedError, match="reading went back from offset 5"):
        runner.deliver(fetched(5, position=0))


@pytest.mark.parametrize("generation", [3, 5])
def test_another_assignments_records_are_dropped(generation: int) -> None:
    runner = runner_at(clicks=5)
    runner.deliver(fetched(5, 5, generation=generation))
    assert runner._inbox == []


def test_nothing_is_taken_before_it_is_known_where_to_begin() -> None:
    runner = runner_at()
    runner.deliver(fetched(5, 5))
    assert runner._inbox == []
