"""``segstream reset`` on real brokers. The embedded one can do it only while nobody has ever joined the group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.process import BrokerProcess, free_ports
from stream.errors import GroupInUseError
from stream.kafka import connection, resetting
from stream.kafka.connection import connected_admin
from stream.kafka.groups import commit_for, committed_by
from stream.kafka.topics import CUSTOMER_ERASURES, Bound, Setting, Topic, all_topics, changelog, changelog_name
from tests.cli.commands import invoke
from tests.kafka.kafka_records import make_topics, put, records_of
from tests.kafka.test_topics_command import found

GROUP = "shop"
CHANGELOG = changelog_name(GROUP)
CLICKS = TopicPartition("clicks", 1)


def prepare(address: str) -> None:
    """Two partitions, some records, half of them read, and a profile."""
    make_topics(address, 2, all_topics(GROUP))
    put(address, "clicks", [(1, [(b"a", b"%d" % number) for number in range(10)])])
    put(address, CHANGELOG, [(0, [(b"a", b"row")])])
    asyncio.run(commit_for(address, GROUP, {CLICKS: 5, TopicPartition(CUSTOMER_ERASURES, 0): 0}))


def committed(address: str) -> dict[tuple[str, int], int]:
    async def ask() -> dict[TopicPartition, int]:
        async with connected_admin(address) as admin:
            places = [TopicPartition(topic, n) for topic in ("clicks", CUSTOMER_ERASURES) for n in (0, 1)]
            return await committed_by(admin, GROUP, places)

    return {(place.topic, place.partition): offset for place, offset in asyncio.run(ask()).items()}


@asynccontextmanager
async def member(address: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Somebody who reads clicks in the group, and has been given partitions."""
    consumer = AIOKafkaConsumer(
        "clicks", bootstrap_servers=address, group_id=GROUP, enable_auto_commit=False, rebalance_timeout_ms=1_000
    )
    await consumer.start()
    try:
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=50)
        yield consumer
    finally:
        await consumer.stop()


def test_without_yes_it_only_says_what_it_would_do(broker: BrokerProcess) -> None:
    prepare(broker.address)
    before = committed(broker.address)
    result = invoke("reset", "--id", GROUP, "--broker", broker.address)
    assert result.exit_code == 2
    assert result.stdout.splitlines() == [
        "to do: clicks: read again from its beginning (5 had been committed)",
        "to do: purchases: read again from its beginning (0 had been committed)",
        "to do: emails: read again from its beginning (0 had been committed)",
        "to do: customer-erasures: read again from its beginning (0 had been committed)",
        f"to do: {CHANGELOG}: deleted, with all profiles in it, and made anew with 2 partitions and replication 1",
    ]
    assert result.stderr == "segstream: nothing has been done: --yes does it\n"
    assert committed(broker.address) == before
    assert len(records_of(broker.address, CHANGELOG, partitions=2)) == 1


def test_all_begins_anew(broker: BrokerProcess) -> None:
    prepare(broker.address)
    result = invoke("reset", "--id", GROUP, "--yes", "--broker", broker.address)
    assert result.exit_code == 0
    assert result.stdout.count("done: ") == 5
    assert "remove their folders of snapshots" in result.stderr
    assert committed(broker.address) == {(topic, n): 0 for topic in ("clicks", CUSTOMER_ERASURES) for n in (0, 1)}
    assert records_of(broker.address, CHANGELOG, partitions=2) == []
    assert len(records_of(broker.address, "clicks", partitions=2)) == 10
    assert invoke("topics", "describe", "--id", GROUP, "--broker", broker.address).exit_code == 0
    # Once more does no harm, and another --id is untouched.
    assert invoke("reset", "--id", GROUP, "--yes", "--broker", broker.address).exit_code == 0
    assert changelog_name("segstream") not in found(broker.address)


def test_the_changelog_keeps_its_own_settings(broker: BrokerProcess) -> None:
    own = (("delete.retention.ms", "123456789"), ("segment.bytes", "1048576"), ("max.message.bytes", "1000"))
    needed = {one.name: one for one in changelog(GROUP).settings}
    settings = {**needed, **{name: Setting(name, value, Bound.EXACTLY, "") for name, value in own}}
    *others, log = all_topics(GROUP)
    make_topics(broker.address, 2, [*others, Topic(log.name, "", tuple(settings.values()))])
    assert invoke("reset", "--id", GROUP, "--yes", "--broker", broker.address).exit_code == 0
    has = found(broker.address, CHANGELOG)[CHANGELOG].settings
    wanted = {name: one.value for name, one in needed.items()}
    if not isinstance(broker, EmbeddedBroker):  # which does not tell whose a setting is
        wanted |= dict(own[:2])  # the last one would do harm
    assert {name: has[name] for name in wanted} == wanted


def test_it_refuses_while_the_group_has_members(broker: BrokerProcess) -> None:
    prepare(broker.address)

    async def attempt() -> tuple[int, str]:
        async with member(broker.address):
            for options in ([], ["--yes"]):
                done = await asyncio.to_thread(invoke, "reset", "--id", GROUP, *options, "--broker", broker.address)
                assert done.exit_code == 64
            return done.exit_code, done.stderr

    _, message = asyncio.run(attempt())
    if isinstance(broker, EmbeddedBroker):
        assert "The embedded broker goes on saying so after they have left: start it anew" in message
    else:
        assert message.startswith(f"segstream: 1 worker is in the group {GROUP} (at 127.0.0.1): stop all of them first")
    assert committed(broker.address)["clicks", 1] == 5
    assert len(records_of(broker.address, CHANGELOG, partitions=2)) == 1
    after = invoke("reset", "--id", GROUP, "--yes", "--broker", broker.address)
    assert after.exit_code == (64 if isinstance(broker, EmbeddedBroker) else 0), "they have left"


def test_a_worker_that_joins_meanwhile_stops_it(broker: BrokerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(broker.address)
    beginnings = resetting._beginnings

    async def join_first(address: str, partitions: int) -> dict[TopicPartition, int]:
        joined = await beginnings(address, partitions)
        consumer = await stack.enter_async_context(member(address))
        assert consumer.assignment()
        return joined

    monkeypatch.setattr(resetting, "_beginnings", join_first)
    stack = AsyncExitStack()

    async def attempt() -> None:
        async with stack:
            with pytest.raises(GroupInUseError, match="somebody is in the group shop"):
                await resetting.reset(broker.address, GROUP)

    asyncio.run(attempt())
    assert committed(broker.address)["clicks", 1] == 5
    assert len(records_of(broker.address, CHANGELOG, partitions=2)) == 1


def test_a_changelog_that_is_missing_is_made(broker: BrokerProcess) -> None:
    make_topics(broker.address, 2, all_topics(GROUP)[:-1])
    first = invoke("reset", "--id", GROUP, "--broker", broker.address)
    assert first.stdout.splitlines()[-1] == f"to do: {CHANGELOG}: made, with 2 partitions; there was none"
    assert invoke("reset", "--id", GROUP, "--yes", "--broker", broker.address).exit_code == 0
    assert found(broker.address, CHANGELOG)[CHANGELOG].partitions == 2


def test_interrupted_after_the_offsets_it_can_be_run_again(
    broker: BrokerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(broker.address)
    delete = resetting._delete

    async def delete_and_stop(admin: AIOKafkaAdminClient, name: str) -> None:
        await delete(admin, name)
        raise InterruptedError

    monkeypatch.setattr(resetting, "_delete", delete_and_stop)
    assert invoke("reset", "--id", GROUP, "--yes", "--broker", broker.address).exit_code == 2
    assert committed(broker.address)["clicks", 1] == 0, "the offsets go first"
    monkeypatch.setattr(resetting, "_delete", delete)
    assert invoke("reset", "--id", GROUP, "--yes", "--broker", broker.address).exit_code == 0
    assert invoke("topics", "describe", "--id", GROUP, "--broker", broker.address).exit_code == 0


def test_topics_that_are_missing_and_a_broker_that_is(broker: BrokerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("reset", "--yes", "--broker", broker.address).exit_code == 64
    monkeypatch.setattr(connection, "WAIT_S", 0.3)
    assert invoke("reset", "--yes", "--broker", f"127.0.0.1:{free_ports(1)[0]}").exit_code == 69
