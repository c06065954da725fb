"""Many worlds: ``python -m tests.worker.campaign --seeds 1000000 --start 0 --jobs 2``.

Prints each seed that fails; ``--show SEED`` runs one again and prints what happened, step by step.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context

from tests.worker.simulation import simulate

#: Seeds given to a process at once.
_PART = 50


def run_part(part: tuple[int, int, bool]) -> list[tuple[int, str]]:
    """What went wrong in the worlds from one seed to before another."""
    start, stop, rough = part
    found = ((seed, simulate(seed, rough=rough)[1]) for seed in range(start, stop))
    return [(seed, problem) for seed, problem in found if problem is not None]


def show(seed: int, *, rough: bool) -> int:
    """One world, with all its steps."""
    simulation, problem = simulate(seed, trace=True, rough=rough)
    scenario = simulation.scenario
    print(f"seed {seed}: {scenario.mode}, {'sorted' if scenario.is_sorted else 'as it comes'}, files {scenario.files}")
    print(f"until {scenario.until_ms}, erasures {scenario.erasures}, bad records {sorted(scenario.bad)}")
    for (kind, offset), event in scenario.events.items():
        print(f"  {kind.topic} @{offset}: {event}")
    print("\n".join(simulation.notes))
    print(problem or "all is well")
    return 1 if problem else 0


def parts(arguments: argparse.Namespace) -> Iterator[tuple[int, int, bool]]:
    end = arguments.start + arguments.seeds
    for start in range(arguments.start, end, _PART):
        yield start, min(start + _PART, end), arguments.rough


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulates many worlds and tells which ones go wrong.")
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--rough", action="store_true", help="more goes wrong than in the ordinary tests")
    parser.add_argument("--show", type=int, metavar="SEED", help="one world, step by step")
    arguments = parser.parse_args()
    if arguments.show is not None:
        return show(arguments.show, rough=arguments.rough)
    started, failed = time.monotonic(), 0
    with get_context("spawn").Pool(arguments.jobs) as pool:
        for problems in pool.imap(run_part, parts(arguments)):
            for seed, problem in problems:
                failed += 1
                print(f"seed {seed}: {problem}", flush=True)
    seconds = time.monotonic() - started
    print(f"{arguments.seeds} worlds, {failed} wrong, {arguments.seeds / seconds:.0f} a second")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
