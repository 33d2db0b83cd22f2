"""`tasker worker`, as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_shell import Shell

HANDLERS = """
from tasker import PermanentError, depends_on, inputs, step_handler

@step_handler("price")
@inputs("item")
def price(item):
    if item == "nothing":
        raise PermanentError("it has no price", error_code="NO_PRICE")
    return {"total": len(item)}

@step_handler("charge")
@depends_on(priced="price")
async def charge(priced):
    return {"charged": priced["total"]}
"""


@pytest.mark.parametrize("processes", [0, 2])
def test_a_worker_runs_what_is_submitted(shop: Shell, tmp_path: Path, processes: int) -> None:
    """A worker runs tasks with the handlers of the current folder until SIGTERM, and ends with 0."""
    (tmp_path / "corner_shop.py").write_text(HANDLERS)
    words = ["worker", "--templates", "order.yaml", "--handlers", "corner_shop", "--processes", str(processes)]
    worker = subprocess.Popen([sys.executable, "-m", "tasker", *words], cwd=tmp_path, env=dict(os.environ))
    try:
        good = ("task", "submit", "shop/order", "--context", '{"item": "teapot"}', "--wait", "--timeout", "60")
        assert shop.ok(*good)["results"]["charge"] == {"charged": 6}
        bad = shop.run("task", "submit", "shop/order", "--context", '{"item": "nothing"}', "--wait", "--json")
        assert (bad.code, bad.json["errors"]["price"]["error_code"]) == (1, "NO_PRICE")
    finally:
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(60)
    assert code == 0
    assert shop.ok("db", "status")["stats"]["sessions"] == 0
