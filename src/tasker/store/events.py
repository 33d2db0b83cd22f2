"""The outbox of domain events: what is to be made into events, what is to be handed to subscribers, and reading it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from tasker import sql
from tasker.model.errors import InvalidInput, NotFound
from tasker.model.event import DomainEvent, EventStatus, Occurrence, SubscriberInfo
from tasker.store.asking import ask
from tasker.store.connection import Connection

READ_MAX = 1000
_TAKE = "take_events($1::uuid, $2::text[], $3::int, $4::float8)"
_SETTLE = "settle_events($1::uuid, $2::bigint[], $3::text[], $4::jsonb[], $5::jsonb[], $6::text[])"
_TAKE_DELIVERIES = "take_deliveries($1::uuid, $2::text[], $3::int, $4::float8)"
_SETTLE_DELIVERIES = "settle_deliveries($1::uuid, $2::text[], $3::bigint[], $4::text[])"
_HOLD = "hold_events($1::uuid, $2::bigint[], $3::text[], $4::bigint[], $5::float8)"
_READ = "read_events($1::bigint, $2::int, $3::text[], $4::text[], $5::uuid[], $6::text[], $7::bigint[])"


class Taken(NamedTuple):
    """An outcome that is to be made into an event, by its number in the outbox. `is_lost`: too many processes that had
    it ended, so that it is to be refused."""

    seq: int
    occurrence: Occurrence
    is_lost: bool = False


class Made(NamedTuple):
    """What became of it; payload and metadata are JSON. `recorded` with a problem: its publisher failed."""

    seq: int
    status: EventStatus
    payload: str | None = None
    metadata: str | None = None
    problem: str | None = None


class Delivery(NamedTuple):
    """An event's place in the outbox, for one subscriber; handed out for the `tries`-th time."""

    subscriber: str
    position: int
    tries: int


async def take_events(
    connection: Connection, owner: UUID, publishers: Sequence[str], most: int, lease_s: float, *, schema: str
) -> list[Taken]:
    """Takes what is to be made into events with these publishers, or with none; of each task the first alone."""
    rows = await ask(connection, _TAKE, owner, publishers, most, lease_s, schema=schema)
    return [Taken(row["seq"], _occurrence(row), row["is_lost"]) for row in rows]


async def settle_events(connection: Connection, owner: UUID, made: Sequence[Made], *, schema: str) -> int:
    """Says what became of them; of how many this owner still had the right to."""
    rows = await ask(connection, _SETTLE, owner, *map(list, zip(*made, strict=True)), schema=schema)
    return rows[0][0]


async def subscribe(connection: Connection, subscribers: Sequence[tuple[str, Sequence[str]]], *, schema: str) -> None:
    """Makes subscribers known, each with its patterns."""
    said = [{"name": name, "patterns": list(patterns)} for name, patterns in subscribers]
    await ask(connection, "subscribe($1::jsonb)", orjson.dumps(said).decode(), schema=schema)


async def unsubscribe(connection: Connection, name: str, *, schema: str) -> int:
    """Forgets a subscriber; how many events it is not handed any more. Raises NotFound."""
    dropped = (await ask(connection, "unsubscribe($1)", name, schema=schema))[0][0]
    if dropped is None:
        raise NotFound(f'there is no subscriber "{name}": Tasker.event_subscribers() names those that there are')
    return dropped


async def take_deliveries(
    connection: Connection, owner: UUID, subscribers: Sequence[str], most: int, lease_s: float, *, schema: str
) -> list[tuple[Delivery, DomainEvent]]:
    """Takes what is to be handed to these subscribers next, with the events."""
    rows = await ask(connection, _TAKE_DELIVERIES, owner, subscribers, most, lease_s, schema=schema)
    taken = sorted((Delivery(*row) for row in rows), key=lambda one: one.position)
    positions = sorted({one.position for one in taken})
    found: dict[int | None, DomainEvent] = {}
    if positions:
        arguments = (0, len(positions), None, None, None, ["published"], positions)
        found = {row["position"]: event_of(row) for row in await ask(connection, _READ, *arguments, schema=schema)}
    return [(one, replace(found[one.position], tries=one.tries)) for one in taken if one.position in found]


async def settle_deliveries(
    connection: Connection, owner: UUID, done: Sequence[tuple[Delivery, str | None]], *, schema: str
) -> None:
    """Says what was handed over, or what its subscriber failed of."""
    names, positions = [one.subscriber for one, _ in done], [one.position for one, _ in done]
    await ask(connection, _SETTLE_DELIVERIES, owner, names, positions, [error for _, error in done], schema=schema)


async def hold_events(
    connection: Connection,
    owner: UUID,
    seqs: Sequence[int],
    deliveries: Sequence[Delivery],
    lease_s: float,
    *,
    schema: str,
) -> None:
    """Keeps what this owner has taken for longer."""
    names, positions = [one.subscriber for one in deliveries], [one.position for one in deliveries]
    await ask(connection, _HOLD, owner, seqs, names, positions, lease_s, schema=schema)


async def read_events(
    connection: Connection,
    *,
    after: int = 0,
    limit: int = 100,
    names: Sequence[str] | None = None,
    namespaces: Sequence[str] | None = None,
    task_uuids: Sequence[UUID] | None = None,
    statuses: Sequence[EventStatus] = ("published",),
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[DomainEvent]:
    """What stands in the outbox after that cursor, at most `limit` (1 to 1000). `names` may be patterns.

    Events with the status `recorded` come last, without a cursor. Raises InvalidInput for another limit.
    """
    if not 1 <= limit <= READ_MAX:
        raise InvalidInput(f"limit is {limit}: ask for 1 to {READ_MAX} events at a time")
    arguments = (after, limit, names, namespaces, task_uuids, list(statuses), None)
    return [event_of(row) for row in await ask(connection, _READ, *arguments, schema=schema)]


async def read_all_events(
    connection: Connection, task_uuid: UUID, *, schema: str = sql.DEFAULT_SCHEMA
) -> list[DomainEvent]:
    """All that the outbox has of a task, in order; what is not settled comes last, without a cursor."""
    statuses: tuple[EventStatus, ...] = ("recorded", "published", "declined", "refused")
    found: list[DomainEvent] = []
    while True:
        after = found[-1].cursor if found else 0
        page = await read_events(
            connection, after=after or 0, limit=READ_MAX, task_uuids=[task_uuid], statuses=statuses, schema=schema
        )
        found += page
        if len(page) < READ_MAX or page[-1].cursor is None:
            return found


async def subscribers(connection: Connection, *, schema: str = sql.DEFAULT_SCHEMA) -> list[SubscriberInfo]:
    """The subscribers that are known, by name."""
    rows = await ask(connection, "read_subscribers()", schema=schema)
    return [
        SubscriberInfo(
            name=row["name"],
            patterns=tuple(row["patterns"]),
            since=row["since"],
            waiting=row["waiting"],
            failed=row["failed"],
            error=row["error"],
        )
        for row in rows
    ]


_SAME = ("event_id", "name", "mode", "publisher", "outcome", "number", "attempt", "step_name", "namespace", "template")
_ALSO = ("version", "correlation_id", "recorded_at")


def _occurrence(row: Any) -> Occurrence:
    return Occurrence(
        content=_parsed(row["content"]),
        schema=_parsed(row["schema"]),
        description=row["description"],
        task_uuid=row["task_id"],
        **{name: row[name] for name in (*_SAME, *_ALSO)},
    )


def event_of(row: Any) -> DomainEvent:
    """An event of a row of read_events, or of list_events."""
    return DomainEvent(
        payload=_parsed(row["payload"]),
        metadata=_parsed(row["metadata"]) or {},
        task_uuid=row["task_id"],
        published_at=row["settled_at"],
        cursor=row["position"],
        status=row["status"],
        problem=row["problem"],
        **{name: row[name] for name in (*_SAME, *_ALSO)},
    )


def _parsed(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
