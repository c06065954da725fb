"""How long it takes from an event to its change, in a worker that is live."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks import brokers, traffic
from benchmarks.hardware import cpu_seconds
from benchmarks.report import each, head, show, spread
from benchmarks.setting import Setting
from benchmarks.workers import READY, end_of, environment, last_line, start
from stream.brokers.process import free_ports

_WARM_UP_S = 5
_READY_WITHIN_S = 120.0
_COMMITTED_WITHIN_S = 300.0
_POLL_S = 0.1
_CUSTOMERS = 20_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Round:
    """Delays in milliseconds, by when a change was stamped and by when it was received; and what it took."""

    written: Floats
    received: Floats
    rate: float
    latest_ms: float
    worker_cpus: float


def delay(setting: Setting) -> None:
    """A live worker under a steady stream of events; changes that events have caused, against those events."""
    sizes = setting.sizes
    command = f"--only delay --delay-rate {sizes.delay_rate} --delay-seconds {sizes.delay_seconds}"
    head("Delay", f"python -m benchmarks.live {command}")
    events = traffic.simulated(setting.folder, sizes.delay_rate * sizes.delay_seconds, _CUSTOMERS)
    rounds = []
    for i in range(setting.rounds):
        with brokers.fresh_broker(setting.broker) as address:
            brokers.renew_outputs(address)
            rounds.append(_round(setting, address, events, i))
    show("events", f"{events.source}, as they are now")
    show("events/s sent, by round", each([one.rate for one in rounds], 0))
    show("changes caused by events, by round", each([len(one.received) for one in rounds], 0))
    for name, found in (("received", [one.received for one in rounds]), ("written", [one.written for one in rounds])):
        for what, percent in (("p50", 50), ("p99", 99), ("largest", 100)):
            values = [float(np.percentile(delays, percent)) for delays in found]
            show(f"until the change is {name}, {what}, ms: median of rounds", spread(values, 1))
    show("the producer's largest lag behind its own pace, ms", each([one.latest_ms for one in rounds], 1))
    show("the worker's share of a core", each([one.worker_cpus for one in rounds], 2))


def _round(setting: Setting, address: str, events: traffic.Traffic, number: int) -> Round:
    """One worker, one producer, one consumer, each in a process of its own."""
    (port,) = free_ports(1)
    worker = _start_worker(setting, address, number, port)
    found = setting.folder / f"delays-{number}.json"
    log = setting.folder / f"delay-{number}-clients.log"
    reader = start("benchmarks.change_reader", address, str(found), log=log)
    try:
        _until_ready(port, worker)
        assert reader.stdout is not None
        reader.stdout.readline()  # it reads
        rate = str(setting.sizes.delay_rate)
        producer = start("benchmarks.paced_producer", address, str(events.path), rate, str(_WARM_UP_S), log=log)
        try:
            assert producer.stdout is not None
            producer.stdout.readline()  # it has warmed up
            began, cpu = time.monotonic(), cpu_seconds(worker.pid)
            sent = last_line(producer)
            cpus = (cpu_seconds(worker.pid) - cpu) / (time.monotonic() - began)
        finally:
            producer.kill()
            producer.communicate()
        _until_committed(address, f"delay-{number}", events.events)  # the slowest changes count too
        reader.terminate()
        reader.communicate(timeout=_READY_WITHIN_S)
        worker.send_signal(signal.SIGTERM)
        if worker.wait(_READY_WITHIN_S):
            raise RuntimeError(
                f"the worker has not ended as it should:\n{end_of(setting.folder / f'delay-{number}.log')}"
            )
    finally:
        for process in (worker, reader):
            process.kill()
            process.wait()
    delays = json.loads(found.read_bytes())
    chosen = np.array(delays["sent_us"], dtype=np.int64) >= sent["warm_us"]
    return Round(
        np.array(delays["written_ms"], dtype=np.float64)[chosen],
        np.array(delays["received_ms"], dtype=np.float64)[chosen],
        sent["rate"],
        sent["latest_ms"],
        cpus,
    )


def _start_worker(setting: Setting, address: str, number: int, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "stream", "worker", str(READY), "--broker", address, "--id", f"delay-{number}"]
    with (setting.folder / f"delay-{number}.log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--clock", "wall", "--port", str(port)],
            stdout=log,
            stderr=log,
            env=environment(),
            cwd=brokers.ROOT,
        )


def _until_committed(address: str, group: str, events: int) -> None:
    """Waits until the worker has done with all events, so that all changes are in their topic."""
    deadline = time.monotonic() + _COMMITTED_WITHIN_S
    while brokers.committed(address, group) < events:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the worker is not done {_COMMITTED_WITHIN_S:g} s after the last event")
        time.sleep(_POLL_S)


def _until_ready(port: int, worker: subprocess.Popen[bytes]) -> None:
    """Waits until the worker has its partitions."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline and worker.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_S)
    raise RuntimeError(f"the worker is not ready after {_READY_WITHIN_S:g} s")
