"""Handlers for child processes, which import them from here."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from tasker import RetryableError, StepContext, step_handler


@step_handler("who", runs_in="process")
def who(context: StepContext) -> dict[str, int]:
    """Which process ran it."""
    return {"pid": os.getpid(), "number": context.get_input("number")}


@step_handler("size_of_input", runs_in="process")
def size_of_input(context: StepContext) -> int:
    """How much it was given."""
    return len(context.get_input("text"))


@step_handler("die_the_first_time", runs_in="process")
def die_the_first_time(context: StepContext) -> str:
    """Takes its process with it, once."""
    if context.tries == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


@step_handler("signal_itself", runs_in="process")
def signal_itself(context: StepContext) -> str:
    """Gets what a terminal or an init system sends to a whole group."""
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    return "alive"


@step_handler("sleep_for", runs_in="process")
def sleep_for(context: StepContext) -> dict[str, float]:
    """Sleeps for as long as the input says; how many seconds it had, in the first try."""
    left = context.seconds_left or 0.0
    if context.tries == 0:
        time.sleep(context.get_input("seconds"))
    return {"seconds_left": left}


@step_handler("beat_and_sleep", runs_in="process")
def beat_and_sleep(context: StepContext) -> int:
    """Runs longer than its timeout, and says all the time that it lives."""
    for _ in range(context.get_input("times")):
        time.sleep(0.1)
        context.heartbeat()
    return context.tries


@step_handler("raise_system_exit", runs_in="process")
def raise_system_exit(context: StepContext) -> None:
    """Calls sys.exit, as a script would."""
    raise SystemExit(3)


@step_handler("in_process", runs_in="process")
def in_process(context: StepContext) -> dict[str, Any]:
    """Counts rows in a process, and fails in the middle of the first two attempts."""
    done = context.checkpoint_cursor or 0
    seen = list(context.accumulated_results or [])
    for row in range(done, 10):
        if row == done + 4:
            raise RetryableError("the connection was cut")
        seen.append(row)
        context.save_checkpoint(row + 1, items_processed=row + 1, accumulated=seen)
    return {"seen": seen, "attempt": context.attempt}
