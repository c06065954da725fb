"""``segstream produce`` on real brokers."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from stream.brokers.process import BrokerProcess
from stream.contract import TOPICS, Kind
from stream.kafka import producing, sending
from stream.kafka.partitioning import partition_of
from stream.simulate import Simulation
from tests.cli.commands import COMMAND, environment, invoke, usage_error
from tests.kafka.kafka_records import make_topics, records_of

EVENT_TOPICS = tuple(TOPICS[kind] for kind in Kind)


def event(type_: str = "click", customer: str = "ada", **fields: Any) -> bytes:
    own: dict[str, dict[str, Any]] = {
        "click": {"action": "search"},
        "purchase": {"order_id": "o1", "total": 1},
        "email": {"action": "opened"},
    }
    line = {"type": type_, "event_id": "e1", "customer_id": customer, "timestamp": 0, **own[type_], **fields}
    return json.dumps(line).encode()


def by_customer(lines: list[bytes]) -> dict[tuple[str, str], list[bytes]]:
    """The lines of each topic and customer, in order."""
    found: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    for line in lines:
        one = json.loads(line)
        found[TOPICS[Kind[one["type"].upper()]], one["customer_id"]].append(line)
    return found


def by_key(records: list[ConsumerRecord]) -> dict[tuple[str, str], list[bytes]]:
    found: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    for record in records:
        found[record.topic, record.key.decode()].append(record.value)
    return found


def test_every_line_goes_to_its_topic_with_its_key(broker: BrokerProcess, tmp_path: Path) -> None:
    make_topics(broker.address)
    lines = [
        event("click", "ada"),
        event("purchase", "ada"),
        event("email", "zoë"),
        b'  {"customer_id":"ben" ,"type" : "click","action":"search","timestamp":1,"event_id":"\\u0065" }  ',
        event("click", "ada", event_id="e2"),
        event("click", "x" * 300),  # no valid event, but it has a place to go to
        b'{"type":"email","customer_id":"ada"}',
    ]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines[:4]) + b"\r\n\n")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines[4:])))
    before_ms = time.time() * 1_000 - 1
    result = invoke("produce", tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz", "--broker", broker.address)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("7 events sent in ")
    assert result.stderr.endswith(": 4 to clicks, 2 to emails, 1 to purchases\n")
    records = records_of(broker.address, *EVENT_TOPICS)
    assert by_key(records) == by_customer(lines)
    assert all(record.partition == partition_of(record.key, 8) for record in records)
    assert all(before_ms <= record.timestamp <= time.time() * 1_000 for record in records)


def test_many_batches_keep_the_order_of_the_files(broker: BrokerProcess, tmp_path: Path) -> None:
    make_topics(broker.address, 2)
    # Few partitions, so that each gets several batches.
    lines = b"".join(Simulation(events=20_000, customers=50, seed=1).chunks()).splitlines()
    assert sum(map(len, lines)) > 20 * sending.BATCH_BYTES
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    assert invoke("produce", tmp_path / "a.jsonl", "--broker", broker.address).exit_code == 0
    assert by_key(records_of(broker.address, *EVENT_TOPICS, partitions=2)) == by_customer(lines)


def test_what_cannot_be_routed_is_reported_and_the_rest_sent(broker: BrokerProcess, tmp_path: Path) -> None:
    make_topics(broker.address)
    bad = [
        b"nonsense",
        b'{"customer_id":"ada"}',
        event("click", ""),
        b'{"type":"refund","customer_id":"ada"}',
        b'{"type":"click","customer_id":7}',
        b"\xff",
        b"[" * 100_000,
        event(url="x" * 1_000_001),
    ]
    lines = [event("click", f"c{i}") for i in range(len(bad) + 1)]
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\n".join(line for pair in zip(lines, [*bad, b""], strict=True) for line in pair))
    result = invoke("produce", file, "--broker", broker.address)
    assert result.exit_code == 1
    *reports, closing = result.stderr.splitlines()
    assert [report.split(": ")[3] for report in reports] == [f"line {2 * i + 2}" for i in range(len(bad))]
    assert all(report.startswith(f"segstream: not sent: {file}: line ") for report in reports)
    assert reports[0].endswith(": line 2: not valid JSON: invalid character at byte 1")
    assert reports[-1].endswith(": longer than 1,000,000 bytes, which is all that a topic takes")
    assert closing.endswith(f": {len(lines)} to clicks; {len(bad)} left out")
    assert by_key(records_of(broker.address, "clicks")) == by_customer(lines)


def test_sorting_puts_them_in_the_order_of_time(broker: BrokerProcess) -> None:
    make_topics(broker.address, 1)
    times = [5, 3, 9, 3, 1]
    lines = [event("click", f"c{i % 2}", timestamp=time_ms, event_id=f"e{i}") for i, time_ms in enumerate(times)]
    bad = b'{"type":"click","customer_id":"ada"}'  # has a place to go to, but none in time
    result = invoke("produce", "-", "--sort", "--broker", broker.address, input=b"\n".join([bad, *lines]))
    assert result.exit_code == 1
    assert result.stderr.startswith("segstream: not sent: -: line 1: `event_id` is missing")
    values = [record.value for record in records_of(broker.address, "clicks", partitions=1)]
    assert values == [lines[i] for i in (4, 1, 3, 0, 2)]


def test_a_rate_is_kept(broker: BrokerProcess) -> None:
    make_topics(broker.address, 1)
    lines = [event(event_id=f"e{i}") for i in range(60)]
    began = time.monotonic()
    result = invoke("produce", "-", "--rate", "100", "--broker", broker.address, input=b"\n".join(lines))
    assert result.exit_code == 0
    assert time.monotonic() - began >= 0.55
    records = records_of(broker.address, "clicks", partitions=1)
    assert [record.value for record in records] == lines
    span_ms = records[-1].timestamp - records[0].timestamp
    assert span_ms >= 500, "they did not go out one part after the other"


def test_topics_that_are_missing(broker: BrokerProcess) -> None:
    result = invoke("produce", "-", "--broker", broker.address, input=event())
    assert result.exit_code == 64
    assert result.stderr.startswith("segstream: topic clicks is missing: `segstream topics create` makes it\n")
    again = invoke("topics", "describe", "--broker", broker.address)
    assert again.stdout.startswith("clicks: missing"), "asking made it"


def test_topics_with_different_numbers_of_partitions(broker: BrokerProcess) -> None:
    from stream.kafka.topics import event_topics

    make_topics(broker.address, 4, event_topics()[:1])
    make_topics(broker.address, 3, event_topics()[1:])
    result = invoke("produce", "-", "--broker", broker.address, input=event())
    assert result.exit_code == 64
    assert "topic purchases has 3 partitions, but clicks has 4" in result.stderr


def test_nothing_to_send(broker: BrokerProcess) -> None:
    make_topics(broker.address)
    result = invoke("produce", "-", "--broker", broker.address)
    assert (result.exit_code, result.stderr) == (0, "no events sent\n")


def test_standard_input_can_be_read_once() -> None:
    assert usage_error("produce", "-", "-").endswith("standard input (-) can be read only once")


def test_a_broker_that_goes_away(own_broker: BrokerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "ACKNOWLEDGED_WITHIN_S", 1.0)
    make_topics(own_broker.address)
    keep = producing._Pace.keep

    async def kill_after_the_first(self: Any, sender: sending.Sender, count: int) -> None:
        if own_broker.is_running():
            await sender.flush()
            own_broker.kill()
        await keep(self, sender, count)

    monkeypatch.setattr(producing._Pace, "keep", kill_after_the_first)
    lines = [event(event_id=f"e{i}") for i in range(10)]
    result = invoke("produce", "-", "--rate", "60", "--broker", own_broker.address, input=b"\n".join(lines))
    assert result.exit_code == 69
    assert result.stderr.startswith(f"segstream: the broker at {own_broker.address} has acknowledged nothing for 1 s")
    assert "3 records, perhaps a few more, are there" in result.stderr


def test_an_interrupt_ends_the_wait_for_input(broker: BrokerProcess) -> None:
    make_topics(broker.address, 1)
    arguments = [*COMMAND, "produce", "-", "--broker", broker.address]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin is not None
        lines = [event(event_id=f"e{i}") for i in range(20_000)]  # more than is read at once, and then silence
        process.stdin.write(b"\n".join(lines) + b"\n")
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not (count := len(records_of(broker.address, "clicks", partitions=1))):  # it has read a first part
            assert time.monotonic() < deadline
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert process.stderr is not None
        assert process.stderr.read() == (b"\nsegstream: interrupted; what has been written until now is not complete\n")
    assert count < len(lines)
