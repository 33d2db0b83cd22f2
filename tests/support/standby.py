"""A streaming replica of a PostgreSQL that the test started."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from tasker.embedded.account import current_account, is_root, owner_account
from tasker.embedded.binaries import find_binaries

_START_S = 60.0
_PAUSE_S = 0.05


class Standby:
    """Copies the server of `admin_dsn`, and follows it while it runs. `dsn` of a database is that of the copy."""

    def __init__(self, admin_dsn: str) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(admin_dsn).query).items()}
        self._socket, self._port = Path(query["host"]), int(query["port"])
        self._admin_dsn = admin_dsn
        self._user = urlsplit(admin_dsn).username or ""
        self._account = owner_account(self._socket.resolve()) if is_root() else current_account()
        self._bin = find_binaries().folder
        # Beside the socket: there the account may write, however the machine's folder for temporary files is closed.
        self._data = Path(tempfile.mkdtemp(prefix="standby-", dir=self._socket))
        self._account.own(self._data)
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers questions."""
        if not (self._data / "PG_VERSION").exists():
            self._open_primary()
            where = ["-h", str(self._socket), "-p", str(self._port), "-U", self._user]
            done = self._account.run(
                [str(self._bin / "pg_basebackup"), "-D", str(self._data), "-R", "-X", "stream", "-c", "fast", *where]
            )
            assert done.returncode == 0, done.stderr
        command = [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self._port + 1)]
        with (self._data.parent / "standby.log").open("ab") as log:
            self._server = subprocess.Popen(
                [*command, "-k", str(self._socket), "-c", "listen_addresses="],
                stdout=log,
                stderr=log,
                **self._account.options(),
            )
        deadline = time.monotonic() + _START_S
        while not self._answers():
            assert self._server.poll() is None, (self._data.parent / "standby.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the standby does not answer"
            time.sleep(_PAUSE_S)

    def stop(self) -> None:
        """Ends it at once, with all connections."""
        if self._server is not None:
            self._server.terminate()
            self._account.run([str(self._bin / "pg_ctl"), "-D", str(self._data), "-m", "immediate", "stop"])
            self._server.wait()
            self._server = None

    def remove(self) -> None:
        """Ends it for good."""
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)

    def dsn(self, database: str) -> str:
        """Of a database on it."""
        return f"postgresql://{self._user}@/{database}?host={self._socket}&port={self._port + 1}"

    def replay(self, is_on: bool) -> None:
        """Lets it fall behind, or catch up."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"select pg_wal_replay_{'resume' if is_on else 'pause'}()")

    def _open_primary(self) -> None:
        """Lets the primary be copied: of itself it takes no replication."""
        with psycopg.connect(self._admin_dsn, autocommit=True) as connection:
            file = (connection.execute("show hba_file").fetchone() or ("",))[0]
            line = "local replication all trust"
            done = self._account.run(["/bin/sh", "-c", f"echo '{line}' >> \"$1\"", "sh", file])
            assert done.returncode == 0, done.stderr
            connection.execute("select pg_reload_conf()")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True
