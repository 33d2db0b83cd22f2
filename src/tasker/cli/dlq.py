"""`tasker dlq …`: tasks that somebody should look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID, uuid4

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.acting import ActId, Actor, Reason, login_name
from tasker.cli.common import TaskId, Where, many
from tasker.cli.dlq_doors import DlqDoor, with_dlq
from tasker.cli.show import print_json, print_line, print_table, time
from tasker.cli.task_pages import error_line
from tasker.model.dlq import DlqEntry, DlqEvent, DlqPage, DlqReason, DlqStats, DlqStatus, Staleness

EntryId = Annotated[UUID, Parameter(help="The entry's id.")]
Limit = Annotated[int, Parameter(help="How many, 500 at most.")]
Namespaces = Annotated[list[str] | None, many("Only of these namespaces.")]


def list_entries(
    *,
    status: Annotated[list[DlqStatus] | None, many("Only entries in one of these states.")] = None,
    reason: Annotated[list[DlqReason] | None, many("Only entries for one of these reasons.")] = None,
    namespace: Namespaces = None,
    assigned_to: Annotated[str | None, Parameter(help="Only those that this one looks at.")] = None,
    limit: Limit = 20,
    cursor: Annotated[UUID | None, Parameter(help="The next_cursor of the page before.")] = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Lists a page of entries."""

    async def work(door: DlqDoor) -> DlqPage:
        return await door.page(
            limit=limit,
            cursor=cursor,
            statuses=status,
            reasons=reason,
            namespaces=namespace,
            assigned_to=assigned_to,
        )

    page = with_dlq(common, work)
    if common.json:
        print_json({"entries": page.entries, "next_cursor": page.next_cursor})
        return exits.OK
    _print_entries(page.entries)
    if page.next_cursor:
        print_line(f"more: --cursor {page.next_cursor}", style="dim")
    return exits.OK


def queue(*, namespace: Namespaces = None, limit: Limit = 20, common: Where = Where()) -> int:  # noqa: B008
    """Lists pending entries, the most urgent first."""

    async def work(door: DlqDoor) -> Sequence[DlqEntry]:
        return await door.queue(namespace, limit)

    found = with_dlq(common, work)
    if common.json:
        print_json({"entries": found})
    else:
        _print_entries(found)
    return exits.OK


def _print_entries(entries: Sequence[DlqEntry]) -> None:
    rows = [
        (
            one.entry_uuid,
            f"{one.namespace}/{one.name}@{one.version}",
            one.task_uuid,
            one.reason,
            one.status,
            one.assigned_to,
            one.state,
            time(one.created_at),
        )
        for one in entries
    ]
    columns = ("entry", "template", "task", "reason", "status", "assigned to", "task is", "since")
    print_table(columns, rows, empty="no entries")


def get(entry: EntryId, /, *, common: Where = Where()) -> int:  # noqa: B008
    """Shows an entry with its history and the task as it was."""

    async def work(door: DlqDoor) -> tuple[DlqEntry, Sequence[DlqEvent]]:
        return await door.entry(entry)

    found, events = with_dlq(common, work)
    if common.json:
        print_json({"entry": found, "events": events})
        return exits.OK
    _print_entries([found])
    if found.notes:
        print_line(f"notes: {found.notes}")
    steps = [
        (
            step["name"],
            step["state"],
            f"{step['tries']}/{step['max_attempts']}",
            step["error"] and error_line(step["error"]),
        )
        for step in found.snapshot["steps"]
    ]
    print_table(("step then", "state", "tries", "error"), steps, empty="no step was open")
    rows = [(time(event.at), event.actor, event.action, event.detail.get("notes")) for event in events]
    print_table(("at", "who", "did", "notes"), rows, empty="nothing was done")
    return exits.OK


def stats(*, namespace: Namespaces = None, common: Where = Where()) -> int:  # noqa: B008
    """Shows how many entries there are for each reason."""

    async def work(door: DlqDoor) -> Sequence[DlqStats]:
        return await door.stats(namespace)

    found = with_dlq(common, work)
    if common.json:
        print_json({"reasons": found})
    else:
        rows = [
            (s.reason, s.total, s.pending, s.manually_resolved, s.permanent_failures, s.cancelled, time(s.oldest))
            for s in found
        ]
        print_table(("reason", "all", "pending", "resolved", "failed", "cancelled", "oldest"), rows, empty="")
    return exits.OK


def stale(*, namespace: Namespaces = None, limit: Limit = 20, common: Where = Where()) -> int:  # noqa: B008
    """Lists open tasks that have stood still for longest, measured by how long they may."""

    async def work(door: DlqDoor) -> Sequence[Staleness]:
        return await door.stale(namespace, limit)

    found = with_dlq(common, work)
    if common.json:
        print_json({"tasks": found})
    else:
        rows = [
            (
                one.task_uuid,
                f"{one.namespace}/{one.name}@{one.version}",
                one.state,
                f"{one.still_minutes:.0f} of {one.threshold_minutes:.0f} min",
                one.health,
            )
            for one in found
        ]
        print_table(("task", "template", "state", "stands still", "health"), rows, empty="no task is open")
    return exits.OK


def add(
    task: TaskId, /, *, notes: Annotated[str | None, Parameter(help="What to look at.")] = None, actor: Actor = None,
    common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Puts a task into the queue by hand."""

    async def work(door: DlqDoor) -> UUID:
        return await door.add(task, actor=actor or login_name(), notes=notes)

    entry = with_dlq(common, work)
    if common.json:
        print_json({"entry_uuid": entry, "task_uuid": task})
    else:
        print_line(str(entry))
    return exits.OK


def update(
    entry: EntryId,
    /,
    *,
    status: Annotated[DlqStatus | None, Parameter(help="What it has come to; pending opens it again.")] = None,
    notes: Annotated[str | None, Parameter(help="What was found out.")] = None,
    assign: Annotated[str | None, Parameter(help="Who looks at it; '' is nobody.")] = None,
    actor: Actor = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Assigns an entry, notes what was found out, resolves it."""
    if status is None and notes is None and assign is None:
        raise exits.UsageError("say what to change: --status, --notes, --assign")

    async def work(door: DlqDoor) -> DlqEntry:
        return await door.update(entry, actor=actor or login_name(), status=status, notes=notes, assigned_to=assign)

    found = with_dlq(common, work)
    if common.json:
        print_json({"entry": found})
    else:
        whose = f", assigned to {found.assigned_to}" if found.assigned_to else ""
        print_line(f"entry {entry} is {found.status}{whose}")
    return exits.OK


def requeue(
    entry: EntryId, /, *, reason: Reason = None, actor: Actor = None, act_id: ActId = None,
    common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Tries the failed steps of an entry's task again, and resolves the entry."""

    async def work(door: DlqDoor) -> int:
        return await door.requeue(entry, act_id or uuid4(), actor=actor or login_name(), reason=reason)

    steps = with_dlq(common, work)
    if common.json:
        print_json({"entry_uuid": entry, "steps": steps})
    else:
        print_line(f"{steps} {'step is' if steps == 1 else 'steps are'} tried again")
    return exits.OK
