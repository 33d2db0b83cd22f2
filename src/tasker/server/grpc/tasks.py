"""Tasks: what the messages of gRPC say otherwise than the operations."""

from __future__ import annotations

from typing import Any

from tasker.model.errors import InvalidInput
from tasker.operations import Operation, accounts, lists, steps, tasks, watching
from tasker.server.grpc.asked import Asked, Fields

_PER_PAGE, _PER_PAGE_MAX = 25, 100


async def get_task(asked: Asked) -> Fields:
    """The task, and its steps and data where the request includes them."""
    one = {"task_uuid": asked.fields.get("task_uuid")}
    found: Fields = {"task": await asked.call(tasks.get_task, {**one, "wait": asked.fields.get("wait_s")})}
    if asked.fields.get("include_steps"):
        found["steps"] = await asked.call(steps.list_steps, one)
    if asked.fields.get("include_context"):
        found["context"] = await asked.call(accounts.get_task_context, one)
    return found


async def cancel_task(asked: Asked) -> Fields:
    """Success, or an error that says why not."""
    return {"task": await asked.call(tasks.cancel_task), "success": True, "message": "the task is cancelled"}


async def list_tasks(asked: Asked) -> Fields:
    """A page from an offset or a cursor on."""
    fields = dict(asked.fields)
    part: Fields = fields.pop("pagination", {})
    limit, offset, cursor = part.get("limit", _PER_PAGE), part.get("offset", 0), part.get("cursor")
    if not 1 <= limit <= _PER_PAGE_MAX or offset < 0 or (offset and cursor is not None):
        raise InvalidInput(f"pagination: a limit of 1 to {_PER_PAGE_MAX}, and an offset or a cursor")
    which = {**_filter(fields), "per_page": limit}
    if cursor is not None:
        found = await asked.call(lists.list_tasks, {**which, "cursor": cursor})
        return _page(found.tasks, 0, found.pagination.has_next, -1, found.pagination.next_cursor)
    page, skipped = offset // limit + 1, offset % limit
    first = await asked.call(lists.list_tasks, {**which, "page": page})
    total = first.pagination.total_count
    if not skipped:
        return _page(first.tasks, offset, first.pagination.has_next, total, first.pagination.next_cursor)
    second = await asked.call(lists.list_tasks, {**which, "page": page + 1})
    both, end = [*first.tasks, *second.tasks], skipped + limit
    return _page(both[skipped:end], offset, len(both) > end or second.pagination.has_next, total, None)


def _filter(fields: Fields) -> Fields:
    """The filter of a list as the operation takes it."""
    created, completed = fields.pop("created_at", {}), fields.pop("completed_at", {})
    tags, states, sort = fields.pop("tags", None), fields.pop("states", None), fields.pop("sort", {})
    if sort.get("field", "created_at") != "created_at" or sort.get("direction", "desc") != "desc":
        raise InvalidInput("sort: lists are sorted by created_at, descending; leave sort out")
    return {
        **fields,
        "status": states,
        "tag": tags,
        "created_after": created.get("start"),
        "created_before": created.get("end"),
        "completed_after": completed.get("start"),
        "completed_before": completed.get("end"),
    }


def _page(found: list[Any], offset: int, has_more: bool, total: int, next_cursor: str | None) -> Fields:
    pagination = {
        "total": total,
        "count": len(found),
        "offset": offset,
        "has_more": has_more,
        "next_cursor": next_cursor,
    }
    return {"tasks": found, "pagination": pagination}


def watch(asked: Asked) -> tuple[Operation[Any], Any]:
    """The operation behind StreamTaskStatus."""
    fields = {name: asked.fields.get(name) for name in ("task_uuid", "cursor")}
    return watching.watch_task, asked.given(watching.watch_task, fields)


_ENDS = {"complete": "task_complete", "error": "task_error"}


def status_update(asked: Asked, update: Any) -> Fields | None:
    """An update of a watched task; steps only where they were asked for."""
    if update.update_type == "ready" or (update.step is not None and not asked.fields.get("include_steps")):
        return None
    kind = "step_state_change" if update.step is not None else _ENDS.get(update.task_state, "task_state_change")
    return {
        "update_type": kind,
        "timestamp": update.timestamp,
        "task_state": update.task_state,
        "step_update": update.step,
        "error_message": update.error_message,
        "cursor": update.cursor,
        "is_last": update.is_last,
    }
