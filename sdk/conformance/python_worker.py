"""The handlers of the conformance suite, in Python: README.md says what each does."""

from __future__ import annotations

import asyncio
from typing import Any

from tasker import Batches, Decision, PermanentError, RetryableError, StepContext, depends_on, step_handler


@step_handler("echo")
async def echo(context: StepContext) -> dict[str, Any]:
    """The input, and which of the steps above have results."""
    return {"input": context.inputs, "above": sorted(context.dependency_results)}


@step_handler("fail")
async def fail(context: StepContext) -> dict[str, Any]:
    """Fails as often as it is asked to."""
    asked = context.inputs
    if context.retry_count < asked["times"]:
        kind = PermanentError if asked["kind"] == "permanent" else RetryableError
        raise kind("as it was asked to", error_code="ASKED", retry_after=asked.get("retry_after"))
    return {"tries": context.retry_count + 1}


@step_handler("slow")
async def slow(context: StepContext) -> dict[str, Any]:
    """The first execution takes a minute."""
    if context.retry_count == 0:
        await asyncio.sleep(60)
    return {"tries": context.retry_count + 1}


@step_handler("nap")
async def nap(context: StepContext) -> dict[str, Any]:
    """Takes so many seconds."""
    await asyncio.sleep(context.inputs["seconds"])
    return {}


@step_handler("decide")
async def decide(context: StepContext) -> Decision:
    """Takes the branches of the input."""
    return Decision.route(context.inputs["branches"])


@step_handler("cut")
async def cut(context: StepContext) -> Batches:
    """Cuts so many rows."""
    return Batches.split(context.inputs["rows"], context.batch_size)


@step_handler("part")
async def part(batch: Any) -> dict[str, Any]:
    """How many rows its part has."""
    return {"rows": batch.end - batch.start}


@step_handler("sum")
@depends_on(parts="part")
async def add_up(parts: Any) -> dict[str, Any]:
    """All rows, and how many parts there were."""
    return {"rows": sum(one["rows"] for one in parts), "parts": parts.total}


@step_handler("resume")
async def resume(context: StepContext) -> dict[str, Any]:
    """The first execution saves a checkpoint and fails; the next says what it found."""
    if not context.has_checkpoint:
        await context.save_checkpoint({"row": 5}, items_processed=5)
        raise RetryableError("once more", retry_after=0)
    return {"cursor": context.checkpoint_cursor, "items_processed": context.checkpoint_items_processed}
