"""Every way in which a command can fail: its exit code, its message, and that nothing was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cli_shell import TEMPLATE, Shell
from support.engine import Engine

from tasker.model.ids import uuid7

UNKNOWN = "01a1fde9-7f03-7552-9bdc-fcfe3968b138"
ORDER = ("task", "submit", "shop/order", "--context", '{"item": "cup"}')


def fails(shell: Shell, code: int, *words: object, says: str, stdin: str = "", lines: int = 1) -> dict[str, Any]:
    """The command fails so: as a line for people, and as an object for programs; and it leaves no trace."""
    before = shell.content()
    ran = shell.run(*words, stdin=stdin)
    assert (ran.code, ran.out) == (code, ""), ran
    assert ran.err.startswith("tasker: ")
    assert says in ran.err
    assert len(ran.err.splitlines()) == lines
    assert "Traceback" not in ran.err
    ran = shell.run(*words, "--json", stdin=stdin)
    assert (ran.code, ran.out, ran.error["exit_code"]) == (code, "", code)
    assert says in ran.error["message"] or lines > 1
    assert shell.content() == before
    return ran.error


USAGE = [
    (["tsak"], 'Unknown command "tsak". Did you mean "task"?'),
    (["task", "lits"], 'Did you mean "list"?'),
    (["task", "list", "--sttae", "error"], "--sttae"),
    (["task", "get"], "TASK"),
    (["task", "get", "17"], '"17" into UUID'),
    (["task", "list", "--state", "broken"], "broken"),
    (["task", "list", "--limit", "many"], "--limit"),
    (["task", "list", "--since", "yesterday"], "2h, 7d"),
    (["task", "submit", "a/b@", "--context", "{}"], "names no template"),
    (["task", "submit", "/b"], "names no template"),
    ([*ORDER, "--priority", "high"], "--priority"),
    ([*ORDER, "--delay", "5", "--start-at", "2030-01-01"], "not both"),
    ([*ORDER, "--delay", "-5"], "from 0"),
    ([*ORDER, "--wait", "--timeout", "-1"], "--timeout"),
    ([*ORDER, "--start-at", "soon"], "--start-at"),
    (["step", "complete", UNKNOWN, "charge"], "--result"),
    (["db", "stop"], "TASKER_DATABASE_URL"),
]


def test_wrong_words_are_a_usage_error(shop: Shell) -> None:
    """Words that a command does not know end with 2, and the message says what there is."""
    for words, says in USAGE:
        assert fails(shop, 2, *words, says=says)["code"] == "usage"


def test_a_wrong_setting_is_a_usage_error(shop: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting of the environment that is not valid ends with 2 and is named."""
    monkeypatch.setenv("TASKER_LEASE_S", "long")
    assert fails(shop, 2, "task", "list", says="TASKER_LEASE_S")["code"] == "invalid_settings"


ON_A_TASK = [
    ["task", "get", UNKNOWN],
    ["task", "steps", UNKNOWN],
    ["task", "history", UNKNOWN],
    ["task", "summary", UNKNOWN],
    ["task", "wait", UNKNOWN],
    ["task", "watch", UNKNOWN],
    ["task", "cancel", UNKNOWN],
    ["task", "pause", UNKNOWN],
    ["task", "resume", UNKNOWN],
    ["step", "retry", UNKNOWN, "charge"],
    ["step", "resolve", UNKNOWN, "charge"],
    ["step", "complete", UNKNOWN, "charge", "--result", "1"],
]


def test_an_unknown_task_is_not_found(shop: Shell) -> None:
    """An id that no task has ends with 3 and is named."""
    for words in ON_A_TASK:
        assert fails(shop, 3, *words, says=f"there is no task {UNKNOWN}")["code"] == "task_not_found"


def test_an_unknown_step_is_not_found(shop: Shell) -> None:
    """A step that the task does not have ends with 3, and the nearest name is told."""
    task = shop.ok(*ORDER)["task_uuid"]
    for words in (["step", "retry", task, "chrage"], ["task", "history", task, "--step", "chrage"]):
        assert fails(shop, 3, *words, says='did you mean "charge"?')["code"] == "step_not_found"


def test_an_unknown_template_is_not_found(shop: Shell) -> None:
    """A template that is not published ends with 3, and the message says how to publish."""
    for words in ("task submit shop/ordre", "template show shop/order@9.9.9", "template graph shop/nothing"):
        error = fails(shop, 3, *words.split(), says="tasker template publish")
        assert error["code"] == "template_not_found"


NO_OBJECTS = {
    "{": "--context is not JSON",
    "[1]": "has to be an object",
    "@/nowhere/context.json": "cannot be read",
    '{"item": "\\ud800"}': "not JSON",
}


def test_an_input_that_is_not_an_object_is_invalid(shop: Shell) -> None:
    """An input that is not a JSON object, or cannot be read, ends with 6."""
    for context, says in NO_OBJECTS.items():
        error = fails(shop, 6, "task", "submit", "shop/order", "--context", context, says=says)
        assert error["code"] == "invalid_input"


def test_a_missing_input_is_invalid(shop: Shell) -> None:
    """An input that does not fit the template's schema ends with 6; each violation is told with its path."""
    words = ("task", "submit", "shop/order", "--context", "-")
    error = fails(shop, 6, *words, says="'item' is a required", stdin='{"count": "two"}', lines=3)
    assert error["violations"] == ["'item' is a required property", "count: 'two' is not of type 'integer'"]


def test_an_oversized_input_is_refused(shop: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An input larger than the setting ends with 6, and both sizes are told."""
    monkeypatch.setenv("TASKER_INPUT_BYTES_MAX", "1000")
    file = tmp_path / "large.json"
    file.write_text(json.dumps({"item": "x" * 2000}))
    error = fails(shop, 6, "task", "submit", "shop/order", "--context", f"@{file}", says="limit is 1000")
    assert error["code"] == "payload_too_large"


def test_a_key_with_other_content_is_a_conflict(shop: Shell) -> None:
    """The same key with other content ends with 4 and names the task that holds it."""
    task = shop.ok(*ORDER, "--key", "k")["task_uuid"]
    other = ("task", "submit", "shop/order", "--context", '{"item": "mug"}', "--key", "k")
    error = fails(shop, 4, *other, says=task)
    assert (error["code"], error["task_uuid"]) == ("identity_conflict", task)


def test_a_template_that_wants_a_key_gets_one(shell: Shell, tmp_path: Path) -> None:
    """Without the key that the template asks for, submit ends with 6."""
    file = tmp_path / "keyed.yaml"
    file.write_text(TEMPLATE.replace("version: 1.0.0", "version: 1.0.0\nidentity_strategy: caller_provided"))
    shell.ok("template", "publish", file)
    fails(shell, 6, *ORDER, says="idempotency_key")


async def done(engine: Engine) -> None:
    """Runs whatever is ready, with success."""
    engine.advance(1)
    await (await engine.session(["price", "charge"])).work_off()


FORBIDDEN = {
    "task pause TASK": "is complete: it cannot be paused",
    "task resume TASK": "is complete: it cannot be resumed",
    "task cancel TASK": "is complete: it cannot be cancelled",
    "step retry TASK price": "nothing can be done to its steps",
    "step complete TASK price --result 1": "nothing can be done to its steps",
}


def test_an_action_that_the_state_forbids_is_a_conflict(shop: Shell) -> None:
    """An action on a task that has ended ends with 4 and says why."""
    task = shop.ok(*ORDER)["task_uuid"]
    shop.drive(done)
    for words, says in FORBIDDEN.items():
        error = fails(shop, 4, *words.replace("TASK", task).split(), says=says)
        assert error["code"] == "action_forbidden"


def test_an_action_on_what_has_changed_is_a_conflict(shop: Shell) -> None:
    """With --if-state, an action on a task in another state ends with 4."""
    task = shop.ok(*ORDER)["task_uuid"]
    fails(shop, 4, "task", "cancel", task, "--if-state", "error", says="is pending, not error as you saw it")
    fails(shop, 4, "step", "retry", task, "price", says="only a step in error or waiting for its retry")


def test_a_wait_that_is_too_long_times_out(shop: Shell) -> None:
    """A wait that is over before the task has ended ends with 7; the task goes on."""
    task = shop.ok(*ORDER)["task_uuid"]
    for command in ("wait", "watch"):
        assert fails(shop, 7, "task", command, task, "--timeout", "0.05", says="goes on")["code"] == "wait_timeout"


WRONG = """\
tasker: 1
namespace_name: shop
name: order
version: 1.0.0
steps:
  - {name: a, handler: a, dependencies: [b]}
"""


@pytest.mark.parametrize("command", ["validate", "publish"])
def test_wrong_yaml_is_told_with_its_place(shop: Shell, tmp_path: Path, command: str) -> None:
    """Wrong files end with 6; each problem is a line with file, line and column, of all files at once."""
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(WRONG)
    other.write_text("tasker: 1\nstepz: []\n")
    before = shop.content()
    ran = shop.run("template", command, one, other)
    assert ran.code == 6
    assert f"{one}:6:" in ran.err
    assert f"{other}:2:1" in ran.err
    error = shop.run("template", command, one, other, "--json").error
    assert {problem["file"] for problem in error["problems"]} == {str(one), str(other)}
    assert all(set(problem) == {"file", "line", "column", "path", "message"} for problem in error["problems"])
    assert shop.content() == before
    fails(shop, 6, "template", command, tmp_path / "nothing.yaml", says="there is no such file", lines=1)


def test_changed_content_under_a_version_publishes_nothing(shop: Shell, tmp_path: Path) -> None:
    """Of files of which one is refused none is published; the message says what differs."""
    (tmp_path / "order.yaml").write_text(TEMPLATE.replace("max_attempts: 2", "max_attempts: 9"))
    (tmp_path / "another.yaml").write_text(TEMPLATE.replace("name: order", "name: another"))
    error = fails(shop, 4, "template", "publish", tmp_path, says="max_attempts")
    assert error["code"] == "template_conflict"


def test_an_unknown_handler_is_named(shop: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template whose handler is in none of the modules ends with 6, in validate and when a worker starts."""
    (tmp_path / "some_shop.py").write_text(
        'from tasker import step_handler\n@step_handler("price")\ndef price(): return {}\n'
    )
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "order.yaml"
    error = fails(shop, 6, "template", "validate", file, "--handlers", "some_shop", says="charge")
    assert error["code"] == "handler_not_found"
    before = shop.content()
    for processes in ("0", "1"):
        words = ("worker", "--templates", file, "--handlers", "some_shop", "--processes", processes)
        ran = shop.run(*words)
        assert ran.code == 6, ran
    assert shop.content() == before


def test_a_database_that_does_not_answer_is_named_without_its_password(shop: Shell) -> None:
    """A database that is away ends with 5; the message names it, never its password."""
    url = "postgresql://ada:secret-word@127.0.0.1:1/none"
    error = fails(shop, 5, "task", "list", "--database-url", url, says="127.0.0.1")
    assert "secret-word" not in json.dumps(error)
    assert error["code"] == "database_unavailable"


def test_a_database_without_the_schema_says_what_to_do(
    shell: Shell, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before `tasker db migrate`, commands end with 5 and name it; nothing is made by the way."""
    monkeypatch.setenv("TASKER_DATABASE_URL", empty_database)
    bare = Shell(empty_database, shell.capture, monkeypatch)
    error = fails(bare, 5, "task", "list", says="tasker db migrate")
    assert error["code"] == "schema_outdated"


def test_a_repeated_action_is_done_once(shop: Shell) -> None:
    """An action with the id of one that was done before answers the same and does nothing."""
    task = shop.ok(*ORDER)["task_uuid"]
    words = ("task", "cancel", task, "--act-id", uuid7())
    first = shop.ok(*words)
    before = shop.content()
    assert shop.ok(*words) == first
    assert shop.content() == before


def test_a_fault_is_one_line(shop: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Tasker did not foresee ends with 70 in one line; TASKER_DEBUG=1 raises it."""

    def broken(_: object) -> UUID:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("tasker.store.reads_rows.task_info", broken)
    shop.ok(*ORDER)
    fails(shop, 70, "task", "list", says="ZeroDivisionError: oh (TASKER_DEBUG=1 shows where)")
    monkeypatch.setenv("TASKER_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        shop.run("task", "list")
