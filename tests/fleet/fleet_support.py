"""What operators do to queues and workers, in tests of the fleet."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from support.engine import Engine
from support.session import Session

from tasker.model.fleet import QueueAct, QueueActed, QueueAction, WorkerActed, WorkerAction
from tasker.store.fleet import Fleet

FLEET = Fleet()


async def on_queue(
    engine: Engine,
    action: QueueAction,
    namespace: str = "tests",
    *,
    act_id: UUID | None = None,
    reason: str | None = "stock-taking",
    **about: Any,
) -> QueueActed:
    """Pauses or resumes queues of a namespace."""
    act = QueueAct(act_id=act_id or uuid4(), action=action, namespace=namespace, actor="ada", reason=reason, **about)
    return await FLEET.act_on_queue(engine.connection, act)


async def on_worker(
    engine: Engine, action: WorkerAction, session: Session, *, act_id: UUID | None = None
) -> WorkerActed:
    """Pauses, drains or resumes a worker."""
    return await FLEET.act_on_worker(
        engine.connection, act_id or uuid4(), action, session.uuid, actor="ada", reason="a new disk"
    )
