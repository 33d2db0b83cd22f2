"""Pages of the outbox, forwards and backwards, and single events."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from tasker import sql
from tasker.model.errors import NotFound
from tasker.model.event import DomainEvent, EventStatus
from tasker.store.asking import ask
from tasker.store.connection import Connection
from tasker.store.events import event_of

_LIST = "list_events($1::bigint, $2::int, $3::boolean, $4::text[], $5::text[], $6::uuid[], $7::text[])"


async def list_events(
    connection: Connection,
    *,
    cursor: int | None = None,
    limit: int = 100,
    newest_first: bool = False,
    names: Sequence[str] | None = None,
    namespaces: Sequence[str] | None = None,
    task_uuids: Sequence[UUID] | None = None,
    statuses: Sequence[EventStatus] = ("published",),
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[DomainEvent]:
    """What stands in the outbox behind a cursor or, newest first, before it. `names` may be patterns.

    Events with the status `recorded` have no cursor: they are the newest, whatever the order.
    """
    arguments = (cursor, limit, newest_first, names, namespaces, task_uuids, list(statuses))
    return [event_of(row) for row in await ask(connection, _LIST, *arguments, schema=schema)]


async def read_event(
    connection: Connection,
    event_id: UUID,
    *,
    namespaces: Sequence[str] | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> DomainEvent:
    """One event, where it is of these namespaces (None: of any). Raises NotFound."""
    found = await ask(connection, "read_event($1::uuid, $2::text[])", event_id, namespaces, schema=schema)
    if not found:
        raise NotFound(f"there is no event {event_id} in the outbox: `tasker events list` shows those that there are")
    return event_of(found[0])


async def events_end(connection: Connection, *, schema: str = sql.DEFAULT_SCHEMA) -> int:
    """The cursor of the last event by now."""
    return (await ask(connection, "events_end()", schema=schema))[0][0]
