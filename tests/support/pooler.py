"""A PgBouncer of the tests' own, in transaction mode, in front of the run's server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tasker.embedded.account import Account, current_account, is_root, owner_account

_PLACES = ("/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer")
_START_S = 30.0
_PAUSE_S = 0.02
_CONNECTIONS = 3


def find_pgbouncer() -> str:
    """The program. Skips the test where there is none."""
    found = next((one for one in (os.environ.get("TASKER_PGBOUNCER"), *_PLACES) if one and Path(one).exists()), None)
    if found is None:
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer, or name it in TASKER_PGBOUNCER")
    return found


class Pooler:
    """Lends a few connections to the server of `dsn`, one for each transaction. `options` are lines of its settings."""

    def __init__(self, dsn: str, options: str = "") -> None:
        self._program = find_pgbouncer()
        self._folder = Path(tempfile.mkdtemp(prefix="tasker-pooler-"))
        parts = urlsplit(dsn)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self._account = owner_account(Path(query["host"]).resolve()) if is_root() else current_account()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.dsn = f"postgresql://{parts.username}@127.0.0.1:{self._port}{parts.path}"
        (self._folder / "pooler.ini").write_text(
            f"[databases]\n* = host={query['host']} port={query['port']} user={parts.username}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self._port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = transaction\ndefault_pool_size = {_CONNECTIONS}\nserver_round_robin = 1\n"
            f"max_client_conn = 100\n{options}\n"
        )
        self._account.own(self._folder)
        self._account.own(self._folder / "pooler.ini")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def account(self) -> Account:
        """Who runs it: never root."""
        return self._account

    def start(self) -> None:
        """Returns when it takes connections."""
        with (self._folder / "said").open("ab") as said:
            self._process = subprocess.Popen(
                [self._program, str(self._folder / "pooler.ini")], stdout=said, stderr=said, **self._account.options()
            )
        deadline = time.monotonic() + _START_S
        while not self._answers():
            assert self._process.poll() is None, f"PgBouncer ended: {self._said()}"
            assert time.monotonic() < deadline, f"PgBouncer does not answer: {self._said()}"
            time.sleep(_PAUSE_S)

    def kill(self) -> None:
        """Ends it, with all connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Ends it for good."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=5):
                return True
        except OSError:
            return False

    def _said(self) -> str:
        return (self._folder / "said").read_text(errors="replace")[-2000:]
