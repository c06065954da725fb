"""Workers as processes of their own, and what has to come out of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from aiokafka import TopicPartition

from stream.engine.partition import Partition
from stream.engine.plan import Plan, compile_plan
from stream.kafka.changes import Repeats
from stream.kafka.connection import connected_admin
from stream.kafka.defaults import APP_ID
from stream.kafka.groups import committed_by
from stream.kafka.producing import Reports, produce
from stream.kafka.topics import MEMBERSHIPS, SEGMENT_CHANGES
from stream.language.checker import check
from stream.live.reader import LogReader
from stream.personas.model import Model
from stream.replay.run import Outlets, replay
from stream.replay.versions import Recorded
from stream.worker.interfaces import StoredRecord
from stream.worker.topics import SOURCES
from tests.cli.commands import COMMAND, environment
from tests.kafka.kafka_records import make_topics

SEGMENTS = Path("stream/segments.yaml")
#: Apache Kafka takes no shorter one.
SESSION_S = 6
ENDED_WITHIN_S = 120.0
PARTITIONS = 8


class Worker:
    """``segstream worker`` in a process."""

    def __init__(self, address: str, log: Path, *options: str, definitions: Path = SEGMENTS) -> None:
        self.log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [
                    *COMMAND,
                    "worker",
                    str(definitions),
                    "--broker",
                    address,
                    "--session-timeout",
                    str(SESSION_S),
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=environment(),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def ask_to_stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def exit_code(self, within_s: float = ENDED_WITHIN_S) -> int:
        """Waits for the end."""
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker has not ended; it says:\n{self.says()}") from None

    def says(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def has_said(self, text: str, within_s: float = ENDED_WITHIN_S, *, times: int = 1, or_ended: bool = False) -> None:
        """Waits until it has said this so many times."""
        deadline = time.monotonic() + within_s
        while self.says().count(text) < times:
            if not self.is_running():
                assert or_ended, f"it has ended:\n{self.says()}"
                return
            assert time.monotonic() < deadline, f"it does not say {text!r}, but:\n{self.says()}"
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.kill()


@contextlib.contextmanager
def workers(
    count: int, address: str, folder: Path, *options: str, definitions: Path = SEGMENTS
) -> Iterator[list[Worker]]:
    """Workers that are started together."""
    with contextlib.ExitStack() as stack:
        logs = [folder / f"worker-{i}.log" for i in range(count)]
        yield [stack.enter_context(Worker(address, log, *options, definitions=definitions)) for log in logs]


class Expected:
    """What a replay of the same events says: changes by id, and who is a member of what with which sequence."""

    def __init__(self, events: Path, until_ms: int, definitions: Path = SEGMENTS, models: Sequence[Model] = ()) -> None:
        lines: list[bytes] = []
        outlets = Outlets(changes=lambda found: lines.extend(found.json_lines().splitlines()))
        plan = prepared_plan(definitions)
        replay(plan, [str(events)], outlets, until_ms=until_ms, sort=True, versions=Recorded(models))
        self.changes = {json.loads(line)["id"]: line for line in lines}
        assert len(self.changes) == len(lines)
        #: The changes of each topic besides ``segment-changes``, by id.
        self.routed: dict[str, dict[str, bytes]] = {}
        topics = {segment.name: segment.to for segment in plan.definitions.segments}
        for id_, line in self.changes.items():
            for topic in topics.get(json.loads(line)["segment"], ()):  # personas have none
                self.routed.setdefault(topic, {})[id_] = line
        self.members = members_after(lines)


def prepared_plan(definitions: Path) -> Plan:
    """The plan; the kernel is in its cache after this, so that workers start at once."""
    checked = check(definitions.read_bytes(), str(definitions))
    assert checked.definitions is not None
    plan = compile_plan(checked.definitions)
    Partition(plan).prepare()
    return plan


def members_after(changes: Sequence[bytes]) -> dict[str, Any]:
    """What ``memberships`` has to say after changes in order."""
    found: dict[str, Any] = {}
    for line in changes:
        change = json.loads(line)
        customer = found.setdefault(
            change["customer_id"], {"customer_id": change["customer_id"], "sequence": 0, "segments": {}}
        )
        customer["sequence"] = change["sequence"]
        if change["change"] == "entered":
            customer["segments"][change["segment"]] = {"since": change["at"], "holdout": change["holdout"]}
        else:
            del customer["segments"][change["segment"]]
    return found


def send(address: str, events: Path) -> None:
    """Sends events, sorted, to topics of `PARTITIONS` partitions."""
    make_topics(address, PARTITIONS)
    asyncio.run(send_some(address, events, sort=True))


async def send_some(address: str, events: Path, *, sort: bool = False, rate: int | None = None) -> None:
    """Sends events to topics that are there; ``rate`` is a number of events a second."""
    produced = await produce([str(events)], address, Reports(refused=_none_refused), sort=sort, rate=rate)
    assert produced.events.total() > 0


def until_all_committed(address: str, within_s: float = ENDED_WITHIN_S) -> None:
    """Waits until the workers have committed all that lies in the topics of events: it is applied, and durable."""

    async def wait() -> None:
        deadline = time.monotonic() + within_s
        reader = LogReader(address)
        await reader.start()
        try:
            places = [TopicPartition(topic, partition) for topic in SOURCES for partition in range(PARTITIONS)]
            ends = {place: await reader.end(*place) for place in places}
            while True:
                async with connected_admin(address) as admin:
                    committed = await committed_by(admin, APP_ID, places)
                missing = {place: end for place, end in ends.items() if committed.get(place, 0) < end}
                if not missing:
                    return
                assert time.monotonic() < deadline, f"not committed: {missing}"
                await asyncio.sleep(0.1)
        finally:
            await reader.stop()

    asyncio.run(wait())


def last_ms(events: Path) -> int:
    """The largest timestamp."""
    return max(int(json.loads(line)["timestamp"]) for line in events.read_bytes().splitlines())


def _none_refused(line: object) -> None:
    raise AssertionError(f"refused: {line}")


def assert_same(address: str, expected: Expected) -> None:
    """The changes on the wire without their repeats, and the memberships, are those of the replay."""
    _assert_same_changes(address, SEGMENT_CHANGES, expected.changes)
    for topic, changes in expected.routed.items():
        _assert_same_changes(address, topic, changes)
    assert latest_memberships(address) == expected.members


def _assert_same_changes(address: str, topic: str, expected: dict[str, bytes]) -> None:
    found = without_repeats(log_of(address, topic), has_all=topic == SEGMENT_CHANGES)
    extra, missing = sorted(found.keys() - expected.keys()), sorted(expected.keys() - found.keys())
    assert not extra, f"{topic}: {len(extra)} too many: {extra[:10]}"
    assert not missing, f"{topic}: {len(missing)} are missing: {[expected[one] for one in missing[:10]]}"
    for id_, value in found.items():
        assert value == expected[id_]


def log_of(address: str, topic: str, partitions: int = PARTITIONS) -> list[StoredRecord]:
    """All records of a topic, in the order of partitions and offsets, up to an end that is certain."""

    async def read() -> list[StoredRecord]:
        reader = LogReader(address)
        await reader.start()
        try:
            found: list[StoredRecord] = []
            for partition in range(partitions):
                end = await reader.end(topic, partition)
                async for records in reader.read(topic, partition, 0, end):
                    found += records
            return found
        finally:
            await reader.stop()

    return asyncio.run(read())


def without_repeats(records: Sequence[StoredRecord], *, has_all: bool = True) -> dict[str, bytes]:
    """The changes by id. A repeat must be what it repeats, headers too, and sequences must go up.

    Where a topic ``has_all`` changes of a customer, they have no gap either.
    """
    repeats = Repeats()
    found: dict[str, StoredRecord] = {}
    latest: dict[str, int] = {}
    for record in records:
        change = json.loads(record.value or b"")
        customer, sequence = change["customer_id"], change["sequence"]
        if repeats.is_repeat(customer, sequence):
            first = found[change["id"]]
            assert (first.key, first.value, first.headers) == (record.key, record.value, record.headers)
        else:
            assert record.key == customer.encode()
            assert dict(record.headers)["ce_id"] == change["id"].encode()
            assert not has_all or sequence == latest.get(customer, 0) + 1
            latest[customer] = sequence
            assert change["id"] not in found
            found[change["id"]] = record
    return {id_: record.value for id_, record in found.items() if record.value is not None}


def latest_memberships(address: str) -> dict[str, Any]:
    """The last record of each customer."""
    found: dict[str, Any] = {}
    for record in log_of(address, MEMBERSHIPS):
        assert record.key is not None
        assert record.value is not None
        found[record.key.decode()] = json.loads(record.value)
    return found
