"""What the hosts of these tests embed: a template with two steps, and an order that a client follows to its end."""

from __future__ import annotations

from pathlib import Path

import httpx2

from tasker import Tasker, step_handler
from tasker.client import TaskerClient

ORDER = """
tasker: 1
namespace_name: shop
name: order
version: 1.0.0
steps:
  - {name: check, handler: embedded_check}
  - {name: charge, handler: embedded_charge, dependencies: [check]}
"""


@step_handler("embedded_check")
async def check() -> dict[str, bool]:
    """Is content."""
    return {"ok": True}


@step_handler("embedded_charge")
def charge() -> dict[str, bool]:
    """Is paid."""
    return {"paid": True}


def a_tasker(database: str, folder: Path) -> Tasker:
    """What a host embeds."""
    file = folder / "order.yaml"
    file.write_text(ORDER)
    return Tasker(database, templates=file, handlers=[check, charge])


def run_an_order(url: str, **proof: str) -> None:
    """Creates a task at this address, watches it to its end, and looks at the pages that know the prefix."""
    with TaskerClient(url, **proof) as client:
        made = client.create_task("order", namespace="shop")
        updates = list(client.watch_task(made.task_uuid))
        assert updates[-1].task_state == "complete"
        assert client.wait(made.task_uuid, timeout_s=60).completed_steps == 2
        assert client.get_task_context(made.task_uuid).outputs == {"check": {"ok": True}, "charge": {"paid": True}}
    prefix = httpx2.URL(url).path
    document = httpx2.get(f"{url}/v1/openapi.json").json()
    assert document["servers"] == [{"url": prefix}]
    assert f"{prefix}/v1/openapi.json" in httpx2.get(f"{url}/v1/docs").text
    assert httpx2.get(f"{url}/v1/nothing").status_code == 404
