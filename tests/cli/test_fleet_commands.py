"""`tasker worker …` and `tasker queue …`, on a database with a direct worker, and on a server with a remote one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_shell import Shell
from test_worker_command import HANDLERS

import tasker

WITHIN_S = 60


@pytest.fixture
def worker(shop: Shell, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A supervised worker process, which reaches the engine as the commands do."""
    (tmp_path / "corner_shop.py").write_text(HANDLERS)
    url = os.environ.get("TASKER_URL")
    words = ["worker", "--handlers", "corner_shop", *(["--url", url] if url else [])]
    started = subprocess.Popen(
        [sys.executable, "-m", "tasker", *words], cwd=tmp_path, env={**os.environ, "TASKER_BEAT_S": "0.2"}
    )
    yield started
    if started.poll() is None:
        started.terminate()
        started.wait(WITHIN_S)


def _until(condition: Callable[[], Any]) -> Any:
    """The first true value, asked again and again for a bounded time."""
    deadline = time.monotonic() + WITHIN_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)
    return found


def test_a_worker_is_paused_resumed_and_drained_from_elsewhere(
    shop: Shell, worker: subprocess.Popen[bytes], request: pytest.FixtureRequest
) -> None:
    """Paused it takes nothing, resumed it works, drained it ends with 0 and no other takes its place."""
    (found,) = _until(lambda: [one for one in shop.ok("worker", "list")["workers"] if one["version"] and one["queues"]])
    by = "gateway" if "server" in request.node.name else "direct"
    assert (found["state"], found["transport"], found["version"]) == ("running", by, tasker.__version__)
    assert (found["namespaces"], found["queues"]) == (["shop"], ["shop"])
    assert found["handler_versions"] == {"charge": "1.0.0", "price": "1.0.0"}
    about = ("--reason", "a new disk", "--actor", "ada")
    paused = shop.ok("worker", "pause", found["session_uuid"][:13], *about)["worker"]
    assert (paused["session_uuid"], paused["state"]) == (found["session_uuid"], "paused")
    task = shop.ok("task", "submit", "shop/order", "--context", '{"item": "teapot"}')["task_uuid"]
    (listed,) = shop.ok("worker", "list")["workers"]
    assert (listed["state"], listed["wanted_by"].split()[0], listed["wanted_reason"]) == ("paused", "ada", "a new disk")
    assert shop.ok("queue", "list")["queues"][0]["ready"] == 1
    assert shop.ok("worker", "resume", found["name"])["worker"]["state"] == "running"
    assert shop.ok("task", "wait", task, "--timeout", str(WITHIN_S))["status"] == "complete"
    assert "it ends when it is done" in shop.run("worker", "drain", found["session_uuid"]).out
    assert worker.wait(WITHIN_S) == 0
    assert shop.ok("worker", "list")["workers"] == []
    (ended,) = shop.ok("worker", "list", "--ended", "600")["workers"]
    assert (ended["state"], ended["end_reason"]) == ("ended", "drained")
    assert shop.run("worker", "resume", found["session_uuid"]).code == 3
    assert "tasker worker list" in shop.run("worker", "resume", "nobody").err


def test_a_queue_is_paused_and_resumed(shop: Shell) -> None:
    """What is paused is listed with who, since when and why; its steps say so; resumed in the same words it goes on."""
    task = shop.ok("task", "submit", "shop/order", "--context", '{"item": "cup"}')["task_uuid"]
    about = ("--reason", "stock-taking", "--actor", "ada")
    acted = shop.ok("queue", "pause", "shop", "--handler", "price", "--for", "3600", *about)["queue"]
    assert (acted["handler"], acted["is_paused"], acted["until"] > acted["since"]) == ("price", True, True)
    shown = shop.run("queue", "list").out
    assert 'the handler "price" in every queue of the namespace "shop" is paused by ada' in " ".join(shown.split())
    assert "is paused by ada" in shop.run("task", "why", task).out
    with shop.working(handlers=["price", "charge"]):
        assert shop.run("task", "wait", task, "--timeout", "1").code == 7
        assert shop.run("queue", "resume", "shop").code == 4
        assert shop.run("queue", "resume", "shop", "--handler", "price", "--reason", "counted").code == 0
        assert shop.ok("task", "wait", task, "--timeout", str(WITHIN_S))["status"] == "complete"
    (pause,) = shop.ok("queue", "pauses", "--namespace", "shop")["pauses"]
    assert (pause["reason"], pause["end_reason"]) == ("stock-taking", "counted")
    assert shop.run("queue", "pause", "nowhere").code == 3
