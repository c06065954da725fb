"""``segstream erase`` on real brokers: what it sends is what workers take for a request."""

from __future__ import annotations

import time

import pytest

from stream.brokers.process import BrokerProcess, free_ports
from stream.kafka import connection
from stream.kafka.partitioning import partition_of
from stream.kafka.topics import CUSTOMER_ERASURES, Topic, event_topics
from stream.worker.erasures import Request, parse_request
from stream.worker.interfaces import StoredRecord
from tests.cli.commands import invoke, usage_error
from tests.kafka.kafka_records import make_topics, records_of


def requests(address: str) -> list[tuple[int, Request]]:
    """The partitions and meanings of all that lies in the topic."""
    return [
        (record.partition, parse_request(StoredRecord(record.offset, record.timestamp, record.key, record.value)))
        for record in records_of(address, CUSTOMER_ERASURES)
    ]


def test_a_request_lies_where_the_customers_events_lie(broker: BrokerProcess) -> None:
    make_topics(broker.address)
    before_ms = time.time_ns() // 1_000_000
    for customer in ("ada", "zoë", "-x"):
        result = invoke("erase", "--broker", broker.address, "--", customer)
        assert (result.exit_code, result.stderr) == (0, "")
        place = f"{CUSTOMER_ERASURES}, partition {partition_of(customer.encode(), 8)}"
        assert result.stdout == f"asked to forget {customer}: in {place}\n"
    found = requests(broker.address)
    assert {(partition, one.customer) for partition, one in found} == {
        (partition_of(customer.encode(), 8), customer) for customer in ("ada", "zoë", "-x")
    }
    assert all(before_ms <= one.instant_ms <= time.time_ns() // 1_000_000 for _, one in found)


def test_the_instant_may_be_named(broker: BrokerProcess) -> None:
    make_topics(broker.address)
    assert invoke("erase", "ada", "--at", "2025-01-02T03:04:05Z", "--broker", broker.address).exit_code == 0
    assert invoke("erase", "ada", "--at", "7", "--broker", broker.address).exit_code == 0
    assert [one for _, one in requests(broker.address)] == [Request("ada", 1_735_787_045_000), Request("ada", 7)]


def test_topics_that_would_lead_astray_are_refused(broker: BrokerProcess) -> None:
    assert invoke("erase", "ada", "--broker", broker.address).exit_code == 64
    make_topics(broker.address, 4, event_topics())
    make_topics(broker.address, 8, [Topic(CUSTOMER_ERASURES, "")])
    result = invoke("erase", "ada", "--broker", broker.address)
    assert result.exit_code == 64
    assert f"topic {CUSTOMER_ERASURES} has 8 partitions, but clicks has 4" in result.stderr
    assert records_of(broker.address, CUSTOMER_ERASURES) == []


@pytest.mark.parametrize("customer", ["", "x" * 257, "\udcff"])
def test_what_is_no_customers_id(customer: str) -> None:
    assert "ID" in usage_error("erase", customer, "--broker", "127.0.0.1:1")


def test_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WAIT_S", 0.3)
    result = invoke("erase", "ada", "--broker", f"127.0.0.1:{free_ports(1)[0]}")
    assert (result.exit_code, result.stdout) == (69, "")
