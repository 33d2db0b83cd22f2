"""What the tests of the worker share: short times, and questions to the tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from uuid import UUID

from support.until import until

from tasker import Tasker
from tasker.handlers import Handler
from tasker.model.template import Template
from tasker.settings import Settings

SHORT_TIMES = {"lease_s": 1.5, "beat_s": 0.2, "sweep_s": 0.1, "poll_s": 0.05, "drain_s": 5.0}


def settings(**options: Any) -> Settings:
    """Settings with short times."""
    return Settings(**{**SHORT_TIMES, **options})


class Start(Protocol):
    """Starts a Tasker that the test need not stop. Handlers are functions by name, or Handler records.

    Options are those of Tasker, of Settings, and `steps`: those of the template's steps.
    """

    async def __call__(
        self,
        graph: str | Template | None,
        handlers: Mapping[str, Callable[..., Any] | Handler] | None = None,
        **options: Any,
    ) -> Tasker: ...


class Sql:
    """Questions that tests ask the tables."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def value(self, query: str, *args: Any) -> Any:
        """One value."""
        return await self.connection.fetchval(query, *args)

    async def run(self, query: str, *args: Any) -> Any:
        """A statement, or several."""
        return await self.connection.execute(query, *args)

    async def step(self, task_uuid: UUID, number: int = 1) -> dict[str, Any]:
        """The row of a step; `error` is decoded."""
        row = dict(
            await self.connection.fetchrow(
                "select *, state::text as state from tasker_engine.steps where task_id = $1 and number = $2",
                task_uuid,
                number,
            )
        )
        return {**row, "error": row["error"] and json.loads(row["error"])}

    async def state(self, task_uuid: UUID, number: int = 1) -> str:
        """The state of a step."""
        return (await self.step(task_uuid, number))["state"]

    async def moves(self, task_uuid: UUID, number: int = 1) -> list[str]:
        """The states that a step went through."""
        query = "select to_state::text from tasker_engine.transitions where task_id = $1 and number = $2 order by seq"
        return [row[0] for row in await self.connection.fetch(query, task_uuid, number)]

    async def beats(self, count: int) -> None:
        """Returns when the newest session has beaten so many times more."""
        query = "select beat_at from tasker_engine.sessions where ended_at is null order by session_id desc limit 1"
        for _ in range(count):
            last = await self.value(query)
            await until(lambda last=last: self._differs(query, last), "the session beats")

    async def _differs(self, query: str, last: Any) -> bool:
        return await self.value(query) != last

    async def sessions(self) -> list[dict[str, Any]]:
        """The sessions, oldest first."""
        rows = await self.connection.fetch("select * from tasker_engine.sessions order by session_id")
        return [dict(row) for row in rows]
