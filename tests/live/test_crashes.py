"""Workers that are killed, stalled and stopped at any moment: nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest

from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.process import BrokerProcess
from stream.kafka.connection import connected_admin
from stream.kafka.defaults import APP_ID
from stream.kafka.groups import Member, members_of
from stream.simulate import Simulation
from tests.effort import FACTOR, FIRST_SEED
from tests.live.campaign import campaign
from tests.live.workers import Expected, Worker, assert_same, last_ms, send

EVENTS = 8_000 * FACTOR
#: Such that it is not over too soon, and a minute at most.
CAMPAIGN_EVENTS, CAMPAIGN_KILLS = 60_000, 3
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    simulation = Simulation(events=EVENTS, customers=EVENTS // 20, days=60, seed=11, duplicates=0.02, late=0.03)
    path.write_bytes(b"".join(simulation.chunks()))
    return path


def test_a_campaign(own_broker: BrokerProcess, tmp_path: Path) -> None:
    """``make stress`` runs larger ones."""
    tally = campaign(own_broker, tmp_path, events=CAMPAIGN_EVENTS, kills=CAMPAIGN_KILLS, seed=FIRST_SEED)
    assert tally.kills_at_work >= 1
    assert (tally.stalls, tally.joins) == (1, 1)


def test_a_worker_that_was_stalled_says_nothing_more(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    until_ms = last_ms(events) + 3 * DAY_MS
    expected = Expected(events, until_ms)
    send(broker.address, events)
    options = ("--clock", str(until_ms))
    with Worker(broker.address, tmp_path / "stalled.log", *options) as stalled:
        stalled.has_said("partitions: 0")
        time.sleep(random.Random(FIRST_SEED).random() / 2)
        stalled.pause()
        with Worker(broker.address, tmp_path / "other.log", *options, "--exit-when-done") as other:
            assert other.exit_code() == 0, other.says()
        assert_same(broker.address, expected)
        stalled.go_on()
        stalled.has_said("partitions: 0", times=2, or_ended=True)  # the group has it again
        if (
            "has acknowledged nothing" in stalled.says()
        ):  # it was stalled with a write under way, and is to be restarted
            assert stalled.exit_code() == 69, stalled.says()
        else:
            stalled.ask_to_stop()
            assert stalled.exit_code() == 0, stalled.says()
    assert_same(broker.address, expected)


def test_sigterm_in_the_midst_commits_and_leaves(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    until_ms = last_ms(events) + 3 * DAY_MS
    expected = Expected(events, until_ms)
    send(broker.address, events)
    options = ("--clock", str(until_ms))
    with Worker(broker.address, tmp_path / "first.log", *options) as first:
        first.has_said("partitions: ")
        first.ask_to_stop()
        assert first.exit_code(within_s=30) == 0, first.says()

    async def members() -> list[Member]:
        async with connected_admin(broker.address) as admin:
            return await members_of(admin, APP_ID)

    if not isinstance(broker, EmbeddedBroker):  # which goes on telling of the last one who has left
        assert asyncio.run(members()) == []
    with Worker(broker.address, tmp_path / "second.log", *options, "--exit-when-done") as second:
        assert second.exit_code() == 0, second.says()
    assert_same(broker.address, expected)
