"""One server a project: started by the first, shared, stopped by the last. As root and as a user, on 15 and 18."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
from pathlib import Path

import asyncpg
import psycopg
import pytest
from embedded_actors import Stage, query, wait_for

from tasker.embedded.place import digest


def postgres_lives(data_dir: str) -> bool:
    """True while a postmaster has written its id into the data folder."""
    return Path(data_dir, "postmaster.pid").exists()


def test_the_first_start_makes_a_durable_server_and_the_last_leaver_stops_it(every_stage: Stage) -> None:
    """A project without data gets a server with role and database `tasker` that forces commits to disk; data stay."""
    project = every_stage.folder("first time")
    actor = every_stage.actor(project)
    server = actor.ask("start")
    assert query(server["dsn"], "select current_database() || '/' || current_user") == "tasker/tasker"
    assert query(server["admin_dsn"], "select current_database()::text") == "postgres"
    for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert query(server["dsn"], f"show {setting}") == "on"
    assert query(server["dsn"], "show listen_addresses") == ""
    assert query(server["dsn"], "show server_version").startswith(server["version"])
    with psycopg.connect(server["dsn"]) as connection:
        connection.execute("create table kept (word text)")
        connection.execute("insert into kept values ('Größe')")
    actor.leave()
    assert not postgres_lives(server["data_dir"])

    again = every_stage.actor(project)
    assert query(again.ask("start")["dsn"], "select word from kept") == "Größe"
    again.leave()


async def test_asyncpg_takes_the_dsn(stage: Stage) -> None:
    """The same DSN serves asyncpg and psycopg."""
    actor = stage.actor()
    connection = await asyncpg.connect(actor.ask("start")["dsn"])
    assert await connection.fetchval("select 1") == 1
    await connection.close()
    actor.leave()


def test_nobody_else_can_enter_the_folders(stage: Stage) -> None:
    """The data and the socket's folder are closed to every other account, and the latter goes with the last user."""
    actor = stage.actor(stage.folder("closed"))
    server = actor.ask("start")
    sockets = Path(str(query(server["dsn"], "show unix_socket_directories")).strip('"'))
    for folder in (Path(server["data_dir"]), sockets):
        found = folder.stat()
        assert stat.S_IMODE(found.st_mode) == 0o700
        assert found.st_uid != 0
    actor.leave()
    assert not sockets.exists()


def test_two_first_starts_at_once_share_one_server(stage: Stage) -> None:
    """Processes that ask at the same moment get the same postmaster, the very first time too."""
    project = stage.folder("asked for at once")
    actors = [stage.actor(project) for _ in range(3)]
    for actor in actors:
        actor.send("start")
    assert len({actor.receive()["pid"] for actor in actors}) == 1
    assert sorted(actors[0].ask("status")["users"]) == sorted(actor.pid for actor in actors)
    for actor in actors:
        actor.leave()


def test_a_user_that_leaves_does_not_stop_the_others_server(stage_once: Stage) -> None:
    """The server lives until its last user has left."""
    first, second = stage_once.actor(), stage_once.actor()
    first.ask("start")
    server = second.ask("start")
    first.leave()
    assert query(server["dsn"], "select 1") == 1
    second.leave()
    assert not postgres_lives(server["data_dir"])


def test_every_start_of_a_process_wants_its_release(stage_once: Stage) -> None:
    """Two starts in one process are two uses: the first release keeps the server, the second stops it."""
    actor = stage_once.actor()
    server = actor.ask("start")
    actor.ask("start")
    actor.ask("release")
    assert query(server["dsn"], "select 1") == 1
    actor.ask("release")
    assert not actor.ask("status")["is_running"]
    actor.leave()


def test_stop_ends_a_server_that_is_in_use(stage_once: Stage) -> None:
    """`stop` does not ask the users; it says whether there was a server, and nobody revives it; a user can start it
    again and leave as ever."""
    user, operator = stage_once.actor(), stage_once.actor()
    server = user.ask("start")
    assert operator.ask("stop") is True
    assert operator.ask("stop") is False
    assert not operator.ask("status")["is_running"]
    with pytest.raises(AssertionError):
        wait_for(lambda: operator.ask("status")["is_running"], "somebody revives it", 2.5)
    user.ask("start")
    assert query(server["dsn"], "select 1") == 1
    user.leave()
    assert not postgres_lives(server["data_dir"])


def test_status_before_the_first_start_makes_nothing(stage_once: Stage) -> None:
    """Looking at a project leaves no trace in it."""
    project = stage_once.folder("untouched")
    actor = stage_once.actor(project)
    assert actor.ask("status")["is_running"] is False
    assert actor.ask("stop") is False
    assert list(project.iterdir()) == []
    assert not stage_once.home(project).exists()


def test_ctrl_c_does_not_reach_the_server(stage_once: Stage) -> None:
    """An interrupt of the starter's whole process group leaves the server to its other users."""
    starter, other = stage_once.actor(), stage_once.actor()
    starter.ask("start")
    server = other.ask("start")
    os.killpg(starter.pid, signal.SIGINT)
    starter.ask("status")
    assert query(server["dsn"], "select 1") == 1
    starter.kill()
    os.kill(server["pid"], 0)
    assert query(server["dsn"], "select 1") == 1
    other.leave()


@pytest.mark.parametrize("name", ["with spaces and 'quotes', commas", "x" * 200, "Größe-日本"])
def test_any_project_path_will_do(user_stage: Stage, name: str) -> None:
    """Spaces, quotes, other scripts and 200 characters are no hindrance."""
    project = user_stage.folder(name)
    actor = user_stage.actor(project)
    assert query(actor.ask("start")["dsn"], "select 1") == 1
    actor.leave()


@pytest.mark.parametrize("home", ["missing", "unreadable", "read-only"])
def test_the_home_folder_is_not_needed(stage_once: Stage, home: str) -> None:
    """A home that is missing, closed or read-only makes no difference."""
    path = stage_once.desk / "home"
    if home != "missing":
        path.mkdir()
        path.chmod(0 if home == "unreadable" else 0o555)
    actor = stage_once.actor(HOME=str(path), XDG_RUNTIME_DIR=str(path))
    assert query(actor.ask("start")["dsn"], "select 1") == 1
    actor.leave()
    if home != "missing":
        path.chmod(0o755)


def test_variables_meant_for_other_databases_change_nothing(stage_once: Stage) -> None:
    """PGPORT, PGDATA and their like belong to the host application."""
    actor = stage_once.actor(PGPORT="1", PGDATA="/nowhere", PGHOST="/nowhere", PGUSER="someone", LC_ALL="xx_XX")
    assert query(actor.ask("start")["dsn"], "select 1") == 1
    actor.leave()


def test_the_project_folder_says_where_the_data_are(stage_once: Stage) -> None:
    """`.tasker` holds a README with the data's path and keeps itself out of git; it belongs to the project's owner."""
    actor = stage_once.actor()
    server = actor.ask("start")
    folder = stage_once.project / ".tasker"
    assert server["data_dir"] in (folder / "README.md").read_text()
    assert (folder / ".gitignore").read_text() == "*\n"
    assert folder.stat().st_uid == stage_once.project.stat().st_uid
    actor.leave()


@pytest.mark.parametrize("is_own", [False, True])
def test_a_socket_folder_that_others_can_enter_is_not_trusted(user_stage: Stage, is_own: bool) -> None:
    """Where the folder's name in /tmp is taken by another account, or by an open folder, the socket lies elsewhere."""
    project = user_stage.folder("trapped")
    data = user_stage.home(project) / "postgres"
    trap = Path("/tmp", f"tasker-{user_stage.uid}-{digest(data)}")  # noqa: S108 (the name that Tasker would take)
    trap.mkdir()
    trap.chmod(0o777)
    if is_own:
        os.chown(trap, user_stage.uid, user_stage.gid)
    elif not user_stage.is_other:
        trap.rmdir()
        pytest.skip("needs root")
    try:
        actor = user_stage.actor(project)
        server = actor.ask("start")
        assert f"host={trap}&" not in server["dsn"]
        assert query(server["dsn"], "select 1") == 1
        actor.leave()
        assert stat.S_IMODE(trap.stat().st_mode) == 0o777
    finally:
        trap.rmdir()


def test_a_project_whose_folder_was_deleted_begins_anew(user_stage: Stage) -> None:
    """The old server, which may go on for a while on data that are gone, is not joined by anybody who starts later."""
    project = user_stage.folder("deleted")
    first = user_stage.actor(project)
    old = first.ask("start")
    shutil.rmtree(project / ".tasker")
    second = user_stage.actor(project)
    new = second.ask("start")
    assert new["pid"] != old["pid"]
    assert query(new["dsn"], "select 1") == 1
    assert first.ask("start")["dsn"] == new["dsn"]
    second.leave()
    assert query(new["dsn"], "select 1") == 1
    first.leave()
    assert not user_stage.server_lives(project)
    with contextlib.suppress(ProcessLookupError):
        os.kill(old["pid"], signal.SIGQUIT)


def test_a_server_that_lost_its_socket_is_replaced(stage_once: Stage) -> None:
    """When a cleaner of /tmp took the socket's folder, the next start makes a server that can be reached."""
    first = stage_once.actor()
    server = first.ask("start")
    sockets = Path(str(query(server["dsn"], "show unix_socket_directories")).strip('"'))
    for file in sockets.iterdir():
        file.unlink()
    second = stage_once.actor()
    again = second.ask("start")
    assert again["pid"] != server["pid"]
    assert query(again["dsn"], "select 1") == 1
    first.leave()
    second.leave()


def test_a_child_that_was_forked_is_no_user(stage_once: Stage) -> None:
    """A forked child is one only after its own start: neither its end nor its life touches the parent's use."""
    parent = stage_once.actor()
    server = parent.ask("start")
    assert parent.ask("fork_and_exit_child") == 0
    assert parent.ask("fork_and_start_child") == 0
    assert query(server["dsn"], "select 1") == 1

    child = parent.ask("fork_idle_child")
    parent.kill()
    visitor = stage_once.actor()
    visitor.ask("start")
    assert visitor.ask("status")["users"] == [visitor.pid]
    visitor.leave()
    wait_for(lambda: not postgres_lives(server["data_dir"]), "the server to stop")
    os.kill(child, signal.SIGKILL)
