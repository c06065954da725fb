"""``segstream changes`` on real brokers."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from stream.brokers.process import BrokerProcess
from stream.kafka.changes import Repeats
from stream.kafka.topics import SEGMENT_CHANGES
from tests.cli.commands import COMMAND, environment, invoke
from tests.kafka.kafka_records import make_topics, put


def change(customer: str, sequence: int, **fields: object) -> tuple[bytes, bytes]:
    """Key and value of a change."""
    record = {"id": f"{customer}:{sequence}", "customer_id": customer, "segment": "a", "sequence": sequence, **fields}
    return customer.encode(), json.dumps(record).encode()


def ids(output: str) -> list[str]:
    return [json.loads(line)["id"] for line in output.splitlines()]


def test_repeats_are_known_by_their_sequence() -> None:
    repeats = Repeats()
    seen = [("a", 1), ("a", 2), ("b", 1), ("a", 1), ("a", 2), ("a", 3), ("b", 5), ("b", 4)]
    assert [repeats.is_repeat(*one) for one in seen] == [False, False, False, True, True, False, False, True]


def test_all_changes_are_printed_once_as_they_are(broker: BrokerProcess) -> None:
    make_topics(broker.address, 2)
    first = [change("ada", number, text="ü \\u0041") for number in (1, 2, 3)]
    again = [change("ada", number, text="sent again") for number in (2, 3)]
    put(broker.address, SEGMENT_CHANGES, [(0, first), (1, [change("ben", 1)]), (0, [*again, change("ada", 4)])])
    result = invoke("changes", "--broker", broker.address)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout_bytes.splitlines()
    assert sorted(lines) == sorted([value for _, value in first] + [change("ben", 1)[1], change("ada", 4)[1]])
    assert [one for one in ids(result.stdout) if one.startswith("ada")] == ["ada:1", "ada:2", "ada:3", "ada:4"]


def test_the_last_batch_is_printed_to_its_end(broker: BrokerProcess) -> None:
    make_topics(broker.address, 3)
    put(broker.address, SEGMENT_CHANGES, [(1, [change("ada", number) for number in range(1, 2_001)])])
    result = invoke("changes", "--broker", broker.address)
    assert ids(result.stdout) == [f"ada:{number}" for number in range(1, 2_001)]


def test_records_that_are_no_changes_are_reported(broker: BrokerProcess) -> None:
    make_topics(broker.address, 1)
    foreign = [(b"x", b"nonsense"), (b"x", None), (b"x", b'{"customer_id":"x"}'), (b"x", b"\xff"), (None, b"[1]")]
    put(broker.address, SEGMENT_CHANGES, [(0, [change("ada", 1), *foreign, change("ada", 2)])])
    result = invoke("changes", "--broker", broker.address)
    assert result.exit_code == 1
    assert ids(result.stdout) == ["ada:1", "ada:2"]
    places = [line.split(": not a change: ")[0] for line in result.stderr.splitlines()]
    assert places == [f"segstream: {SEGMENT_CHANGES}: partition 0, offset {offset}" for offset in range(1, 6)]


def test_an_empty_topic_has_no_changes(broker: BrokerProcess) -> None:
    make_topics(broker.address)
    result = invoke("changes", "--broker", broker.address)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_a_missing_topic(broker: BrokerProcess) -> None:
    result = invoke("changes", "--broker", broker.address)
    assert result.exit_code == 64
    assert result.stderr == f"segstream: topic {SEGMENT_CHANGES} is missing: `segstream topics create` makes it\n"
    assert invoke("changes", "--broker", broker.address).exit_code == 64, "asking made it"


def test_following_prints_what_comes_until_interrupted(broker: BrokerProcess) -> None:
    make_topics(broker.address, 1)
    put(broker.address, SEGMENT_CHANGES, [(0, [change("ada", 1)])])
    with subprocess.Popen(
        [*COMMAND, "changes", "--follow", "--broker", broker.address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["id"] == "ada:1"
        put(broker.address, SEGMENT_CHANGES, [(0, [change("ada", 1), change("ada", 2)])])
        assert json.loads(process.stdout.readline())["id"] == "ada:2"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stdout.read() == b""
        assert process.stderr.read() == b""


def test_a_reader_that_has_seen_enough_is_no_error(broker: BrokerProcess) -> None:
    make_topics(broker.address, 1)
    for part in range(20):
        put(broker.address, SEGMENT_CHANGES, [(0, [change("ada", 500 * part + n) for n in range(1, 501)])])
    with subprocess.Popen(
        [*COMMAND, "changes", "--broker", broker.address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == b""


def test_a_broker_that_goes_away(own_broker: BrokerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    from stream.kafka import reading

    monkeypatch.setattr(reading, "STALLED_AFTER_S", 0.5)
    make_topics(own_broker.address, 1)
    put(own_broker.address, SEGMENT_CHANGES, [(0, [change("ada", 1)])])
    reached = reading.Ends.are_reached

    async def kill_first(self: reading.Ends) -> bool:
        own_broker.kill()
        await reached(self)
        return False

    monkeypatch.setattr(reading.Ends, "are_reached", kill_first)
    result = invoke("changes", "--broker", own_broker.address)
    assert result.exit_code == 69
    assert f"no broker answers at {own_broker.address}" in result.stderr
