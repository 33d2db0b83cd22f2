"""Who runs the server. PostgreSQL refuses root, so for root it is an account with no rights.

Everything inside a data folder is done by that account and never by root: the account could have put a symbolic link
there, and root would write through it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from tasker.model.errors import EmbeddedPostgresError

if TYPE_CHECKING:
    import pwd

ACCOUNT = "tasker"
_LAST_SYSTEM_UID = 999
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "ASAN_OPTIONS")


class ProcessOptions(TypedDict, total=False):
    """What `subprocess` needs to start a process as an account."""

    env: dict[str, str]
    cwd: str
    umask: int
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the operating system. `switch` is True when it is not the one this process runs as."""

    uid: int
    gid: int
    switch: bool

    def run(self, argv: list[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command as this account until it ends, with `text` as its input. The exit code is the caller's care.

        What cannot be run at all has the exit code 126, as in a shell.
        """
        try:
            return subprocess.run(  # noqa: S603 (our own argument lists, never a user's string)
                argv, input=text or "", capture_output=True, text=True, errors="replace", check=False, **self.options()
            )
        except OSError as error:
            return subprocess.CompletedProcess(argv, 126, "", f"{argv[0]}: {error.strerror}")

    def options(self) -> ProcessOptions:
        """Keyword arguments for `subprocess` that start a process as this account, in a clean environment."""
        options: ProcessOptions = {"env": clean_environment(os.environ), "cwd": "/", "umask": 0o077}
        if self.switch:
            options.update({"user": self.uid, "group": self.gid, "extra_groups": []})
        return options

    def own(self, folder: Path) -> None:
        """Give a folder that we have just made to this account."""
        if self.switch:
            os.chown(folder, self.uid, self.gid, follow_symlinks=False)

    def require_switch(self) -> None:
        """EmbeddedPostgresError if this process may not start others as this account."""
        done = self.run(["/bin/sh", "-c", ":"])
        if done.returncode != 0:
            raise EmbeddedPostgresError(
                f"PostgreSQL does not run as root, and this process may not switch to the account with uid {self.uid} "
                f"({done.stderr.strip()}). Run as a normal user, or set TASKER_DATABASE_URL."
            )

    def can_enter(self, folder: Path) -> bool:
        """True if the account may use paths below the folder."""
        return not self.switch or self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)]).returncode == 0


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What PostgreSQL's programs get to see: no PG* variable, one language, and a zone that spares initdb a search."""
    kept = {name: environment[name] for name in _KEPT_VARIABLES if name in environment}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C", "TZ": "UTC"}


def is_root() -> bool:
    """True if PostgreSQL would refuse to run as this process does."""
    return os.geteuid() == 0


def current_account() -> Account:
    """The account of this process."""
    return Account(os.geteuid(), os.getegid(), switch=False)


def account_for(data: Path) -> Account:
    """The account that runs the server of a data folder: its owner, so that old data stay readable, or the usual one.

    Root may make the account `tasker` by this.
    """
    if not is_root():
        return current_account()
    return owner_account(data) if data.exists() else service_account()


def owner_account(folder: Path) -> Account:
    """The account that owns a folder which Tasker made."""
    owner = folder.lstat()
    return Account(owner.st_uid, owner.st_gid, switch=True)


def service_account() -> Account:
    """The account `tasker`, made if it is missing; `nobody` where it cannot be made. Only root asks for it."""
    entry = _system_entry(ACCOUNT)
    if entry is None:
        _make_account()
        entry = _system_entry(ACCOUNT) or _entry("nobody")
    if entry is None or entry.pw_uid == 0:
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as root, and there is neither an account `tasker` nor `nobody` to run it as. "
            "Make one (useradd --system tasker), run as a normal user, or set TASKER_DATABASE_URL."
        )
    return Account(entry.pw_uid, entry.pw_gid, switch=True)


def _system_entry(name: str) -> pwd.struct_passwd | None:
    """The account's entry, unless it is a person's who happens to have the name."""
    entry = _entry(name)
    return entry if entry is not None and 0 < entry.pw_uid <= _LAST_SYSTEM_UID else None


def _entry(name: str) -> pwd.struct_passwd | None:
    import pwd  # not on every system, and `import tasker.embedded` works on each

    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _make_account() -> None:
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if useradd is None or _entry(ACCOUNT) is not None:
        return
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    # A failure is no error: the caller then takes `nobody`.
    subprocess.run([useradd, *options, "--shell", "/usr/sbin/nologin", ACCOUNT], capture_output=True, check=False)  # noqa: S603
