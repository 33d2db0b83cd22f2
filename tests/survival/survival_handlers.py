"""Handlers of the survival tests. What they do is noted in a ledger outside the database, before and after.

The ledger is a file that every process appends to: one line a moment, `moment task step attempt pid`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path

from support.until import until

from tasker import Batches, RetryableError, ServiceUnavailableError, StepContext, StepHandler
from tasker.store.verbs import Verbs

LEDGER, STOP_AT_LOAD = "TASKER_TEST_LEDGER", "TASKER_TEST_STOP_AT_LOAD"
GATE, DIE_AT_IMPORT = "TASKER_TEST_GATE", "TASKER_TEST_DIE_AT_IMPORT"


def note(moment: str, context: StepContext | None = None) -> None:
    """Appends one line."""
    where = f"{context.task_uuid} {context.step_name} {context.attempt}" if context else "- - 0"
    file = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{moment} {where} {os.getpid()} {time.monotonic():.3f}\n".encode())
    finally:
        os.close(file)


def luck(context: StepContext) -> random.Random:
    """Chance that is the same for every execution of a step's attempt: of the task, the step and the tries."""
    return random.Random(f"{context.task_uuid} {context.step_name} {context.tries}")


def total(context: StepContext) -> int:
    """What a step returns: its number, the task's input and all that its parents returned."""
    parents = context.step.dependencies
    return (
        context.number + context.get_input("n") + sum(context.get_dependency_field(name, "total") for name in parents)
    )


def may_fail(context: StepContext) -> None:
    """One execution of ten meets a passing fault, where the task says so; never the last one."""
    if context.get_input_or("may_fail", False) and not context.is_last_retry() and luck(context).random() < 0.1:
        note("fail", context)
        raise RetryableError("a passing fault")


class Walk(StepHandler):
    """Takes a moment on the loop."""

    handler_name = "walk"

    async def call(self, context: StepContext) -> dict[str, int]:
        note("start", context)
        await asyncio.sleep(luck(context).uniform(0, context.get_input_or("pause_s", 0.02)))
        may_fail(context)
        note("end", context)
        return {"total": total(context)}


class Crawl(StepHandler):
    """Takes a moment in a thread."""

    handler_name = "crawl"

    def call(self, context: StepContext) -> dict[str, int]:
        note("start", context)
        time.sleep(luck(context).uniform(0, context.get_input_or("pause_s", 0.02)))
        may_fail(context)
        note("end", context)
        return {"total": total(context)}


def is_down() -> bool:
    """Whether the gateway is."""
    return Path(f"{os.environ[LEDGER]}.down").exists()


class CallGateway(StepHandler):
    """Needs a system that is down while there is a file of that name."""

    handler_name = "call_gateway"
    system_dependency = "gateway"

    async def call(self, context: StepContext) -> dict[str, int]:
        note("start", context)
        await asyncio.sleep(0.01)
        if is_down():
            note("fail", context)
            raise ServiceUnavailableError("the gateway is down")
        note("end", context)
        return {"total": total(context)}


class Kill(StepHandler):
    """Takes its worker with it, every time."""

    handler_name = "kill"

    async def call(self, context: StepContext) -> None:
        note("start", context)
        os.kill(os.getpid(), signal.SIGKILL)


class Linger(StepHandler):
    """The first attempt takes `first_s`; the others end at once."""

    handler_name = "linger"

    async def call(self, context: StepContext) -> dict[str, int]:
        note("start", context)
        if context.attempt == 1:
            await asyncio.sleep(context.get_input("first_s"))
        note("end", context)
        return {"total": total(context)}


class Gated(StepHandler):
    """Waits until the gate is open: a file exists."""

    handler_name = "gated"

    async def call(self, context: StepContext) -> dict[str, int]:
        note("start", context)
        await until(Path(os.environ[GATE]).exists, "the gate is open", within_s=60)
        note("end", context)
        return {"total": total(context)}


class Rows(StepHandler):
    """Works through rows, and saves how far it has come after every third; in a thread."""

    handler_name = "rows"

    def call(self, context: StepContext) -> dict[str, int]:
        note("start", context)
        for row in range(context.checkpoint_cursor or 0, context.get_input("rows")):
            time.sleep(0.003)
            note(f"row={row}", context)
            if row % 3 == 2:
                context.save_checkpoint(row + 1, items_processed=row + 1)
                note(f"saved={row + 1}", context)
        note("end", context)
        return {"total": total(context)}


class Cut(StepHandler):
    """Cuts the rows of the task into six parts."""

    handler_name = "cut"

    def call(self, context: StepContext) -> Batches:
        rows = context.get_input("rows")
        return Batches.split(rows, rows // 6)


class Part(StepHandler):
    """Works through the rows of its part, and saves how far it has come after every third; in a thread."""

    handler_name = "part"

    def call(self, context: StepContext) -> dict[str, int]:
        note("start", context)
        batch = context.batch
        assert batch is not None
        for row in range(context.checkpoint_cursor or batch.start, batch.end):
            time.sleep(0.003)
            note(f"row={row}", context)
            if row % 3 == 2 or row == batch.end - 1:
                context.save_checkpoint(row + 1, items_processed=row + 1 - batch.start)
                note(f"saved={row + 1}", context)
        return {"rows": batch.end - batch.start}


class Stuck(StepHandler):
    """Blocks a thread until its process ends."""

    handler_name = "stuck"

    def call(self, context: StepContext) -> None:
        note("start", context)
        while True:
            time.sleep(60)


def _stop_at_load() -> None:
    """From the second load on this process stops itself (SIGSTOP) when it has asked, and has not read the answer."""
    load, calls = Verbs.load, [0]

    async def asking(self: Verbs, *args: object) -> object:
        calls[0] += 1
        if calls[0] < 2:
            return await load(self, *args)  # type: ignore[arg-type]
        answer = asyncio.ensure_future(load(self, *args))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        note("stopped")
        os.kill(os.getpid(), signal.SIGSTOP)
        return await answer

    Verbs.load = asking  # type: ignore[method-assign, assignment]


if os.environ.get(STOP_AT_LOAD):
    _stop_at_load()
if os.environ.get(DIE_AT_IMPORT):
    note("born")
    os.kill(os.getpid(), signal.SIGKILL)
