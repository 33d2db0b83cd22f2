"""Handlers of the chaos rows. What they do is noted in the ledger before and after.

The task's input says what is to go wrong: `doomed` and `broken` name the step that fails each time, for a passing and
for a lasting reason; `deadly` the one that takes its worker with it, `greedy` the one that runs out of memory;
`may_fail` lets one execution of ten fail, `pause_s` is how long steps take at most.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import time

from chaos import inside
from chaos.ledger import append
from tasker import Batches, Decision, PermanentError, RetryableError, StepContext, StepHandler

BRANCHES = ("left", "right")
_MEMORY_BYTES = 64 << 20


def note(moment: str, context: StepContext, value: int | None = None) -> None:
    """One line about this attempt."""
    append(moment, (context.task_uuid, context.number, context.attempt, value))
    inside.reached(f"handler.{moment}")


def luck(context: StepContext, *what: object) -> random.Random:
    """Chance that is the same for every execution of a step's try."""
    return random.Random(f"{context.task_uuid} {context.number} {what}")


def total(context: StepContext) -> int:
    """What a step returns: its number, the task's input, and all that its parents returned."""
    parents = (context.get_dependency_field(name, "sum") for name in context.step.dependencies)
    return context.number + context.get_input("n") + sum(one or 0 for one in parents)


def pause_s(context: StepContext) -> float:
    """How long this execution takes. One of a few takes so long that its worker is stopped or cut off meanwhile."""
    if context.attempt == 1 and (first := context.get_input_or("first_s", 0)):
        return first
    return luck(context, context.tries).uniform(0, context.get_input_or("pause_s", 0.02))


def misfortune(context: StepContext) -> None:
    """What the task's input says is to happen to this step."""
    number = context.number
    if context.get_input_or("deadly", 0) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    if context.get_input_or("greedy", 0) == number:
        run_out_of_memory()
    if context.get_input_or("doomed", 0) == number:
        note("fail", context)
        raise RetryableError("it fails each time")
    if context.get_input_or("broken", 0) == number:
        note("fail", context)
        raise PermanentError("it cannot be done")
    may_fail = context.get_input_or("may_fail", False) and not context.is_last_retry()
    if may_fail and luck(context, "fails", context.tries).random() < 0.1:
        note("fail", context)
        raise RetryableError("a passing fault")


def run_out_of_memory() -> None:
    """Takes what it can get, of a little more than the process has, and ends as native code does that gets no more."""
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _MEMORY_BYTES, resource.RLIM_INFINITY))
    kept: list[bytearray] = []
    try:
        while True:
            kept.append(bytearray(1 << 20))
    except MemoryError:
        os.abort()


class Plain(StepHandler):
    """Takes a moment on the loop."""

    handler_name = "chaos_plain"

    async def call(self, context: StepContext) -> dict[str, int]:
        note("start", context)
        await asyncio.sleep(pause_s(context))
        misfortune(context)
        value = total(context)
        note("end", context, value)
        return {"sum": value}


class InThread(StepHandler):
    """Takes a moment in a thread, and saves a checkpoint on its way."""

    handler_name = "chaos_thread"

    def call(self, context: StepContext) -> dict[str, int]:
        note("start", context)
        time.sleep(pause_s(context) / 2)
        context.save_checkpoint({"tries": context.tries})
        time.sleep(pause_s(context) / 2)
        misfortune(context)
        value = total(context)
        note("end", context, value)
        return {"sum": value}


class Choose(StepHandler):
    """A decision: one branch, both, or none; the same whenever it is asked of a task."""

    handler_name = "chaos_choose"

    async def call(self, context: StepContext) -> Decision:
        note("start", context)
        misfortune(context)
        chance = luck(context, "chooses")
        chosen = [name for name in BRANCHES if chance.random() < 0.6]
        note("end", context)
        return Decision.route(chosen) if chosen else Decision.skip("none of them")


class Cut(StepHandler):
    """Cuts work into parts."""

    handler_name = "chaos_cut"

    async def call(self, context: StepContext) -> Batches:
        note("start", context)
        misfortune(context)
        note("end", context)
        return Batches.split(40, 10)


class Part(StepHandler):
    """Does one of them."""

    handler_name = "chaos_part"

    async def call(self, context: StepContext) -> dict[str, int]:
        note("start", context)
        assert context.batch is not None
        await asyncio.sleep(pause_s(context))
        note("end", context)
        return {"rows": context.batch.end - context.batch.start}


inside.begin()
