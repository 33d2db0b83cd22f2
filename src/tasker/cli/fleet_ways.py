"""Workers and queues of a database, and of a server; see `tasker.cli.either`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from tasker.cli.database import Database
from tasker.cli.either import record
from tasker.model.fleet import (
    PauseRecord,
    QueueAct,
    QueueActed,
    QueueInfo,
    QueuePause,
    WorkerActed,
    WorkerAction,
    WorkerInfo,
)

if TYPE_CHECKING:
    from tasker.client import AsyncTaskerClient

WORKERS_MAX = 1000


class FleetWay(Protocol):
    """What the commands ask."""

    async def workers(self, ended_within_s: float) -> list[WorkerInfo]:
        """Those that live, and those that ended within so many seconds."""
        ...

    async def act_on_worker(
        self, action: WorkerAction, session_uuid: UUID, *, act_id: UUID, actor: str, reason: str | None
    ) -> WorkerActed:
        """As it is then."""
        ...

    async def queues(self, namespace: str | None) -> list[QueueInfo]:
        """Queues, by namespace and name."""
        ...

    async def pauses(self, namespace: str | None, limit: int) -> list[PauseRecord]:
        """Pauses, the newest first."""
        ...

    async def act_on_queue(self, act: QueueAct) -> QueueActed:
        """What was done."""
        ...


class DatabaseFleet:
    """By the verbs and the reads."""

    def __init__(self, database: Database) -> None:
        from tasker.store.fleet import Fleet

        self._on, self._schema = database.connection, database.settings.schema_name
        self._fleet = Fleet(self._schema)

    async def workers(self, ended_within_s: float) -> list[WorkerInfo]:
        """One query."""
        return await self._fleet.workers(self._on, ended_within_s=ended_within_s, limit=WORKERS_MAX)

    async def act_on_worker(
        self, action: WorkerAction, session_uuid: UUID, *, act_id: UUID, actor: str, reason: str | None
    ) -> WorkerActed:
        """By the verb."""
        return await self._fleet.act_on_worker(self._on, act_id, action, session_uuid, actor=actor, reason=reason)

    async def queues(self, namespace: str | None) -> list[QueueInfo]:
        """One query."""
        return await self._fleet.queues(self._on, namespaces=None if namespace is None else [namespace])

    async def pauses(self, namespace: str | None, limit: int) -> list[PauseRecord]:
        """One query."""
        return await self._fleet.pauses(self._on, namespaces=None if namespace is None else [namespace], limit=limit)

    async def act_on_queue(self, act: QueueAct) -> QueueActed:
        """By the verb; workers that idle are woken."""
        from tasker.store.messages import notify

        acted = await self._fleet.act_on_queue(self._on, act)
        await notify(self._on, self._schema)
        return acted


class ServerFleet:
    """By the client."""

    def __init__(self, client: AsyncTaskerClient) -> None:
        self._client = client

    async def workers(self, ended_within_s: float) -> list[WorkerInfo]:
        """One request."""
        found = await self._client.list_workers(ended_within_s=ended_within_s, limit=WORKERS_MAX)
        return [_worker(one) for one in found.workers]

    async def act_on_worker(
        self, action: WorkerAction, session_uuid: UUID, *, act_id: UUID, actor: str, reason: str | None
    ) -> WorkerActed:
        """One request."""
        said = {"act_id": act_id, "actor": actor, "reason": reason}
        return record(WorkerActed, await self._client.call(f"{action}_worker", session_uuid=session_uuid, **said))

    async def queues(self, namespace: str | None) -> list[QueueInfo]:
        """One request."""
        return [_queue(one) for one in (await self._client.list_queues(namespace=namespace)).queues]

    async def pauses(self, namespace: str | None, limit: int) -> list[PauseRecord]:
        """One request."""
        found = await self._client.list_pauses(namespace=namespace, limit=limit)
        return [record(PauseRecord, one) for one in found.pauses]

    async def act_on_queue(self, act: QueueAct) -> QueueActed:
        """One request; the server wakes the workers."""
        said = {name: value for name, value in asdict(act).items() if name != "action"}
        if act.action == "resume":
            del said["for_s"]
        return record(QueueActed, await self._client.call(f"{act.action}_queue", **said))


def _worker(answer: Any) -> WorkerInfo:
    lists = {name: tuple(getattr(answer, name)) for name in ("handlers", "namespaces", "queues")}
    return record(WorkerInfo, answer, **lists)


def _queue(answer: Any) -> QueueInfo:
    pauses = tuple(record(QueuePause, one) for one in answer.pauses)
    return record(QueueInfo, answer, handlers=tuple(answer.handlers), pauses=pauses)
