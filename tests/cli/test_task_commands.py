"""Submitting tasks, looking at them and acting on them, at the command line."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cli_shell import Shell
from support.engine import Engine

from tasker.cli.common import moment
from tasker.model.ids import step_uuid

ORDER = ("task", "submit", "shop/order", "--context", '{"item": "cup"}')


async def price_fails(engine: Engine) -> None:
    """The first step fails for good."""
    engine.advance(1)
    session = await engine.session(["price"])
    await session.fail(*await session.claim(), error={"error_code": "NO_PRICE", "message": "it has none"})


def test_submit_names_the_task_and_fills_in_defaults(shop: Shell) -> None:
    """Submit prints the task's id; the task has the input with the schema's defaults, and all that was said of it."""
    group = uuid4()
    words = ("--priority", "1", "--initiator", "ada", "--reason", "sold", "--tags", "x", "y", "--correlation-id", group)
    made = shop.ok(*ORDER, *words)
    assert made["is_duplicate"] is False
    task = shop.ok("task", "get", made["task_uuid"])
    assert (task["context"], task["status"]) == ({"item": "cup", "count": 1}, "pending")
    assert (task["priority"], task["initiator"], task["reason"]) == (1, "ada", "sold")
    assert (task["tags"], task["correlation_id"]) == (["x", "y"], str(group))
    ran = shop.run(*ORDER)
    assert UUID(ran.out.strip()).version == 7
    assert ran.code == 0


def test_submit_takes_its_input_from_a_file_and_from_stdin(shop: Shell, tmp_path: Path) -> None:
    """The input may stand in the words, in a file, or on stdin."""
    file = tmp_path / "order.json"
    file.write_text('{"item": "from a file"}')
    for source, item in ((f"@{file}", "from a file"), ("-", "from stdin")):
        task = shop.ok("task", "submit", "shop/order", "--context", source, stdin='{"item": "from stdin"}')
        assert shop.ok("task", "get", task["task_uuid"])["context"]["item"] == item


def test_a_key_submits_once(shop: Shell) -> None:
    """The same key with the same input is the same task, and says so."""
    first, second = shop.ok(*ORDER, "--key", "k"), shop.ok(*ORDER, "--key", "k")
    assert second == {"task_uuid": first["task_uuid"], "is_duplicate": True}
    assert "it existed already" in shop.run(*ORDER, "--key", "k").out
    assert len(shop.ok("task", "list")["tasks"]) == 1


def test_a_task_may_begin_later(shop: Shell) -> None:
    """A delay, or a time, is when the task may begin."""
    delayed = shop.ok("task", "get", shop.ok(*ORDER, "--delay", "3600")["task_uuid"])
    created, start = (datetime.fromisoformat(delayed[name]) for name in ("created_at", "start_at"))
    assert start - created == timedelta(hours=1)
    at = datetime.now(UTC) + timedelta(days=2)
    timed = shop.ok("task", "get", shop.ok(*ORDER, "--start-at", at.isoformat())["task_uuid"])
    assert datetime.fromisoformat(timed["start_at"]) == at


def test_submit_waits_for_the_end(shop: Shell) -> None:
    """With --wait, submit prints the task as it ended; the exit code is 0 when it is complete."""
    with shop.working(handlers=["price", "charge"]):
        ended = shop.ok(*ORDER, "--wait", "--timeout", "30")
    assert (ended["status"], ended["results"]) == ("complete", {"price": {"done": True}, "charge": {"done": True}})
    assert ended["is_duplicate"] is False


def test_a_task_in_error_ends_waiting_with_1(shop: Shell) -> None:
    """Wait and watch end with 1 where the task ended in error, and show why."""
    task = shop.ok(*ORDER)["task_uuid"]
    shop.drive(price_fails)
    for command in ("wait", "watch"):
        ran = shop.run("task", command, task)
        assert (ran.code, ran.err) == (1, "")
        assert "NO_PRICE: it has none" in ran.out
        ran = shop.run("task", command, task, "--json")
        assert (ran.code, ran.json["errors"]["price"]["error_code"]) == (1, "NO_PRICE")


def test_watch_goes_on_until_the_end(shop: Shell) -> None:
    """Watch follows a task that runs, and ends with 0 when it is complete."""
    task = shop.ok(*ORDER)["task_uuid"]
    with shop.working(handlers=["price", "charge"]):
        assert shop.ok("task", "watch", task)["status"] == "complete"


def test_list_shows_pages(shop: Shell) -> None:
    """A list shows the newest tasks first, page by page, by all its filters."""
    tasks = [shop.ok(*ORDER, "--tags", f"t{n}")["task_uuid"] for n in range(5)]
    page = shop.ok("task", "list", "--limit", "3")
    rest = shop.ok("task", "list", "--limit", "3", "--cursor", page["next_cursor"])
    assert [task["task_uuid"] for task in page["tasks"] + rest["tasks"]] == tasks[::-1]
    assert rest["next_cursor"] is None
    shop.ok("task", "cancel", tasks[0])

    def found(*words: str) -> list[str]:
        return [task["task_uuid"] for task in shop.ok("task", "list", *words)["tasks"]]

    assert found("--state", "cancelled", "--state", "error") == tasks[:1]
    assert found("--state", "cancelled", "pending") == tasks[::-1]
    assert found("--tag", "t2", "--namespace", "shop", "--name", "order", "--since", "1h") == tasks[2:3]
    assert found("--until", "1h") == found("--namespace", "nowhere") == []
    ran = shop.run("task", "list", "--limit", "2")
    assert tasks[4] in ran.out
    assert "shop/order@1.0.0" in ran.out
    assert f"--cursor {shop.ok('task', 'list', '--limit', '2')['next_cursor']}" in ran.out
    assert shop.run("task", "list", "--namespace", "nowhere").out == "no tasks\n"


def test_get_shows_a_task(shop: Shell) -> None:
    """A task's page names its state, steps, results and errors; its document has them whole."""
    task = shop.ok(*ORDER)["task_uuid"]
    shop.drive(price_fails)
    page = shop.run("task", "get", task).out
    for said in (
        task,
        "shop/order@1.0.0",
        "price",
        "error",
        "NO_PRICE: it has none",
        "waits for price",
        '"item":"cup"',
    ):
        assert said in page
    document = shop.ok("task", "get", task)
    assert [step["state"] for step in document["steps"]] == ["error", "pending"]
    assert document["steps"][0]["step_uuid"] == str(step_uuid(UUID(task), 1))
    assert document["errors"]["price"]["message"] == "it has none"


def test_steps_say_why(shop: Shell) -> None:
    """The steps of a task tell their level and what each waits for."""
    task = shop.ok(*ORDER)["task_uuid"]
    document = shop.ok("task", "steps", task)
    assert [(step["name"], step["level"]) for step in document["steps"]] == [("price", 0), ("charge", 1)]
    assert document["steps"][0]["ready_for_execution"] is True
    assert document["steps"][1]["why"] == "waits for price"
    assert 'no living worker has the handler "price"' in shop.run("task", "steps", task).out


def test_history_tells_every_move(shop: Shell) -> None:
    """The history tells the moves of a task, or of a step, with who and why."""
    task = shop.ok(*ORDER)["task_uuid"]
    shop.drive(price_fails)
    shop.ok("step", "retry", task, "price", "--reason", "there is one now", "--actor", "ada")
    moves = shop.ok("task", "history", task, "--step", "price")["transitions"]
    assert [move["to_state"] for move in moves] == ["enqueued", "in_progress", "error", "enqueued"]
    assert moves[-1]["detail"]["actor"] == "ada"
    page = shop.run("task", "history", task).out
    assert "there is one now" in page
    assert "(task)" in page
    assert shop.ok("task", "history", task, "--step", "charge")["transitions"] == []


def test_summary_tells_the_longest_way(shop: Shell) -> None:
    """A summary tells where the time went and which steps decided it."""
    task = shop.ok(*ORDER)["task_uuid"]
    with shop.working(handlers=["price", "charge"]):
        shop.ok("task", "wait", task)
    document = shop.ok("task", "summary", task)
    assert document["critical_path"] == ["price", "charge"]
    assert document["context"]["completion_percentage"] == 100
    assert "longest way: price → charge" in shop.run("task", "summary", task).out


def test_pause_keeps_a_task_and_resume_lets_it_go_on(shop: Shell) -> None:
    """A paused task keeps its state and hands out nothing until it is resumed."""
    task = shop.ok(*ORDER)["task_uuid"]
    assert shop.ok("task", "pause", task, "--reason", "stock-taking") == {
        "action": "pause",
        "task_uuid": task,
        "step": None,
        "task_state": "pending",
        "is_paused": True,
        "step_state": None,
    }
    assert "(paused)" in shop.run("task", "list").out
    assert shop.ok("task", "steps", task)["steps"][0]["why"] == "the task is paused"
    assert shop.run("task", "resume", task).out == f"task {task} is pending\n"
    with shop.working(handlers=["price", "charge"]):
        assert shop.ok("task", "wait", task, "--timeout", "30")["status"] == "complete"


def test_a_step_is_repaired_by_hand(shop: Shell) -> None:
    """A failed step may be tried again, resolved, or given its result; the task goes on with it."""
    tasks = [shop.ok(*ORDER)["task_uuid"] for _ in range(3)]

    async def all_fail(engine: Engine) -> None:
        for _ in tasks:
            await price_fails(engine)

    shop.drive(all_fail)
    retried, resolved, completed = tasks
    assert (
        shop.run("step", "retry", retried, "price").out
        == f"step price is enqueued, task {retried} is steps_in_process\n"
    )
    assert shop.ok("step", "resolve", resolved, "price")["step_state"] == "resolved_manually"
    result = json.dumps({"total": 7})
    assert shop.ok("step", "complete", completed, "price", "--result", "-", stdin=result)["step_state"] == "complete"
    assert shop.ok("task", "get", completed)["results"] == {"price": {"total": 7}}
    with shop.working(handlers=["price", "charge"]):
        for task in tasks:
            assert shop.ok("task", "wait", task, "--timeout", "30")["status"] == "complete"


def test_an_action_is_recorded_with_the_login_name(shop: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --actor, the login name stands in the history."""
    monkeypatch.setattr("getpass.getuser", lambda: "grace")
    task = shop.ok(*ORDER)["task_uuid"]
    shop.ok("task", "cancel", task)
    assert shop.ok("task", "history", task)["transitions"][-1]["detail"]["actor"] == "grace"


@pytest.mark.parametrize(
    ("text", "ago"),
    [("90s", timedelta(seconds=90)), ("1.5h", timedelta(minutes=90)), ("7d", timedelta(days=7))],
)
def test_an_age_is_a_time(text: str, ago: timedelta) -> None:
    """An age counts back from now; a time without a zone is local."""
    now = datetime(2030, 1, 31, 12, tzinfo=UTC)
    assert moment(text, "--since", lambda: now) == now - ago
    assert moment("2030-01-31T12:00:00+00:00", "--since") == now
    assert moment("2030-01-31T12:00:00", "--since") == datetime(2030, 1, 31, 12).astimezone()
    assert moment(None, "--since") is None


def test_commands_run_beside_each_other(shop: Shell) -> None:
    """Several waits at once, in threads, each get their task."""
    tasks = [shop.ok(*ORDER)["task_uuid"] for _ in range(3)]
    codes: list[Any] = []
    threads = [threading.Thread(target=lambda t=t: codes.append(_wait(t))) for t in tasks]
    for thread in threads:
        thread.start()
    with shop.working(handlers=["price", "charge"]):
        for thread in threads:
            thread.join()
    assert codes == [0, 0, 0]


def _wait(task: str) -> int:
    from tasker.cli import main

    return main(["task", "wait", task, "--timeout", "30", "--json"])
