"""The door to a server: the client of its API, whose answers become the records that commands print."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import stamina.instrumentation

from tasker.cli import door_records as records
from tasker.cli.common import Where
from tasker.client import AsyncTaskerClient
from tasker.model.errors import InvalidInput
from tasker.model.fleet import TemplateDefinition, TemplateInfo
from tasker.model.task import Readiness, TaskCount, TaskFilter, TaskPage, TaskSummary, TaskView, Transition
from tasker.model.template import Template
from tasker.model.why import TaskWhy
from tasker.submission import SubmittedTask, TaskRequest
from tasker.templates import to_definition

PAGE, PAGE_MAX = 100, 500
_STEP_ACTS = {"retry": "retry_step", "resolve": "resolve_step", "complete": "complete_step"}


@asynccontextmanager
async def server_door(where: Where) -> AsyncGenerator[ServerDoor]:
    """Open while the block lasts."""
    stamina.instrumentation.set_on_retry_hooks([])  # what a command prints is its own
    async with AsyncTaskerClient(where.url, profile=where.profile) as client:
        yield ServerDoor(client)


class ServerDoor:
    """See `tasker.cli.doors.Door`."""

    def __init__(self, client: AsyncTaskerClient) -> None:
        self._client = client

    async def submit(self, namespace: str, name: str, version: str | None, request: TaskRequest) -> SubmittedTask:
        """The server holds the input against the template's schema."""
        fields = {key: getattr(request, key) for key in request.__dataclass_fields__}
        made = await self._client.create_task(name, namespace=namespace, version=version, **fields)
        return SubmittedTask(made.task_uuid, made.is_duplicate)

    async def task_page(self, which: TaskFilter, *, limit: int, cursor: str | None) -> TaskPage:
        """In pages of the API."""
        if not 1 <= limit <= PAGE_MAX:
            raise InvalidInput(f"a page has 1 to {PAGE_MAX} tasks, not {limit}")
        tasks, asked = list[Any](), records.query(which)
        while True:
            page = await self._client.list_tasks(**asked, per_page=min(PAGE, limit - len(tasks)), cursor=cursor)
            tasks += page.tasks
            cursor = page.pagination.next_cursor
            if cursor is None or len(tasks) >= limit:
                return TaskPage(tuple(map(records.task_info, tasks)), cursor)

    async def count_tasks(self, which: TaskFilter) -> TaskCount:
        """As far as the server counts; where that is not exact it is that many or more."""
        page = await self._client.list_tasks(**records.query(which), per_page=1)
        return TaskCount(page.pagination.total_count or 0, page.pagination.total_is_exact)

    async def task_view(self, task: UUID) -> TaskView:
        """The task first, then its steps: of a task that has ended they are the last."""
        found = await self._client.get_task(task)
        return records.task_view(found, await self._client.list_steps(task))

    async def views(self, task: UUID) -> AsyncGenerator[TaskView]:
        """A look after each update of the server's stream, or after several that come together."""
        moved = asyncio.Event()

        async def follow() -> None:
            try:
                async for _ in self._client.watch_task(task):
                    moved.set()
            finally:
                moved.set()

        following = asyncio.create_task(follow())
        try:
            while True:
                await moved.wait()
                moved.clear()
                is_last = following.done()
                if is_last:
                    following.result()
                view = await self.task_view(task)
                yield view
                if view.status.is_terminal:
                    return
                if is_last:  # somebody has opened the task again
                    following = asyncio.create_task(follow())
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([following])

    async def readiness(self, task: UUID) -> Mapping[int, Readiness]:
        """Of the steps that may run."""
        found = await self._client.get_task(task)
        numbers = {step.step_uuid: step.number for step in await self._client.list_steps(task)}
        ready = [records.readiness(step, numbers[step.workflow_step_uuid]) for step in found.steps]
        return {each.number: each for each in ready}

    async def levels(self, task: UUID) -> Mapping[str, int]:
        """From what each step depends on."""
        return records.levels(await self._client.list_steps(task))

    async def history(self, task: UUID, step: str | None) -> Sequence[Transition]:
        """In order."""
        moves = [records.transition(task, move) for move in await self._client.get_task_history(task)]
        if step is None:
            return moves
        number = (await self.task_view(task)).step(step).number
        return sorted((move for move in moves if move.number == number), key=lambda move: move.seq)

    async def summary(self, task: UUID) -> TaskSummary:
        """From the history."""
        return records.summary(await self._client.get_task(task), await self._client.get_task_summary(task))

    async def explain(self, task: UUID) -> TaskWhy:
        """Every condition of every open step."""
        return records.why(await self._client.explain(task))

    async def act(
        self,
        action: str,
        task: UUID,
        *,
        step: str | None,
        act_id: UUID,
        seen_state: str | None,
        actor: str,
        reason: str | None,
        result: Any,
    ) -> Mapping[str, Any]:
        """By the operation, and a look at what came of it."""
        about: dict[str, Any] = {"act_id": act_id, "seen_state": seen_state, "actor": actor}
        if step is None:
            done = await getattr(self._client, f"{action}_task")(task, reason=reason, **about)
            return {"task_state": done.status, "is_paused": done.is_paused, "step_state": None}
        of = (await self.task_view(task)).step(step).step_uuid
        given = (result,) if action == "complete" else ()
        acted = await getattr(self._client, _STEP_ACTS[action])(task, of, *given, reason=reason or "", **about)
        now = await self._client.get_task(task)
        return {"task_state": now.status, "is_paused": now.is_paused, "step_state": acted.current_state}

    async def publish(self, templates: Sequence[Template], *, force: bool) -> Sequence[tuple[int, bool]]:
        """In one request."""
        sent = [{"template": to_definition(one)} for one in templates]
        done = await self._client.publish_templates(sent, force=force)
        return [(one.template_id, one.is_new) for one in done.templates]

    async def templates(self, *, namespace: str | None, name: str | None, only_newest: bool) -> Sequence[TemplateInfo]:
        """By namespace and name, newest version first."""
        found = await self._client.list_templates(namespace=namespace, name=name, only_newest=only_newest)
        return [records.template_info(one) for one in found.templates]

    async def compare(self, namespace: str, name: str, old: str, new: str | None) -> tuple[str, Sequence[str]]:
        """Of their definitions."""
        newer = new or (await self._client.list_versions(namespace, name)).versions[0].version
        return newer, (await self._client.compare_versions(namespace, name, old=old, new=newer)).differences

    async def template(self, namespace: str, name: str, version: str | None) -> TemplateDefinition:
        """With its definition."""
        if version is None:
            version = (await self._client.list_versions(namespace, name)).versions[0].version
        return records.template_definition(await self._client.get_template(namespace, name, version))
