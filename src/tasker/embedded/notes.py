"""The notes in a project's `.tasker` folder: a README that names the data, and a .gitignore."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_README = """This folder belongs to Tasker: the embedded PostgreSQL that is used while TASKER_DATABASE_URL is not set.

Data: {data}
Log:  {data}/postgres.log

`tasker db status` says whether the server runs, `tasker db stop` stops it. To begin with an empty database, stop the
server and delete the data folder. Data made by root lie below /var/lib/tasker, apart from those of other users.
"""


def write_notes(root: Path, data: Path) -> None:
    """Make `<root>/.tasker` and its notes where they are missing, owned like the project. OSError where it cannot.

    Root may do this in a folder that another user controls: so nothing is followed through a link.
    """
    owner = root.stat()
    folder = root / ".tasker"
    made = False
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o755)
        made = True
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if os.geteuid() == 0 else 0))
    try:
        for name, text in ((".gitignore", "*\n"), ("README.md", _README.format(data=data))):
            with contextlib.suppress(FileExistsError):
                _write_new(descriptor, name, text, owner)
        if made:
            _give(descriptor, owner)
    finally:
        os.close(descriptor)


def _write_new(folder: int, name: str, text: str, owner: os.stat_result) -> None:
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=folder)
    try:
        os.write(file, text.encode())
        _give(file, owner)
    finally:
        os.close(file)


def _give(descriptor: int, owner: os.stat_result) -> None:
    """What root makes in a user's project must not lock that user out later."""
    if os.geteuid() == 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
