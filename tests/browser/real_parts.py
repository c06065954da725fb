"""All real parts of a shop: broker, Redis, a worker, the sink and the dashboard, each a process."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.redis_server import RedisServer
from tests.cli.commands import COMMAND, environment, run
from tests.live.workers import prepared_plan

PARTITIONS = 2
_WITHIN_S = 90.0


class Part:
    """A command of ours that goes on until it is ended."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment()
            )

    def has_said(self, pattern: str) -> re.Match[str]:
        """Waits for what it says."""
        deadline = time.monotonic() + _WITHIN_S
        while (found := re.search(pattern, self._says())) is None:
            self.check()
            assert time.monotonic() < deadline, f"it does not say {pattern!r}, but:\n{self._says()}"
            time.sleep(0.05)
        return found

    def check(self) -> None:
        """Fails when it has ended."""
        assert self._process.poll() is None, f"{self._log.stem} has ended:\n{self._says()}"

    def _says(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


class RealParts:
    """What a test does with them: produce events, and look at the pages."""

    def __init__(self, broker: str, url: str, folder: Path, parts: Sequence[Part]) -> None:
        self.url = url
        self._parts = parts
        self._broker = broker
        self._folder = folder
        self._produced = 0

    def produce(self, customers: Sequence[str], **fields: Any) -> None:
        """A click of each of them."""
        for part in self._parts:
            part.check()
        lines = []
        for customer in customers:
            self._produced += 1
            at = 1_760_000_000_000 + self._produced * 1_000
            event = {"event_id": f"e{self._produced}", "customer_id": customer, "timestamp": at, "type": "click"}
            lines.append(json.dumps({**event, **fields}))
        file = self._folder / f"events-{self._produced}.jsonl"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        result = run("produce", file, "--broker", self._broker)
        assert result.returncode == 0, result.stderr


@contextlib.contextmanager
def real_parts(definitions: Path, folder: Path) -> Iterator[RealParts]:
    """All of them, started; the kernel is compiled first."""
    prepared_plan(definitions)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker()).address
        redis = stack.enter_context(RedisServer()).url
        made = run("topics", "create", "--broker", broker, "--partitions", str(PARTITIONS))
        assert made.returncode == 0, made.stderr
        worker = ("worker", str(definitions), "--broker", broker, "--port", "0", "--clock", "event")
        sink = ("sink", "redis", "--broker", broker, "--redis", redis)
        parts = [
            stack.enter_context(Part(folder / "worker.log", *worker)),
            stack.enter_context(Part(folder / "sink.log", *sink)),
        ]
        shown = ("dashboard", str(definitions), "--broker", broker, "--redis", redis, "--port", "0")
        dashboard = stack.enter_context(Part(folder / "dashboard.log", *shown, "--time-zone", "Europe/Berlin"))
        parts[0].has_said(r"partitions: \d")
        url = dashboard.has_said(r"the dashboard is at (http://\S+)")[1]
        yield RealParts(broker, url.rstrip("/"), folder, [*parts, dashboard])
