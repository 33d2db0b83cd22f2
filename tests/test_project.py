"""The project's outside: what a stranger's first commands rest on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("run", "test", "dev")


def committed_files() -> list[Path]:
    """The files that git would carry to a stranger; all files where this is no git checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [file for file in ROOT.rglob("*") if file.is_file() and not {".venv", ".tasker"} & set(file.parts)]


def locked(name: str) -> dict[str, set[Version]]:
    """Distribution to locked versions (one, or one for each range of Python versions)."""
    found: dict[str, set[Version]] = {}
    for name_, version in re.findall(r"^([\w.-]+)==([^ ;\\]+)", lock_text(name), re.MULTILINE):
        found.setdefault(canonical(name_), set()).add(Version(version))
    return found


def lock_text(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def make(*arguments: str, **environment: str) -> str:
    """What make prints, as if it were not the one that runs these tests."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=outside | environment, capture_output=True, text=True, check=True
    ).stdout


def makefile_verbs() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_no_committed_file_names_a_download_host_or_a_machines_path() -> None:
    """The project installs from whatever index the user has set up, and mentions no place where it was written."""
    hosts = [r"python" + r"hosted\.org", r"\bpypi" + r"\.org/simple", r"registry\.npm" + r"js", r"proxy\.go" + r"lang"]
    options = ["--(extra-)?index" + "-url", "--find" + "-links", '"resolved"' + ":"]
    paths = ["/(home|Users)" + r"/(?!tasker\b)[a-z]", "/root" + r"/[.\w]", "/work" + r"/\w"]
    wrong = re.compile("|".join([*hosts, *options, *paths]))
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for file in committed_files()
        for number, line in enumerate(file.read_bytes().decode(errors="replace").splitlines(), 1)
        if wrong.search(line)
    ]
    assert not found, "\n".join(found)


def test_the_makefile_has_at_most_ten_verbs_and_lists_them() -> None:
    """`make` alone names every verb, and there are at most ten."""
    verbs = makefile_verbs()
    assert set(re.findall(r"^  make (\w+)", make(), re.MULTILINE)) == verbs
    assert len(verbs) <= 10


def test_the_two_commands_of_the_readme_exist() -> None:
    """The first two commands of the README are `make demo` and `make test`, and the Makefile has both."""
    commands = re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert commands[:2] == ["demo", "test"]
    assert set(commands) <= makefile_verbs()


def test_make_hides_the_shells_databases() -> None:
    """Whatever DATABASE_URL the shell holds, the recipes do not see it."""
    probe = 'probe: ; @echo "[$$DATABASE_URL][$$TASKER_DATABASE_URL]"'
    answer = make(
        "--eval", probe, "probe", DATABASE_URL="postgres://elsewhere/x", TASKER_DATABASE_URL="postgres://else/y"
    )
    assert answer.strip() == "[][]"


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_file_has_a_hash(name: str) -> None:
    """pip --require-hashes can install the lock: every requirement is one version with SHA-256 hashes."""
    requirements = [part for part in re.split(r"^(?=\w)", lock_text(name), flags=re.MULTILINE) if part[0] != "#"]
    assert requirements
    for requirement in requirements:
        assert re.match(r"[\w.-]+==\S+ ", requirement), requirement.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", requirement), requirement.splitlines()[0]


@pytest.mark.parametrize(
    ("name", "groups", "left_out"),
    [
        ("run", ["build"], {"grpc", "django", "pgmq", "rabbitmq"}),
        ("test", ["build", "test"], set[str]()),
        ("dev", ["dev"], set[str]()),
    ],
)
def test_locks_hold_what_the_project_asks_for(name: str, groups: list[str], left_out: set[str]) -> None:
    """Every requirement of pyproject.toml is locked, at a version that satisfies it (else: make lock)."""
    asked = [*PROJECT["project"]["dependencies"]]
    for extra, requirements in PROJECT["project"]["optional-dependencies"].items():
        asked += [] if extra in left_out else requirements
    for group in groups:
        asked += [item for item in PROJECT["dependency-groups"][group] if isinstance(item, str)]
    versions = locked(name)
    for requirement in map(Requirement, asked):
        held = versions.get(canonical(requirement.name))
        assert held, f"{requirement} is not in requirements/{name}.txt: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in held), f"{requirement}: {held}"


def test_locks_agree() -> None:
    """What runs, what is tested and what developers use are the same versions."""
    run, test, dev = (locked(name) for name in LOCKS)
    assert run.items() <= test.items() <= dev.items()
    assert PROJECT["dependency-groups"]["build"] == PROJECT["build-system"]["requires"]


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A copy of what bootstrapping needs, in a folder with a space, beside a PATH of bare tools without a Python."""
    home = tmp_path / "a project"
    shutil.copytree(ROOT / "requirements", home / "requirements")
    shutil.copytree(ROOT / "scripts", home / "scripts")
    shutil.copy(ROOT / "pyproject.toml", home)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "cat", "cksum", "dirname", "grep", "rm"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    return home


def fake_python(home: Path, body: str, name: str = "python3") -> None:
    program = home.parent / "bin" / name
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)


def bootstrap(home: Path, purpose: str = "run") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "scripts/bootstrap.sh", purpose],
        cwd=home,
        env={"PATH": str(home.parent / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_python_the_message_names_the_packages(stranger: Path) -> None:
    """A machine without Python is told what to install."""
    answer = bootstrap(stranger)
    assert answer.returncode == 1
    assert "Python 3.11 or later" in answer.stderr
    assert "apt-get install python3 python3-venv" in answer.stderr


def test_an_old_python_is_named(stranger: Path) -> None:
    """A Python before 3.11 is not used, and the message says which one was found."""
    fake_python(stranger, 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    answer = bootstrap(stranger)
    assert answer.returncode == 1
    assert "the one on the PATH is: Python 3.9.2" in answer.stderr


def test_a_python_without_venv_is_told_which_package_has_it(stranger: Path) -> None:
    """Debian ships Python without ensurepip: the message names python3-venv."""
    fake_python(stranger, f'case "$*" in *ensurepip*) exit 1;; *) exec "{sys.executable}" "$@";; esac')
    answer = bootstrap(stranger)
    assert answer.returncode == 1
    assert "apt-get install python3-venv" in answer.stderr
    assert not (stranger / ".venv").exists()


def test_a_python_with_venv_is_preferred(stranger: Path) -> None:
    """Of two that are new enough, the one that can make environments is taken."""
    fake_python(stranger, f'case "$*" in *ensurepip*) exit 1;; *) exec "{sys.executable}" "$@";; esac')
    fake_python(stranger, f'case "$*" in *"-m venv"*) exit 7;; *) exec "{sys.executable}" "$@";; esac', "python3.13")
    answer = bootstrap(stranger)
    assert "Making .venv with" in answer.stdout
    assert "python3.13" in answer.stdout


def test_a_pip_that_refuses_is_explained(stranger: Path) -> None:
    """Where pip says externally-managed-environment, the message names the package that mends it."""
    environment = stranger / ".venv" / "bin"
    environment.mkdir(parents=True)
    (environment / "python").write_text(
        '#!/bin/sh\ncase "$*" in *install*) echo "error: externally-managed-environment" >&2; exit 1;; esac\n'
    )
    (environment / "python").chmod(0o755)
    answer = bootstrap(stranger)
    assert answer.returncode == 1
    assert "externally-managed-environment: .venv is no real environment. apt-get install python3-venv" in answer.stderr


def test_an_environment_in_step_is_left_alone(stranger: Path) -> None:
    """Packages are installed again only when the requirements have changed, and more than asked for is enough."""
    environment = stranger / ".venv" / "bin"
    environment.mkdir(parents=True)
    (environment / "python").write_text(f'#!/bin/sh\ncase "$*" in *install*) echo "$@" >> "{stranger}/calls";; esac\n')
    (environment / "python").chmod(0o755)
    assert bootstrap(stranger, "test").returncode == 0
    calls = (stranger / "calls").read_text()
    assert "--require-hashes --only-binary :all: -r requirements/test.txt" in calls
    assert bootstrap(stranger, "test").returncode == bootstrap(stranger, "run").returncode == 0
    assert (stranger / "calls").read_text() == calls
    (stranger / "requirements" / "test.txt").write_text("# other\n")
    assert bootstrap(stranger, "test").returncode == 0
    assert (stranger / "calls").read_text() != calls


def test_the_architecture_names_every_folder() -> None:
    """Every package of the source stands in docs/architecture.md."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    packages = [child for child in (ROOT / "src" / "tasker").iterdir() if list(child.glob("*.py"))]
    assert len(packages) >= 8
    for package in packages:
        assert f"  {package.name}/ " in page, f"docs/architecture.md does not name src/tasker/{package.name}/"


@pytest.mark.parametrize(("reason", "exit_code"), [("the wheel is not installed", 1), ("needs root", 0)])
def test_in_ci_a_missing_component_is_a_failure(reason: str, exit_code: int, tmp_path: Path) -> None:
    """With the plugin that CI loads, a skip for want of a component fails the run; other skips do not."""
    (tmp_path / "test_it.py").write_text(f"import pytest\n\ndef test_it():\n    pytest.skip({reason!r})\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "ci_skips", "test_it.py"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "tests"),
            "PYTEST_ADDOPTS": "",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == exit_code, ran.stdout
