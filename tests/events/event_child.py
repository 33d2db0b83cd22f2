"""A process that works and subscribes, for tests to kill: `event_child.py DSN LEDGER TEMPLATE`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from tasker import DomainEvent, Settings, Tasker, on_event, step_handler

LEDGER = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def write(*words: object) -> None:
    os.write(LEDGER, (" ".join(map(str, words)) + "\n").encode())


@step_handler("pay")
async def pay(context: Any) -> dict[str, Any]:
    return {"paid": True}


@on_event("order.*", name="ledger")
async def note(event: DomainEvent) -> None:
    write("event", event.event_id, event.task_uuid, event.name)


async def work() -> None:
    settings = Settings(lease_s=1, beat_s=0.2, sweep_s=0.1, poll_s=0.05)  # pyright: ignore[reportCallIssue]
    async with Tasker(sys.argv[1], templates=[Path(sys.argv[3])], handlers=[pay, note], settings=settings):
        write("ready", os.getpid())
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work())
