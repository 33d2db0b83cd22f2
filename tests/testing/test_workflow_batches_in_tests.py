"""Batches in tests of users: members are attempts of their own, and go wrong by name or all together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasker import Batches, BatchResults, StepContext, depends_on, step_handler
from tasker.model.errors import StepNotFound
from tasker.testing import Workflow, fail, lose_worker, run_handler

TEXT = """
tasker: 1
namespace_name: tests
name: parts
version: 1.0.0
steps:
  - {name: cut, handler: cut, type: batchable}
  - {name: work, handler: work, type: batch_worker, dependencies: [cut], batch_config: {parallelism: 2}}
  - {name: gather, handler: gather, dependencies: [work]}
"""


@step_handler("cut")
async def cut() -> Batches:
    """Three parts."""
    return Batches.split(30, 10)


@step_handler("work")
async def work(batch: Any, context: StepContext) -> dict[str, int]:
    """One of them."""
    await context.save_checkpoint(batch.end)
    return {"rows": 0 if batch.is_no_op else batch.end - batch.start}


@step_handler("gather")
@depends_on(parts="work")
async def gather(parts: BatchResults) -> dict[str, int]:
    """All of them."""
    return {"rows": sum(part["rows"] for part in parts)}


async def test_members_are_steps_of_their_own(workflow: Callable[..., Workflow]) -> None:
    """Each has its attempts, its waits and its result, by its name."""
    parts = workflow(TEXT, handlers=[cut, work, gather])
    faults = [fail("work_002", attempts=1), lose_worker("work_003", after_checkpoint=1)]
    done = await parts.run_async(faults=faults)
    done.assert_complete()
    done.assert_attempts(cut=1, work=1, work_001=1, work_002=2, work_003=2, gather=1)
    done.assert_waits("work_002", 1)
    assert [attempt.kind for attempt in done.attempts_of("work")] == ["expanded"]
    assert done.results["gather"] == {"rows": 30}


async def test_a_fault_of_the_batch_is_one_of_every_member(workflow: Callable[..., Workflow]) -> None:
    """A name that is neither is refused."""
    parts = workflow(TEXT, handlers=[cut, work, gather])
    done = await parts.run_async(faults=[fail("work", attempts=1)])
    done.assert_attempts(work=1, work_001=2, work_002=2, work_003=2)
    with pytest.raises(StepNotFound, match="cut_001"):
        await parts.run_async(faults=[fail("cut_001")])


def test_one_part_and_one_item() -> None:
    """A handler runs as a member of a batch without any."""

    @step_handler("each")
    async def each(item: Any, item_index: int) -> dict[str, Any]:
        return {"item": item, "index": item_index}

    assert run_handler(work, batch={"start_cursor": 5, "end_cursor": 9}).assert_succeeded() == {"rows": 4}
    assert run_handler(work, batch={}).assert_succeeded() == {"rows": 0}
    assert run_handler(each, item=None).assert_succeeded() == {"item": None, "index": 0}
    ran = run_handler(cut, type="batchable").assert_succeeded()
    assert ran["batch_processing_outcome"]["worker_count"] == 3
    run_handler(cut).assert_failed("invalid_batch")
