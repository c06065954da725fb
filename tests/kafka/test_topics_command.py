"""``segstream topics`` on real brokers."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.process import BrokerProcess, free_ports
from stream.kafka import connection
from stream.kafka.administration import find_topics
from stream.kafka.connection import connected_admin
from stream.kafka.topics import FoundTopic, Topic, all_topics, changelog_name
from tests.cli.commands import invoke, usage_error
from tests.kafka.kafka_records import make_topics

NAMES = [topic.name for topic in all_topics()]


def found(address: str, *names: str) -> dict[str, FoundTopic]:
    async def find() -> dict[str, FoundTopic]:
        async with connected_admin(address) as admin:
            return await find_topics(admin, names or NAMES)

    return asyncio.run(find())


def test_all_topics_are_made_with_their_settings(broker: BrokerProcess) -> None:
    made = invoke("topics", "create", "--broker", broker.address)
    assert (made.exit_code, made.stderr) == (0, "")
    assert made.stdout.splitlines() == [f"made {name}" for name in NAMES]
    topics = found(broker.address)
    for topic in all_topics():
        assert topics[topic.name].partitions == (topic.partitions or 8)
    for topic in all_topics():
        settings = topics[topic.name].settings
        assert {setting.name: settings[setting.name] for setting in topic.settings} == {
            setting.name: setting.value for setting in topic.settings
        }


def test_topics_that_are_there_are_left_as_they_are(broker: BrokerProcess) -> None:
    make_topics(broker.address, 3, all_topics()[:2])
    first = invoke("topics", "create", "--broker", broker.address, "--partitions", "3")
    assert first.exit_code == 0
    assert first.stdout.splitlines() == [f"made {name}" for name in NAMES[2:]]
    again = invoke("topics", "create", "--broker", broker.address, "--partitions", "3")
    assert (again.exit_code, again.stdout) == (0, "all topics are there\n")


def test_another_number_of_partitions_is_refused_and_nothing_is_made(broker: BrokerProcess) -> None:
    make_topics(broker.address, 4, [Topic("emails", "")])
    result = invoke("topics", "create", "--broker", broker.address)
    assert result.exit_code == 64
    assert result.stdout == ""
    assert (
        result.stderr == "segstream: topic emails has 4 partitions, not 8: give --partitions 4, "
        "or delete the topic first\n"
    )
    assert list(found(broker.address)) == ["emails"]


def test_a_harmful_setting_of_a_topic_that_is_there_is_refused(broker: BrokerProcess) -> None:
    changelog = changelog_name("segstream")
    make_topics(broker.address, 8, [Topic(changelog, "")])
    result = invoke("topics", "create", "--broker", broker.address)
    if not found(broker.address, changelog)[changelog].settings:  # a broker that does not tell
        assert result.exit_code == 0
        return
    assert result.exit_code == 64
    assert f"topic {changelog} has cleanup.policy=delete, and needs compact" in result.stderr


def test_the_definitions_topics_and_the_apps_changelog_are_among_them(broker: BrokerProcess, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("version: 1\nsegments:\n  a: {enter: count(click) >= 1, to: [mail, ads]}\n", encoding="utf-8")
    options: list[Path | str] = ["--broker", broker.address, "--id", "shop", "--definitions", file]
    made = invoke("topics", "create", *options, "--partitions", "2")
    assert made.exit_code == 0
    assert made.stdout.splitlines()[-3:] == ["made shop-profiles-changelog", "made ads", "made mail"]
    shown = invoke("topics", "describe", *options)
    assert shown.exit_code == 0
    assert "mail: partitions=2, replication=1 (changes of some segments)" in shown.stdout.splitlines()


def test_bad_definitions_make_nothing(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("version: 1\nsegments:\n  a: {enter: cuont(click) >= 1}\n", encoding="utf-8")
    result = invoke("topics", "create", "--broker", "127.0.0.1:1", "--definitions", file)
    assert result.exit_code == 64
    assert "x.yaml:3:14: error: " in result.stderr


def test_describe_tells_what_is_missing(broker: BrokerProcess) -> None:
    make_topics(broker.address, 8, all_topics()[1:])
    result = invoke("topics", "describe", "--broker", broker.address)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "clicks: missing (click events)"
    assert lines[-1] == (
        "segstream-profiles-changelog: partitions=8, replication=1, cleanup.policy=compact, "
        "min.compaction.lag.ms=900000, delete.retention.ms=86400000, segment.bytes=67108864, "
        "min.cleanable.dirty.ratio=0.1, max.message.bytes=4194304 (the profiles, to restore them from)"
    )
    assert result.stderr == "topic clicks is missing: `segstream topics create` makes it\n"
    assert "clicks" not in found(broker.address), "asking made it"


def test_more_replicas_than_brokers_are_refused(shared_apache: BrokerProcess) -> None:
    result = invoke("topics", "create", "--broker", shared_apache.address, "--replication", "3")
    assert result.exit_code == 64
    assert "topic clicks can't be created: " in result.stderr
    assert "replication factor" in result.stderr.lower()


COMMANDS = [("topics", "create"), ("topics", "describe"), ("changes",), ("produce", "-")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_broker_that_does_not_answer(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WAIT_S", 0.3)
    (port,) = free_ports(1)
    result = invoke(*command, "--broker", f"127.0.0.1:{port}")
    assert result.exit_code == 69
    assert result.stdout == ""
    assert result.stderr == (
        f"segstream: no broker answers at 127.0.0.1:{port} (waited 0.3 s): is it running? --broker names another\n"
    )


def test_something_that_listens_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WAIT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = invoke("topics", "describe", "--broker", f"127.0.0.1:{silent.getsockname()[1]}")
    assert result.exit_code == 69
    assert "waited 0.3 s" in result.stderr


def test_wait_outlasts_a_broker_that_is_only_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WAIT_S", 0.0)
    with EmbeddedBroker() as broker:
        broker.kill()
        missed = threading.Event()
        unreachable = connection._is_last_try

        def is_last_try(deadline: float) -> bool:
            missed.set()
            return unreachable(deadline)

        monkeypatch.setattr(connection, "_is_last_try", is_last_try)
        starter = threading.Thread(target=lambda: (missed.wait(), broker.start()))
        starter.start()
        result = invoke("topics", "create", "--wait", "--broker", broker.address)
        starter.join()
    assert missed.is_set(), "it did not have to wait"
    assert result.exit_code == 0


@pytest.mark.parametrize("address", ["", "host", "host:", ":9092", "kafka://host:9092", "host:0", "host:65536", "a:1,"])
def test_what_is_no_address(address: str) -> None:
    assert "is not an address such as 127.0.0.1:9092" in usage_error("changes", "--broker", address)


@pytest.mark.parametrize("name", ["", "a/b", "ä", "x" * 201])
def test_what_is_no_id(name: str) -> None:
    assert "expected letters, digits, dots, hyphens and underscores" in usage_error("topics", "create", "--id", name)


def test_the_broker_may_stand_in_the_environment(broker: BrokerProcess) -> None:
    result = invoke("topics", "create", env={"SEGSTREAM_BROKER": broker.address, "SEGSTREAM_ID": "shop"})
    assert result.exit_code == 0
    assert "made shop-profiles-changelog" in result.stdout
