"""A data folder: made whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tasker.embedded.account import Account
from tasker.embedded.binaries import Binaries
from tasker.embedded.place import Place
from tasker.model.errors import EmbeddedPostgresError

ROLE = "tasker"
DATABASE = "tasker"
ADMIN_DATABASE = "postgres"
_FIRST_WITH_BUILTIN_LOCALE = 17
_UNFINISHED = ".new-"
_SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    # Every statement of the engine is short: compiling it costs more than it saves.
    "jit": "off",
    "cluster_name": "tasker",
}
_HBA = """# Written by Tasker. The socket lies in a folder that only its owner may enter; TCP needs the password.
local all all trust
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
"""


def data_version(data: Path) -> str | None:
    """The major version of the data folder (`18`), None where there are no data. EmbeddedPostgresError if it is odd."""
    try:
        return (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        if data.exists() and any(data.iterdir()):
            raise EmbeddedPostgresError(
                f"{data} is not empty and not a PostgreSQL data folder. Move it away; a new one is then made."
            ) from None
        return None
    except OSError as error:
        raise EmbeddedPostgresError(
            f"{data} cannot be read ({error.strerror}): it belongs to another account. "
            "Run as that account, run from a folder of your own, or set TASKER_DATABASE_URL."
        ) from error


def require_same_major(data: Path, binaries: Binaries) -> None:
    """EmbeddedPostgresError if the data were made by another major version than the programs'."""
    version = data_version(data)
    if version not in (None, str(binaries.major)):
        raise EmbeddedPostgresError(
            f"The data in {data} are PostgreSQL {version}'s, and {binaries.folder} is {binaries.version}. "
            f"Install PostgreSQL {version} (or set TASKER_POSTGRES_BIN to the folder of its programs), or carry the "
            f"data over with pg_upgrade, or move the folder away to begin with an empty database."
        )


def create_cluster(place: Place, binaries: Binaries, *, sync: bool = True) -> None:
    """Make the data folder with role and database `tasker`. Call it with the start lock held.

    Without `sync` a power cut may leave it broken: for servers that run with fsync off.
    """
    _remove_unfinished(place)
    account = place.account
    unfinished = place.data.with_name(f"{place.data.name}{_UNFINISHED}{secrets.token_hex(4)}")
    unfinished.mkdir(mode=0o700)
    try:
        account.own(unfinished)
        _initdb(account, binaries, unfinished)
        _write(account, unfinished / "postgresql.conf", _conf_text(_SETTINGS), redirection=">>")
        _write(account, unfinished / "pg_hba.conf", _HBA, redirection=">")
        single_user(account, binaries, unfinished, f"create database {DATABASE} strategy file_copy", fsync=False)
        if sync:
            _sync(account, binaries, unfinished)
        unfinished.rename(place.data)
        for folder in place.data.parents[:2]:
            _sync_folder(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def single_user(account: Account, binaries: Binaries, data: Path, statement: str, *, fsync: bool = True) -> None:
    """Run one line of SQL on a data folder whose server is down."""
    options = ["-c", f"fsync={'on' if fsync else 'off'}", "-c", "exit_on_error=on"]
    done = account.run([binaries.program("postgres"), "--single", "-D", str(data), *options, "template1"], statement)
    if done.returncode != 0:
        raise EmbeddedPostgresError(f"PostgreSQL could not prepare {data}:\n{_tail(done.stderr)}")


def _conf_text(settings: Mapping[str, str]) -> str:
    """Lines for postgresql.conf."""
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
    return "\n".join(["", "# Tasker's defaults; change them here.", *lines, ""])


def _write(account: Account, file: Path, text: str, *, redirection: Literal[">", ">>"]) -> None:
    done = account.run(["/bin/sh", "-c", f'cat {redirection}"$1"', "sh", str(file)], text)
    if done.returncode != 0:
        raise EmbeddedPostgresError(f"{file} cannot be written: {_tail(done.stderr)}")


def _initdb(account: Account, binaries: Binaries, folder: Path) -> None:
    locale = ["--locale=C"]
    if binaries.major >= _FIRST_WITH_BUILTIN_LOCALE:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # Not synced here: the database made afterwards has to reach the disk too, and one sync for all is enough, since
    # the folder gets its name only after it.
    options = ["--encoding=UTF8", *locale, "--data-checksums", "--no-sync", "--no-instructions"]
    who = ["-U", ROLE, "--auth-local=trust", "--auth-host=reject"]
    done = account.run([binaries.program("initdb"), "-D", str(folder), *who, *options])
    if done.returncode == 0:
        return
    if "could not look up effective user ID" in done.stderr:
        raise EmbeddedPostgresError(
            f"The account with uid {os.geteuid()} has no name in /etc/passwd, which PostgreSQL needs. "
            "Run as an account that has one, or set TASKER_DATABASE_URL."
        )
    raise EmbeddedPostgresError(f"initdb could not make {folder}:\n{_tail(done.stderr or done.stdout)}")


def _sync(account: Account, binaries: Binaries, folder: Path) -> None:
    """Force the new folder to disk: what is committed later must not stand on files that a power cut can undo."""
    # syncfs, where there is one, is one call instead of a thousand.
    is_quick = binaries.major >= _FIRST_WITH_BUILTIN_LOCALE and sys.platform == "linux"
    method = ["--sync-method=syncfs"] if is_quick else []
    done = account.run([binaries.program("initdb"), "-D", str(folder), "--sync-only", *method])
    if done.returncode != 0:
        raise EmbeddedPostgresError(f"{folder} could not be written to disk:\n{_tail(done.stderr)}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_unfinished(place: Place) -> None:
    """Remove what a killed starter left. Its initdb may still run there: it then fails, and the rest goes next time."""
    for folder in place.data.parent.glob(f"{place.data.name}{_UNFINISHED}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _tail(text: str, lines: int = 12) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
