"""Any worker is asked for a customer: whoever has the partition answers, as the reference says."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.process import BrokerProcess
from stream.errors import CustomerUnknownError, WorkerUnreachableError
from stream.instants import parse_instant
from stream.live.answers import Answer, ask
from stream.live.paths import path_of
from stream.simulate import Simulation
from tests.cli.commands import environment, run
from tests.engine.agreement import same_value
from tests.live.workers import PARTITIONS, SEGMENTS, Worker, last_ms, prepared_plan, send
from tests.reference import Reference, View
from tests.schemas.test_messages import judge

HOUR_MS = 3_600_000
#: Ids that are more than a word to somebody: to URLs, to terminals, to whoever counts bytes.
HOSTILE = ["..", ".", "a/b", "a%2Fb", "?x=1", "#x", "a b+c", "\x1b[2J\n", "\0", "%", "ü", "😀" * 256, "{id}", "\\..\\"]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prepared_plan(SEGMENTS)
    lines = b"".join(Simulation(events=600, customers=60, days=20, seed=3).chunks()).splitlines()
    at = json.loads(lines[-1])["timestamp"]
    for number, customer in enumerate(HOSTILE):
        event = {"type": "click", "event_id": f"h{number}", "customer_id": customer, "timestamp": at}
        lines.append(json.dumps({**event, "action": "add_to_cart"}).encode())
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@pytest.fixture(scope="module")
def reference(events: Path) -> Reference:
    """What has to be known when the stream clock stands an hour behind the last event."""
    found = Reference(SEGMENTS.read_text(encoding="utf-8"))
    for event in sorted(map(json.loads, events.read_bytes().splitlines()), key=lambda event: int(event["timestamp"])):
        found.apply(event)
    found.advance(last_ms(events) + HOUR_MS)
    return found


def started(address: str, log: Path, *options: str) -> tuple[Worker, str]:
    """A worker with a port, and its URL."""
    worker = Worker(address, log, "--port", "0", *options)
    worker.has_said("probes and metrics: ")
    return worker, re.findall(r"probes and metrics: (\S+)", worker.says())[-1]


def until(condition: Callable[[], bool], within_s: float = 90) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def answered(url: str, customer: str) -> Answer | None:
    """What a worker answers; None while nobody can."""
    try:
        return ask(url, customer)[0]
    except (WorkerUnreachableError, CustomerUnknownError):
        return None


def owners(url: str, customers: list[str]) -> set[str]:
    """The workers that have the customers, and why there is no answer where there is none."""
    found = set()
    for customer in customers:
        try:
            found.add(ask(url, customer)[0].worker)
        except (WorkerUnreachableError, CustomerUnknownError) as error:
            found.add(str(error))
    return found


def until_owned(url: str, customers: list[str], *workers: str, within_s: float = 90) -> None:
    """Waits until these workers, and no others, have the customers."""
    deadline = time.monotonic() + within_s
    while (found := owners(url, customers)) != set(workers):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def all_stand(url: str, customers: list[str], at_ms: int) -> bool:
    answers = [answered(url, customer) for customer in customers]
    return all(answer is not None and parse_instant(answer.at) == at_ms for answer in answers)


def raw(url: str, path: str, **headers: str) -> tuple[int, Any, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read()), response.headers
    finally:
        connection.close()


def assert_as_the_reference(answer: Answer, reference: Reference) -> None:
    customer = reference.customers[answer.customer_id]
    assert parse_instant(answer.at) == reference.stream_clock
    assert answer.sequence == customer.sequence
    view = View(customer, reference.stream_clock, reference.definitions)
    segments = reference.definitions.segments
    values = {text: value for segment in segments for text, value in view.evidence(segment).items()}
    assert answer.features.keys() == values.keys()
    assert [text for text in values if not same_value(answer.features[text], values[text])] == []
    since = {segment.name: customer.standings[segment.name].entered for segment in segments}
    members = {name: at for name, at in since.items() if at is not None}
    assert answer.memberships.keys() == members.keys()
    for name, membership in answer.memberships.items():
        assert abs(parse_instant(membership.since) - members[name]) <= 1  # a probability may turn 1 ms away
    assert any(offset is not None for offset in answer.offsets.values())


def test_every_worker_answers_for_all(
    broker: BrokerProcess, events: Path, reference: Reference, tmp_path: Path
) -> None:
    send(broker.address, events)
    at_ms, customers = last_ms(events) + HOUR_MS, list(reference.customers)
    options = ("--clock", str(at_ms))
    first, first_url = started(broker.address, tmp_path / "first.log", *options)
    with first:
        second, second_url = started(broker.address, tmp_path / "second.log", *options)
        with second:
            until_owned(first_url, customers, first_url, second_url)
            until(lambda: all_stand(first_url, customers, at_ms))
            for customer in customers:
                one, body = ask(first_url, customer)
                other, _ = ask(second_url, customer)
                assert one == other
                assert one.customer_id == customer
                assert_as_the_reference(one, reference)
                judge("customer").validate(json.loads(body))
            assert sum(len(ask(first_url, customer)[0].memberships) for customer in customers) > 20
            assert {ask(first_url, customer)[0].partition for customer in customers} == set(range(PARTITIONS))
            for url in (first_url, second_url):
                for number in range(20):  # of partitions here and there
                    with pytest.raises(CustomerUnknownError, match="no event of such a customer"):
                        ask(url, f"nobody {number}")
            refuses_what_is_no_id(first_url)
            refuses_what_is_for_somebody_else(first_url)
            prints_it(first_url, customers[0])


def refuses_what_is_no_id(url: str) -> None:
    for bad in ("", "%FF", "%ED%A0%80", "x" * 257, "%F0%9F%98%80" * 257):
        status, body, _ = raw(url, f"/v1/customers/{bad}")
        assert (status, body["error"]) == (400, "bad_id")


def refuses_what_is_for_somebody_else(url: str) -> None:
    status, body, _ = raw(url, path_of("ada"), **{"Segstream-Forwarded": "another one's token"})
    assert (status, body["error"]) == (503, "wrong_worker")


def prints_it(url: str, customer: str) -> None:
    shown = run("customer", "--worker", url, "--", customer)
    assert shown.returncode == 0
    assert shown.stdout.decode().splitlines()[0] == f"customer      {customer}"
    variables = environment(SEGSTREAM_WORKER_URL=url)
    as_json = run("customer", "--json", "--", customer, env=variables)
    assert json.loads(as_json.stdout)["customer_id"] == customer
    assert run("customer", "nobody", env=variables).returncode == 1


def test_a_worker_that_has_just_started_says_when_to_ask_again(
    broker: BrokerProcess, events: Path, tmp_path: Path
) -> None:
    send(broker.address, events)
    worker, url = started(broker.address, tmp_path / "worker.log", "--clock", "event")
    with worker:
        seen = []
        while (answer := raw(url, path_of("a/b")))[0] != 200:
            seen.append(answer)
            assert worker.is_running()
        assert seen, "it was asked before it had joined its group"
        for status, body, headers in seen:
            assert (status, body["error"]) in {
                (503, "moving"),
                (503, "restoring"),
                (503, "busy"),
                (404, "unknown_customer"),  # restored, and nothing applied yet
            }
            assert (headers["Retry-After"] is not None) == (status == 503)
        assert seen[0][1]["error"] in ("moving", "restoring")


def test_one_without_a_port_is_named(broker: BrokerProcess, events: Path, tmp_path: Path) -> None:
    send(broker.address, events)
    with Worker(broker.address, tmp_path / "silent.log", "--clock", "event") as silent:
        silent.has_said("partitions: 0, 1, 2")
        worker, url = started(broker.address, tmp_path / "worker.log", "--clock", "event")
        with worker:

            def errors() -> set[str]:
                answers = [raw(url, path_of(f"c{number:06}")) for number in range(50)]
                return {body["message"] for status, body, _ in answers if status == 503}

            until(lambda: any(re.fullmatch(r"partition \d belongs to a worker without --port", e) for e in errors()))


def test_a_worker_that_comes_back_at_another_port_is_found(
    broker: BrokerProcess, events: Path, reference: Reference, tmp_path: Path
) -> None:
    if isinstance(broker, EmbeddedBroker):
        pytest.skip("the embedded broker does not notice that anybody leaves")
    send(broker.address, events)
    customers = list(reference.customers)
    first, first_url = started(broker.address, tmp_path / "first.log", "--clock", "event")
    with first:
        second, second_url = started(broker.address, tmp_path / "second.log", "--clock", "event")
        with second:
            until_owned(first_url, customers, first_url, second_url)
            theirs = next(one for one in customers if ask(first_url, one)[0].worker == second_url)
            second.kill()
            status, body, _ = raw(first_url, path_of(theirs))
            assert (status, body["error"]) == (502, "unreachable")
        third, third_url = started(broker.address, tmp_path / "third.log", "--clock", "event")
        with third:
            assert third_url != second_url
            until_owned(first_url, customers, first_url, third_url)
            until_owned(third_url, customers, first_url, third_url)
