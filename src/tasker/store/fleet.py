"""The fleet: workers and queues, and what operators do to them. Each is one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tasker import sql
from tasker.model.fleet import (
    FleetFigures,
    PauseRecord,
    QueueAct,
    QueueActed,
    QueueInfo,
    QueuePause,
    WorkerActed,
    WorkerAction,
    WorkerInfo,
)
from tasker.store.connection import Connection
from tasker.store.errors import translating


class Fleet:
    """The fleet of one schema. A method takes the connection to use; none keeps state."""

    def __init__(self, schema: str = sql.DEFAULT_SCHEMA) -> None:
        def call(name: str, marks: str) -> str:
            return sql.in_schema(f"select * from tasker_engine.{name}({marks})", schema)  # noqa: S608 - our own words

        self._workers = call("list_workers", "$1::float8, $2::int, $3")
        self._queues = call("list_queues", "$1::text[], $2::int, $3")
        self._pauses = call("list_pauses", "$1::text[], $2::int")
        self._figures = call("read_fleet", "$1::int")
        self._act_on_queue = call(
            "act_on_queue", "$1::uuid, $2::text, $3::text, $4::text, $5::text, $6::float8, $7::text, $8::text"
        )
        self._act_on_session = call("act_on_session", "$1::uuid, $2::text, $3::uuid, $4::text, $5::text")

    async def workers(
        self, connection: Connection, *, ended_within_s: float = 0, limit: int = 100, now: datetime | None = None
    ) -> list[WorkerInfo]:
        """Living worker processes, and those that ended within so many seconds; the newest first."""
        with translating():
            found = await connection.fetch(self._workers, ended_within_s, limit, now)
        return [_worker(row) for row in found]

    async def queues(
        self,
        connection: Connection,
        *,
        namespaces: Sequence[str] | None = None,
        count_max: int = 10_000,
        now: datetime | None = None,
    ) -> list[QueueInfo]:
        """The queues of these namespaces, or of all; no count goes beyond `count_max`."""
        with translating():
            found = await connection.fetch(self._queues, namespaces, count_max, now)
        return [_queue(row) for row in found]

    async def pauses(
        self, connection: Connection, *, namespaces: Sequence[str] | None = None, limit: int = 100
    ) -> list[PauseRecord]:
        """Pauses of queues, the newest first, those that are over too."""
        with translating():
            return [PauseRecord(**row) for row in await connection.fetch(self._pauses, namespaces, limit)]

    async def figures(self, connection: Connection, *, count_max: int = 10_000) -> FleetFigures:
        """What holds work up."""
        with translating():
            row = await connection.fetchrow(self._figures, count_max)
        assert row is not None  # noqa: S101 - it always answers one row
        return FleetFigures(**row)

    async def act_on_queue(self, connection: Connection, act: QueueAct) -> QueueActed:
        """Pauses queues, or resumes them.

        Raises NotFound for what there is not, ActionForbidden for a resume of what is not paused, Forbidden.
        """
        arguments = (act.act_id, act.action, act.namespace, act.queue, act.handler, act.for_s, act.actor, act.reason)
        with translating():
            said = orjson.loads(await connection.fetchval(self._act_on_queue, *arguments))
        return QueueActed(**{**said, "since": _time(said["since"]), "until": _time(said["until"])})

    async def act_on_worker(
        self,
        connection: Connection,
        act_id: UUID,
        action: WorkerAction,
        session_uuid: UUID,
        *,
        actor: str,
        reason: str | None = None,
    ) -> WorkerActed:
        """Pauses, drains or resumes a worker; it is handed nothing from now on, and hears of it by its next beat.

        Raises NotFound where no such session lives, ActionForbidden.
        """
        with translating():
            answer = await connection.fetchval(self._act_on_session, act_id, action, session_uuid, actor, reason)
        said: dict[str, Any] = orjson.loads(answer)
        said["session_uuid"] = UUID(said["session_uuid"])
        return WorkerActed(**said)


def _worker(row: Mapping[str, Any]) -> WorkerInfo:
    known = dict(row)
    announced = orjson.loads(known.pop("handlers"))
    return WorkerInfo(
        handlers=tuple(one["name"] for one in announced),
        handler_versions={one["name"]: one["version"] for one in announced if one["version"]},
        namespaces=tuple(known.pop("namespaces")),
        queues=tuple(known.pop("queues")),
        **known,
    )


def _queue(row: Mapping[str, Any]) -> QueueInfo:
    known = dict(row)
    pauses = tuple(
        QueuePause(**{**one, "since": _time(one["since"]), "until": _time(one["until"])})
        for one in orjson.loads(known.pop("pauses"))
    )
    return QueueInfo(handlers=tuple(known.pop("handlers")), pauses=pauses, **known)


def _time(text: str | None) -> Any:
    return None if text is None else datetime.fromisoformat(text)
