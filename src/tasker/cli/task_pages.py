"""How a task looks: its page on a terminal, and its document."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import orjson

from tasker.cli.show import console, duration, print_line, table, time
from tasker.model.ids import FIRST_MEMBER
from tasker.model.states import StepState
from tasker.model.task import StepView, TaskInfo, TaskView

_SHOWN_MAX = 200
_MEMBERS_SHOWN_MAX = 20


def as_json(view: TaskView) -> dict[str, Any]:
    """The document of a task: its own fields, then its steps, results and errors."""
    steps = [step_as_json(step) for step in view.steps]
    return {**asdict(view.task), "steps": steps, "results": view.results, "errors": view.errors}


def listed_as_json(task: TaskInfo) -> dict[str, Any]:
    """The document of a task in a list, without what lists do not read."""
    return {name: value for name, value in asdict(task).items() if name not in ("context", "started_at")}


def step_as_json(step: StepView) -> dict[str, Any]:
    """The document of a step."""
    return {"step_uuid": step.step_uuid, **asdict(step)}


def print_task(view: TaskView) -> None:
    """The page of a task."""
    print_line(f"{view.task.namespace}/{view.task.name}@{view.task.version}  {view.task_uuid}")
    for name, value in _facts(view):
        if value:
            print_line(f"  {name:12}{value}")
    console().print(steps_table(view))
    names = {step.name for step in _worth_showing(view.steps)[0]}
    if view.results:
        print_line("Results")
    for name, result in view.results.items():
        if name in names:
            print_line(f"  {name}: {_short(result)}")
    if view.errors:
        print_line("Errors")
    for name, error in view.errors.items():
        if name in names:
            print_line(f"  {name}: {error_line(error)}", style="red")


def _facts(view: TaskView) -> list[tuple[str, str | None]]:
    task = view.task
    ran_s = None
    if task.started_at and task.finished_at:
        ran_s = (task.finished_at - task.started_at).total_seconds()
    return [
        ("state", f"{task.status}{', paused' if task.is_paused else ''}"),
        ("created", time(task.created_at)),
        ("begins", time(task.start_at) if task.start_at > task.created_at else None),
        (
            "ended",
            f"{time(task.finished_at)}, after {duration(ran_s)}" if ran_s is not None else time(task.finished_at),
        ),
        ("priority", str(task.priority) if task.priority else None),
        ("initiator", task.initiator),
        ("reason", task.reason),
        ("tags", ", ".join(task.tags)),
        ("key", task.idempotency_key),
        ("correlation", str(task.correlation_id or "")),
        ("input", _short(view.context)),
    ]


def steps_table(view: TaskView) -> Any:
    """The steps of a task, each with what it is at."""
    shown, hidden = _worth_showing(view.steps)
    rows = [(step.name, step.status, f"{step.tries}/{step.max_attempts}", _took(step), _note(step)) for step in shown]
    if hidden:
        note = "members of batches: `tasker task batches`, `tasker task steps`"
        rows.append((f"… {hidden:,} more", "", "", None, note))
    return table(("step", "state", "tries", "took", "note"), rows)


def _worth_showing(steps: Sequence[StepView]) -> tuple[list[StepView], int]:
    """The steps for a page, and how many are left out: of a large batch it shows those members that failed first, then
    those that run."""
    members = [step for step in steps if step.number >= FIRST_MEMBER]
    if len(members) <= _MEMBERS_SHOWN_MAX:
        return list(steps), 0
    order = {StepState.ERROR: 0, StepState.WAITING_FOR_RETRY: 1, StepState.IN_PROGRESS: 2}
    first = sorted(members, key=lambda step: (order.get(step.state, 3), step.number))[:_MEMBERS_SHOWN_MAX]
    own = [step for step in steps if step.number < FIRST_MEMBER]
    return [*own, *first], len(members) - len(first)


def _took(step: StepView) -> str | None:
    if step.started_at is None or step.finished_at is None or step.state is StepState.CANCELLED:
        return None
    return duration((step.finished_at - step.started_at).total_seconds())


def _note(step: StepView) -> str | None:
    if step.waiting_for:
        return f"waits for {', '.join(step.waiting_for)}"
    if step.holder is not None:
        return f"runs on {step.holder.name} ({step.holder.host}, process {step.holder.pid})"
    if step.next_retry_at is not None:
        return f"waits until {time(step.next_retry_at)}"
    if step.error is not None and step.state is not StepState.COMPLETE:
        return error_line(step.error)
    return None


def error_line(error: Mapping[str, Any]) -> str:
    """An error record in a line."""
    code = error.get("error_code") or error.get("error_type") or "error"
    return _cut(f"{code}: {error.get('message', '')}")


def _short(value: Any) -> str:
    return _cut(orjson.dumps(value).decode())


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_MAX else f"{line[:_SHOWN_MAX]}…"


@contextmanager
def live_page(*, is_shown: bool) -> Generator[Callable[[TaskView], None]]:
    """A page of steps that changes in place; nothing where nobody watches."""
    if not is_shown or not sys.stdout.isatty():
        yield lambda _: None
        return
    from rich.live import Live

    with Live(console=console(), transient=True, auto_refresh=False) as live:
        yield lambda view: live.update(steps_table(view), refresh=True)
