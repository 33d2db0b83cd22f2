"""The client: one method for each operation, and what one wants beside them (waiting, watching, all pages)."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Any

import httpx2

from tasker.client.async_calls import AsyncCalls, async_wire
from tasker.client.async_oversight import AsyncOversight
from tasker.client.filling import Id, Identified, act_fields, bulk_fields, rerun_fields, task_fields
from tasker.client.pauses import async_pause
from tasker.client.profiles import Profile, find_profile
from tasker.model.errors import WaitTimeout
from tasker.model.states import TERMINAL_TASK_STATES
from tasker.operations import OPERATIONS
from tasker.operations.accounts import Move, TaskData, TaskSummaryResponse
from tasker.operations.analytics import TaskAnalysis
from tasker.operations.batches import BatchInfo
from tasker.operations.events import EventUpdate
from tasker.operations.lists import TaskListResponse
from tasker.operations.publishing import PublishedTemplate, PublishedTemplates
from tasker.operations.reasons import TaskWhy
from tasker.operations.reruns import ForkInfo, RerunPlan
from tasker.operations.steps import StepAudit
from tasker.operations.tasks import CreatedTasks
from tasker.operations.templates import (
    TemplateDetail,
    TemplateDiff,
    TemplateGraph,
    TemplateListResponse,
    TemplateValidationResponse,
    TemplateVersions,
)
from tasker.operations.views import StepResponse, TaskResponse
from tasker.operations.watching import Update

ASK_S = 20.0
"""How long the server is asked to hold one request of `wait`: proxies end what is silent for longer."""
PAUSE_S = 0.2
PAGE = 100


class AsyncTaskerClient(AsyncOversight):
    """A client of a server, over HTTP, or over gRPC where the address begins with grpc:// or grpcs://. Without an
    address it is that of the environment, or of the user's profile.

    What passes by itself (a broken connection, a busy server, a restart) is tried again, `attempts_max` times and for
    `retry_s` seconds at most; nothing happens twice by that. What the server refuses raises the errors of
    `tasker.model.errors`: TaskNotFound, InvalidInput, IdentityConflict, Forbidden, …; ServerUnavailable where it does
    not answer. Use it as `async with AsyncTaskerClient(...) as client:`, or call aclose().
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        token: str | None = None,
        profile: str | Profile | None = None,
        attempts_max: int = 10,
        retry_s: float = 45,
        headers: Mapping[str, str] | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        if not isinstance(profile, Profile):
            profile = find_profile(url, api_key=api_key, token=token, profile=profile)
        self._calls = AsyncCalls(
            profile,
            async_wire(profile, headers or {}, transport),
            attempts_max=attempts_max,
            retry_s=retry_s,
        )

    async def __aenter__(self) -> AsyncTaskerClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._calls.wire.aclose()

    @property
    def url(self) -> str:
        """The server's address."""
        return self._calls.profile.url

    async def call(self, operation: str, /, **fields: Any) -> Any:
        """What any operation of `tasker.operations` answers, by its name and the fields of its input."""
        return await self._calls.call(OPERATIONS[operation], fields)

    async def ready(self) -> dict[str, Any]:
        """What the server says of its health; raises nothing."""
        return await self._calls.ready()

    # Tasks ----------------------------------------------------------------------------------------------------------

    async def create_task(
        self,
        name: str,
        *,
        namespace: str = "default",
        version: str | None = None,
        context: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> TaskResponse:
        """Creates a task; it is durable when this returns. `fields` are those of `tasker.operations.tasks.CreateTask`:
        idempotency_key, key_ttl_s, priority, start_at, delay_s, initiator, source_system, reason, tags, correlation_id,
        parent_correlation_id, task_uuid.

        Raises TemplateNotFound, InvalidInput, PayloadTooLarge, IdentityConflict, QuotaExceeded, Backpressure.
        """
        made = Identified(task_fields(context, fields))
        about = {"name": name, "namespace": namespace, "version": version}
        return made.own(await self.call("create_task", **about, **made.fields))

    async def create_tasks(
        self,
        name: str,
        tasks: Sequence[Mapping[str, Any]],
        *,
        namespace: str = "default",
        version: str | None = None,
    ) -> CreatedTasks:
        """Creates tasks of one template: all, or none if one is refused. Each is a mapping of create_task's fields."""
        made = Identified(*bulk_fields(tasks))
        about = {"name": name, "namespace": namespace, "version": version}
        return made.own_all(await self.call("create_tasks", **about, tasks=made.many))

    async def get_task(self, task_uuid: Id, *, wait_s: float | None = None) -> TaskResponse:
        """A task with its figures and what each step waits for; with `wait_s` once it has ended, or after so long."""
        operation, wait = OPERATIONS["get_task"], round(wait_s or 0, 3)
        return await self._calls.call(operation, {"task_uuid": task_uuid, "wait": wait or None}, wait_s=wait)

    async def list_tasks(self, **which: Any) -> TaskListResponse:
        """A page of tasks, newest first. `which` are the fields of `tasker.operations.lists.ListTasks`: status (one, or
        several), namespace, name, version, tag, correlation_id, initiator, source_system, created_after,
        created_before; page, per_page, cursor."""
        return await self.call("list_tasks", **which)

    async def each_task(self, **which: Any) -> AsyncGenerator[TaskResponse]:
        """All tasks that fit, newest first, page by page; those that are created meanwhile do not disturb it."""
        which = {"per_page": PAGE, **which}
        while True:
            page = await self.list_tasks(**which)
            for task in page.tasks:
                yield task
            if page.pagination.next_cursor is None:
                return
            which = {**which, "page": 1, "cursor": page.pagination.next_cursor}

    async def wait(self, task_uuid: Id, timeout_s: float | None = None) -> TaskResponse:
        """The task when it has ended, well or not. Raises WaitTimeout after `timeout_s` seconds; the task goes on."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            began = time.monotonic()
            ask_s = ASK_S if deadline is None else max(0.0, min(ASK_S, deadline - began))
            task = await self.get_task(task_uuid, wait_s=ask_s)
            if task.status in TERMINAL_TASK_STATES:
                return task
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise WaitTimeout(f"task {task_uuid} is {task.status} after {timeout_s:g} s, and goes on")
            if now - began < min(ask_s, PAUSE_S):  # the server holds requests for less than it is asked to
                await async_pause(min(PAUSE_S, ask_s))

    def watch_task(self, task_uuid: Id, *, cursor: str | None = None) -> AsyncGenerator[Update]:
        """Where a task and its steps stand and then what changes, until it has ended. A cut does not end it."""
        return self._calls.stream(OPERATIONS["watch_task"], {"task_uuid": task_uuid, "cursor": cursor})

    def watch_tasks(self, *, namespace: str | None = None, cursor: str | None = None) -> AsyncGenerator[Update]:
        """Where each task that moves stands, from now on, or from the cursor of an update on."""
        return self._calls.stream(OPERATIONS["watch_tasks"], {"namespace": namespace, "cursor": cursor})

    def watch_domain_events(self, *, cursor: str | None = None, **which: Any) -> AsyncGenerator[EventUpdate]:
        """Domain events as they are published, from now on or behind a cursor. `which`: name, namespace, task_uuid."""
        return self._calls.stream(OPERATIONS["watch_domain_events"], {**which, "cursor": cursor})

    async def list_batches(self, task_uuid: Id) -> list[BatchInfo]:
        """How far the batches of a task have come; those that have begun. Raises TaskNotFound."""
        return await self.call("list_batches", task_uuid=task_uuid)

    async def cancel_task(self, task_uuid: Id, **about: Any) -> TaskResponse:
        """Ends a task. `about`: reason, actor, seen_state, act_id. Raises TaskNotFound, ActionForbidden."""
        return await self.call("cancel_task", task_uuid=task_uuid, **act_fields(about))

    async def pause_task(self, task_uuid: Id, **about: Any) -> TaskResponse:
        """Hands out no further steps of a task until it is resumed; see cancel_task."""
        return await self.call("pause_task", task_uuid=task_uuid, **act_fields(about))

    async def resume_task(self, task_uuid: Id, **about: Any) -> TaskResponse:
        """Lets a paused task go on; see cancel_task."""
        return await self.call("resume_task", task_uuid=task_uuid, **act_fields(about))

    async def get_task_summary(self, task_uuid: Id) -> TaskSummaryResponse:
        """A task on one page: its state, its steps, their errors, and where its time went."""
        return await self.call("get_task_summary", task_uuid=task_uuid)

    async def explain(self, task_uuid: Id) -> TaskWhy:
        """Why a task waits: every unmet condition of each of its open steps."""
        return await self.call("explain", task_uuid=task_uuid)

    async def analyze(self, task_uuid: Id) -> TaskAnalysis:
        """A task as a graph at work: levels, the critical path, what holds it up."""
        return await self.call("analyze", task_uuid=task_uuid)

    async def rerun_task(self, task_uuid: Id, from_step: str, **about: Any) -> RerunPlan:
        """Runs a task again from a step on, as a task of its own. `about`: context or patch (an edited input), reason,
        actor, new_task_uuid, dry_run."""
        return await self.call("rerun_task", task_uuid=task_uuid, from_step=from_step, **rerun_fields(about))

    async def get_lineage(self, task_uuid: Id) -> list[ForkInfo]:
        """The reruns that a task comes from, and those made of it."""
        return await self.call("get_lineage", task_uuid=task_uuid)

    async def get_task_history(self, task_uuid: Id) -> list[Move]:
        """Every move of a task and its steps, in order."""
        return await self.call("get_task_history", task_uuid=task_uuid)

    async def get_task_context(self, task_uuid: Id) -> TaskData:
        """A task's data: its input and its steps' results."""
        return await self.call("get_task_context", task_uuid=task_uuid)

    # Steps ----------------------------------------------------------------------------------------------------------

    async def list_steps(self, task_uuid: Id) -> list[StepResponse]:
        """The steps of a task, with their results and errors."""
        return await self.call("list_steps", task_uuid=task_uuid)

    async def get_step(self, task_uuid: Id, step_uuid: Id) -> StepResponse:
        """One step of a task."""
        return await self.call("get_step", task_uuid=task_uuid, step_uuid=step_uuid)

    async def get_step_audit(self, task_uuid: Id, step_uuid: Id) -> list[StepAudit]:
        """How each attempt of a step ended, and what operators did to it."""
        return await self.call("get_step_audit", task_uuid=task_uuid, step_uuid=step_uuid)

    async def retry_step(
        self, task_uuid: Id, step_uuid: Id, *, actor: str, reason: str = "", **about: Any
    ) -> StepResponse:
        """Runs a failed step again, with all its tries. `about`: seen_state, seen_attempt, act_id."""
        said = act_fields({"action_type": "reset_for_retry", "reset_by": actor, "reason": reason, **about})
        return await self.call("act_on_step", task_uuid=task_uuid, step_uuid=step_uuid, action=said)

    async def resolve_step(
        self, task_uuid: Id, step_uuid: Id, *, actor: str, reason: str = "", **about: Any
    ) -> StepResponse:
        """Counts a step as done, without a result; see retry_step."""
        said = act_fields({"action_type": "resolve_manually", "resolved_by": actor, "reason": reason, **about})
        return await self.call("act_on_step", task_uuid=task_uuid, step_uuid=step_uuid, action=said)

    async def complete_step(
        self, task_uuid: Id, step_uuid: Id, result: Any, *, actor: str, reason: str = "", **about: Any
    ) -> StepResponse:
        """Gives a step its result; see retry_step. What depends on it goes on with that."""
        said = act_fields({"action_type": "complete_manually", "completed_by": actor, "reason": reason, **about})
        said["completion_data"] = {"result": result}
        return await self.call("act_on_step", task_uuid=task_uuid, step_uuid=step_uuid, action=said)

    # Templates ------------------------------------------------------------------------------------------------------

    async def list_templates(
        self, *, namespace: str | None = None, name: str | None = None, only_newest: bool = False
    ) -> TemplateListResponse:
        """Published templates, by namespace and name, newest version first."""
        return await self.call("list_templates", namespace=namespace, name=name, only_newest=only_newest)

    async def list_versions(self, namespace: str, name: str) -> TemplateVersions:
        """The versions of a template, newest first. Raises TemplateNotFound."""
        return await self.call("list_versions", namespace=namespace, name=name)

    async def get_template(self, namespace: str, name: str, version: str) -> TemplateDetail:
        """A published version, whole."""
        return await self.call("get_template", namespace=namespace, name=name, version=version)

    async def get_template_graph(self, namespace: str, name: str, version: str) -> TemplateGraph:
        """The graph of a template, as data and as a Mermaid flowchart."""
        return await self.call("get_template_graph", namespace=namespace, name=name, version=version)

    async def compare_versions(self, namespace: str, name: str, *, old: str, new: str) -> TemplateDiff:
        """What differs between two versions."""
        return await self.call("compare_versions", namespace=namespace, name=name, old=old, new=new)

    async def validate_template(
        self, template: str | dict[str, Any], *, environment: str | None = None
    ) -> TemplateValidationResponse:
        """Checks a template, as YAML or as an object; nothing is stored."""
        return await self.call("validate_template", template=template, environment=environment)

    async def check_template(self, namespace: str, name: str, version: str) -> TemplateValidationResponse:
        """Whether living workers serve every step of a published template."""
        return await self.call("check_template", namespace=namespace, name=name, version=version)

    async def publish_template(
        self, template: str | dict[str, Any], *, environment: str | None = None
    ) -> PublishedTemplate:
        """Publishes a version. Raises TemplateError, and TemplateConflict where it exists with other content."""
        return await self.call("publish_template", template=template, environment=environment)

    async def publish_templates(
        self, templates: Sequence[Mapping[str, Any]], *, force: bool = False
    ) -> PublishedTemplates:
        """Publishes many, each a mapping of publish_template's arguments: all, or none if one is refused."""
        return await self.call("publish_templates", templates=[dict(one) for one in templates], force=force)
