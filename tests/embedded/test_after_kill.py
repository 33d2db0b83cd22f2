"""Nothing that dies suddenly leaves a server that cannot be used, or one that never stops."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest
from embedded_actors import Actor, Stage, query, wait_for

from tasker.embedded import locks
from tasker.embedded.account import Account

KEPT = "select number from kept"


def start_with_a_row(actor: Actor) -> dict[str, str]:
    """Start, and commit a row that must never be lost; `KEPT` reads it."""
    server = actor.ask("start")
    with psycopg.connect(server["dsn"]) as connection:
        connection.execute("drop table if exists kept; create table kept as select 42 as number")
    return server


def answer(dsn: str) -> int | None:
    """What KEPT reads; None where nobody answers."""
    with contextlib.suppress(psycopg.OperationalError):
        return query(dsn, KEPT)
    return None


def test_a_killed_user_does_not_hold_the_server(stage: Stage) -> None:
    """The last living user stops the server although another was killed and never left."""
    killed, last = stage.actor(), stage.actor()
    killed.ask("start")
    last.ask("start")
    killed.kill()
    last.leave()
    assert not stage.server_lives()


def test_the_next_visitor_adopts_a_server_whose_users_were_all_killed(stage: Stage) -> None:
    """It is joined, not started anew, and stops when the visitor leaves."""
    killed = stage.actor()
    server = start_with_a_row(killed)
    killed.kill()
    assert stage.server_lives()
    visitor = stage.actor()
    joined = visitor.ask("start")
    assert joined["pid"] == server["pid"]
    assert visitor.ask("status")["users"] == [visitor.pid]
    assert len(list((stage.home() / "run" / "users").iterdir())) == 1
    visitor.leave()
    assert not stage.server_lives()


def test_a_killed_postmaster_is_replaced_and_nothing_is_lost(stage: Stage) -> None:
    """What was committed is there after the next start; without one, a user that lives on has it back in seconds."""
    actor = stage.actor()
    server = start_with_a_row(actor)
    os.kill(server["pid"], signal.SIGKILL)
    visitor = stage.actor()
    assert query(visitor.ask("start")["dsn"], KEPT) == 42
    os.kill(wait_for(lambda: postmaster_pid(stage), "a postmaster"), signal.SIGKILL)
    visitor.kill()
    assert wait_for(lambda: answer(server["dsn"]), "the server is back") == 42
    actor.leave()
    assert not stage.server_lives()


def postmaster_pid(stage: Stage) -> int:
    """The id in postmaster.pid."""
    return int((stage.home() / "postgres" / "postmaster.pid").read_text().split("\n")[0])


def test_a_backend_that_outlives_its_postmaster_is_ended_before_the_data_are_used(stage_once: Stage) -> None:
    """A stopped backend cannot notice that its postmaster is gone: no other server starts beside it."""
    actor = stage_once.actor()
    server = start_with_a_row(actor)
    with psycopg.connect(server["dsn"]) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        os.kill(server["pid"], signal.SIGKILL)
        visitor = stage_once.actor()
        assert query(visitor.ask("start")["dsn"], KEPT) == 42
        assert backend not in locks.holders(stage_once.home() / "run" / "server.lock")


def test_a_stopped_postmaster_can_be_ended(stage_once: Stage) -> None:
    """`stop` also ends a server that is frozen."""
    actor = stage_once.actor()
    server = actor.ask("start")
    os.kill(server["pid"], signal.SIGSTOP)
    assert actor.ask("stop") is True
    assert not stage_once.server_lives()
    actor.leave()


def test_a_starter_killed_during_initdb_leaves_nothing_in_the_way(stage: Stage) -> None:
    """Half-made data are never taken for data, and the next start removes them."""
    project = stage.folder("interrupted")
    starter = stage.actor(project)
    starter.send("start")
    unfinished = wait_for(lambda: list(stage.home(project).glob("postgres.new-*/PG_VERSION")), "initdb to begin")
    starter.kill()
    visitor = stage.actor(project)
    assert query(visitor.ask("start")["dsn"], "select 1") == 1
    wait_for(lambda: not initdb_works_in(unfinished[0].parent), "the orphaned initdb to give up")
    visitor.leave()


def test_half_made_data_are_removed(stage_once: Stage) -> None:
    """What lies beside the data under an unfinished name goes when a data folder is made."""
    project = stage_once.folder("half made")
    leftover = stage_once.home(project) / "postgres.new-0123"
    leftover.mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18")
    for folder in (leftover, leftover.parent):
        os.chown(folder, stage_once.uid, stage_once.gid)
    visitor = stage_once.actor(project)
    visitor.ask("start")
    assert not leftover.exists()
    visitor.leave()


def initdb_works_in(folder: Path) -> bool:
    """True while a process names the folder on its command line."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(folder) in (process / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


def test_a_starter_killed_before_its_server_was_ready_hands_it_over(stage: Stage) -> None:
    """The server that it launched is joined by the next, which stops it in the end."""
    warm = stage.actor()
    warm.ask("start")
    warm.leave()
    starter = stage.actor()
    starter.send("start")
    wait_for(lambda: stage.server_lives(), "the postmaster to be launched")
    starter.kill()
    visitor = stage.actor()
    assert query(visitor.ask("start")["dsn"], "select 1") == 1
    visitor.leave()
    assert not stage.server_lives()


@pytest.mark.parametrize("is_cold", [True, False])
def test_starters_killed_at_any_moment_do_no_harm(stage_once: Stage, is_cold: bool) -> None:
    """Starters are killed one after the other, each a little later in its start; then one that is left alone works."""
    project = stage_once.folder("hunted") if is_cold else stage_once.project
    starters, step_ms = (8, 75) if is_cold else (15, 4)
    for number in range(starters):
        starter = stage_once.actor(project)
        assert starter.ask("status") is not None
        starter.send("start")
        with contextlib.suppress(subprocess.TimeoutExpired):
            starter.process.wait(timeout=number * step_ms / 1000)
        starter.kill()
    visitor = stage_once.actor(project)
    assert query(visitor.ask("start")["dsn"], "select 1") == 1
    assert visitor.ask("status")["users"] == [visitor.pid]
    visitor.leave()
    assert not stage_once.server_lives(project)


def test_a_stale_pid_file_that_names_a_living_process_is_no_hindrance(stage: Stage) -> None:
    """After a crash the postmaster's number may be another process's, as in a container where all numbers are small."""
    actor = stage.actor()
    server = start_with_a_row(actor)
    file = Path(server["data_dir"], "postmaster.pid")
    written = file.read_text().split("\n")
    os.kill(server["pid"], signal.SIGKILL)
    wait_for(lambda: not stage.server_lives(), "the server's processes to end")
    account = Account(file.stat().st_uid, file.stat().st_gid, switch=os.geteuid() == 0)
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, **account.options()) as bystander:
        file.write_text("\n".join([str(bystander.pid), *written[1:]]))
        visitor = stage.actor()
        again = visitor.ask("start")
        assert again["pid"] != bystander.pid
        assert bystander.poll() is None
        assert query(again["dsn"], KEPT) == 42
        visitor.leave()
    actor.leave()


def test_a_private_server_dies_with_its_owner(stage: Stage) -> None:
    """When the owner is killed, its throwaway server ends by itself."""
    owner = stage.actor(stage.folder("private"))
    server = owner.ask("start_private")
    assert query(server["dsn"], "select 1") == 1
    child = owner.ask("fork_idle_child")
    owner.kill()
    wait_for(lambda: not Path(server["data_dir"], "postmaster.pid").exists(), "the private server to end")
    os.kill(child, signal.SIGKILL)
