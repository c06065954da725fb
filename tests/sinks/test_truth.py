"""What lies in Redis in the end is what a replay gives, whatever has happened in between."""

from __future__ import annotations

from pathlib import Path

from stream.brokers.embedded import EmbeddedBroker
from tests.effort import FIRST_SEED
from tests.sinks.campaign import campaign
from tests.sinks.servers import any_server

#: ``make stress`` runs larger ones.
EVENTS = 20_000


def test_a_redis_that_is_killed_and_lost_tells_the_truth_in_the_end(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker, any_server() as server:
        tally = campaign(broker, server, tmp_path, events=EVENTS, seed=FIRST_SEED + 3, worker_kills=1)
    assert len(tally.steps) == 5
    assert tally.at_work() >= 1, tally


def test_what_was_never_lost_is_right_to_the_last_count(tmp_path: Path) -> None:
    """Flows, stays and the changes of each customer too."""
    with EmbeddedBroker() as broker, any_server() as server:
        tally = campaign(broker, server, tmp_path, events=EVENTS // 2, seed=FIRST_SEED + 4, worker_kills=0, lose=False)
    assert len(tally.steps) == 3
