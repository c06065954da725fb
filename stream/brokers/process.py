"""A broker in a process of its own: start it, know when it is ready, stop it, kill it."""

from __future__ import annotations

import abc
import asyncio
import base64
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stream.errors import BrokerStartError

HOST = "127.0.0.1"
READY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 20.0
#: Another process may take a port between our choosing it and the broker's listening.
_TRIES = 3
_POLL_S = 0.02
_LOG_LINES_SHOWN = 20


class BrokerProcess(abc.ABC):
    """One broker, alone in its cluster.

    What it keeps and its log lie in a temporary folder, which `close` removes. After `kill` or `stop` it may be started
    again: at the same address, and with what it has kept.
    """

    ports_needed = 1

    def __init__(self) -> None:
        # 16 bytes, as Apache Kafka wants it. It must not begin with a hyphen, so the first one is zero.
        self.cluster_id = base64.urlsafe_b64encode(b"\0" + os.urandom(15)).decode().rstrip("=")
        self._temporary = tempfile.TemporaryDirectory(prefix="segstream-broker-")
        self.directory = Path(self._temporary.name)
        #: Told of each process that is started, before anybody waits for it.
        self.on_start: Callable[[int], None] | None = None
        self._ports: tuple[int, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None

    @abc.abstractmethod
    def prepare(self, ports: tuple[int, ...]) -> None:
        """Writes what the broker needs in its directory before its first start. Called again for other ports."""

    @abc.abstractmethod
    def command(self, ports: tuple[int, ...]) -> list[str]:
        """The command that runs the broker; it listens at the first of ``ports``."""

    def environment(self) -> Mapping[str, str]:
        """The environment that the broker runs in."""
        return os.environ

    @property
    def address(self) -> str:
        """Where it listens, as ``HOST:PORT``."""
        assert self._ports, "it has not been started"
        return f"{HOST}:{self._ports[0]}"

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self._process is not None, "it is not running"
        return self._process.pid

    @property
    def log(self) -> Path:
        """What the broker prints."""
        return self.directory / "broker.log"

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Starts it and returns when it answers. Raises ``BrokerStartError`` when it does not."""
        assert not self.is_running(), "it is running already"
        if self._ports:
            self._run()
            return self
        for tries_left in reversed(range(_TRIES)):
            self._ports = free_ports(self.ports_needed)
            try:
                self.prepare(self._ports)
                self._run()
            except BrokerStartError:
                self._ports = ()
                if not tries_left:
                    raise
            else:
                break
        return self

    def _run(self) -> None:
        with self.log.open("ab") as log:
            # In a session of its own a Ctrl-C at the terminal reaches us only, and we stop it in order.
            self._process = subprocess.Popen(
                self.command(self._ports),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment(),
                start_new_session=True,
            )
        if self.on_start is not None:
            self.on_start(self._process.pid)
        deadline = time.monotonic() + READY_WITHIN_S
        while not asyncio.run(self._answers()):
            if not self.is_running() or time.monotonic() > deadline:
                self.kill()
                lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
                end = "\n".join(lines[-_LOG_LINES_SHOWN:])
                raise BrokerStartError(f"the broker has not started: {self.command(self._ports)[0]} says\n{end}")
            time.sleep(_POLL_S)

    async def _answers(self) -> bool:
        """Whether it is this very broker that answers at the address."""
        if not _is_open(self._ports[0]):  # asking aiokafka at once would only make it log what it misses
            return False
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address, request_timeout_ms=2_000)
        try:
            await admin.start()
            cluster = await admin.describe_cluster()
        except (KafkaError, OSError, TimeoutError):
            return False
        finally:
            await admin.close()
        known = {(broker["host"], broker["port"]) for broker in cluster["brokers"]}
        return cluster["cluster_id"] == self.cluster_id and (HOST, self._ports[0]) in known

    def stop(self) -> None:
        """Asks it to stop (SIGTERM), kills it when it does not, and returns when it is gone."""
        if self._process is None:
            return
        if self.is_running():
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOPPED_WITHIN_S)
        self.kill()

    def kill(self) -> None:
        """Kills it (SIGKILL), and returns when it is gone: only then may another use its directory."""
        if self._process is None:
            return
        if self.is_running():
            self._process.kill()
        self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stops it, and removes its temporary folder."""
        self.stop()
        self._temporary.cleanup()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()


def free_ports(count: int) -> tuple[int, ...]:
    """Ports of the loopback interface that nobody listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return tuple(one.getsockname()[1] for one in sockets)


def _is_open(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def serve(broker: BrokerProcess) -> None:
    """Runs a broker until this process is told to stop (Ctrl-C, SIGTERM, SIGHUP) or the broker ends."""
    stops = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    with broker:
        # Only now: the broker would inherit that these wait.
        signal.pthread_sigmask(signal.SIG_BLOCK, stops)
        _say(
            f"a broker listens at {broker.address} (process {broker.pid}); Ctrl-C ends it",
            f"in another terminal: export SEGSTREAM_BROKER={broker.address}",
        )
        while broker.is_running() and signal.sigtimedwait(stops, 0.5) is None:
            pass


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201 (for whoever started it at a terminal)
