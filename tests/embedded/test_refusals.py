"""What cannot work is refused with a message that says what to do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from embedded_actors import ActorError, Stage, query, wait_for

from tasker.embedded import cluster
from tasker.embedded.binaries import Binaries, usable_by
from tasker.embedded.place import SYSTEM_HOME


def refusal(stage: Stage, project: Path, **environment: str) -> str:
    """The message with which `start` refuses."""
    actor = stage.actor(project, **environment)
    with pytest.raises(ActorError) as caught:
        actor.ask("start")
    actor.leave()
    return str(caught.value)


def test_data_of_another_major_version_are_not_touched(stage_once: Stage, any_binaries: Binaries) -> None:
    """The message names both versions, the folder, and the ways out."""
    project = stage_once.folder("old")
    data = stage_once.home(project) / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("12\n")
    for folder in (data, data.parent):
        os.chown(folder, stage_once.uid, stage_once.gid)
    message = refusal(stage_once, project)
    assert f"The data in {data} are PostgreSQL 12's" in message
    assert any_binaries.version in message
    assert "pg_upgrade" in message
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_a_folder_that_is_no_data_folder_is_not_touched(stage_once: Stage) -> None:
    """Whatever lies there is the user's."""
    project = stage_once.folder("odd")
    data = stage_once.home(project) / "postgres"
    data.mkdir(parents=True)
    (data / "letter.txt").write_text("dear")
    for folder in (data, data.parent):
        os.chown(folder, stage_once.uid, stage_once.gid)
    assert f"{data} is not empty and not a PostgreSQL data folder" in refusal(stage_once, project)
    assert (data / "letter.txt").read_text() == "dear"


def test_a_project_that_cannot_be_written_is_told(user_stage: Stage) -> None:
    """A normal user's data lie in the project: where that cannot be, the message says so."""
    project = user_stage.folder("closed")
    project.chmod(0o555)
    if user_stage.is_other:
        os.chown(project, 0, 0)
    message = refusal(user_stage, project)
    assert f"{project}/.tasker cannot be made (Permission denied)" in message
    assert "TASKER_DATABASE_URL" in message


def test_another_accounts_folder_is_not_used(user_stage: Stage) -> None:
    """A `.tasker` that somebody else put in the way is refused."""
    if not user_stage.is_other:
        pytest.skip("needs root")
    project = user_stage.folder("trap")
    (project / ".tasker").mkdir()
    (project / ".tasker").chmod(0o777)
    assert "belongs to another account (uid 0" in refusal(user_stage, project)


def test_a_server_started_by_hand_is_not_disturbed(stage_once: Stage, any_binaries: Binaries) -> None:
    """A postmaster that Tasker did not start keeps the data to itself."""
    warm = stage_once.actor()
    data = Path(warm.ask("start")["data_dir"])
    warm.leave()
    account = cluster.Account(data.stat().st_uid, data.stat().st_gid, switch=os.geteuid() == 0)
    options = ["-o", f"-c listen_addresses= -c unix_socket_directories={data}"]
    binaries = replace(any_binaries, folder=Path(stage_once.binaries or any_binaries.folder))
    binaries = usable_by(account, binaries, SYSTEM_HOME / "bin") if account.switch else binaries
    pg_ctl = [f"{binaries.folder}/pg_ctl", "-D", str(data)]
    assert account.run([*pg_ctl, "-l", str(data / "by_hand.log"), *options, "-w", "start"]).returncode == 0
    pid = int((data / "postmaster.pid").read_text().split("\n")[0])
    assert f"A PostgreSQL that Tasker did not start (process {pid}) runs on {data}" in refusal(
        stage_once, stage_once.project
    )
    os.kill(pid, signal.SIGINT)
    wait_for(lambda: not (data / "postmaster.pid").exists(), "the server to stop")


def test_an_initdb_that_fails_is_quoted_and_leaves_nothing(stage_once: Stage) -> None:
    """The message has what initdb said, and the next start begins afresh."""
    broken = stage_once.folder("bin")
    for name, script in (("postgres", "echo 'postgres (PostgreSQL) 18.0'"), ("initdb", 'test "$1" = --version')):
        (broken / name).write_text(f"#!/bin/sh\n{script} || {{ echo 'no space left' >&2; exit 1; }}\n")
        (broken / name).chmod(0o755)
    project = stage_once.folder("unlucky")
    message = refusal(stage_once, project, TASKER_POSTGRES_BIN=str(broken))
    assert "initdb could not make" in message
    assert "no space left" in message
    assert list(stage_once.home(project).glob("postgres*")) == []
    shutil.rmtree(broken)


def test_a_server_in_another_container_is_not_disturbed(root_stage: Stage) -> None:
    """Where the folder is shared and the server's processes and socket cannot be seen, nothing is started beside it."""
    user = root_stage.actor()
    server = user.ask("start")
    sockets = root_stage.home() / "socket"
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*namespaces, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("namespaces cannot be made here")
    stranger = root_stage.actor(wrapper=[*namespaces, "sh", "-c", f'mount -t tmpfs none {sockets} && exec "$@"', "sh"])
    with pytest.raises(ActorError, match="it runs in another container or on another machine"):
        stranger.ask("start")
    stranger.leave()
    assert query(server["dsn"], "select 1") == 1
    user.leave()
