"""`tasker events list|get|watch`: what steps have told the world."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, TypeVar
from uuid import UUID

import orjson
from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Where, flag, many
from tasker.cli.either import either, on_either
from tasker.cli.event_ways import DatabaseEvents, EventWay, ServerEvents, WhichEvents
from tasker.cli.exits import UsageError
from tasker.cli.show import print_json, print_line, print_table, time
from tasker.model.event import DomainEvent, EventStatus

T = TypeVar("T")
LIMIT_MAX = 500
_BIGGEST = 10**18 - 1
_PATTERN = re.compile(r"[a-z0-9_.*]{1,255}")

Patterns = Annotated[
    list[str] | None, Parameter(help="Names, or patterns such as order.* (in quotes): only of these events.")
]
Cursor = Annotated[int | None, Parameter(help="Behind this place in the outbox, as an event's cursor says it.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Of:
    """Whose events."""

    namespace: Annotated[str | None, Parameter(help="Only of this namespace.")] = None
    task: Annotated[UUID | None, Parameter(help="Only of this task.")] = None


def list_events(
    patterns: Patterns = None,
    /,
    *,
    of: Of = Of(),
    status: Annotated[list[EventStatus] | None, many("In these states; else published ones.")] = None,
    oldest_first: Annotated[bool, flag("From the first one on, or from behind the cursor on.")] = False,
    limit: Annotated[int, Parameter(help=f"How many, {LIMIT_MAX} at most.")] = 20,
    cursor: Annotated[int | None, Parameter(help="The next_cursor of the page before.")] = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Lists events."""
    if not 1 <= limit <= LIMIT_MAX:
        raise UsageError(f"--limit: a page has 1 to {LIMIT_MAX} events, not {limit}")
    _check_cursor(cursor)

    async def work(way: EventWay) -> Sequence[DomainEvent]:
        return await way.page(
            _which(patterns, of),
            statuses=status or ["published"],
            limit=limit,
            cursor=cursor,
            newest_first=not oldest_first,
        )

    found = _on(common, work)
    placed = [one.cursor for one in found if one.cursor is not None]
    next_cursor = placed[-1] if placed and len(found) == limit else None
    if common.json:
        print_json({"events": found, "next_cursor": next_cursor})
        return exits.OK
    rows = [
        (one.cursor, one.name, one.status, one.namespace, one.step_name, one.task_uuid, time(one.recorded_at))
        for one in found
    ]
    print_table(("cursor", "event", "", "namespace", "step", "task", "at"), rows, empty="no events")
    if next_cursor is not None:
        print_line(f"more: --cursor {next_cursor}", style="dim")
    return exits.OK


def get(
    event: Annotated[UUID, Parameter(help="The event's id.")],
    /,
    *,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Shows an event."""

    async def work(way: EventWay) -> DomainEvent:
        return await way.one(event)

    found = _on(common, work)
    if common.json:
        print_json({"event": found})
        return exits.OK
    print_line(f"{found.name} of {found.namespace}/{found.template}@{found.version} {found.step_name}: {found.status}")
    print_line(f"task {found.task_uuid}, attempt {found.attempt}: {found.outcome}, {time(found.recorded_at)}")
    if found.problem:
        print_line(f"problem: {found.problem}", style="red")
    for what, value in (("payload", found.payload), ("metadata", dict(found.metadata))):
        print_line(f"{what}: {orjson.dumps(value).decode()}")
    return exits.OK


def watch(
    patterns: Patterns = None,
    /,
    *,
    of: Of = Of(),
    cursor: Cursor = None,
    limit: Annotated[int | None, Parameter(help="End after so many events.")] = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Prints events as they are published: a line each, with --json an object each. Ctrl-C ends it."""
    _check_cursor(cursor)
    if limit is not None and limit < 1:
        raise UsageError(f"--limit: {limit} events are none to wait for")
    which = _which(patterns, of)

    async def run() -> int:
        seen = 0
        async with (
            either(common, DatabaseEvents, ServerEvents) as way,
            aclosing(way.follow(which, cursor)) as events,
        ):
            async for one in events:
                _print(one, as_json=common.json)
                seen += 1
                if seen == limit:
                    break
        return exits.OK

    return asyncio.run(run())


def _print(one: DomainEvent, *, as_json: bool) -> None:
    if as_json:
        print_json(one)
    else:
        said = orjson.dumps(one.payload).decode()
        print_line(f"{time(one.published_at)} {one.cursor} {one.name} {one.task_uuid} {one.step_name} {said}")
    sys.stdout.flush()  # whoever reads a pipe is told at once


def _which(patterns: list[str] | None, of: Of) -> WhichEvents:
    for pattern in patterns or ():
        if not _PATTERN.fullmatch(pattern):
            raise UsageError(f'"{pattern}" is no pattern of names: small letters, digits, "_", "." and "*", as order.*')
    return WhichEvents(names=patterns or None, namespace=of.namespace, task=of.task)


def _check_cursor(cursor: int | None) -> None:
    if cursor is not None and not 0 <= cursor <= _BIGGEST:
        raise UsageError(f"--cursor: {cursor} is no place in the outbox")


def _on(where: Where, work: Callable[[EventWay], Awaitable[T]]) -> T:
    return on_either(where, DatabaseEvents, ServerEvents, work)
