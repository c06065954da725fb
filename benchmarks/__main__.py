"""All benchmarks, or one part of them. Run by ``make bench``, and by ``make bench ONLY=common``."""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks import engine, live
from benchmarks.report import ROOT

_PARTS = {"engine": engine.PARTS, "live": tuple(live.PARTS)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[part for parts in _PARTS.values() for part in parts], help="one part only")
    only = parser.parse_args().only
    if only is None:
        print("This takes about twenty minutes, in which nothing else should be running.", flush=True)
    for module, parts in _PARTS.items():
        # A process each: one keeps to one core.
        if only is None or only in parts:
            options = [] if only is None else ["--only", only]
            done = subprocess.run([sys.executable, "-m", f"benchmarks.{module}", *options], cwd=ROOT, check=False)
            if done.returncode:
                sys.exit(done.returncode)


if __name__ == "__main__":
    main()
