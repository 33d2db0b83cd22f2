"""The dead letter queue through either door; see `tasker.cli.doors`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from tasker.cli.common import Where
from tasker.cli.database import Database, opened
from tasker.cli.doors import names_server
from tasker.model.dlq import DlqEntry, DlqEvent, DlqPage, DlqReason, DlqStats, DlqStatus, Staleness
from tasker.model.ids import uuid7
from tasker.store import dlq

T = TypeVar("T")


class DlqDoor(Protocol):
    """What the commands of the queue ask."""

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
        """Entries, newest first."""
        ...

    async def queue(self, namespaces: Sequence[str] | None, limit: int) -> Sequence[DlqEntry]:
        """Pending entries, the most urgent first."""
        ...

    async def entry(self, entry: UUID) -> tuple[DlqEntry, Sequence[DlqEvent]]:
        """One, with all that was done to it."""
        ...

    async def stats(self, namespaces: Sequence[str] | None) -> Sequence[DlqStats]:
        """How many there are for each reason."""
        ...

    async def stale(self, namespaces: Sequence[str] | None, limit: int) -> Sequence[Staleness]:
        """Tasks that stand still."""
        ...

    async def add(self, task: UUID, *, actor: str, notes: str | None) -> UUID:
        """The id of the task's pending entry, made where it has none."""
        ...

    async def update(
        self, entry: UUID, *, actor: str, status: DlqStatus | None, notes: str | None, assigned_to: str | None
    ) -> DlqEntry:
        """The entry as it is then."""
        ...

    async def requeue(self, entry: UUID, act_id: UUID, *, actor: str, reason: str | None) -> int:
        """How many steps are tried again."""
        ...


class DatabaseDlq:
    """By the verbs and reads."""

    def __init__(self, database: Database) -> None:
        self._on, self._schema = database.connection, database.settings.schema_name

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
        """One query."""
        return await dlq.list_entries(
            self._on,
            limit=limit,
            cursor=cursor,
            statuses=statuses,
            reasons=reasons,
            namespaces=namespaces,
            assigned_to=assigned_to,
            schema=self._schema,
        )

    async def queue(self, namespaces: Sequence[str] | None, limit: int) -> Sequence[DlqEntry]:
        """One query."""
        return await dlq.investigation_queue(self._on, limit=limit, namespaces=namespaces, schema=self._schema)

    async def entry(self, entry: UUID) -> tuple[DlqEntry, Sequence[DlqEvent]]:
        """Two queries."""
        return await dlq.read_entry(self._on, entry, schema=self._schema)

    async def stats(self, namespaces: Sequence[str] | None) -> Sequence[DlqStats]:
        """One query."""
        return await dlq.dlq_stats(self._on, namespaces=namespaces, schema=self._schema)

    async def stale(self, namespaces: Sequence[str] | None, limit: int) -> Sequence[Staleness]:
        """Among the thousand oldest."""
        return await dlq.list_stale(self._on, limit=limit, namespaces=namespaces, schema=self._schema)

    async def add(self, task: UUID, *, actor: str, notes: str | None) -> UUID:
        """By the verb."""
        return await dlq.add_entry(self._on, uuid7(), task, actor=actor, notes=notes, schema=self._schema)

    async def update(
        self, entry: UUID, *, actor: str, status: DlqStatus | None, notes: str | None, assigned_to: str | None
    ) -> DlqEntry:
        """By the verb, and a look at it."""
        await dlq.update_entry(
            self._on, entry, actor=actor, status=status, notes=notes, assigned_to=assigned_to, schema=self._schema
        )
        return (await self.entry(entry))[0]

    async def requeue(self, entry: UUID, act_id: UUID, *, actor: str, reason: str | None) -> int:
        """By the verb."""
        return await dlq.requeue_entry(self._on, entry, act_id, actor=actor, reason=reason, schema=self._schema)


def with_dlq(where: Where, work: Callable[[DlqDoor], Awaitable[T]]) -> T:
    """Runs `work` on the queue of the database or the server; what it answers."""

    async def run() -> T:
        if names_server(where):
            from tasker.cli.dlq_server import server_dlq

            async with server_dlq(where) as there:
                return await work(there)
        async with opened(where) as database:
            return await work(DatabaseDlq(database))

    return asyncio.run(run())
