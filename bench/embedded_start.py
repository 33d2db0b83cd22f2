"""How long the embedded PostgreSQL takes to start: `python bench/embedded_start.py [rounds]`.

Prints medians in milliseconds for the programs that are found (TASKER_POSTGRES_BIN chooses others): cold (no data
yet), warm (data, server down), join (server up), stop. Each round is a project of its own in a temporary folder.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tasker import embedded
from tasker.embedded.account import is_root
from tasker.embedded.place import SYSTEM_HOME, digest


def timed(work: Callable[[], object], into: list[float]) -> None:
    """Do the work and note its milliseconds."""
    begun = time.perf_counter()
    work()
    into.append((time.perf_counter() - begun) * 1000)


def measure_round(project: Path, figures: dict[str, list[float]]) -> str:
    """Start and stop one project's server, cold and warm. Returns PostgreSQL's version."""
    servers: list[embedded.Embedded] = []

    def start() -> None:
        servers.append(embedded.start(project))

    timed(start, figures["cold"])
    timed(start, figures["join"])
    servers.pop().release()
    timed(lambda: servers.pop().release(), figures["stop"])
    timed(start, figures["warm"])
    version = servers[0].version
    servers.pop().release()
    if is_root():
        shutil.rmtree(SYSTEM_HOME / digest(project))
    return version


def import_ms() -> float:
    """Milliseconds that `import tasker.embedded` adds to a bare interpreter."""
    spent: dict[str, list[float]] = {"pass": [], "import tasker.embedded": []}
    for _ in range(5):
        for code, into in spent.items():
            timed(lambda code=code: subprocess.run([sys.executable, "-c", code], check=True), into)  # noqa: S603
    bare, full = (statistics.median(figures) for figures in spent.values())
    return full - bare


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    figures: dict[str, list[float]] = {"cold": [], "warm": [], "join": [], "stop": []}
    version = ""
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            version = measure_round(Path(folder).resolve(), figures)
    medians = {f"{name}_ms": round(statistics.median(spent), 1) for name, spent in figures.items()}
    print(json.dumps({"postgres": version, "rounds": rounds, "import_ms": round(import_ms(), 1), **medians}))


if __name__ == "__main__":
    main()
