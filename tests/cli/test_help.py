"""What the command says of itself."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
from inspect import getmembers, isclass
from pathlib import Path

import psycopg
import pytest
from cli_shell import Shell
from support.until import until

import tasker
from tasker.cli import exits, main
from tasker.cli.commands import COMMANDS, GROUPS, overview
from tasker.model import errors

ROOT = Path(tasker.__file__).parents[2]
HEAVY = ("cyclopts", "rich", "pydantic", "asyncpg", "ruamel", "jsonschema")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_every_command_explains_itself(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    """--help of each command says what it does, its options, and an example that begins with that command."""
    assert main([*command.words.split(), "--help"]) == 0  # type: ignore[attr-defined]
    shown = " ".join(capsys.readouterr().out.split())
    assert command.summary in shown  # type: ignore[attr-defined]
    assert f"Example: {' '.join(command.example.split())}" in shown  # type: ignore[attr-defined]
    assert command.example.startswith(f"tasker {command.words}")  # type: ignore[attr-defined]
    assert "--json" in shown


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`tasker`, `tasker --help` and `tasker -h` print the same list of all commands."""
    for words in ([], ["--help"], ["-h"]):
        assert main(words) == 0
        assert capsys.readouterr().out == overview() + "\n"
    assert all(f"  {command.words} " in overview() for command in COMMANDS)
    for group in GROUPS:
        assert main([*group.split(), "--help"]) == 0
        assert GROUPS[group] in capsys.readouterr().out


def test_the_overview_imports_nothing_heavy() -> None:
    """`tasker --help` is quick because it imports none of the large libraries."""
    code = f"import sys, tasker.cli as cli; cli.main(['--help']); print([m for m in {HEAVY} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the version, and so does `python -m tasker`."""
    assert main(["--version"]) == 0
    assert tasker.__version__ in capsys.readouterr().out
    ran = subprocess.run(
        [sys.executable, "-m", "tasker", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert tasker.__version__ in ran.stdout


def test_every_error_has_an_exit_code_of_the_page() -> None:
    """Each error that callers get has a code, and docs/cli.md lists codes and error words as the table has them."""
    page = (ROOT / "docs" / "cli.md").read_text()
    told = {int(code): words for code, words in re.findall(r"^\| (\d+) \|[^|]*\|([^|]*)\|", page, re.MULTILINE)}
    for name, kind in getmembers(errors, isclass):
        if issubclass(kind, errors.TaskerError) and kind is not errors.TaskerError:
            code = exits.exit_code(kind("x"))
            assert code in told, name
            assert f"`{kind.code}`" in told[code] or code == exits.FAILED, f"{name}: {kind.code} is not told at {code}"


def test_tables_are_for_terminals(shop: Shell) -> None:
    """On a terminal, a list is a table with a head; elsewhere its lines are plain, and as long as they need to be."""
    shop.ok("task", "submit", "shop/order", "--context", '{"item": "cup"}')
    plain = shop.run("task", "list").out
    assert "─" not in plain
    assert "\x1b" not in plain
    seen = on_a_terminal("task", "list")
    assert "─" in seen
    assert "shop/order" in seen


def test_watch_shows_steps_live_on_a_terminal(shop: Shell) -> None:
    """On a terminal, watch shows the steps while the task runs."""
    task = shop.ok("task", "submit", "shop/order", "--context", '{"item": "cup"}')["task_uuid"]
    with shop.working(handlers=["price", "charge"]):
        seen = on_a_terminal("task", "watch", task)
    assert "complete" in seen
    assert seen.count("charge") > 1


def on_a_terminal(*words: str) -> str:
    """What a command prints on a terminal."""
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    process = subprocess.Popen([sys.executable, "-m", "tasker", *words], stdout=follower, stderr=follower, env=env)
    os.close(follower)
    seen = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(leader)
    assert process.wait(60) == 0, seen.decode()
    return seen.decode()


def test_an_interrupted_command_ends_with_130(shop: Shell) -> None:
    """Ctrl-C ends a command with 130 and one line."""
    task = shop.ok("task", "submit", "shop/order", "--context", '{"item": "cup"}')["task_uuid"]
    command = [sys.executable, "-X", "faulthandler", "-m", "tasker", "task", "wait", task]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever was begun in the background ignores it
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    asyncio.run(until(lambda: waits(shop), "the command waits"))
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # it tells where it stands
        pytest.fail(f"it goes on after Ctrl-C:\n{process.communicate()[1]}")
    assert (process.returncode, out, err) == (130, "", "tasker: interrupted\n")


def waits(shop: Shell) -> bool:
    """Whether a command has a connection to the database."""
    with psycopg.connect(shop.dsn) as connection:
        query = "select count(*) from pg_stat_activity where datname = current_database() and query like '%task_views%'"
        row = connection.execute(f"{query} and pid <> pg_backend_pid()").fetchone()
    return row is not None and row[0] > 0


def test_a_closed_pipe_is_no_error(shop: Shell) -> None:
    """Printing into a pipe that nobody reads any more ends without a word."""
    shop.ok("task", "submit", "shop/order", "--context", '{"item": "cup"}')
    reading, writing = os.pipe()
    os.close(reading)
    for words in (["template", "show", "shop/order"], ["task", "list", "--json"]):
        command = [sys.executable, "-m", "tasker", *words]
        ran = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
        assert (ran.returncode, ran.stderr) == (0, "")
    os.close(writing)
