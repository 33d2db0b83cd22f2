"""The dead letter queue of a server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import stamina.instrumentation

from tasker.cli.common import Where
from tasker.client import AsyncTaskerClient
from tasker.model.dlq import DlqEntry, DlqEvent, DlqPage, DlqReason, DlqStats, DlqStatus, Staleness
from tasker.model.states import TaskState
from tasker.operations import dlq


@asynccontextmanager
async def server_dlq(where: Where) -> AsyncGenerator[ServerDlq]:
    """Open while the block lasts."""
    stamina.instrumentation.set_on_retry_hooks([])  # what a command prints is its own
    async with AsyncTaskerClient(where.url, profile=where.profile) as client:
        yield ServerDlq(client)


class ServerDlq:
    """See DlqDoor."""

    def __init__(self, client: AsyncTaskerClient) -> None:
        self._client = client

    async def page(
        self,
        *,
        limit: int,
        cursor: UUID | None,
        statuses: Sequence[DlqStatus] | None,
        reasons: Sequence[DlqReason] | None,
        namespaces: Sequence[str] | None,
        assigned_to: str | None,
    ) -> DlqPage:
        """One request."""
        found = await self._client.list_dlq(
            limit=limit,
            cursor=cursor,
            resolution_status=statuses,
            dlq_reason=reasons,
            namespace=namespaces,
            assigned_to=assigned_to,
        )
        entries = tuple(map(_entry, found))
        return DlqPage(entries, None if len(entries) < limit else entries[-1].entry_uuid)

    async def queue(self, namespaces: Sequence[str] | None, limit: int) -> Sequence[DlqEntry]:
        """The order first, then each entry."""
        order = await self._client.get_investigation_queue(namespace=namespaces, limit=limit)
        return [_entry(await self._client.get_dlq_entry(one.dlq_entry_uuid)) for one in order]

    async def entry(self, entry: UUID) -> tuple[DlqEntry, Sequence[DlqEvent]]:
        """One request."""
        found = await self._client.get_dlq_entry(entry)
        return _entry(found), [DlqEvent(entry_uuid=entry, **one.model_dump()) for one in found.events]

    async def stats(self, namespaces: Sequence[str] | None) -> Sequence[DlqStats]:
        """One request."""
        return [_stats(one) for one in await self._client.get_dlq_stats(namespace=namespaces)]

    async def stale(self, namespaces: Sequence[str] | None, limit: int) -> Sequence[Staleness]:
        """One request."""
        found = await self._client.get_staleness(namespace=namespaces, limit=limit)
        return [_staleness(one) for one in found]

    async def add(self, task: UUID, *, actor: str, notes: str | None) -> UUID:
        """One request."""
        return (await self._client.add_dlq_entry(task, actor=actor, notes=notes)).dlq_entry_uuid

    async def update(
        self, entry: UUID, *, actor: str, status: DlqStatus | None, notes: str | None, assigned_to: str | None
    ) -> DlqEntry:
        """One request, and a look at it."""
        said: dict[str, Any] = {"resolution_status": status, "resolution_notes": notes, "assigned_to": assigned_to}
        await self._client.update_dlq_entry(entry, resolved_by=actor, **said)
        return (await self.entry(entry))[0]

    async def requeue(self, entry: UUID, act_id: UUID, *, actor: str, reason: str | None) -> int:
        """One request."""
        return (await self._client.requeue_dlq_entry(entry, act_id=act_id, actor=actor, reason=reason)).steps


def _entry(found: dlq.DlqEntry) -> DlqEntry:
    same = ("task_uuid", "namespace", "name", "version", "resolved_by", "assigned_to", "created_at", "updated_at")
    more = ("state_since", "priority_score")
    return DlqEntry(
        **{name: getattr(found, name) for name in (*same, *more)},
        entry_uuid=found.dlq_entry_uuid,
        reason=DlqReason(found.dlq_reason),
        original_state=TaskState(found.original_state),
        status=DlqStatus(found.resolution_status),
        notes=found.resolution_notes,
        resolved_at=found.resolution_timestamp,
        snapshot=found.task_snapshot,
        metadata=found.metadata or {},
        state=None if found.current_state is None else TaskState(found.current_state),
        minutes=found.minutes_in_dlq,
    )


def _stats(found: dlq.DlqStats) -> DlqStats:
    same = ("pending", "manually_resolved", "permanent_failures", "cancelled")
    return DlqStats(
        **{name: getattr(found, name) for name in same},
        reason=DlqReason(found.dlq_reason),
        total=found.total_entries,
        oldest=found.oldest_entry,
        newest=found.newest_entry,
        avg_resolution_minutes=found.avg_resolution_time_minutes,
    )


def _staleness(found: dlq.StalenessReport) -> Staleness:
    return Staleness(
        task_uuid=found.task_uuid,
        namespace=found.namespace_name or "",
        name=found.task_name or "",
        version=found.version,
        state=TaskState(found.current_state),
        since=found.since,
        still_minutes=found.time_in_state_minutes,
        age_minutes=found.task_age_minutes,
        threshold_minutes=found.staleness_threshold_minutes,
        health=found.health_status,
        priority=found.priority,
    )
