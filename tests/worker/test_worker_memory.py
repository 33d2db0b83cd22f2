"""What a worker leaves behind in its process."""

from __future__ import annotations

import gc

import pytest
from support.until import until
from worker_support import Start

from tasker import StepContext
from tasker.worker.held import Held

pytestmark = pytest.mark.any_postgres


async def test_a_finished_step_needs_no_garbage_collector(start: Start) -> None:
    """Steps that are over are freed at once: nothing of them goes round in a circle until a collection, which costs."""

    async def work(context: StepContext) -> None:
        context.heartbeat()

    tasker = await start("a -> b", {"a": work, "b": work}, steps={"timeout_seconds": 30})
    gc.collect()
    known = {id(one) for one in gc.get_objects() if type(one) is Held}  # of other tests of this process
    gc.disable()
    try:
        for task in await tasker.submit_many("flow", [{} for _ in range(20)], namespace="tests"):
            await tasker.wait(task.task_uuid, 20)
        await until(
            lambda: not any(type(one) is Held and id(one) not in known for one in gc.get_objects()),
            "every step is freed",
        )
    finally:
        gc.enable()
