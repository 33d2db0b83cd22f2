"""`tasker worker list|pause|drain|resume` and `tasker queue list|pauses|pause|resume`: who works, and on what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar
from uuid import UUID, uuid4

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.acting import ActId, Actor, Reason, login_name
from tasker.cli.common import Where
from tasker.cli.either import on_either
from tasker.cli.exits import UsageError
from tasker.cli.fleet_ways import DatabaseFleet, FleetWay, ServerFleet
from tasker.cli.show import duration, print_json, print_line, print_table, time
from tasker.model.errors import NotFound
from tasker.model.fleet import PauseRecord, QueueAct, QueueActed, QueueInfo, WorkerActed, WorkerAction, WorkerInfo

T = TypeVar("T")
Session = Annotated[str, Parameter(help="The worker's session (its first characters will do), or its name.")]
OfNamespace = Annotated[str | None, Parameter(help="Only of this namespace.")]
Namespace = Annotated[str, Parameter(help="The namespace.")]
Queue = Annotated[str | None, Parameter(help="Only this queue of the namespace.")]
Handler = Annotated[str | None, Parameter(help="Only steps of this handler.")]


def list_workers(
    *,
    ended: Annotated[float, Parameter(help="Those too that ended within so many seconds.")] = 0,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Lists workers."""

    async def work(way: FleetWay) -> list[WorkerInfo]:
        return await way.workers(ended)

    found = _on(common, work)
    if common.json:
        print_json({"workers": found})
        return exits.OK
    rows = [
        (
            str(one.session_uuid)[:13],
            one.name,
            one.state,
            one.transport,
            one.version,
            ", ".join(one.namespaces),
            len(one.handlers),
            one.held,
            f"{one.silent_s:.0f} s ago",
            time(one.started_at),
        )
        for one in found
    ]
    columns = ("session", "name", "state", "by", "version", "namespaces", "handlers", "runs", "beat", "since")
    print_table(columns, rows, empty="no worker lives: tasks wait")
    return exits.OK


def pause_worker(
    session: Session, /, *, reason: Reason = None, actor: Actor = None, act_id: ActId = None,
    common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Pauses a worker."""
    return _act_on_worker("pause", session, common, reason, actor, act_id)


def drain_worker(
    session: Session, /, *, reason: Reason = None, actor: Actor = None, act_id: ActId = None,
    common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Drains a worker."""
    return _act_on_worker("drain", session, common, reason, actor, act_id)


def resume_worker(
    session: Session, /, *, reason: Reason = None, actor: Actor = None, act_id: ActId = None,
    common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Lets a paused worker go on."""
    return _act_on_worker("resume", session, common, reason, actor, act_id)


def _act_on_worker(
    action: WorkerAction, session: str, common: Where, reason: str | None, actor: str | None, act_id: UUID | None
) -> int:
    async def work(way: FleetWay) -> WorkerActed:
        found = await _session_of(way, session)
        said_by = actor or login_name()
        return await way.act_on_worker(action, found, act_id=act_id or uuid4(), actor=said_by, reason=reason)

    acted = _on(common, work)
    if common.json:
        print_json({"worker": acted})
    else:
        more = {"pause": "it finishes what it has", "drain": "it ends when it is done", "resume": "it takes work"}
        print_line(f"worker {acted.name} ({acted.session_uuid}) is {acted.state}: {more[action]}")
    return exits.OK


async def _session_of(way: FleetWay, said: str) -> UUID:
    """The session that is meant. Raises NotFound, UsageError where it may be several."""
    try:
        return UUID(said)
    except ValueError:
        pass
    found = [one for one in await way.workers(0) if one.name == said or str(one.session_uuid).startswith(said.lower())]
    if not found:
        raise NotFound(f'no worker lives whose session begins with "{said}" or whose name it is: `tasker worker list`')
    if len(found) > 1:
        names = ", ".join(f"{one.session_uuid} ({one.name})" for one in found[:5])
        raise UsageError(f'"{said}" may be {len(found)} workers: name the session: {names}')
    return found[0].session_uuid


def list_queues(*, namespace: OfNamespace = None, common: Where = Where()) -> int:  # noqa: B008
    """Lists queues."""

    async def work(way: FleetWay) -> list[QueueInfo]:
        return await way.queues(namespace)

    found = _on(common, work)
    if common.json:
        print_json({"queues": found})
        return exits.OK
    rows = [
        (one.namespace, one.queue, one.ready, duration(one.oldest_s), one.workers, one.paused or _partly(one))
        for one in found
    ]
    print_table(("namespace", "queue", "ready", "oldest", "workers", "paused"), rows, empty="no queues")
    return exits.OK


def _partly(queue: QueueInfo) -> str | None:
    return "; ".join(pause.said for pause in queue.pauses) or None


def list_pauses(
    *,
    namespace: OfNamespace = None,
    limit: Annotated[int, Parameter(help="So many of the last.")] = 20,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Lists pauses."""

    async def work(way: FleetWay) -> list[PauseRecord]:
        return await way.pauses(namespace, limit)

    found = _on(common, work)
    if common.json:
        print_json({"pauses": found})
        return exits.OK
    rows = [(one.said, time(one.ended_at) or "in force", one.ended_by, one.end_reason) for one in found]
    print_table(("pause", "ended", "by", "reason"), rows, empty="nothing was ever paused")
    return exits.OK


def pause_queue(
    namespace: Namespace,
    /,
    *,
    queue: Queue = None,
    handler: Handler = None,
    for_s: Annotated[
        float | None, Parameter(name="--for", help="So many seconds; else until somebody resumes it.")
    ] = None,
    reason: Reason = None,
    actor: Actor = None,
    act_id: ActId = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Pauses queues."""
    act = QueueAct(
        act_id=act_id or uuid4(),
        action="pause",
        namespace=namespace,
        queue=queue,
        handler=handler,
        for_s=for_s,
        actor=actor or login_name(),
        reason=reason,
    )
    return _act_on_queue(act, common)


def resume_queue(
    namespace: Namespace, /, *, queue: Queue = None, handler: Handler = None,
    reason: Reason = None, actor: Actor = None, act_id: ActId = None, common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Resumes queues."""
    act = QueueAct(
        act_id=act_id or uuid4(),
        action="resume",
        namespace=namespace,
        queue=queue,
        handler=handler,
        actor=actor or login_name(),
        reason=reason,
    )
    return _act_on_queue(act, common)


def _act_on_queue(act: QueueAct, common: Where) -> int:
    async def work(way: FleetWay) -> QueueActed:
        return await way.act_on_queue(act)

    acted = _on(common, work)
    if common.json:
        print_json({"queue": acted})
    else:
        what = " ".join(word for word in (act.namespace, act.queue, act.handler) if word)
        until = f" until {time(acted.until)}" if acted.until else ""
        still = "; something of it is still paused: `tasker queue list`" if acted.is_paused else ""
        print_line(f"{what} is paused{until}" if act.action == "pause" else f"{what} goes on{still}")
    return exits.OK


def _on(where: Where, work: Callable[[FleetWay], Awaitable[T]]) -> T:
    return on_either(where, DatabaseFleet, ServerFleet, work)
