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

from stream.engine.partition import Partition
from stream.engine.plan import Plan, compile_plan
from stream.kafka.changes import Repeats
from stream.kafka.producing import Reports, produce
from stream.kafka.topics import MEMBERSHIPS, SEGMENT_CHANGES
from stream.language.checker import check
from stream.live.reader import LogReader
from stream.replay.run import Outlets, replay
from stream.worker.interfaces import StoredRecord
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
def workers(count: int, address: str, folder: Path, *options: str) -> Iterator[list[Worker]]:
    """Workers that are started together."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Worker(address, folder / f"worker-{i}.log", *options)) for i in range(count)]


class Expected:
    """What a replay of the same events says: changes by id, and who is a member of what with which sequence."""

    def __init__(self, events: Path, until_ms: int, definitions: Path = SEGMENTS) -> None:
        lines: list[bytes] = []
        outlets = Outlets(changes=lambda found: lines.extend(found.json_lines().splitlines()))
        plan = prepared_plan(definitions)
        replay(plan, [str(events)], outlets, until_ms=until_ms, sort=True)
        self.changes = {json.loads(line)["id"]: line for line in lines}
        assert len(self.changes) == len(lines)
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
    produced = asyncio.run(produce([str(events)], address, Reports(refused=_none_refused), sort=True))
    assert produced.events.total() > 0


def last_ms(events: Path) -> int:
    """The largest timestamp."""
    return max(int(json.loads(line)["timestamp"]) for line in events.read_bytes().splitlines())


def _none_refused(line: object) -> None:
    raise AssertionError(f"refused: {line}")


def assert_same(address: str, expected: Expected) -> None:
    """The changes on the wire without their repeats, and the memberships, are those of the replay."""
    records = log_of(address, SEGMENT_CHANGES)
    found = without_repeats(records)
    extra, missing = sorted(found.keys() - expected.changes.keys()), sorted(expected.changes.keys() - found.keys())
    assert not extra, f"{len(extra)} too many: {extra[:10]}"
    assert not missing, f"{len(missing)} are missing: {[expected.changes[one] for one in missing[:10]]}"
    for id_, value in found.items():
        assert value == expected.changes[id_]
    assert latest_memberships(address) == expected.members


def log_of(address: str, topic: str) -> list[StoredRecord]:
    """All records of a topic, in the order of partitions and offsets, up to an end that is certain."""

    async def read() -> list[StoredRecord]:
        reader = LogReader(address)
        await reader.start()
        try:
            found: list[StoredRecord] = []
            for partition in range(PARTITIONS):
                end = await reader.end(topic, partition)
                async for records in reader.read(topic, partition, 0, end):
                    found += records
            return found
        finally:
            await reader.stop()

    return asyncio.run(read())


def without_repeats(records: Sequence[StoredRecord]) -> dict[str, bytes]:
    """The changes by id. A repeat must be what it repeats, and sequences must have no gap."""
    repeats = Repeats()
    found: dict[str, bytes] = {}
    latest: dict[str, int] = {}
    for record in records:
        assert record.value is not None
        change = json.loads(record.value)
        customer, sequence = change["customer_id"], change["sequence"]
        assert record.key == customer.encode()
        if repeats.is_repeat(customer, sequence):
            assert found[change["id"]] == record.value
        else:
            assert sequence == latest.get(customer, 0) + 1
            latest[customer] = sequence
            found[change["id"]] = record.value
    return found


def latest_memberships(address: str) -> dict[str, Any]:
    """The last record of each customer."""
    found: dict[str, Any] = {}
    for record in log_of(address, MEMBERSHIPS):
        assert record.key is not None
        assert record.value is not None
        found[record.key.decode()] = json.loads(record.value)
    return found
