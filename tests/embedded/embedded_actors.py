"""Processes for the tests: as this account or, where the tests run as root, as one without rights."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tasker.embedded import locks
from tasker.embedded.place import SYSTEM_HOME, digest

MAIN = Path(__file__).with_name("actor_main.py")


class ActorError(Exception):
    """Tasker raised in the actor; the message is Tasker's."""


@dataclass
class Actor:
    """One process that obeys `actor_main.py`'s verbs."""

    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def send(self, verb: str) -> None:
        """Give an order without waiting for the reply."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{verb}\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        """The reply to the oldest order that has none yet."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the actor ended: {self.process.wait()}"
        reply = json.loads(line)
        if "error" in reply:
            raise ActorError(reply["error"])
        return reply["value"]

    def ask(self, verb: str) -> Any:
        """Give an order and wait for the reply."""
        self.send(verb)
        return self.receive()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def leave(self) -> None:
        """Let it end as a program does."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0


@dataclass
class Stage:
    """Where actors of one account and one PostgreSQL run.

    `project` is theirs and has data already, from the tests before, so that its server starts quickly; `desk` is for
    folders of this test alone.
    """

    desk: Path
    project: Path
    source: Path
    interpreter: str
    uid: int
    gid: int
    binaries: str | None
    actors: list[Actor] = field(default_factory=list)

    @property
    def is_other(self) -> bool:
        """True if actors run as another account than the tests."""
        return self.uid != os.geteuid()

    def actor(self, project: Path | None = None, wrapper: Sequence[str] = (), **environment: str) -> Actor:
        """Start an actor in a session of its own, so that a signal to its group reaches nobody else.

        `wrapper` is a command that runs the actor's.
        """
        env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(self.source)}
        if self.binaries is not None:
            env["TASKER_POSTGRES_BIN"] = self.binaries
        switch: dict[str, Any] = {}
        if os.geteuid() == 0:  # root with a group of root's own, which a server must not inherit
            switch = {"user": self.uid, "group": self.gid, "extra_groups": [0] if self.uid == 0 else []}
        process = subprocess.Popen(
            [*wrapper, self.interpreter, str(self.source / MAIN.name), str(project or self.project)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**env, **environment},
            start_new_session=True,
            **switch,
        )
        self.actors.append(Actor(process))
        return self.actors[-1]

    def home(self, project: Path | None = None) -> Path:
        """The folder that holds a project's `postgres` and `run`."""
        project = project or self.project
        return SYSTEM_HOME / digest(project) if self.uid == 0 else project / ".tasker"

    def server_lives(self, project: Path | None = None) -> bool:
        """True while any process of the project's server lives."""
        return locks.is_locked(self.home(project) / "run" / "server.lock")

    def folder(self, name: str) -> Path:
        """A new folder of the actors' account on the desk."""
        path = self.desk / name
        path.mkdir(parents=True)
        if self.is_other:
            os.chown(path, self.uid, self.gid)
        return path

    def close(self) -> None:
        """End the actors that are left."""
        for actor in self.actors:
            if actor.process.poll() is None:
                actor.kill()
            for pipe in (actor.process.stdin, actor.process.stdout):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def unprivileged_uid() -> tuple[int, int]:
    """The uid and gid of an account without rights: this one, or `nobody` for root."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def interpreter_for(uid: int, gid: int) -> str | None:
    """A Python, 3.11 or later, that the account may run."""
    if uid == os.geteuid():
        return sys.executable
    for candidate in (sys.executable, *(f"/usr/bin/python3{minor}" for minor in ("", ".14", ".13", ".12", ".11"))):
        with contextlib.suppress(OSError):
            check = [candidate, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
            if subprocess.run(check, cwd="/", user=uid, group=gid, extra_groups=[], check=False).returncode == 0:
                return candidate
    return None


def copy_source(target: Path) -> None:
    """Put what an actor imports where every account can read it."""
    package = Path(__file__).parents[2] / "src" / "tasker"
    for part in ("embedded", "model"):
        shutil.copytree(package / part, target / "tasker" / part, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "tasker" / "__init__.py").touch()  # the real one brings dependencies that an actor may not have
    shutil.copy(MAIN, target)
    for folder, _, files in os.walk(target):
        os.chmod(folder, 0o755)  # noqa: S103 (copies of sources)
        for file in files:
            os.chmod(Path(folder, file), 0o644)


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
    """Poll until the condition is true; returns its value. Fails, saying what was waited for, after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s for: {what}"
        time.sleep(0.002)
    return value


def query(dsn: str, sql: str) -> Any:
    """The first value of a query's first row."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(sql).fetchone()  # type: ignore[arg-type]
        return row[0] if row else None


def parents_modes(path: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode, owner and group of the path and each folder above it."""
    found: Iterator[Path] = iter((path, *path.parents))
    return {folder: (s.st_mode, s.st_uid, s.st_gid) for folder in found for s in (folder.stat(),)}
