"""The outbox of domain events of a database, and of a server; see `tasker.cli.either`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from tasker.cli.database import Database
from tasker.cli.either import record
from tasker.model.event import DomainEvent, EventStatus
from tasker.store.event_lists import events_end, list_events, read_event

if TYPE_CHECKING:
    from tasker.client import AsyncTaskerClient

LOOK_S, LOOK_SIZE = 0.25, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WhichEvents:
    """Of names that match, of a namespace, of a task; None is all."""

    names: Sequence[str] | None
    namespace: str | None
    task: UUID | None


class EventWay(Protocol):
    """What the commands ask."""

    async def page(
        self, which: WhichEvents, *, statuses: Sequence[EventStatus], limit: int, cursor: int | None, newest_first: bool
    ) -> Sequence[DomainEvent]:
        """A page."""
        ...

    async def one(self, event: UUID) -> DomainEvent:
        """One event."""
        ...

    def follow(self, which: WhichEvents, cursor: int | None) -> AsyncGenerator[DomainEvent]:
        """What is published, behind the cursor or from now on."""
        ...


class DatabaseEvents:
    """By the reads."""

    def __init__(self, database: Database) -> None:
        self._on, self._schema = database.connection, database.settings.schema_name

    def _scope(self, which: WhichEvents) -> dict[str, Any]:
        return {
            "names": which.names,
            "namespaces": None if which.namespace is None else [which.namespace],
            "task_uuids": None if which.task is None else [which.task],
            "schema": self._schema,
        }

    async def page(
        self, which: WhichEvents, *, statuses: Sequence[EventStatus], limit: int, cursor: int | None, newest_first: bool
    ) -> Sequence[DomainEvent]:
        """One query."""
        said: dict[str, Any] = {"limit": limit, "cursor": cursor, "newest_first": newest_first, "statuses": statuses}
        return await list_events(self._on, **said, **self._scope(which))

    async def one(self, event: UUID) -> DomainEvent:
        """One query."""
        return await read_event(self._on, event, schema=self._schema)

    async def follow(self, which: WhichEvents, cursor: int | None) -> AsyncGenerator[DomainEvent]:
        """Looks again and again; what others publish is not looked through twice."""
        behind = await events_end(self._on, schema=self._schema) if cursor is None else cursor
        while True:
            end = await events_end(self._on, schema=self._schema)
            found = await list_events(self._on, cursor=behind, limit=LOOK_SIZE, **self._scope(which))
            for one in found:
                behind = one.cursor or behind
                yield one
            if len(found) < LOOK_SIZE:
                behind = max(behind, end)
                await asyncio.sleep(LOOK_S)


class ServerEvents:
    """By the client."""

    def __init__(self, client: AsyncTaskerClient) -> None:
        self._client = client

    async def page(
        self, which: WhichEvents, *, statuses: Sequence[EventStatus], limit: int, cursor: int | None, newest_first: bool
    ) -> Sequence[DomainEvent]:
        """One request."""
        said: dict[str, Any] = {"limit": limit, "cursor": _text(cursor), "newest_first": newest_first}
        found = await self._client.list_domain_events(**said, status=list(statuses), **_asked(which))
        return list(map(_event, found.events))

    async def one(self, event: UUID) -> DomainEvent:
        """One request."""
        return _event(await self._client.get_domain_event(event))

    async def follow(self, which: WhichEvents, cursor: int | None) -> AsyncGenerator[DomainEvent]:
        """The server's stream."""
        async for update in self._client.watch_domain_events(cursor=_text(cursor), **_asked(which)):
            if update.event is not None:
                yield _event(update.event)


def _asked(which: WhichEvents) -> dict[str, Any]:
    names = None if which.names is None else list(which.names)
    return {"name": names, "namespace": which.namespace, "task_uuid": which.task}


def _text(cursor: int | None) -> str | None:
    return None if cursor is None else str(cursor)


def _event(answer: Any) -> DomainEvent:
    return record(DomainEvent, answer, cursor=None if answer.cursor is None else int(answer.cursor), tries=1)
