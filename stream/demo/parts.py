"""All parts of the demo: started one after the other, watched, and taken away."""

from __future__ import annotations

import contextlib
import importlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import stream
from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.process import BrokerProcess
from stream.brokers.redis_server import RedisServer
from stream.demo.guard import Guard
from stream.demo.interrupts import Interrupts
from stream.demo.part import Part, last_lines
from stream.errors import BrokerStartError, PartEndedError

#: Parts are asked to end; after so long they are killed. What they hold is thrown away.
_ENDED_WITHIN_S = 10.0
_POLL_S = 0.02


class Parts:
    """The processes of the demo. All is taken away when it is left, by the guard if this process is killed."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._servers: dict[str, BrokerProcess] = {}
        self._commands: dict[str, Part] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Parts:
        self._guard = self._stack.enter_context(Guard())
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="segstream-demo-")))
        self._guard.tell_folder(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._interrupts.close()
        self._stop_commands()
        self._stack.close()

    def serve(self, name: str, server: BrokerProcess) -> None:
        """Starts a server of our own. Raises ``BrokerStartError``."""
        self._guard.tell_folder(server.directory)
        server.on_start = self._guard.tell_process
        self._stack.callback(server.close)
        server.start()
        self._servers[name] = server

    def run(self, name: str, *arguments: str) -> None:
        """Starts one of our commands."""
        self._commands[name] = Part(name, list(arguments), self.folder, self._guard)

    def check(self) -> None:
        """Raises ``PartEndedError`` when one of them has ended."""
        for name, server in self._servers.items():
            if not server.is_running():
                raise _ended(name, "has ended", last_lines(server.log))
        for name, part in self._commands.items():
            if not part.is_running():
                raise _ended(name, part.how_it_ended(), part.last_lines())
        if not self._guard.is_running():
            raise _ended("guard", "has ended", "")

    def _stop_commands(self) -> None:
        running = list(self._commands.values())
        for part in running:
            part.ask_to_stop()
        deadline = time.monotonic() + _ENDED_WITHIN_S
        while any(part.is_running() for part in running):
            if self._interrupts.hurry or time.monotonic() > deadline or self._is_a_server_gone():
                break
            time.sleep(_POLL_S)
        for part in running:
            part.kill()

    def _is_a_server_gone(self) -> bool:
        """Then there is nothing to end in order for."""
        return any(not server.is_running() for server in self._servers.values())


def _ended(name: str, how: str, lines: str) -> PartEndedError:
    last = f"; the last that it said:\n{lines}" if lines else ", and had said nothing"
    return PartEndedError(f"a part of the demo, the {name}, {how}{last}")


def make_broker(*, is_kafka: bool) -> BrokerProcess:
    """The broker that the demo starts. Raises ``BrokerStartError`` where Apache Kafka is asked for and can't run."""
    return _apache() if is_kafka else EmbeddedBroker()


def _apache() -> BrokerProcess:
    """Apache Kafka, which the scripts beside the package know how to run."""
    clone = Path(stream.__file__).parents[1]
    if not (clone / "scripts" / "kafka" / "apache.py").is_file():
        raise BrokerStartError("--kafka works in a clone of the repository only; --broker takes any Apache Kafka")
    with _importable(clone):
        apache = importlib.import_module("scripts.kafka.apache")
    missing = apache.missing_programs()
    if missing:
        raise BrokerStartError(f"Apache Kafka needs {' and '.join(missing)}, not installed here")
    broker = apache.ApacheKafka()
    assert isinstance(broker, BrokerProcess), "it is one of our brokers"
    return broker


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def make_redis() -> RedisServer:
    """The Redis that the demo starts."""
    return RedisServer()
