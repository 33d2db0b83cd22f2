"""What the pages show works: their code runs, their commands exist, their links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from cyclopts import CycloptsError

from tasker.cli.app import build

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for path in sorted(ROOT.glob(pattern))
    if ".venv" not in path.parts
]


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def write_files(texts: list[str], folder: Path) -> None:
    """Blocks whose first line is a comment with a file's name, as files."""
    for text in texts:
        named = re.match(r"# (\S+\.\w+)\n", text)
        assert named, f"the block does not begin with its file's name: {text[:60]}"
        (folder / named[1]).write_text(text)


def commands(page: Path) -> list[list[str]]:
    """The words of each `tasker` command in the page's shell blocks."""
    found = re.findall(r"^(?:\S*/)?tasker (.+)$", "\n".join(blocks(page, "sh")), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in found]


PROGRAMS = {
    "README.md": ("welcome.py", r"welcome\.py` prints `(.+?)`"),
    "docs/branches.md": ("approval.py", r"It prints `(.+?)`"),
    "docs/breakers.md": ("charges.py", r"It prints `(.+?)`"),
    "docs/batches.md": ("inventory.py", r"It prints `(.+?)`"),
    "docs/grpc.md": ("watch.py", r"It prints `(.+?)`"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_of_a_page_runs(name: str, empty_database: str, tmp_path: Path) -> None:
    """The template and the program of the page, as they stand there, print what it says that they print."""
    page, (program, promise) = ROOT / name, PROGRAMS[name]
    write_files([*blocks(page, "yaml"), *blocks(page, "python")], tmp_path)
    ran = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        env={**os.environ, "TASKER_DATABASE_URL": empty_database},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    promised = re.search(promise, page.read_text())
    assert promised
    assert (ran.returncode, ran.stdout.strip()) == (0, promised[1]), ran.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    """Every relative link of a page names a file or folder of the repository."""
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_make_exist(page: Path) -> None:
    """Every `make` command that a page shows is one of the Makefile's."""
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = re.findall(r"(?:^|`|&& )make ([a-z]+)", page.read_text(), re.MULTILINE)
    assert set(shown) <= verbs


def test_commands_of_tasker_exist() -> None:
    """Every `tasker` command that a page shows is known, and takes the arguments and options that it is given there."""
    wrong: list[str] = []
    shown = {tuple(words) for page in PAGES for words in commands(page)}
    assert len(shown) > 5
    for words in sorted(shown):
        filled = [str(uuid4()) if word.isupper() else word for word in words]
        try:
            build(filled).parse_args(filled, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            wrong.append(f"tasker {' '.join(words)}: {error}")
    assert not wrong, "\n".join(wrong)
