"""Throwaway servers: what tests and benchmarks run on."""

from __future__ import annotations

import stat
from pathlib import Path

import psycopg
import pytest
from embedded_actors import query

from tasker.embedded import PrivateServer, postmaster, start_private
from tasker.embedded.account import is_root
from tasker.embedded.binaries import Binaries
from tasker.embedded.place import SYSTEM_HOME, digest
from tasker.model.errors import EmbeddedPostgresError


def _home(server: PrivateServer) -> Path:
    """The folder that holds the server's locks and password."""
    directory = server.data_dir.parent
    return SYSTEM_HOME / f"private-{digest(directory)}" if is_root() else directory


def test_a_private_server_keeps_what_was_committed_through_a_crash(desk: Path, binaries: Binaries) -> None:
    """After a crash and a restart, committed rows are there and the DSN is the same; after `remove` nothing is."""
    with start_private(desk / "server") as server:
        dsn, data = server.dsn, server.data_dir
        with psycopg.connect(dsn) as connection:
            connection.execute("create table kept as select 1 as number")
        server.crash()
        assert not server.is_running
        with pytest.raises(psycopg.OperationalError):
            query(dsn, "select 1")
        server.restart()
        assert server.dsn == dsn
        assert query(dsn, "select number from kept") == 1
        server.stop()
        server.restart()
        assert query(dsn, "select number from kept") == 1
    assert not server.is_running
    assert not data.exists()


def test_a_private_servers_crash_takes_its_backends_along(desk: Path, any_binaries: Binaries) -> None:
    """A connection that was open is cut at once."""
    with start_private(desk / "server") as server, psycopg.connect(server.dsn) as connection:
        server.crash()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")


def test_settings_are_the_servers(desk: Path, any_binaries: Binaries) -> None:
    """What is given holds through a restart; what is not keeps the durable default."""
    with start_private(desk / "server", settings={"fsync": "off", "work_mem": "7MB"}) as server:
        server.restart()
        assert query(server.dsn, "show work_mem") == "7MB"
        assert query(server.dsn, "show fsync") == "off"
        assert query(server.dsn, "show full_page_writes") == "on"


def test_a_setting_that_postgresql_refuses_is_told(desk: Path, any_binaries: Binaries) -> None:
    """The error carries the end of the server's log, and nothing stays running."""
    with pytest.raises(EmbeddedPostgresError, match=r"ended before it had started on .*(?s:.*)no_such_setting"):
        start_private(desk / "server", settings={"no_such_setting": "1"})


def test_a_program_that_cannot_be_run_is_told(
    desk: Path, any_binaries: Binaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what the system said, and once it is mended the server starts."""
    with start_private(desk / "server") as server:
        server.stop()
        with (
            monkeypatch.context() as broken,
            pytest.raises(EmbeddedPostgresError, match=r"ended before(?s:.*)not found"),
        ):
            broken.setattr(Binaries, "program", lambda _, name: f"/no/such/{name}")
            server.restart()
        server.restart()
        assert query(server.dsn, "select 1") == 1


def test_two_private_servers_know_nothing_of_each_other(desk: Path, any_binaries: Binaries) -> None:
    """Each has its own data and socket."""
    with start_private(desk / "a") as first, start_private(desk / "b") as second:
        assert first.dsn != second.dsn
        first.crash()
        assert query(second.dsn, "select 1") == 1


def test_without_unix_sockets_it_is_tcp_with_a_password(
    desk: Path, binaries: Binaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server listens on the loopback only, refuses a wrong password, and the password is nobody else's to read."""
    monkeypatch.setattr(postmaster, "sockets_work", lambda _: False)
    with start_private(desk / "server") as server:
        parts = psycopg.conninfo.conninfo_to_dict(server.dsn)
        assert parts["host"] == "127.0.0.1"
        assert query(server.dsn, "show listen_addresses") == "127.0.0.1"
        assert query(server.dsn, "show unix_socket_directories") == ""
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            query(server.dsn.replace(str(parts["password"]), "wrong"), "select 1")
        server.restart()
        assert query(server.dsn, "select 1") == 1
        (file,) = _home(server).glob("run/password")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
