"""Records that are no valid events become dead letters; the good ones around them are applied all the same."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer

from stream.brokers.process import BrokerProcess
from stream.kafka.partitioning import partition_of
from stream.kafka.topics import CUSTOMER_ERASURES, DEAD_LETTERS
from stream.simulate import Simulation
from tests.effort import FACTOR, FIRST_SEED
from tests.kafka.kafka_records import make_topics, records_of
from tests.live.test_unsorted import AFTER_DAYS, REMEMBERED, traffic
from tests.live.totals import (
    DAY_MS,
    assert_same_totals,
    definitions_with_totals,
    totals_in_changelog,
    totals_of_reference,
)
from tests.live.workers import (
    PARTITIONS,
    Expected,
    Worker,
    assert_same,
    last_ms,
    send,
    send_some,
    until_all_committed,
)

HOUR_MS = 3_600_000
#: Good events are sent in so many parts, with bad records all the time.
PARTS = 10
EVENTS = 2_500 * FACTOR


class Bad(NamedTuple):
    """A record that is wrong."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class Letter(NamedTuple):
    """What a dead letter has to tell: where the record lay, and its own bytes. None and empty values are told apart."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


#: What a header may be: without a value, empty, repeated, no text, large, and very many.
HEADERS: list[list[tuple[str, bytes | None]]] = [
    [],
    [("", b"")],
    [("nothing", None)],
    [("trace", b"\xff"), ("trace", b"")],
    [("code", b"not_json"), ("source_topic", b"clicks"), ("epoch", b"7/7"), ("ce_id", b"ada:1")],
    [("größe", "µ".encode())],
    [("big", b"y" * 100_000)],
    [(f"h{number}", b"%d" % number) for number in range(1_000)],
]


def bad_records(rng: random.Random, now_ms: int, count: int = 50) -> list[Bad]:
    """Records of every kind that is wrong, and so many of random bytes."""
    ada = partition_of(b"ada", PARTITIONS)
    fine = {"type": "click", "event_id": "e", "customer_id": "ada", "timestamp": 1, "action": "search"}

    def click(**fields: Any) -> bytes:
        return json.dumps({**fine, **fields}).encode()

    found: list[Bad] = [
        Bad("clicks", ada, b"ada", None, []),
        Bad("clicks", ada, b"ada", b"", []),
        Bad("clicks", ada, None, click(), []),
        Bad("clicks", ada, None, None, []),
        Bad("clicks", ada, b"ada", click(customer_id="ben"), []),
        Bad("clicks", (ada + 1) % PARTITIONS, b"ada", click(), []),
        Bad("clicks", ada, b"ada", click(type="email"), []),
        Bad("emails", ada, b"ada", click(), []),
        Bad("clicks", ada, b"ada", click(timestamp="yesterday"), []),
        Bad("clicks", ada, b"ada", click(timestamp=now_ms + 2 * HOUR_MS), []),
        Bad("clicks", ada, b"ada", click(url="x" * 1_000_000, timestamp=-1), []),
        Bad("purchases", ada, b"ada", b"{" * 100_000, []),
        Bad("clicks", ada, b"ada", b"[" * 1_000_000, []),
        Bad("emails", ada, b"ada", rng.randbytes(1_000_000), []),
        Bad("clicks", ada, b"ada", b'{"a":1}\n{"b":2}', []),
        Bad("clicks", partition_of(b"\xff\xfe", PARTITIONS), b"\xff\xfe", click(), []),
        Bad("clicks", partition_of(b"k" * 100_000, PARTITIONS), b"k" * 100_000, click(), []),
        Bad(CUSTOMER_ERASURES, ada, b"ada", b"no JSON", []),
        Bad(CUSTOMER_ERASURES, ada, b"ada", b"\0" * 1_000_000, []),
        Bad(CUSTOMER_ERASURES, (ada + 1) % PARTITIONS, b"ada", None, []),
    ]
    for headers in HEADERS:
        found.append(Bad("clicks", ada, b"ada", click(action="NO"), headers))
    for _ in range(count):
        topic = rng.choice(["clicks", "purchases", "emails", CUSTOMER_ERASURES])
        key = rng.randbytes(rng.randrange(1, 20))
        value = rng.randbytes(rng.randrange(1, 200))
        found.append(Bad(topic, partition_of(key, PARTITIONS), key, value, rng.choice(HEADERS)))
    rng.shuffle(found)
    return found


async def put(address: str, records: Sequence[Bad]) -> list[Letter]:
    """Sends them, one after the other; the letters that they have to become."""
    producer = AIOKafkaProducer(bootstrap_servers=address, max_request_size=2_000_000)
    await producer.start()
    found = []
    try:
        for topic, partition, key, value, headers in records:
            batch = producer.create_batch()
            now_ms = time.time_ns() // 1_000_000
            assert batch.append(timestamp=now_ms, key=key, value=value, headers=headers) is not None
            batch.close()
            sent = await (await producer.send_batch(batch, topic, partition=partition))
            found.append(Letter(topic, partition, sent.offset, now_ms, key, value))
    finally:
        await producer.stop()
    return found


def letters_of(address: str) -> list[Letter]:
    """The letters that are there. One that is there again is the same to the last byte."""
    found: dict[tuple[str, int, int], tuple[Any, ...]] = {}
    letters = []
    for record in records_of(address, DEAD_LETTERS, partitions=PARTITIONS):
        headers = dict(record.headers)
        assert headers["code"]
        assert headers["reason"]
        place = headers["source_topic"].decode(), int(headers["source_partition"]), int(headers["source_offset"])
        whole = record.key, record.value, tuple(record.headers)
        assert found.setdefault(place, whole) == whole
        value = None if headers.get("source_value") == b"null" else record.value
        letters.append(Letter(*place, int(headers["source_timestamp"]), record.key, value))
    return letters


def test_bad_records_become_letters(broker: BrokerProcess, tmp_path: Path) -> None:
    """They lie there beforehand, between sorted events."""
    bad = bad_records(random.Random(5), time.time_ns() // 1_000_000)
    events = tmp_path / "events.jsonl"
    lines = b"".join(Simulation(events=2_000, customers=100, days=30, seed=3).chunks()).splitlines(keepends=True)
    parts = [tmp_path / "first.jsonl", tmp_path / "second.jsonl"]
    lines.sort(key=lambda line: json.loads(line)["timestamp"])
    for path, part in zip([*parts, events], [lines[:1_000], lines[1_000:], lines], strict=True):
        path.write_bytes(b"".join(part))
    send(broker.address, parts[0])
    sent = asyncio.run(put(broker.address, bad))
    send(broker.address, parts[1])
    expected = Expected(events, last_ms(events))
    options = ("--clock", str(last_ms(events)), "--exit-when-done")
    with Worker(broker.address, tmp_path / "worker.log", *options) as worker:
        assert worker.exit_code() == 0, worker.says()
    assert_same(broker.address, expected)
    assert Counter(letters_of(broker.address)) == Counter(sent)


@pytest.mark.parametrize("is_killed", [False, True], ids=["calm", "killed"])
def test_bad_records_amid_live_traffic(broker: BrokerProcess, tmp_path: Path, is_killed: bool) -> None:
    """Two workers run, and one of them is killed in the midst or is not: only then letters may come again."""
    rng = random.Random(FIRST_SEED)
    good = traffic(EVENTS, FIRST_SEED)
    definitions = definitions_with_totals(tmp_path, AFTER_DAYS, remembered=REMEMBERED)
    make_topics(broker.address, PARTITIONS)
    logs = [tmp_path / f"worker-{number}.log" for number in range(3)]
    sent: list[Letter] = []

    async def send_part(number: int) -> None:
        part = tmp_path / f"part-{number}.jsonl"
        part.write_bytes(b"".join(good[number::PARTS]))
        bad = bad_records(rng, time.time_ns() // 1_000_000, count=20)
        letters, _ = await asyncio.gather(put(broker.address, bad), send_some(broker.address, part, rate=2_000))
        sent.extend(letters)

    with ExitStack() as stack:

        def start(number: int) -> Worker:
            # On a machine that is busy with all of this a broker may need more than a few seconds for large records.
            options = ("--session-timeout", "10")
            return stack.enter_context(Worker(broker.address, logs[number], *options, definitions=definitions))

        running = [start(0), start(1)]
        for worker in running:
            worker.has_said("partitions: ")
        for number in range(PARTS):
            asyncio.run(send_part(number))
            if is_killed and number == PARTS // 2:
                running.pop(rng.randrange(2)).kill()
                running.append(start(2))
        until_all_committed(broker.address)
        for worker in running:
            worker.ask_to_stop()
        assert [worker.exit_code() for worker in running] == [0, 0]
    assert len(sent) > 40 * PARTS
    letters = letters_of(broker.address)
    if is_killed:
        assert set(letters) == set(sent)
    else:
        assert Counter(letters) == Counter(sent)
    until_ms = time.time_ns() // 1_000_000 + AFTER_DAYS * DAY_MS
    found = totals_in_changelog(broker.address, definitions, until_ms)
    assert_same_totals(found, totals_of_reference(good, AFTER_DAYS, REMEMBERED))
