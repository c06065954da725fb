"""Records that are no valid events become dead letters; the good ones around them are applied all the same."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from stream.brokers.process import BrokerProcess
from stream.kafka.partitioning import partition_of
from stream.kafka.topics import CUSTOMER_ERASURES, DEAD_LETTERS
from stream.simulate import Simulation
from tests.kafka.kafka_records import records_of
from tests.live.workers import PARTITIONS, Expected, Worker, assert_same, last_ms, send

Bad = tuple[str, int, bytes | None, bytes | None, list[tuple[str, bytes]]]


def bad_records(rng: random.Random) -> list[Bad]:
    """Topic, partition, key, value and headers of records of every kind that is wrong."""
    ada = partition_of(b"ada", PARTITIONS)
    fine = {"type": "click", "event_id": "e", "customer_id": "ada", "timestamp": 1, "action": "search"}

    def click(**fields: Any) -> bytes:
        return json.dumps({**fine, **fields}).encode()

    found: list[Bad] = [
        ("clicks", ada, b"ada", None, []),
        ("clicks", ada, b"ada", b"", []),
        ("clicks", ada, None, click(), []),
        ("clicks", ada, b"ada", click(customer_id="ben"), []),
        ("clicks", (ada + 1) % PARTITIONS, b"ada", click(), []),
        ("clicks", ada, b"ada", click(type="email"), []),
        ("emails", ada, b"ada", click(), []),
        ("clicks", ada, b"ada", click(timestamp="yesterday"), [("trace", b"\xff"), ("trace", b"")]),
        ("clicks", ada, b"ada", click(url="x" * 1_000_000, timestamp=-1), [("big", b"y" * 10_000)]),
        ("purchases", ada, b"ada", b"{" * 100_000, []),
        ("clicks", ada, b"ada", b"[" * 1_000_000, []),
        ("clicks", ada, b"ada", b'{"a":1}\n{"b":2}', []),
        ("clicks", ada, b"\xff\xfe", click(), []),
        (CUSTOMER_ERASURES, ada, b"ada", b"no JSON", []),
        (CUSTOMER_ERASURES, (ada + 1) % PARTITIONS, b"ada", None, []),
    ]
    for _ in range(50):
        topic = rng.choice(["clicks", "purchases", "emails"])
        key = rng.randbytes(rng.randrange(1, 20))
        found.append((topic, partition_of(key, PARTITIONS), key, rng.randbytes(rng.randrange(200)), [("h", b"1")]))
    return found


async def put(address: str, records: list[Bad]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=address, max_request_size=2_000_000)
    await producer.start()
    try:
        for topic, partition, key, value, headers in records:
            batch = producer.create_batch()
            assert batch.append(timestamp=1_000, key=key, value=value, headers=headers) is not None
            batch.close()
            await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()


def test_bad_records_become_letters(broker: BrokerProcess, tmp_path: Path) -> None:
    bad = bad_records(random.Random(5))
    events = tmp_path / "events.jsonl"
    lines = b"".join(Simulation(events=2_000, customers=100, days=30, seed=3).chunks()).splitlines(keepends=True)
    parts = [tmp_path / "first.jsonl", tmp_path / "second.jsonl"]
    lines.sort(key=lambda line: json.loads(line)["timestamp"])
    for path, part in zip([*parts, events], [lines[:1_000], lines[1_000:], lines], strict=True):
        path.write_bytes(b"".join(part))
    send(broker.address, parts[0])
    asyncio.run(put(broker.address, bad))
    send(broker.address, parts[1])
    expected = Expected(events, last_ms(events))
    options = ("--clock", str(last_ms(events)), "--exit-when-done")
    with Worker(broker.address, tmp_path / "worker.log", *options) as worker:
        assert worker.exit_code() == 0, worker.says()
    assert_same(broker.address, expected)
    letters = records_of(broker.address, DEAD_LETTERS, partitions=PARTITIONS)
    sources: Counter[tuple[str, int]] = Counter()
    for letter in letters:
        headers = dict(letter.headers)
        sources[headers["source_topic"].decode(), int(headers["source_partition"])] += 1
        assert headers["code"]
        assert headers["reason"]
    assert sources == Counter((topic, partition) for topic, partition, *_ in bad)
    texts = {letter.value for letter in letters}
    assert {value or b"" for _, _, _, value, _ in bad} == texts
