"""The engine's figures: decoding, kernel, the whole way, timers, memory, start. Run by ``make bench``.

Times are CPU seconds of one core; ratios are taken within one round, and medians over the rounds. Nothing else should
be running.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import orjson

import benchmarks.plain
from benchmarks.hardware import describe, one_core, resident_bytes
from benchmarks.report import ROOT, commit, show
from stream.contract import Kind
from stream.engine import kernel
from stream.engine.partition import Clock, Partition
from stream.engine.plan import Plan, compile_plan
from stream.events.columns import Columns
from stream.events.decoder import Decoder
from stream.language.checker import load
from stream.preparation import prepare
from stream.simulate import Simulation

READY = ROOT / "stream" / "segments.yaml"
BATCH = 5_000
PARTS = ("way", "beside", "million", "start")
DAY_MS = 86_400_000


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds that ``work`` takes."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def whole_way(plan: Plan, lines: list[bytes], rounds: int) -> None:
    """From bytes to changes, beside what orjson takes for the same lines."""
    batches = [lines[i : i + BATCH] for i in range(0, len(lines), BATCH)]
    n = len(lines)
    results: dict[str, list[float]] = {}

    def loads_each() -> None:
        for line in lines:
            orjson.loads(line)

    def loads_batches() -> None:
        for batch in batches:
            [orjson.loads(line) for line in batch]

    decoded: list[Columns] = []

    def decode() -> None:
        decoder = Decoder(plan.wanted)
        decoded[:] = [decoder.decode_mixed(batch)[0] for batch in batches]

    changes = 0

    def everything() -> None:
        nonlocal changes
        decoder, partition = Decoder(plan.wanted), Partition(plan)
        changes = 0
        for batch in batches:
            changes += len(partition.apply(decoder.decode_mixed(batch)[0]).changes)

    def everything_as_json() -> None:
        decoder, partition = Decoder(plan.wanted), Partition(plan)
        for batch in batches:
            partition.apply(decoder.decode_mixed(batch)[0]).changes.json_lines()

    steps = {
        "loads": loads_each,
        "loads_batches": loads_batches,
        "decode": decode,
        "everything": everything,
        "as_json": everything_as_json,
    }
    for _ in range(rounds):
        for name, step in steps.items():
            results.setdefault(name, []).append(seconds(step) / n * 1e6)
        results.setdefault("kernel", []).append(kernel_seconds(plan, decoded) / n * 1e6)

    def middle(name: str) -> float:
        return statistics.median(results[name])

    def ratio(name: str, base: str) -> float:
        return statistics.median(a / b for a, b in zip(results[name], results[base], strict=True))

    size = sum(map(len, lines)) / n
    print(f"\n{n:,} simulated events of {size:.0f} bytes, {changes / n:.3f} changes an event, batches of {BATCH:,}:")
    show("orjson.loads of each line, the result thrown away at once", f"{middle('loads'):.2f} µs")
    show("orjson.loads of each line, a batch's results kept", f"{middle('loads_batches'):.2f} µs")
    show("decode: bytes to columns", f"{middle('decode'):.2f} µs, {ratio('decode', 'loads'):.2f} x orjson")
    rate = f"{1e6 / middle('kernel'):,.0f} events/s"
    show(f"kernel alone, {len(plan.definitions.segments)} segments", f"{middle('kernel'):.2f} µs, {rate}")
    show(
        "bytes to changes",
        f"{middle('everything'):.2f} µs, {ratio('everything', 'loads'):.2f} x orjson "
        f"({ratio('everything', 'loads_batches'):.2f} x with results kept), "
        f"{1e6 / middle('everything'):,.0f} events/s",
    )
    show("bytes to changes as JSON lines", f"{middle('as_json'):.2f} µs, {ratio('as_json', 'loads'):.2f} x orjson")


def kernel_seconds(plan: Plan, batches: list[Columns]) -> float:
    """CPU seconds of the kernel alone over all batches: no decoding, no look-up of customers, no records."""
    partition = Partition(plan)
    total = 0.0
    original = kernel.step

    def timed(*arguments: Any) -> int:
        nonlocal total
        start = time.process_time()
        done: int = original(*arguments)
        total += time.process_time() - start
        return done

    kernel.step = timed  # type: ignore[assignment]
    try:
        for batch in batches:
            partition.apply(batch)
    finally:
        kernel.step = original
    return total


def comparisons(lines: list[bytes], rounds: int) -> None:
    """The slow reference, and three segments over dictionaries."""
    sys.path.insert(0, str(ROOT))
    from tests.reference import Reference  # the tests' own judge, for its speed only

    definitions = READY.read_text()
    few = lines[: min(len(lines), 3_000)]

    def reference() -> None:
        judge = Reference(definitions)
        for line in few:
            judge.apply(orjson.loads(line))

    print("\nBeside it:")
    slow = seconds(reference) / len(few) * 1e6
    show(f"the slow reference, all segments, first {len(few):,} events", f"{slow:,.0f} µs, {1e6 / slow:,.0f} events/s")
    plain = statistics.median(seconds(lambda: benchmarks.plain.run(lines)) for _ in range(rounds)) / len(lines) * 1e6
    show("3 segments over dictionaries, nothing timed", f"{plain:.2f} µs, {1e6 / plain:,.0f} events/s")


def million(plan: Plan, rounds: int, customers: int = 1_000_000) -> None:
    """Memory at a million customers, and the scan for due timers over them."""
    gc.collect()
    before = resident_bytes()
    partition = Partition(plan, Clock.HELD)
    decoder = Decoder(plan.wanted)
    for start in range(0, customers, BATCH):
        messages = [
            b'{"event_id":"e%d","customer_id":"c%09d","timestamp":%d,"action":"product_view","country":"DE"}'
            % (i, i, 1_760_000_000_000 + i)
            for i in range(start, min(start + BATCH, customers))
        ]
        partition.apply(decoder.decode(Kind.CLICK, messages)[0])
    gc.collect()
    held = resident_bytes() - before
    print(f"\n{customers:,} customers:")
    show("memory a customer, ids and index included", f"{held / customers:,.0f} bytes ({held / 2**30:.2f} GiB)")
    show("of which row and timer", f"{plan.row_bytes:,} bytes")
    scans = []
    partition.profiles.due[:: customers // 1_000] = 5
    for _ in range(max(rounds, 5)):
        start_s = time.perf_counter()
        found = partition.profiles.due_by(1_000)
        scans.append(time.perf_counter() - start_s)
    show(f"scan for due timers ({len(found):,} found)", f"{statistics.median(scans) * 1e3:.2f} ms")
    start_cpu = time.process_time()
    some = [f"c{i:09d}" for i in range(0, customers, 20)]
    parts = [some[i : i + 1_000] for i in range(0, len(some), 1_000)]
    snapshots = [partition.snapshot(part) for part in parts]
    taken = time.process_time() - start_cpu
    size = statistics.mean(len(row) for data in snapshots for _, row in data.rows)
    show("snapshot: rows to bytes, 1,000 at a time", f"{taken / len(some) * 1e6:.2f} µs a row of {size:,.0f} bytes")
    partition = Partition(plan)

    def restore() -> None:
        for data in snapshots:
            partition.restore(data)

    taken = seconds(restore)
    show("restore: bytes to rows", f"{taken / len(some) * 1e6:.2f} µs a row, {len(some) / taken:,.0f} rows/s")


def start(rounds: int) -> None:
    """The first run's compilation, and later starts up to the first event."""
    program = """
import sys, time
start = time.perf_counter()
from pathlib import Path
from stream.engine.partition import Partition
from stream.engine.plan import compile_plan
from stream.events.decoder import Decoder
from stream.language.checker import load
from stream.preparation import prepare
plan = compile_plan(load(Path(sys.argv[1]).read_bytes(), sys.argv[1]))
prepare(plan)
Partition(plan).apply(Decoder(plan.wanted).decode_mixed([sys.argv[2].encode()])[0])
print(time.perf_counter() - start)
"""
    event = '{"type":"click","event_id":"e","customer_id":"c","timestamp":1,"action":"page_view"}'

    def once(cache: str) -> float:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        command = [sys.executable, "-c", program, str(READY), event]
        result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=ROOT)
        return float(result.stdout)

    with tempfile.TemporaryDirectory() as cache:
        first = once(cache)
        later = statistics.median(once(cache) for _ in range(rounds))
    print("\nStart, from the first import to the first event applied:")
    show("first run, compiling", f"{first:.1f} s")
    show("later runs", f"{later:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=PARTS, help="one part only")
    chosen = parser.parse_args()
    one_core()
    print(describe())
    print(f"commit: {commit()}; ready definitions: {READY.relative_to(ROOT)}; medians of {chosen.rounds} rounds")
    plan = compile_plan(load(READY.read_bytes(), str(READY)))
    prepare(plan)
    if chosen.only in (None, "way", "beside"):
        lines = b"".join(Simulation(events=chosen.events).chunks()).splitlines()
        if chosen.only != "beside":
            whole_way(plan, lines, chosen.rounds)
        if chosen.only != "way":
            comparisons(lines, chosen.rounds)
        del lines
    if chosen.only == "million":
        million(plan, chosen.rounds)
    elif chosen.only is None:
        # In a process of its own, so that what was in memory before does not hide what the rows take.
        command = [sys.executable, "-m", "benchmarks.engine", "--only", "million", "--rounds", str(chosen.rounds)]
        output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
        print(output[output.index("\n1,") :].rstrip(), flush=True)
    if chosen.only in (None, "start"):
        start(chosen.rounds)


if __name__ == "__main__":
    main()
