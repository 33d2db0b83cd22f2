"""A handler that writes every deed into a ledger outside the database."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tasker import StepContext, step_handler

LEDGER = "OUTAGE_LEDGER"


def _write(context: StepContext, phase: str) -> None:
    line = f"{phase} {context.task_uuid} {context.step_name} {context.attempt} {os.getpid()}\n"
    handle = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


async def _opened(gate: str) -> None:
    while not await asyncio.to_thread(Path(gate).exists):  # noqa: ASYNC110 - the gate belongs to another process
        await asyncio.sleep(0.02)


@step_handler("work")
async def work(context: StepContext) -> dict[str, str]:
    """A short piece of work, or one that lasts until a file is there."""
    _write(context, "start")
    await asyncio.sleep(float(context.get_input_or("seconds", 0.005)))
    if context.get_input("gate"):
        await _opened(context.get_input("gate"))
    _write(context, "end")
    return {"done": context.step_name}
