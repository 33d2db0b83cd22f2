"""Starts workers quickly: everything is imported once, and each worker is a fork of this process.

Reads a line of JSON a worker on stdin (`work`, `environment`) and answers its process id. When stdin closes it kills
what still lives. A worker that dies is gone at once: nobody has to wait for it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from tasker.cli.serving.child import Work, work_in_foreground


def main() -> None:
    """Until stdin closes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    workers: list[int] = []
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _work(order)
        workers.append(pid)
        print(pid, flush=True)
    for pid in workers:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _work(order: dict[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.environ.update(order["environment"])
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in order["work"].items()}
    code = 1
    try:
        code = work_in_foreground(Work(**fields))
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
