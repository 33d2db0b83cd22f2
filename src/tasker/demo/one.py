"""Act one: a single checkout, step by step, while it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tasker.app import Tasker
from tasker.demo.figures import Ending
from tasker.demo.shopfront import Checkout
from tasker.model.states import StepState
from tasker.model.task import StepView, TaskView

LOOK_S = 0.04
PATIENCE_S = 20.0
_GLYPHS = {
    StepState.PENDING: "[dim]·[/]",
    StepState.ENQUEUED: "[cyan]○[/]",
    StepState.IN_PROGRESS: "[cyan]▶[/]",
    StepState.WAITING_FOR_RETRY: "[yellow]↻[/]",
    StepState.COMPLETE: "[green]✔[/]",
    StepState.ERROR: "[red]✘[/]",
}
_RESULTS: Mapping[str, Callable[[Any], str]] = {
    "validate_cart": lambda result: f"{result['item_count']} items, {result['total']:.2f} with tax and shipping",
    "process_payment": lambda result: f"{result['amount_charged']:.2f} charged, {result['payment_id']}",
    "update_inventory": lambda result: f"{result['total_items_reserved']} items reserved",
    "create_order": lambda result: f"{result['order_number']}, delivery on {result['estimated_delivery']}",
    "send_confirmation": lambda result: f"mail to {result['recipient']}",
}


async def play_one(console: Console, tasker: Tasker, namespace: str, checkout: Checkout) -> TaskView:
    """Submits a checkout and shows it until it has ended: a live table on a terminal, else a line for each change."""
    task = await tasker.submit("process_order", namespace=namespace, context=checkout.context)
    console.print(f"task {task.task_uuid}")
    live = Live(console=console, refresh_per_second=20) if console.is_terminal else None
    told: set[str] = set()

    def show(view: TaskView) -> None:
        if live is not None:
            live.update(table(view))
            return
        for line in lines(view):
            if line not in told:
                told.add(line)
                console.print(line, markup=False, highlight=False, soft_wrap=True)

    with live or nullcontext():
        return await _watch(tasker, task.task_uuid, show)


async def _watch(tasker: Tasker, task_uuid: Any, show: Callable[[TaskView], None]) -> TaskView:
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        view = await tasker.get(task_uuid)
        show(view)
        if view.finished_at is not None or time.monotonic() > give_up_at:
            return view
        await asyncio.sleep(LOOK_S)


def table(view: TaskView) -> Table:
    """The steps as they stand."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for step in view.steps:
        happened = [f"[yellow]{_failure(step)}[/]"] if _failures(step) and step.state != StepState.ERROR else []
        happened += [_now(step)] if _now(step) else []
        made.add_row(_GLYPHS.get(step.state, " "), step.name, str(step.state), "; then ".join(happened))
    return made


def lines(view: TaskView) -> list[str]:
    """What has happened so far, one line each."""
    told: list[str] = []
    for step in view.steps:
        if _failures(step) and step.state != StepState.ERROR:
            told.append(f"  {step.name}: {_failure(step)}; it is tried again")
        if step.state in (StepState.COMPLETE, StepState.ERROR):
            told.append(f"  {step.name}: {step.state}, {_now(step)}")
    return told


def _failures(step: StepView) -> int:
    """How many executions have failed."""
    return step.tries - (step.state == StepState.COMPLETE)


def _failure(step: StepView) -> str:
    return f"failed on try {_failures(step)}: {(step.error or {}).get('message', '')}"


def _now(step: StepView) -> str:
    if step.state == StepState.COMPLETE:
        return _RESULTS[step.name](step.result)
    if step.state == StepState.ERROR and step.error is not None:
        return f"{step.error.get('error_code')}: {step.error.get('message')}"
    return f"try {step.tries + 1}" if step.state == StepState.IN_PROGRESS else ""


def ending(view: TaskView) -> Ending:
    """How a task ended."""
    codes = [error.get("error_code") for error in view.errors.values()]
    return Ending(str(view.status), codes[0] if codes else None, {step.name: step.tries for step in view.steps})
