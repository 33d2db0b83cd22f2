"""The dead letter queue: tasks that somebody should look at, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from tasker.model import dlq
from tasker.model.errors import NotFound
from tasker.model.ids import uuid7
from tasker.operations.dlq_words import Reasons, ResolutionStatus, Statuses
from tasker.operations.fields import Name, Namespaces, TaskUuid
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.operations.steps import OfTask
from tasker.store import dlq as store
from tasker.store.connection import Connection

EntryUuid = Annotated[UUID, Field(examples=["0198c0de-0000-7000-8000-000000000002"])]


class DlqEntry(Answer):
    """One investigation of a task; of each task one at a time is pending."""

    dlq_entry_uuid: UUID
    task_uuid: UUID
    namespace: str
    name: str
    version: str
    original_state: str = Field(description="The task's, when the entry was made.")
    current_state: str | None = Field(description="The task's now; null where it exists no longer.")
    dlq_reason: str
    dlq_timestamp: datetime
    resolution_status: str
    resolution_timestamp: datetime | None
    resolution_notes: str | None
    resolved_by: str | None
    assigned_to: str | None
    task_snapshot: dict[str, Any]
    metadata: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime
    state_since: datetime | None = Field(description="Since when the task is in its state of now.")
    minutes_in_dlq: float
    priority_score: float = Field(description="By reason, and by how long it has waited.")


def _shown(entry: dlq.DlqEntry) -> DlqEntry:
    return DlqEntry(
        dlq_entry_uuid=entry.entry_uuid,
        task_uuid=entry.task_uuid,
        namespace=entry.namespace,
        name=entry.name,
        version=entry.version,
        original_state=entry.original_state,
        current_state=entry.state,
        dlq_reason=entry.reason,
        dlq_timestamp=entry.created_at,
        resolution_status=entry.status,
        resolution_timestamp=entry.resolved_at,
        resolution_notes=entry.notes,
        resolved_by=entry.resolved_by,
        assigned_to=entry.assigned_to,
        task_snapshot=dict(entry.snapshot),
        metadata=dict(entry.metadata),
        created_at=entry.created_at,
        updated_at=entry.updated_at,
        state_since=entry.state_since,
        minutes_in_dlq=entry.minutes,
        priority_score=entry.priority_score,
    )


class ListEntries(Given):
    """Which entries. Several values of one field are joined by or."""

    resolution_status: Statuses | None = None
    dlq_reason: Reasons | None = None
    namespace: Namespaces | None = None
    assigned_to: Name | None = None
    limit: int = Field(50, ge=1, le=500)
    offset: int = Field(0, ge=0, le=10_000)
    cursor: UUID | None = Field(None, description="The last entry of the page before.")


@operation("dlq:read", Scope.ACROSS)
async def list_dlq(access: Access, given: ListEntries) -> list[DlqEntry]:
    """List the entries of the dead letter queue, newest first"""
    page = await access.engine.ask(
        lambda connection: store.list_entries(
            connection,
            limit=given.limit,
            offset=given.offset,
            cursor=given.cursor,
            statuses=[dlq.DlqStatus(one) for one in given.resolution_status or ()] or None,
            reasons=[dlq.DlqReason(one) for one in given.dlq_reason or ()] or None,
            namespaces=access.confined_to(given.namespace),
            assigned_to=given.assigned_to,
            schema=access.engine.settings.schema_name,
        )
    )
    return [_shown(entry) for entry in page.entries]


@operation("dlq:read", Scope.TASK)
async def get_dlq_of_task(access: Access, given: OfTask) -> DlqEntry:
    """Show the newest entry of a task"""
    schema = access.engine.settings.schema_name
    found = await access.engine.ask(lambda connection: store.entry_of_task(connection, given.task_uuid, schema=schema))
    if found is None:
        raise NotFound(f"the dead letter queue has no entry of task {given.task_uuid}")
    return _shown(found)


class OfEntry(Given):
    """One entry."""

    dlq_entry_uuid: EntryUuid


class DlqEvent(Answer):
    """One thing that was done to an entry."""

    seq: int
    at: datetime
    actor: str
    action: str
    detail: dict[str, Any]


class DlqEntryWithEvents(DlqEntry):
    """An entry with all that was done to it."""

    events: list[DlqEvent]


@operation("dlq:read", Scope.ACROSS)
async def get_dlq_entry(access: Access, given: OfEntry) -> DlqEntryWithEvents:
    """Show an entry, and all that was done to it"""
    entry, events = await _read(access, given.dlq_entry_uuid)
    return DlqEntryWithEvents(**_shown(entry).model_dump(), events=[DlqEvent.model_validate(event) for event in events])


async def _read(access: Access, entry_uuid: UUID) -> tuple[dlq.DlqEntry, list[dlq.DlqEvent]]:
    """Raises NotFound, for entries of namespaces that are not the caller's too."""
    schema = access.engine.settings.schema_name
    entry, events = await access.engine.ask(lambda on: store.read_entry(on, entry_uuid, schema=schema))
    if not access.principal.reaches(entry.namespace):
        raise NotFound(f"there is no entry {entry_uuid}")
    return entry, events


class UpdateInvestigation(OfEntry):
    """What an investigation has come to; what is left out stays as it is."""

    resolution_status: ResolutionStatus | None = None
    resolution_notes: str | None = Field(None, max_length=10_000)
    resolved_by: Name | None = Field(None, description="Who; the caller where it is not said.")
    assigned_to: str | None = Field(None, max_length=255, description="Who looks at it; empty: nobody.")
    metadata: dict[str, Any] | None = None


class InvestigationUpdated(Answer):
    """It is noted."""

    success: bool
    message: str
    dlq_entry_uuid: UUID


@operation("dlq:update", Scope.ACROSS)
async def update_dlq_entry(access: Access, given: UpdateInvestigation) -> InvestigationUpdated:
    """Note what an investigation has come to; the task itself stays as it is"""
    await _read(access, given.dlq_entry_uuid)
    status = given.resolution_status
    await access.engine.ask(
        lambda connection: store.update_entry(
            connection,
            given.dlq_entry_uuid,
            actor=access.actor(given.resolved_by),
            status=None if status is None else dlq.DlqStatus(status),
            notes=given.resolution_notes,
            assigned_to=given.assigned_to,
            metadata=given.metadata,
            schema=access.engine.settings.schema_name,
        )
    )
    return InvestigationUpdated(success=True, message="the entry is updated", dlq_entry_uuid=given.dlq_entry_uuid)


class AddEntry(Given):
    """A task that somebody should look at."""

    task_uuid: TaskUuid
    notes: str | None = Field(None, max_length=10_000)
    actor: Name | None = None
    metadata: dict[str, Any] | None = None


@operation("dlq:update", Scope.TASK)
async def add_dlq_entry(access: Access, given: AddEntry) -> DlqEntry:
    """Put a task into the queue by hand; its pending entry, where it has one, stays the only one"""
    schema = access.engine.settings.schema_name

    async def add(connection: Connection) -> dlq.DlqEntry:
        entry_uuid = await store.add_entry(
            connection,
            new,
            given.task_uuid,
            actor=access.actor(given.actor),
            notes=given.notes,
            metadata=given.metadata,
            schema=schema,
        )
        return (await store.read_entry(connection, entry_uuid, schema=schema))[0]

    new = uuid7()
    return _shown(await access.engine.ask(add))


class RequeueEntry(OfEntry):
    """An entry whose task is to be tried again."""

    reason: str | None = Field(None, max_length=10_000)
    actor: Name | None = None
    act_id: UUID | None = Field(None, description="The same id again does nothing again.")


class Requeued(Answer):
    """The entry is resolved, and this many failed steps are tried again."""

    dlq_entry_uuid: UUID
    task_uuid: UUID
    steps: int


@operation("dlq:update", Scope.ACROSS)
async def requeue_dlq_entry(access: Access, given: RequeueEntry) -> Requeued:
    """Try every failed step of the entry's task again, and resolve the entry"""
    entry, _ = await _read(access, given.dlq_entry_uuid)
    engine, act_id = access.engine, given.act_id or uuid7()
    steps = await engine.ask(
        lambda connection: store.requeue_entry(
            connection,
            given.dlq_entry_uuid,
            act_id,
            actor=access.actor(given.actor),
            reason=given.reason,
            schema=engine.settings.schema_name,
        )
    )
    engine.woken()
    return Requeued(dlq_entry_uuid=given.dlq_entry_uuid, task_uuid=entry.task_uuid, steps=steps)


class OfNamespace(Given):
    """Of one namespace, or of all."""

    namespace: Namespaces | None = None


class DlqStats(Answer):
    """How many entries there are for one reason, and what became of them."""

    dlq_reason: str
    total_entries: int
    pending: int
    manually_resolved: int
    permanent_failures: int
    cancelled: int
    oldest_entry: datetime | None
    newest_entry: datetime | None
    avg_resolution_time_minutes: float | None


@operation("dlq:stats", Scope.ACROSS)
async def get_dlq_stats(access: Access, given: OfNamespace) -> list[DlqStats]:
    """Count the entries of each reason, and what became of them"""
    schema = access.engine.settings.schema_name
    found = await access.engine.ask(
        lambda connection: store.dlq_stats(connection, namespaces=access.confined_to(given.namespace), schema=schema)
    )
    return [
        DlqStats(
            dlq_reason=one.reason,
            total_entries=one.total,
            pending=one.pending,
            manually_resolved=one.manually_resolved,
            permanent_failures=one.permanent_failures,
            cancelled=one.cancelled,
            oldest_entry=one.oldest,
            newest_entry=one.newest,
            avg_resolution_time_minutes=one.avg_resolution_minutes,
        )
        for one in found
    ]


class Most(OfNamespace):
    """At most so many."""

    limit: int = Field(100, ge=1, le=500)


class InvestigationEntry(Answer):
    """A pending entry, with how urgent it is."""

    dlq_entry_uuid: UUID
    task_uuid: UUID
    original_state: str
    dlq_reason: str
    dlq_timestamp: datetime
    minutes_in_dlq: float
    namespace_name: str | None
    task_name: str | None
    current_state: str | None
    time_in_state_minutes: float | None
    priority_score: float = Field(description="The highest first: by reason, and by how long it has waited.")


@operation("dlq:read", Scope.ACROSS)
async def get_investigation_queue(access: Access, given: Most) -> list[InvestigationEntry]:
    """List the pending entries, the most urgent first"""
    schema = access.engine.settings.schema_name
    found = await access.engine.ask(
        lambda connection: store.investigation_queue(
            connection, limit=given.limit, namespaces=access.confined_to(given.namespace), schema=schema
        )
    )
    return [_investigation(entry) for entry in found]


def _investigation(entry: dlq.DlqEntry) -> InvestigationEntry:
    since = entry.state_since
    now = entry.created_at.timestamp() + entry.minutes * 60
    return InvestigationEntry(
        dlq_entry_uuid=entry.entry_uuid,
        task_uuid=entry.task_uuid,
        original_state=entry.original_state,
        dlq_reason=entry.reason,
        dlq_timestamp=entry.created_at,
        minutes_in_dlq=entry.minutes,
        namespace_name=entry.namespace,
        task_name=entry.name,
        current_state=entry.state,
        time_in_state_minutes=None if since is None else max(0.0, (now - since.timestamp()) / 60),
        priority_score=entry.priority_score,
    )


class StalenessReport(Answer):
    """For how long an open task has stood still, and how long it may."""

    task_uuid: UUID
    namespace_name: str | None
    task_name: str | None
    version: str
    current_state: str
    since: datetime = Field(description="When it came into its state.")
    time_in_state_minutes: float
    task_age_minutes: float
    staleness_threshold_minutes: float
    health_status: str = Field(description="healthy, warning, stale, or paused: its queue is.")
    priority: int


@operation("dlq:read", Scope.ACROSS)
async def get_staleness(access: Access, given: Most) -> list[StalenessReport]:
    """List the open tasks that have stood still for longest, measured by how long they may"""
    schema = access.engine.settings.schema_name
    found = await access.engine.ask(
        lambda connection: store.list_stale(
            connection, limit=given.limit, namespaces=access.confined_to(given.namespace), schema=schema
        )
    )
    return [
        StalenessReport(
            task_uuid=one.task_uuid,
            namespace_name=one.namespace,
            task_name=one.name,
            version=one.version,
            current_state=one.state,
            since=one.since,
            time_in_state_minutes=one.still_minutes,
            task_age_minutes=one.age_minutes,
            staleness_threshold_minutes=one.threshold_minutes,
            health_status=one.health,
            priority=one.priority,
        )
        for one in found
    ]
