"""The plugin and its page, as somebody meets them who has installed Tasker and nothing else of ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing.md"
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
OF_OTHERS = ("schemathesis", "hypothesispytest", "xdist")
"""Plugins of the project's own tests, which are slow to load and which a user of Tasker need not have."""
BREAKERS: list[str] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "breakers.md").read_text(), re.DOTALL)


def python(*arguments: str, cwd: Path, path: list[Path]) -> subprocess.CompletedProcess[str]:
    """Runs Python with this source and these folders on its path, in an environment that this run has not touched."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "TASKER", "COV"))
    }
    without = f"-p no:{' -p no:'.join(OF_OTHERS)}"
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**environment, "PYTEST_ADDOPTS": without, "PYTHONPATH": os.pathsep.join(map(str, [ROOT / "src", *path]))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder whose metadata carry the project's entry points for pytest, as an installation does."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    folder = tmp_path / "site" / "tasker_as_installed-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: tasker-as-installed\nVersion: 1.0\n")
    lines = [f"{name} = {module}" for name, module in points.items()]
    (folder / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines, ""]))
    return folder.parent


def test_the_pages_tests_pass_as_a_user_would_run_them(installed: Path, tmp_path: Path) -> None:
    """The tests of docs/testing.md and docs/breakers.md, copied into files and run by pytest with nothing but the
    package, pass."""
    project = tmp_path / "project"
    project.mkdir()
    for block in (*BLOCKS, *BREAKERS):
        if named := re.match(r"# (test_\w+\.py)\n", block):
            (project / named[1]).write_text(block)
    assert len(list(project.iterdir())) == 5
    ran = python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project, path=[installed, ROOT / "examples"])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "5 passed" in ran.stdout


def test_the_pages_script_runs(tmp_path: Path) -> None:
    """What the page shows for those without pytest prints the result."""
    (script,) = [block for block in BLOCKS if "Databases" in block]
    ran = python("-c", script, cwd=tmp_path, path=[])
    assert (ran.returncode, ran.stdout.strip()) == (0, "{'greet': {'result': 'hello'}}"), ran.stderr


def test_the_pages_story_is_one(tmp_path: Path) -> None:
    """The story that the page shows is what a failed assertion tells."""
    from test_record import STORY

    assert f"the task is error, not complete\n{STORY}\n" in PAGE.read_text()


def test_a_failed_assertion_of_a_user_tells_the_story(installed: Path, tmp_path: Path) -> None:
    """In a user's terminal, what happened to the task stands below the assertion that did not hold."""
    (tmp_path / "test_it.py").write_text(
        "from testing_shop import DIAMOND, HANDLERS\n"
        "from tasker.testing import fail\n\n"
        "def test_it(workflow):\n"
        "    workflow(DIAMOND, handlers=HANDLERS).run(faults=[fail('reserve', error='busy')]).assert_complete()\n"
    )
    ran = python("-m", "pytest", "-q", "test_it.py", cwd=tmp_path, path=[installed, Path(__file__).parent])
    assert ran.returncode == 1
    assert "the task is error, not complete" in ran.stdout
    assert "1.000 s  reserve, attempt 2: retryable: retryable_error: busy (injected)" in ran.stdout


def test_without_the_fixtures_nothing_is_loaded_or_started(installed: Path, tmp_path: Path) -> None:
    """A run of pytest that uses none of the fixtures imports no database driver, no pydantic, and starts no server."""
    (tmp_path / "test_it.py").write_text(
        "import sys\n\n"
        "def test_it(request):\n"
        "    assert 'tasker.testing.plugin' in sys.modules\n"
        "    loaded = {name for name in sys.modules if name.split('.')[0] == 'tasker'}\n"
        "    assert loaded == {'tasker', 'tasker.testing', 'tasker.testing.plugin'}\n"
        "    assert not {'asyncpg', 'pydantic', 'ruamel', 'jsonschema', 'structlog'} & set(sys.modules)\n"
    )
    ran = python("-m", "pytest", "-q", "test_it.py", cwd=tmp_path, path=[installed])
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_plugins_fixtures_are_listed_with_what_they_do(installed: Path, tmp_path: Path) -> None:
    """`pytest --fixtures` explains each of them."""
    ran = python("-m", "pytest", "--fixtures", cwd=tmp_path, path=[installed])
    for name in ("workflow", "tasker_database", "tasker_databases"):
        assert re.search(rf"^{name}\b.*\n +\S", ran.stdout, re.MULTILINE), name
