"""What a workflow's test asks of the end: states, attempts, and every move."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg

from tasker import Tasker
from tasker.model.task import TaskView

Begin = Callable[..., Awaitable[Tasker]]
"""Starts a Tasker with these templates, as texts, and these handlers."""
DIRECT = ["pending>enqueued", "enqueued>in_progress", "in_progress>complete"]
HANDED_OVER = ["pending>in_progress", "in_progress>complete"]
RETRIED = ["in_progress>waiting_for_retry", "waiting_for_retry>enqueued", "enqueued>in_progress"]


async def run(tasker: Tasker, name: str, namespace: str, **context: Any) -> TaskView:
    """Submits a task and waits for its end."""
    task = await tasker.submit(name, namespace=namespace, context=context)
    return await tasker.wait(task.task_uuid, 20)


def moves(dsn: str, task: UUID, step: str | None = None) -> list[str]:
    """Every move of a step, or of the task, as `from>to`."""
    query = """
        select coalesce(h.from_state::text, '') || '>' || h.to_state::text
        from tasker_engine.transitions h join tasker_engine.tasks t using (task_id)
        left join tasker_engine.template_steps p on p.template_id = t.template_id and p.number = h.number
        where h.task_id = %s and p.name is not distinct from %s order by h.seq"""
    with psycopg.connect(dsn) as connection:
        return [row[0] for row in connection.execute(query, (task, step)).fetchall()]


def assert_clean(dsn: str, ended: TaskView) -> None:
    """All steps ran once, each by one of the two ways, and the task went through its states."""
    assert ended.status == "complete", ended.errors
    assert {step.name: (step.state, step.attempt, step.tries) for step in ended.steps} == {
        step.name: ("complete", 1, 1) for step in ended.steps
    }
    assert moves(dsn, ended.task_uuid) == [">pending", "pending>steps_in_process", "steps_in_process>complete"]
    for step in ended.steps:
        assert moves(dsn, ended.task_uuid, step.name) in (DIRECT, HANDED_OVER)
