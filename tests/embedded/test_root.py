"""Root gets a server too, run by an account without rights, and no folder of others is opened for it."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from pathlib import Path

import pytest
from embedded_actors import Stage, parents_modes, query

from tasker.embedded import account as accounts
from tasker.embedded import start_private
from tasker.embedded.binaries import Binaries, _parts  # pyright: ignore[reportPrivateUsage]
from tasker.embedded.place import SYSTEM_HOME, digest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def closed_binaries(desk: Path, any_binaries: Binaries) -> Binaries:
    """The programs below a folder that only root may enter, as in an environment in root's home."""
    anchor, parts = _parts(any_binaries.folder)
    if anchor == Path("/usr"):
        pytest.skip("the programs cannot be moved")
    closed = desk / "closed"
    closed.mkdir(mode=0o700)
    for part in parts:
        shutil.copytree(part, closed / part.relative_to(anchor), symlinks=True)
    return Binaries(closed / any_binaries.folder.relative_to(anchor), any_binaries.version)


def test_no_folder_that_others_made_is_opened(root_stage: Stage, closed_binaries: Binaries) -> None:
    """Programs and a project that only root may enter work; modes and owners of all folders above stay as they were."""
    project = root_stage.desk / "private" / "project"
    project.mkdir(parents=True)
    project.parent.chmod(0o700)
    project.chmod(0o700)
    watched = (project, closed_binaries.folder, Path("/root"), SYSTEM_HOME.parent)
    before = [parents_modes(path) for path in watched]
    root_stage.binaries = str(closed_binaries.folder)
    actor = root_stage.actor(project)
    server = actor.ask("start")
    assert query(server["dsn"], "select 1") == 1
    running = Path(f"/proc/{server['pid']}/exe").resolve()
    assert running.is_relative_to(SYSTEM_HOME / "bin")
    actor.leave()
    assert [parents_modes(path) for path in watched] == before
    shutil.rmtree(running.parents[len(running.relative_to(SYSTEM_HOME / "bin").parts) - 2])


def test_the_copied_programs_belong_to_root(root_stage: Stage, closed_binaries: Binaries) -> None:
    """The account can run its programs and change none of them; a second start uses the same copy."""
    root_stage.binaries = str(closed_binaries.folder)
    copies: set[Path] = set()
    for _ in range(2):
        actor = root_stage.actor()
        running = Path(f"/proc/{actor.ask('start')['pid']}/exe").resolve()
        actor.leave()
        copies.add(running.parents[len(running.relative_to(SYSTEM_HOME / "bin").parts) - 2])
    (copy,) = copies
    for folder, _, files in os.walk(copy):
        for path in (Path(folder), *(Path(folder, file) for file in files)):
            found = path.lstat()
            assert found.st_uid == 0
            assert path.is_symlink() or not stat.S_IMODE(found.st_mode) & 0o022
    shutil.rmtree(copy)


def test_the_server_runs_without_rights(root_stage: Stage) -> None:
    """Its account is `tasker`, or `nobody` where that could not be made, with no supplementary group of root's."""
    actor = root_stage.actor()
    server = actor.ask("start")
    status = Path(f"/proc/{server['pid']}/status").read_text().splitlines()
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in status)}
    assert pwd.getpwuid(int(fields["Uid"][1])).pw_name in ("tasker", "nobody")
    assert "0" not in fields["Uid"] + fields["Gid"] + fields["Groups"]
    assert Path(server["data_dir"]).stat().st_uid == int(fields["Uid"][1])
    assert Path(server["data_dir"]).parent.stat().st_uid == 0
    actor.leave()


def test_where_no_account_can_be_made_nobody_serves(
    desk: Path, any_binaries: Binaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without useradd the account is `nobody`; data that it owns are still run by it when `tasker` exists later."""
    directory = desk / "server"
    with monkeypatch.context() as patch:
        patch.setattr(accounts, "ACCOUNT", "tasker-that-is-not")
        patch.setattr(shutil, "which", lambda *_, **__: None)
        server = start_private(directory)
    nobody = pwd.getpwnam("nobody").pw_uid
    assert server.data_dir.stat().st_uid == nobody
    with server:
        server.restart()
        assert query(server.dsn, "select 1") == 1
        assert os.stat(f"/proc/{server.pid}").st_uid == nobody


def test_a_persons_account_of_that_name_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data must not fall to somebody who happens to be called `tasker`."""
    person = pwd.struct_passwd(("tasker", "x", 1000, 1000, "", "/home/tasker", "/bin/sh"))
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(pwd, "getpwnam", lambda name: person if name == "tasker" else nobody)
    assert accounts.service_account().uid == nobody.pw_uid


def test_root_in_a_users_project_does_not_lock_the_user_out(user_stage: Stage, root_stage: Stage) -> None:
    """What root leaves in the project belongs to its owner, who then has a server of his own."""
    project = user_stage.folder("shared")
    root = root_stage.actor(project)
    roots = root.ask("start")
    user = user_stage.actor(project)
    users = user.ask("start")
    assert roots["data_dir"] != users["data_dir"]
    assert query(users["dsn"], "select 1") == query(roots["dsn"], "select 1") == 1
    root.leave()
    user.leave()
    for path in (project / ".tasker").iterdir():
        assert path.stat().st_uid == user_stage.uid


def test_root_follows_no_link_out_of_a_users_project(user_stage: Stage, root_stage: Stage) -> None:
    """A `.tasker` that is a link to elsewhere gets no file from root, and root's server works all the same."""
    project, elsewhere = user_stage.folder("trap"), root_stage.desk / "elsewhere"
    elsewhere.mkdir()
    (project / ".tasker").symlink_to(elsewhere)
    actor = root_stage.actor(project)
    assert query(actor.ask("start")["dsn"], "select 1") == 1
    actor.leave()
    assert list(elsewhere.iterdir()) == []


def test_abandoned_private_servers_are_removed(desk: Path, any_binaries: Binaries) -> None:
    """What a killed process's private server left goes when its directory is gone and another one starts."""
    gone = SYSTEM_HOME / f"private-{digest(desk / 'gone')}"
    gone.mkdir(parents=True, exist_ok=True)
    (gone / "origin").write_text(f"{desk / 'gone'}\n")
    with start_private(desk / "here"):
        assert not gone.exists()
