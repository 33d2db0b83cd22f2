"""`tasker worker --url`: a process that runs steps through a server, and knows no database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_shell import Shell
from support.serving import Serving
from support.serving_grpc import ServingGrpc
from test_worker_command import HANDLERS

from tasker import Tasker


@pytest.mark.parametrize(("processes", "over"), [(0, "HTTP"), (2, "HTTP"), (2, "gRPC")])
def test_a_worker_runs_steps_through_a_server(shop: Shell, tmp_path: Path, processes: int, over: str) -> None:
    """Where only a server's address is given, tasks run all the same, until SIGTERM; the session ends."""
    (tmp_path / "corner_shop.py").write_text(HANDLERS)

    def make() -> Tasker:
        return Tasker(shop.dsn, worker=False)

    with ServingGrpc(make) if over == "gRPC" else Serving(lambda: make().asgi()) as server:
        words = ["worker", "--url", server.url, "--handlers", "corner_shop", "--processes", str(processes)]
        nowhere = {**os.environ, "TASKER_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"}
        worker = subprocess.Popen([sys.executable, "-m", "tasker", *words], cwd=tmp_path, env=nowhere)
        try:
            good = ("task", "submit", "shop/order", "--context", '{"item": "teapot"}', "--wait", "--timeout", "60")
            assert shop.ok(*good)["results"]["charge"] == {"charged": 6}
        finally:
            worker.send_signal(signal.SIGTERM)
            code = worker.wait(60)
    assert code == 0
    assert shop.ok("db", "status")["stats"]["sessions"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--token", "x"), "--token is for a server"),
        (("--url", "http://127.0.0.1:9", "--templates", "order.yaml"), "publishes nothing"),
        (("--url", "http://127.0.0.1:9", "--database-url", "postgresql://x"), "give one"),
    ],
)
def test_what_does_not_go_together_is_refused(shop: Shell, words: tuple[str, ...], said: str) -> None:
    """What a worker of a server would have to ignore is refused, with what to do instead."""
    ran = shop.run("worker", "--handlers", "corner_shop", *words)
    assert ran.code != 0
    assert said in ran.err
