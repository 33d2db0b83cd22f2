"""Starts workers and servers quickly: everything is imported once, and each process is a fork of this one.

Reads a line of JSON a process on stdin (`kind`, `work`, `environment`) and answers its id. When stdin closes it kills
what still lives.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any

import tasker.remote.worker
import tasker.server.rest  # noqa: F401 - so that servers start at once
from tasker.cli.serving.api import Serving, serve
from tasker.cli.serving.child import Work, work_in_foreground

_ENDED = {signal.SIGCHLD}


def main() -> None:
    """Until stdin closes."""
    living: set[int] = set()

    def reap(*_: object) -> None:
        """Takes leave of those that have ended. Their numbers are others' from then on."""
        with suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                living.discard(pid)

    signal.signal(signal.SIGCHLD, reap)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDED)  # it is noted before it can end
        pid = os.fork()
        if pid == 0:
            _become(order)
        living.add(pid)
        print(pid, flush=True)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDED)
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDED)
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def _become(order: dict[str, Any]) -> None:
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDED)
    nothing, said = os.open(os.devnull, os.O_RDWR), os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number, file in enumerate((nothing, said, said)):
        os.dup2(file, number)
    os.environ.update(order["environment"])
    if order["kind"] == "server":  # workers do this with their handlers
        from chaos import inside

        inside.begin()
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in order["work"].items()}
    code = 1
    try:
        code = work_in_foreground(Work(**fields)) if order["kind"] == "worker" else serve(Serving(**fields))
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
