"""The live worker's figures: throughput, delay, restoring, memory, over Apache Kafka. Run by ``make bench``.

Each part begins with an empty broker, each run with a fresh group. What is compared runs in turn, one after the other,
with nothing else running; figures are medians, with those of all rounds behind them.
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import delay, double_counting, redis_sink, restoring, throughput
from benchmarks.brokers import refuse_topics
from benchmarks.hardware import describe
from benchmarks.report import ROOT, commit
from benchmarks.setting import Setting, Sizes
from benchmarks.workers import READY
from stream.engine.plan import compile_plan
from stream.language.checker import load
from stream.preparation import prepare

PARTS: dict[str, Callable[[Setting], None]] = {
    "common": throughput.common,
    "ready": throughput.ready,
    "faust": throughput.faust,
    "double": double_counting.double,
    "delay": delay.delay,
    "restore": restoring.restore,
    "redis": redis_sink.redis_sink,
}
DEFAULTS = Sizes(
    common_events=1_000_000,
    ready_events=1_000_000,
    ready_customers=20_000,
    million_events=3_000_000,
    million_customers=1_000_000,
    faust_events=60_000,
    table_events=20_000,
    double_events=60_000,
    delay_rate=10_000,
    delay_seconds=30,
    redis_events=2_000_000,
    redis_customers=200_000,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(PARTS), help="one part only")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--broker", metavar="HOST:PORT", help="an empty broker; by default Apache Kafka is started")
    parser.add_argument("--yardstick", type=Path, default=ROOT.parent / "shared" / "bench", metavar="DIR")
    for name, default in dataclasses.asdict(DEFAULTS).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # brokers and workers are ended then too
    refuse_topics(chosen.broker)
    print(describe())
    print(f"commit: {commit()}; {'a broker of yours' if chosen.broker else 'Apache Kafka'}, on the same machine")
    yardstick = _yardstick(chosen.yardstick)
    sizes = Sizes(**{name: getattr(chosen, name) for name in dataclasses.asdict(DEFAULTS)})
    prepare(compile_plan(load(READY.read_bytes(), str(READY))))  # no run is the first one
    with tempfile.TemporaryDirectory(prefix="segstream-bench-") as folder:
        setting = Setting(chosen.broker, yardstick, chosen.rounds, Path(folder), sizes)
        for name, measure in PARTS.items():
            if chosen.only in (None, name):
                began = time.monotonic()
                measure(setting)
                print(f"  ({name}: {time.monotonic() - began:.0f} s)", flush=True)


def _yardstick(folder: Path) -> Path | None:
    """The yardstick's folder, if all of it is there."""
    missing = [name for name in ("plain_loop.py", "same_work.py", "same_work.yaml") if not (folder / name).exists()]
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        missing.append("the package confluent-kafka (pip install 'segstream[bench]')")
    if missing:
        print(
            f"no yardstick: {', '.join(missing)} not found; --yardstick names its folder. The common work is left out"
        )
        return None
    return folder


if __name__ == "__main__":
    main()
