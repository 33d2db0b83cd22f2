"""Domain events of the outbox: pages of it, one event, and a stream of what is published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field

from tasker.model.errors import DatabaseUnavailable
from tasker.model.event import DomainEvent
from tasker.operations.fields import Name, listed
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.store.connection import Connection
from tasker.store.event_lists import events_end, list_events, read_event

LOOK_FIRST_S, LOOK_MAX_S = 0.1, 1.0
LOOK_SIZE = 200
AWAY_LOOKS_MAX = 120
"""So often the database may be away, one look after the other, before a stream gives up."""

Cursor = Annotated[str, Field(max_length=18, pattern=r"^\d{1,18}$", description="Of an event, or of an update.")]
Pattern = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[a-z0-9_.*]+$")]
Patterns = Annotated[
    list[Pattern],
    BeforeValidator(listed),
    Field(max_length=20, description="Of these names; `*` stands for any text.", examples=[["order.*"]]),
]
Status = Literal["recorded", "published", "declined", "refused"]


class EventInfo(Answer):
    """An event as the outbox has it. `event_id` is what repeats are known by."""

    event_id: UUID
    name: str
    namespace: str
    template: str
    version: str
    task_uuid: UUID
    step_uuid: UUID
    step_name: str
    number: int
    attempt: int
    outcome: str = Field(description="success, retryable_failure, permanent_failure or resolved.")
    mode: str
    status: str = Field(description="published; recorded: not made into an event yet; declined or refused.")
    payload: Any = Field(description="What its publisher made of the step's outcome.")
    metadata: dict[str, Any]
    publisher: str | None
    problem: str | None = Field(description="Why it was refused, or what its publisher failed of last.")
    correlation_id: UUID | None
    recorded_at: datetime | None
    published_at: datetime | None
    cursor: str | None = Field(description="Its place in the outbox; null where it has none yet.")


class OfEvents(Given):
    """Which events."""

    name: Patterns | None = None
    namespace: Name | None = None
    task_uuid: UUID | None = None

    def scope(self, access: Access) -> dict[str, Any]:
        """The same as the store takes it, confined to what the caller may see."""
        return {
            "names": self.name,
            "namespaces": access.confined_to(self.namespace),
            "task_uuids": None if self.task_uuid is None else [self.task_uuid],
            "schema": access.engine.settings.schema_name,
        }


class ListEvents(OfEvents):
    """Which events, and from where on."""

    status: Annotated[list[Status], BeforeValidator(listed)] = Field(["published"], min_length=1, max_length=4)
    newest_first: bool = Field(default=False, description="Go back from the cursor, or from the end.")
    limit: int = Field(100, ge=1, le=500)
    cursor: Cursor | None = None


class EventPage(Answer):
    """Events in the order in which they were published, the same for everybody and for ever; or backwards."""

    events: list[EventInfo]
    next_cursor: str | None = Field(description="To go on from here, now or later; null where there is nothing yet.")
    has_more: bool = Field(description="There may be more by now.")


@operation("events:read", Scope.ACROSS)
async def list_domain_events(access: Access, given: ListEvents) -> EventPage:
    """List domain events of the outbox behind a cursor, or the newest"""
    scope, cursor = given.scope(access), None if given.cursor is None else int(given.cursor)
    found = await access.engine.ask(
        lambda connection: list_events(
            connection,
            cursor=cursor,
            limit=given.limit,
            newest_first=given.newest_first,
            statuses=given.status,
            **scope,
        )
    )
    placed = [one.cursor for one in found if one.cursor is not None]
    return EventPage(
        events=list(map(_info, found)),
        next_cursor=str(placed[-1]) if placed else given.cursor,
        has_more=len(found) == given.limit,
    )


class OfEvent(Given):
    """One event."""

    event_id: Annotated[UUID, Field(examples=["0198c0de-0000-7000-8000-000000000004"])]


@operation("events:read", Scope.ACROSS)
async def get_domain_event(access: Access, given: OfEvent) -> EventInfo:
    """Show a domain event of the outbox"""
    schema, shown = access.engine.settings.schema_name, access.confined_to(None)
    return _info(await access.engine.ask(lambda on: read_event(on, given.event_id, namespaces=shown, schema=schema)))


class WatchEvents(OfEvents):
    """Which events, and behind which: without a cursor those that are published from now on."""

    cursor: Cursor | None = None


class EventUpdate(Answer):
    """An event that was published. The first update of a stream, `ready`, only says that it has begun."""

    update_type: Literal["ready", "event"]
    cursor: str
    event: EventInfo | None

    @property
    def is_last(self) -> bool:
        """Events go on for ever."""
        return False


@operation("events:read", Scope.ACROSS)
async def watch_domain_events(access: Access, given: WatchEvents) -> AsyncIterator[EventUpdate]:
    """Watch domain events as they are published, from now on or from a cursor on: none is left out"""
    scope = given.scope(access)

    async def look(connection: Connection) -> tuple[int, list[DomainEvent]]:
        end = await events_end(connection, schema=scope["schema"])
        return end, await list_events(connection, cursor=cursor, limit=LOOK_SIZE, **scope)

    if given.cursor is None:
        cursor = await access.engine.ask(lambda connection: events_end(connection, schema=scope["schema"]))
    else:
        cursor = int(given.cursor)
    yield EventUpdate(update_type="ready", cursor=str(cursor), event=None)
    wait_s, away = 0.0, 0
    while away < AWAY_LOOKS_MAX:
        await asyncio.sleep(wait_s)
        wait_s = min(max(wait_s * 1.5, LOOK_FIRST_S), LOOK_MAX_S)
        try:
            end, found = await access.engine.ask(look)
            away = 0
        except DatabaseUnavailable:
            away, wait_s = away + 1, LOOK_MAX_S
            continue
        for one in found:
            cursor, wait_s = one.cursor or cursor, LOOK_FIRST_S
            yield EventUpdate(update_type="event", cursor=str(cursor), event=_info(one))
        if len(found) == LOOK_SIZE:
            wait_s = 0.0
        else:
            cursor = max(cursor, end)  # what others publish is not looked through again at each look


def _info(one: DomainEvent) -> EventInfo:
    same = {name: getattr(one, name) for name in EventInfo.model_fields if name not in ("cursor", "metadata")}
    return EventInfo(cursor=None if one.cursor is None else str(one.cursor), metadata=dict(one.metadata), **same)
