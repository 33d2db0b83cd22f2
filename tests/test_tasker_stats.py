"""What Tasker says of itself in figures."""

from __future__ import annotations

from typing import Any

from support.templates import template

from tasker import Tasker, step_handler


@step_handler("ship")
async def ship(context: Any) -> None:
    """Nothing to do."""


async def test_stats_count_tasks_workers_and_what_this_process_did(database: str) -> None:
    """Tasks by state, who serves which channel, and this process's own turns, as plain dicts and numbers."""
    async with Tasker(database, templates=[template("ship", namespace="shop")], handlers=[ship]) as tasker:
        task = await tasker.submit("flow", namespace="shop")
        await tasker.wait(task.task_uuid, timeout=30)

        stats = await tasker.stats()

    assert stats["tasks"] == {"complete": 1}
    assert [(one["queue"], one["handler"], one["sessions"]) for one in stats["channels"]] == [("shop", "ship", 1)]
    assert (stats["sessions"], stats["here"]["outcomes"]) == (1, 1)


async def test_a_client_has_done_nothing_here(database: str) -> None:
    """Without a worker there is nothing to say of this process."""
    async with Tasker(database, worker=False) as tasker:
        assert (await tasker.stats())["here"] == {}
