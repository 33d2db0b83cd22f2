"""The file of settings: `tasker.toml` in the project's folder, or the one that TASKER_CONFIG names.

Read again only when it has changed, since settings are asked for often. Nothing of a value is ever in a message: it may
be a secret.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasker.model.errors import EmbeddedPostgresError, SettingsError

NAME = "tasker.toml"
VARIABLE = "TASKER_CONFIG"
_BYTES_MAX = 262_144


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file that has been read. `values` are by key, as TOML has them."""

    path: Path
    text: str = field(repr=False)
    values: Mapping[str, Any] = field(repr=False, compare=False)

    def place(self, key: str) -> str:
        """Where a key begins: the file and its line."""
        lines = self.text.splitlines()
        before = 0
        for count in range(1, len(lines) + 1):
            said = _parsed("\n".join(lines[:count]))
            if said is not None and key in said:
                break
            before = count if said is not None else before
        begin = next((n for n in range(before, len(lines)) if lines[n].split("#")[0].strip()), before)
        return f"{self.path}:{begin + 1}"


def _parsed(text: str) -> Mapping[str, Any] | None:
    """None where the text ends in the midst of a value."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def find_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file of settings; None where there is none.

    Raises SettingsError where TASKER_CONFIG names a file that is not there, or the file found belongs to somebody else.
    """
    if named := environ.get(VARIABLE):
        path = Path(named).expanduser()
        if not path.exists() or path.is_dir():
            raise SettingsError(f"{VARIABLE} names {path}, which is no file: correct it, or unset it")
        return path
    from tasker.embedded.place import project_root

    try:
        path = project_root() / NAME
    except EmbeddedPostgresError:  # the current folder is gone, and with it the project
        return None
    if not path.is_file():
        return None
    _check_owner(path)
    return path


def _check_owner(path: Path) -> None:
    """A folder above may be anybody's, and what is written there could open the server to all.

    Raises SettingsError for a file that belongs neither to this user, nor to root, nor to the owner of the current
    folder, or that everybody may write to.
    """
    found = path.stat()
    if found.st_uid not in (os.geteuid(), 0, Path.cwd().stat().st_uid) or found.st_mode & stat.S_IWOTH:
        raise SettingsError(
            f"{path} is somebody else's, or everybody may write to it: if it is meant, name it in {VARIABLE}"
        )


def settings_file() -> SettingsFile | None:
    """The file of settings, read. None where there is none. Raises SettingsError."""
    path = find_file()
    return None if path is None else read_file(path)


def read_file(path: Path) -> SettingsFile:
    """A file of settings. Raises SettingsError for one that cannot be read, or is no TOML."""
    try:
        found = path.stat()
        return _read(path.absolute(), found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}") from None


@lru_cache(maxsize=8)
def _read(path: Path, changed_ns: int, size: int) -> SettingsFile:
    """Kept by when the file was changed."""
    with path.open("rb") as file:
        content = file.read(_BYTES_MAX + 1)
    if len(content) > _BYTES_MAX:
        raise SettingsError(f"{path} is larger than {_BYTES_MAX} bytes: that is no file of settings")
    try:
        text = content.decode("utf-8-sig")
        return SettingsFile(path, text, tomllib.loads(text))
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8: save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no TOML: {error}") from None
