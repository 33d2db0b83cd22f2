"""Lists of tasks: by page as tasker-core's clients ask, or by cursor, which costs the same on every page."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal
from uuid import UUID

import orjson
from pydantic import BeforeValidator, Field

from tasker.model.errors import InvalidInput
from tasker.model.states import TaskState
from tasker.model.task import TaskCount, TaskFilter
from tasker.operations.fields import Moment, Name, as_list, listed
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.operations.views import TaskResponse, task_response
from tasker.store.connection import Connection
from tasker.store.lists import count_some
from tasker.store.lists import list_tasks as search_tasks
from tasker.store.overviews import TaskOverview, TaskQuery, find_task_ids, task_overviews

COUNT_MAX, LOOK_MAX = 10_000, 1_000
"""Pages reach so far, and nothing is counted beyond; a cursor reaches everything. Where no index alone tells which
tasks are meant, so many are looked at to be counted."""
_OLDER_WORDS = {"completed": "complete", "failed": "error"}
SearchField = Annotated[str, Field(pattern=r"^[^=]{1,255}=.{0,1000}$", examples=["order.id=17"])]
Status = Literal[
    "pending", "initializing", "enqueuing_steps", "steps_in_process", "evaluating_results", "waiting_for_dependencies",
    "waiting_for_retry", "blocked_by_failures", "complete", "error", "cancelled", "resolved_manually",
]  # fmt: skip
assert set(Status.__args__) == set(TaskState)  # noqa: S101 - the words of the API are the states


def _today(value: object) -> object:
    """The words that older clients filter by are those of today."""
    return [_OLDER_WORDS.get(str(one), one) for one in listed(value)]


class Criteria(Given):
    """Which tasks. Several values of `status` are joined by or, all else by and."""

    status: Annotated[list[Status], BeforeValidator(_today)] | None = Field(
        None,
        min_length=1,
        max_length=12,
        description="In one of these states; `completed` and `failed` are understood.",
    )
    namespace: Name | None = None
    name: Name | None = Field(None, description="Of this template.")
    version: Name | None = None
    initiator: Name | None = None
    tag: Annotated[list[Name], BeforeValidator(as_list)] | None = Field(
        None, min_length=1, max_length=20, description="With all of these."
    )
    field: Annotated[list[SearchField], BeforeValidator(as_list)] | None = Field(
        None,
        min_length=1,
        max_length=8,
        description="Whose input has this value at this path: path=value, the value as JSON, or a word. Templates "
        "declare the paths (`search_fields`).",
    )
    correlation_id: UUID | None = None
    created_after: Moment | None = Field(None, description="Created then or later.")
    created_before: Moment | None = Field(None, description="Created earlier.")
    completed_after: Moment | None = Field(None, description="Ended then or later; the list is by the end.")
    completed_before: Moment | None = Field(None, description="Ended earlier.")


class ListTasks(Criteria):
    """Which tasks, and which part of them."""

    source_system: Name | None = None
    page: int = Field(1, ge=1, le=10_000)
    per_page: int = Field(25, ge=1, le=100)
    cursor: str | None = Field(
        None, max_length=100, description="The `next_cursor` of the page before; then `page` is 1."
    )


class Pagination(Answer):
    """Where a page stands. `total_count` is null where a cursor was given."""

    page: int
    per_page: int
    total_count: int | None = Field(description=f"At most {COUNT_MAX}.")
    total_is_exact: bool = Field(
        True, description="False where there are that many or more: no more is counted than is quickly read."
    )
    total_pages: int | None
    has_next: bool
    has_previous: bool
    next_cursor: str | None = Field(description="Leads to the next page; null where this is the last one.")


class TaskListResponse(Answer):
    """A page of tasks, newest first."""

    tasks: list[TaskResponse]
    pagination: Pagination


@operation("tasks:list", Scope.ACROSS)
async def list_tasks(access: Access, given: ListTasks) -> TaskListResponse:
    """List tasks, newest first"""
    if given.page > 1 and given.cursor is not None:
        raise InvalidInput("page: a cursor leads to the next page by itself; leave page out")
    if given.page * given.per_page > COUNT_MAX:
        raise InvalidInput(f"page: pages reach to the {COUNT_MAX}th task; go on with the cursor of the page before")
    if is_search(given):
        return await access.engine.ask(lambda connection: _by_search(access, connection, given))
    if given.cursor is None:
        return await access.engine.ask(lambda connection: _by_page(access, connection, given))
    return await access.engine.ask(lambda connection: _by_cursor(access, connection, query_of(access, given), given))


def query_of(access: Access, given: ListTasks) -> TaskQuery:
    """The filter, confined to what the caller may see."""
    return TaskQuery(
        states=given.status,
        namespaces=access.confined_to(given.namespace),
        name=given.name,
        version=given.version,
        tag=given.tag[0] if given.tag else None,
        correlation_id=given.correlation_id,
        initiator=given.initiator,
        source_system=given.source_system,
        created_from=given.created_after,
        created_until=given.created_before,
    )


async def _by_page(access: Access, connection: Connection, given: ListTasks) -> TaskListResponse:
    schema, per_page = access.engine.settings.schema_name, given.per_page
    end = given.page * per_page
    ids = await find_task_ids(connection, query_of(access, given), limit=end + 1, schema=schema)
    here, has_next = ids[end - per_page : end], end < len(ids)
    count = TaskCount(len(ids), is_exact=True)
    if has_next:
        count = await _count(access, connection, given, seen=len(ids))
    pagination = Pagination(
        page=given.page,
        per_page=per_page,
        total_count=count.count,
        total_is_exact=count.is_exact,
        total_pages=-(-count.count // per_page),
        has_next=has_next,
        has_previous=given.page > 1,
        next_cursor=cursor_of(here[-1]) if has_next else None,
    )
    return TaskListResponse(tasks=_shown(await task_overviews(connection, here, schema)), pagination=pagination)


async def _count(access: Access, connection: Connection, given: ListTasks, *, seen: int) -> TaskCount:
    """How many there are; at least as many as were seen."""
    schema, which = access.engine.settings.schema_name, filter_of(access, given)
    found = await count_some(
        connection, which, source_system=given.source_system, count_max=COUNT_MAX, look_max=LOOK_MAX, schema=schema
    )
    return TaskCount(min(COUNT_MAX, max(seen, found.count)), found.is_exact)


async def _by_cursor(access: Access, connection: Connection, which: TaskQuery, given: ListTasks) -> TaskListResponse:
    schema, per_page = access.engine.settings.schema_name, given.per_page
    before = position_of(given.cursor or "")
    ids = await find_task_ids(connection, which, limit=per_page + 1, before=before, schema=schema)
    here, has_next = ids[:per_page], len(ids) > per_page
    pagination = Pagination(
        page=given.page,
        per_page=per_page,
        total_count=None,
        total_is_exact=False,
        total_pages=None,
        has_next=has_next,
        has_previous=True,
        next_cursor=cursor_of(here[-1]) if has_next else None,
    )
    return TaskListResponse(tasks=_shown(await task_overviews(connection, here, schema)), pagination=pagination)


def is_search(given: ListTasks) -> bool:
    """Whether it asks for what only the engine's whole filter can tell."""
    return bool(given.field or given.completed_after or given.completed_before or len(given.tag or ()) > 1)


async def _by_search(access: Access, connection: Connection, given: ListTasks) -> TaskListResponse:
    """Raises InvalidInput for a page other than the first, and beside a source system."""
    if given.page > 1 or given.source_system is not None:
        raise InvalidInput(
            "page, source_system: not together with field, completed_after, completed_before or several tags; "
            "pages are reached by the cursor"
        )
    schema, which = access.engine.settings.schema_name, filter_of(access, given)
    found = await search_tasks(connection, which, limit=given.per_page, cursor=given.cursor, schema=schema)
    seen = len(found.tasks)
    count = None if given.cursor else TaskCount(seen, is_exact=True)
    if count is not None and found.next_cursor is not None:
        count = await _count(access, connection, given, seen=seen)
    total = None if count is None else count.count
    pagination = Pagination(
        page=1,
        per_page=given.per_page,
        total_count=total,
        total_is_exact=count is not None and count.is_exact,
        total_pages=None if total is None else -(-total // given.per_page),
        has_next=found.next_cursor is not None,
        has_previous=given.cursor is not None,
        next_cursor=found.next_cursor,
    )
    here = [task.task_uuid for task in found.tasks]
    return TaskListResponse(tasks=_shown(await task_overviews(connection, here, schema)), pagination=pagination)


def filter_of(access: Access, given: Criteria) -> TaskFilter:
    """As the engine takes it, confined to what the caller may see."""
    namespaces = access.confined_to(given.namespace)
    return TaskFilter(
        states=None if given.status is None else tuple(TaskState(status) for status in given.status),
        namespaces=None if namespaces is None else tuple(namespaces),
        name=given.name,
        version=given.version,
        tags=None if given.tag is None else tuple(given.tag),
        correlation_id=given.correlation_id,
        initiator=given.initiator,
        created_from=given.created_after,
        created_until=given.created_before,
        completed_from=given.completed_after,
        completed_until=given.completed_before,
        fields=None if given.field is None else dict(_path_and_value(one) for one in given.field),
    )


def _path_and_value(said: str) -> tuple[str, str | int | float | bool]:
    path, _, text = said.partition("=")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = text
    return path, value if isinstance(value, str | int | float | bool) else text


def _shown(found: list[TaskOverview]) -> list[TaskResponse]:
    return [task_response(one.task, one.figures, context=None) for one in found]


def cursor_of(last: UUID) -> str:
    """The cursor of the page after this task."""
    return base64.urlsafe_b64encode(b"1" + last.bytes).rstrip(b"=").decode()


def position_of(cursor: str) -> UUID:
    """The task that a cursor stands after. Raises InvalidInput."""
    try:
        data = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if data[:1] != b"1" or len(data) != 17:
        raise InvalidInput("cursor: this is none of this list's; pass on the next_cursor of the page before")
    return UUID(bytes=data[1:])
