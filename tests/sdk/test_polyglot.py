"""examples/polyglot as its README tells a stranger: one workflow in two languages, and a press that is killed."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from typescript_support import built, environment, locked, run, tools

EXAMPLE = Path(__file__).parents[2] / "examples" / "polyglot"
BLOCKS = re.findall(r"^```sh\n(.*?)^```", (EXAMPLE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
WITHIN_S = 120
LABELS = 12


@pytest.fixture(scope="module")
def example() -> Path:
    """The example, built by its README's commands; the SDK's own two are what built() does."""
    built()
    commands = BLOCKS[0].splitlines()
    assert [line.split(" --prefix")[0] for line in commands[:2]] == ["npm ci", "npm run build"]
    with locked():
        for line in commands[2:]:
            program, *words = shlex.split(line)
            assert program == "npm"
            run([*tools()[1], *words], EXAMPLE)
    return EXAMPLE


class Terminals:
    """Where the README's commands are typed: on a database, a port, a tray and in an environment of the test's own."""

    def __init__(self, database: str, tray: Path) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self._port = found.getsockname()[1]
        self.tray = tray
        own = {"TASKER_DATABASE_URL": database, "TASKER_LEASE_S": "4", "TASKER_BEAT_S": "0.5"}
        self._environment = {**environment(), **own, "PRESS_TRAY": str(tray)}
        self._open: list[subprocess.Popen[str]] = []

    def words(self, line: str) -> tuple[list[str], dict[str, str]]:
        """A command of the README as a process's words, and its environment."""
        words = shlex.split(line.replace("8080", str(self._port)))
        given = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
        program, *rest = [word for word in words if not re.match(r"[A-Z_]+=", word)]
        found = {"tasker": [sys.executable, "-m", "tasker"], "node": [tools()[0]]}[program]
        return [*found, *rest], {**self._environment, **given}

    def start(self, line: str, *more: str) -> subprocess.Popen[str]:
        """Types a command, and leaves it running."""
        words, environ = self.words(line)
        process = subprocess.Popen([*words, *more], cwd=EXAMPLE, env=environ, text=True, stdout=subprocess.PIPE)
        self._open.append(process)
        return process

    def wait_for_the_server(self) -> None:
        """Returns when it answers."""

        def answers() -> bool:
            with socket.socket() as trial:
                return trial.connect_ex(("127.0.0.1", self._port)) == 0

        until(answers, "the server answers")

    def printed(self) -> list[str]:
        """The labels in the tray."""
        return self.tray.read_text().splitlines() if self.tray.exists() else []

    def close(self) -> None:
        """Asks all that runs to stop, the last one first."""
        for process in reversed(self._open):
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=WITHIN_S)


def until(condition: Callable[[], bool], what: str) -> None:
    """Returns when it holds; AssertionError after two minutes."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def terminals(empty_database: str, tmp_path: Path) -> Iterator[Terminals]:
    """Terminals, all closed at the end."""
    made = Terminals(empty_database, tmp_path / "tray.txt")
    yield made
    made.close()


def ordering(line: str, addresses: Sequence[str]) -> str:
    """The README's order, of other addresses."""
    context = json.dumps({"customer": "Ada", "addresses": addresses, "seconds_per_label": 0.3})
    return re.sub(r"--context '.*'", f"--context {shlex.quote(context)}", line)


@pytest.mark.slow
def test_a_workflow_in_two_languages_survives_the_death_of_one(example: Path, terminals: Terminals) -> None:
    """The commands of the README run the workflow, also where the press is killed while it prints: the next one goes on
    after the last label, none is printed twice, and the invoice is right."""
    dev, python_worker, press, order = (block.strip() for block in BLOCKS[1:])
    terminals.start(dev)
    terminals.wait_for_the_server()
    terminals.start(python_worker)
    first = terminals.start(press)
    client = terminals.start(ordering(order, [f"{n} Main Street, Ely" for n in range(LABELS)]), "--json")
    until(lambda: len(terminals.printed()) >= 3, "three labels are printed")
    first.kill()
    first.wait(WITHIN_S)
    assert len(terminals.printed()) < LABELS, "it was killed while it printed"
    terminals.start(press)
    said, _ = client.communicate(timeout=WITHIN_S)
    assert client.returncode == 0, said
    keys = [line.split("\t")[0] for line in terminals.printed()]
    assert len(keys) == len(set(keys)) == LABELS
    words, environ = terminals.words(f"tasker task get {json.loads(said)['task_uuid']} --json")
    got = subprocess.run(words, env=environ, capture_output=True, text=True, check=True, timeout=WITHIN_S).stdout
    assert f"Ada: {LABELS} labels, 2.16" in got
