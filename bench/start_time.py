"""How long does it take to begin? Prints what `import tasker` and `tasker --help` cost.

    python bench/start_time.py [--runs 15]

Each run is a process of its own; the median counts. Asked: the import within 100 ms beyond what Python itself takes,
and the command within 250 ms in all. The exit code is 1 if either is missed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

IMPORT_MAX_MS, HELP_MAX_MS = 100, 250


def median_ms(runs: int, *command: str) -> float:
    """Milliseconds of a command, the first of its runs (which may read files from the disk) left out."""
    times: list[float] = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
        times.append((time.perf_counter() - began) * 1e3)
    return median(times[1:])


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Measure start-up times.")
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    python = median_ms(runs, sys.executable, "-c", "pass")
    imported = median_ms(runs, sys.executable, "-c", "import tasker") - python
    used = median_ms(runs, sys.executable, "-c", "from tasker import Tasker") - python
    helped = median_ms(runs, str(Path(sys.executable).with_name("tasker")), "--help")
    print(f"python by itself           {python:6.1f} ms")
    print(f"import tasker              {imported:6.1f} ms more (asked: {IMPORT_MAX_MS} or less)")
    print(f"from tasker import Tasker  {used:6.1f} ms more")
    print(f"tasker --help              {helped:6.1f} ms in all (asked: {HELP_MAX_MS} or less)")
    return 0 if imported <= IMPORT_MAX_MS and helped <= HELP_MAX_MS else 1


if __name__ == "__main__":
    sys.exit(main())
