"""A process that uses the embedded PostgreSQL on command: one JSON line in, one JSON line out.

It is run by its path, by whatever account and interpreter the test wants, so it imports only what `start` needs.
"""

import json
import os
import signal
import sys
from pathlib import Path

signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C must not end the actor before the test is done

from tasker import embedded  # noqa: E402
from tasker.model.errors import TaskerError  # noqa: E402


def describe(server: embedded.Embedded | embedded.PrivateServer) -> dict[str, object]:
    """What a test wants to know of a server."""
    return {
        "dsn": server.dsn,
        "admin_dsn": server.admin_dsn,
        "pid": server.pid,
        "version": server.version,
        "data_dir": str(server.data_dir),
    }


def fork_idle_child() -> int:
    """Fork a child that does nothing until it is killed. Returns its id."""
    child = os.fork()
    if child == 0:
        os.close(0)
        os.close(1)
        signal.pause()
    return child


def fork_and_exit_child() -> int:
    """Fork a child that ends as a Python program does, its exit hooks included. Returns its exit code."""
    child = os.fork()
    if child == 0:
        sys.exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork_and_start_child(root: Path) -> int:
    """Fork a child that starts for itself, and ends. Returns 0 if it was a user meanwhile."""
    child = os.fork()
    if child == 0:
        embedded.start(root)
        sys.exit(os.getpid() not in embedded.status(root).users)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Obey until the input ends."""
    root = Path(sys.argv[1])
    servers: list[embedded.Embedded | embedded.PrivateServer] = []

    def start() -> dict[str, object]:
        servers.append(embedded.start(root))
        return describe(servers[-1])

    def start_private() -> dict[str, object]:
        servers.append(embedded.start_private(root))
        return describe(servers[-1])

    def status() -> dict[str, object]:
        found = embedded.status(root)
        return {"is_running": found.is_running, "users": list(found.users), "data_dir": str(found.data_dir)}

    verbs = {
        "start": start,
        "start_private": start_private,
        "release": lambda: servers.pop().release(),
        "status": status,
        "stop": lambda: embedded.stop(root),
        "fork_idle_child": fork_idle_child,
        "fork_and_exit_child": fork_and_exit_child,
        "fork_and_start_child": lambda: fork_and_start_child(root),
    }
    for line in sys.stdin:
        try:
            reply = {"value": verbs[line.strip()]()}
        except TaskerError as error:
            reply = {"error": str(error)}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
