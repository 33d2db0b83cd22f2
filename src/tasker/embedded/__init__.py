"""The PostgreSQL that Tasker runs itself when it is given no DSN.

The problem: a server that nobody installed must start for the first process of a project that asks, be shared by the
others, stop with the last one, and survive the sudden death of any of them, PostgreSQL's own processes included.

What does not work: trusting process ids (they are reused, and mean nothing in another container), counting users in a
file (the count is wrong after one `kill -9`), and letting `postmaster.pid` alone say whether a server lives.

What is done instead: whatever must end with a process is a lock that the kernel lets go when the process dies.

- `run/start.lock` is held by whoever starts, joins, leaves or stops; so those happen one at a time.
- `run/server.lock` is opened by the starter and inherited by the postmaster and each of its children. It is free
  exactly when no process of the server is left, and only then may another postmaster touch the data.
- `run/users/*`: one file for each process that uses the server, locked as long as that process lives.

A data folder is made under another name and renamed when it is complete and on disk, so that a killed `initdb` leaves
nothing that looks like data. The modules: `place` (where things lie), `account` (who runs the server), `binaries`,
`locks`, `cluster` (initdb), `postmaster` (one server: start, adopt, stop), `server` (what callers use).
"""

from tasker.embedded.binaries import Binaries, find_binaries
from tasker.embedded.dsn import redact
from tasker.embedded.place import project_root
from tasker.embedded.server import Embedded, PrivateServer, Status, start, start_private, status, stop

__all__ = [
    "Binaries",
    "Embedded",
    "PrivateServer",
    "Status",
    "find_binaries",
    "project_root",
    "redact",
    "start",
    "start_private",
    "status",
    "stop",
]
