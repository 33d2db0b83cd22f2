"""`tasker dev`: server and worker in one tree, which begins anew with its files."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from cli_shell import Shell
from dev_process import HANDLERS, TEMPLATE, Dev
from support.until import until

from tasker.cli.dev_example import curl_line, example_of

ROOT = Path(__file__).parents[2]
Start = Callable[..., Dev]


@pytest.fixture
def start(shell: Shell, tmp_path: Path) -> Iterator[Start]:
    """Starts the command in a folder with a template and its handler."""
    (tmp_path / "greet.yaml").write_text(TEMPLATE)
    (tmp_path / "greeting.py").write_text(HANDLERS)
    started: list[Dev] = []

    def make(*words: str, port: int = 0) -> Dev:
        started.append(Dev(tmp_path, "--port", str(port), *(words or ("--handlers", "greeting"))))
        return started[-1]

    yield make
    for dev in started:
        dev.end()


def live_sessions(shell: Shell) -> int:
    with psycopg.connect(shell.dsn) as connection:
        row = connection.execute("select count(*) from tasker_engine.sessions where ended_at is null").fetchone()
    return row[0] if row else 0


def test_it_begins_with_a_line_that_works_and_stops_with_ctrl_c(start: Start, shell: Shell) -> None:
    """The first line, given to a shell, creates a task, which runs to its end; Ctrl-C stops all of it with 0."""
    dev = start()
    dev.sees("a worker is at work")
    assert dev.runs_a_task() == {"said": "hello ada"}
    assert dev.stop() == 0
    assert live_sessions(shell) == 0
    assert not answers(dev)


@pytest.mark.slow
def test_changed_files_are_worked_with(start: Start) -> None:
    """A changed handler, and a template with other content under the same version, count from then on."""
    dev = start()
    dev.sees("a worker is at work")
    dev.write("greeting.py", HANDLERS.replace("hello", "good day"))
    dev.sees("a worker is at work", count=2)
    assert dev.runs_a_task() == {"said": "good day ada"}
    dev.write("greeting.py", HANDLERS.replace('"say"', '"speak"').replace("hello", "good night"))
    dev.write("greet.yaml", TEMPLATE.replace("handler: say", "handler: speak"))
    dev.sees("a worker is at work", count=3)
    assert dev.runs_a_task() == {"said": "good night ada"}


@pytest.mark.slow
def test_broken_files_are_told_and_the_last_good_ones_go_on(start: Start) -> None:
    """A handler or template that is broken is told with its place, and changes nothing until it is mended."""
    dev = start()
    dev.sees("a worker is at work")
    dev.write("greeting.py", HANDLERS.replace("async def say(who):", "async def say(who:"))
    dev.sees(r"^worker \| tasker: \S*greeting\.py:6: cannot import the handlers of 'greeting': SyntaxError")
    dev.sees("the last good one goes on")
    assert dev.runs_a_task() == {"said": "hello ada"}
    dev.write("greeting.py", f"{HANDLERS}\nnone_such()\n")
    dev.sees(r"^worker \| tasker: \S*greeting\.py:9: cannot import .* NameError")
    dev.write("greeting.py", HANDLERS)
    dev.sees("a worker is at work", count=2)
    dev.write("greet.yaml", TEMPLATE.replace("handler: say}", "handlr: say}"))
    dev.sees(r'^worker \|   greet\.yaml:7:17 steps\[0\]\.handlr: .* did you mean "handler"')
    assert dev.runs_a_task() == {"said": "hello ada"}


@pytest.mark.slow
def test_broken_from_the_start_it_waits_for_a_change(start: Start, tmp_path: Path) -> None:
    """Where the first worker cannot begin, the command goes on, and a mended file starts one."""
    (tmp_path / "greeting.py").write_text("def broken(:\n")
    dev = start()
    dev.sees("no worker runs until a file changes")
    dev.write("greeting.py", HANDLERS)
    dev.sees("a worker is at work")
    assert dev.runs_a_task() == {"said": "hello ada"}


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(start: Start, shell: Shell) -> None:
    """kill -9 of the worker is told, its session ends, and another takes its place."""
    dev = start()
    worker = int(dev.sees(r"a worker is at work \(process (\d+)\)")[1])
    os.kill(worker, signal.SIGKILL)
    dev.sees("ended: killed by SIGKILL")
    dev.sees("a worker is at work", count=2)
    assert dev.runs_a_task() == {"said": "hello ada"}
    assert live_sessions(shell) == 1


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once(start: Start, shell: Shell, tmp_path: Path) -> None:
    """The first lets a running step finish; the second does not wait for it, and leaves no session behind."""
    stuck = "import asyncio\n" + HANDLERS.replace(
        "    return", '    print("it runs")\n    await asyncio.Event().wait()\n    return'
    )
    (tmp_path / "greeting.py").write_text(stuck)
    dev = start()
    dev.sees("a worker is at work")
    shell.ok("task", "submit", "shop/greet", "--context", '{"who": "ada"}')
    dev.sees(r"^worker \| it runs$")
    dev.process.send_signal(signal.SIGINT)
    dev.sees("stopping: running steps may finish")
    assert dev.process.poll() is None
    assert dev.stop() == 0
    assert live_sessions(shell) == 0


@pytest.mark.slow
def test_children_end_with_their_parent(start: Start, shell: Shell) -> None:
    """When the command itself is killed, server and worker notice, and end."""
    dev = start()
    worker = int(dev.sees(r"a worker is at work \(process (\d+)\)")[1])
    assert dev.stop(signal.SIGKILL) == -signal.SIGKILL
    asyncio.run(until(lambda: live_sessions(shell) == 0, "the worker has left", within_s=60))
    asyncio.run(until(lambda: not Path(f"/proc/{worker}/cmdline").exists(), "it is gone", within_s=60))
    asyncio.run(until(lambda: not answers(dev), "the server is gone", within_s=60))


def answers(dev: Dev) -> bool:
    port = re.search(r"127\.0\.0\.1:(\d+)", dev.lines[0])
    assert port
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", int(port[1]))) == 0


@pytest.mark.slow
def test_without_a_worker_tasks_wait_and_say_why(start: Start, shell: Shell) -> None:
    """--no-worker publishes the templates, now and when they change, and leaves the work to others."""
    dev = start("--no-worker")
    dev.sees("published 1 template")
    task = shell.ok("task", "submit", "shop/greet", "--context", '{"who": "ada"}')["task_uuid"]
    assert "no_worker" in str(shell.ok("task", "why", task))
    dev.write("greet.yaml", TEMPLATE.replace("name: say,", "name: tell,"))
    dev.sees("published 1 template", count=2)


def test_a_port_that_is_taken_ends_it(start: Start) -> None:
    """Where the server cannot listen, the command ends with the server's code, and says why."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        dev = start(port=taken.getsockname()[1])
        dev.sees(r"^server \| tasker: cannot listen on 127\.0\.0\.1 port")
        assert dev.process.wait(90) == 2


def test_without_handlers_it_says_what_to_give(shell: Shell) -> None:
    """The command names what is missing."""
    ran = shell.run("dev", "--templates", "x.yaml")
    assert (ran.code, "--handlers" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, {}),
        ({"required": ["a", "b"], "properties": {"a": {"type": "integer"}}}, {"a": 1, "b": "text"}),
        ({"required": ["a"], "properties": {"a": {"enum": ["x", "y"]}, "b": {"type": "string"}}}, {"a": "x"}),
        ({"required": ["a"], "properties": {"a": {"type": "string", "default": "d"}}}, {"a": "d"}),
        (
            {"required": ["a"], "properties": {"a": {"required": ["b"], "type": ["object", "null"]}}},
            {"a": {"b": "text"}},
        ),
        ({"type": "object", "examples": [{"a": 7}], "required": ["z"]}, {"a": 7}),
    ],
)
def test_the_example_is_what_the_schema_asks_for(schema: dict[str, object], value: object) -> None:
    """What the line submits has all that is required: examples and defaults as they stand, else the simplest value."""
    assert example_of(schema) == value


def test_a_quote_in_the_example_is_safe_in_a_shell(tmp_path: Path) -> None:
    """Whatever the template has in it, the line is one command with one body."""
    file = tmp_path / "greet.yaml"
    file.write_text(TEMPLATE.replace("[ada]", """["o'neill; $(exit) `x`"]"""))
    assert '"who": "o\'neill; $(exit) `x`"' in shlex.split(curl_line(1, [str(file)], None))[-1]
    assert "TEMPLATE" in curl_line(1, [str(tmp_path / "none.yaml")], None)


def test_the_readme_shows_the_line_that_its_template_gives(tmp_path: Path) -> None:
    """The curl command of the README is the first line that `tasker dev` prints for the README's template."""
    page = (ROOT / "README.md").read_text()
    (template,) = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "welcome.yaml").write_text(template)
    assert f"\n$ {curl_line(8080, [str(tmp_path / 'welcome.yaml')], None)}\n" in page
