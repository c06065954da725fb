"""``segstream redrive`` on real brokers: letters as workers write them go back as they were, each once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaProducer

from stream.brokers.process import BrokerProcess
from stream.kafka import redriving
from stream.kafka.partitioning import partition_of
from stream.kafka.sending import Sender
from stream.kafka.topics import CUSTOMER_ERASURES, DEAD_LETTERS
from stream.worker.interfaces import Record, StoredRecord
from stream.worker.letters import BAD_ERASURE, WRONG_PARTITION, dead_letter
from stream.worker.settings import Limits
from tests.cli.commands import invoke, usage_error
from tests.kafka.kafka_records import make_topics, records_of

LIMITS = Limits(letter_bytes=1_000, letter_kept_bytes=100)


def letter(topic: str, key: bytes | None, value: bytes | None, code: str, partition: int = 0, at: int = 5) -> Record:
    """What a worker writes about a record that it refuses."""
    return dead_letter(topic, partition, StoredRecord(7, at, key, value), code, "so it is", LIMITS)


def write(address: str, letters: Sequence[Record], partition: int = 0) -> None:
    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=address)
        await producer.start()
        try:
            batch = producer.create_batch()
            for key, value, headers in letters:
                assert batch.append(timestamp=None, key=key, value=value, headers=list(headers)) is not None
            await (await producer.send_batch(batch, DEAD_LETTERS, partition=partition))
        finally:
            await producer.stop()

    asyncio.run(send())


def found(address: str, *topics: str) -> list[tuple[str, int, bytes | None, bytes | None]]:
    """Topics, partitions, keys and values of all records."""
    return [(one.topic, one.partition, one.key, one.value) for one in records_of(address, *topics)]


def test_letters_go_back_as_they_were_and_only_once(broker: BrokerProcess) -> None:
    make_topics(broker.address)
    ada, no_json = partition_of(b"ada", 8), b'{"price": \xff\n'
    write(broker.address, [letter("clicks", b"ada", no_json, "not_json"), letter("emails", b"ada", None, "not_json")])
    write(broker.address, [letter("purchases", None, b"[]", "not_an_object", partition=5)], partition=3)
    first = invoke("redrive", "--broker", broker.address)
    assert first.exit_code == 0
    counts = ["not_an_object: 1 to purchases", "not_json: 1 to clicks", "not_json: 1 to emails"]
    assert first.stdout.splitlines() == counts
    assert first.stderr == "3 letters sent back\n"
    expected = [("clicks", ada, b"ada", no_json), ("purchases", 5, None, b"[]"), ("emails", ada, b"ada", None)]
    assert found(broker.address, "clicks", "purchases", "emails") == expected
    again = invoke("redrive", "--broker", broker.address)
    assert (again.exit_code, again.stdout, again.stderr) == (0, "", "nothing to send back\n")
    write(broker.address, [letter("clicks", b"ben", b"{}", "missing_field")])
    assert invoke("redrive", "--broker", broker.address).stdout == "missing_field: 1 to clicks\n"
    assert len(found(broker.address, "clicks", "purchases", "emails")) == 4


def test_a_dry_run_sends_and_remembers_nothing(broker: BrokerProcess) -> None:
    make_topics(broker.address)
    write(broker.address, [letter("clicks", b"ada", b"{}", "missing_field")])
    for _ in range(2):
        result = invoke("redrive", "--dry-run", "--broker", broker.address)
        assert (result.stdout, result.stderr) == ("missing_field: 1 to clicks\n", "1 letter would be sent back\n")
    assert found(broker.address, "clicks") == []


def test_letters_of_other_codes_wait_for_their_turn(broker: BrokerProcess) -> None:
    make_topics(broker.address)
    letters = [letter("clicks", b"ada", b"%d" % i, code) for i, code in enumerate(["not_json", "too_far_ahead"] * 3)]
    write(broker.address, letters)
    assert invoke("redrive", "--reason", "too_far_ahead", "--broker", broker.address).exit_code == 0
    assert [value for *_, value in found(broker.address, "clicks")] == [b"1", b"3", b"5"]
    rest = invoke("redrive", "--broker", broker.address)
    assert rest.stdout == "not_json: 3 to clicks\n"
    assert [value for *_, value in found(broker.address, "clicks")] == [b"1", b"3", b"5", b"0", b"2", b"4"]


def test_the_key_decides_about_the_partition(broker: BrokerProcess) -> None:
    make_topics(broker.address)
    right = partition_of(b"ada", 8)
    write(broker.address, [letter("clicks", b"ada", b"{}", WRONG_PARTITION, partition=(right + 1) % 8)])
    assert invoke("redrive", "--broker", broker.address).exit_code == 0
    assert found(broker.address, "clicks") == [("clicks", right, b"ada", b"{}")]


def test_erasures_keep_their_instant(broker: BrokerProcess) -> None:
    make_topics(broker.address)
    asked = b'{"timestamp": 9}'
    write(broker.address, [letter(CUSTOMER_ERASURES, b"ada", one, WRONG_PARTITION) for one in (None, b"", asked)])
    write(broker.address, [letter(CUSTOMER_ERASURES, b"ada", b"soon", BAD_ERASURE)])
    assert invoke("redrive", "--broker", broker.address).exit_code == 0
    values = [value or b"" for *_, value in found(broker.address, CUSTOMER_ERASURES)]
    assert [json.loads(value) for value in values[:3]] == [{"timestamp": 5}, {"timestamp": 5}, {"timestamp": 9}]
    assert values[2:] == [asked, b"soon"]


def test_what_has_no_way_back_is_reported_once(broker: BrokerProcess) -> None:
    make_topics(broker.address)
    headers = dict(letter("clicks", b"a", b"{}", "not_json").headers)
    write(
        broker.address,
        [
            letter("clicks", b"ada", b"x" * 1_001, "not_json"),
            letter("clicks", b"k" * 101, b"{}", "not_json"),
            Record(b"a", b"written by hand"),
            Record(b"a", b"{}", tuple({**headers, "source_topic": b"segment-changes"}.items())),
            Record(b"a", b"{}", tuple({**headers, "source_partition": b"many"}.items())),
            Record(b"a", b"{}", tuple({**headers, "code": b"\xff/../"}.items())),
            letter("clicks", b"ada", b"{}", "not_json"),
        ],
    )
    result = invoke("redrive", "--broker", broker.address)
    assert result.exit_code == 1
    assert result.stdout == "not_json: 1 to clicks\n"
    *reports, total = result.stderr.splitlines()
    assert total == "1 letter sent back; 6 left where they are"
    assert [line.split(": ")[3] for line in reports] == [f"partition 0, offset {offset}" for offset in range(6)]
    assert "has been cut off" in reports[0]
    assert "has been cut off" in reports[1]
    assert "its headers do not say where it came from" in reports[2]
    assert "'segment-changes'" in reports[3]
    assert invoke("redrive", "--broker", broker.address).exit_code == 0


@pytest.mark.parametrize("remembered_after", [2, 10_000], ids=["on the way", "at the end"])
def test_what_was_not_acknowledged_is_not_remembered(
    remembered_after: int, broker: BrokerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topics(broker.address)
    monkeypatch.setattr(redriving, "_REMEMBERED_AFTER", remembered_after)
    write(broker.address, [letter("clicks", b"a", b"1", "not_json"), letter("clicks", b"a", b"2", "not_json")])
    flush = Sender.flush

    async def fail(self: Sender) -> None:
        self.abandon()
        raise InterruptedError

    monkeypatch.setattr(Sender, "flush", fail)
    assert invoke("redrive", "--broker", broker.address).exit_code == 2
    monkeypatch.setattr(Sender, "flush", flush)
    assert invoke("redrive", "--broker", broker.address).stdout == "not_json: 2 to clicks\n"
    assert [value for *_, value in found(broker.address, "clicks")] == [b"1", b"2"]


def test_no_letters_and_no_topics(broker: BrokerProcess) -> None:
    assert invoke("redrive", "--broker", broker.address).exit_code == 64
    make_topics(broker.address)
    assert invoke("redrive", "--broker", broker.address).exit_code == 0


def test_a_code_that_nobody_writes() -> None:
    assert "did you mean too_far_ahead?" in usage_error("redrive", "--reason", "to_far_ahead")
    assert "known are not_utf8, " in usage_error("redrive", "--reason", "?")
