"""Which machine this is, and which of its processes live: so that a dead worker is known at once on its own host."""

from __future__ import annotations

import os
import socket

from tasker.store.connection import Connection
from tasker.store.verbs import Verbs
from tasker.worker.log import log


def host_name() -> str:
    """Names the machine and its process-id namespace: two containers of one name do not see each other's processes."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}".strip()


def is_alive(pid: int) -> bool:
    """True while a process of this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def end_dead_neighbours(verbs: Verbs, connection: Connection) -> None:
    """Ends the sessions of processes of this host that are gone, so that their steps need not wait for a lease."""
    host = host_name()
    for pid in await verbs.live_processes(connection, host):
        if pid != os.getpid() and not is_alive(pid):
            released = await verbs.end_process(connection, host, pid, "its process is gone", is_loss=True)
            log.info("ended the session of a process that is gone", pid=pid, steps_released=released)
