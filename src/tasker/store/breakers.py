"""Breakers: reading them, and what an operator does to them. Each is one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tasker import sql
from tasker.model.breaker import BreakerAction, BreakerInfo, BreakerMove
from tasker.model.errors import BreakerNotFound
from tasker.store.connection import Connection
from tasker.store.errors import translating


class Breakers:
    """The breakers of one schema. A method takes the connection to use; none keeps state."""

    def __init__(self, schema: str = sql.DEFAULT_SCHEMA) -> None:
        self._list = sql.in_schema(
            "select * from tasker_engine.read_breakers_of($1::text[], $2::text[], _now => $3)", schema
        )
        self._moves = sql.in_schema("select * from tasker_engine.read_breaker_moves($1::text, $2::int)", schema)
        self._act = sql.in_schema(
            "select * from tasker_engine.act_on_breaker($1::uuid, $2::text, $3::text, $4::jsonb, $5::text, $6::text)",
            schema,
        )

    async def list(
        self,
        connection: Connection,
        names: Sequence[str] | None = None,
        *,
        namespaces: Sequence[str] | None = None,
        now: datetime | None = None,
    ) -> list[BreakerInfo]:
        """Breakers by name: these (what does not exist is left out), or all. `now`: else the database's clock.

        With `namespaces` those that steps there depend on, and of what lies behind them what is of these.
        """
        with translating():
            found = await connection.fetch(self._list, names, namespaces, now)
        return [_breaker(row) for row in found]

    async def one(
        self,
        connection: Connection,
        name: str,
        *,
        namespaces: Sequence[str] | None = None,
        now: datetime | None = None,
    ) -> BreakerInfo:
        """The breaker of that name. Raises BreakerNotFound."""
        found = await self.list(connection, [name], namespaces=namespaces, now=now)
        if not found:
            raise BreakerNotFound(
                f'there is no breaker "{name}": `tasker breaker list` shows those that templates and handlers name'
            )
        return found[0]

    async def history(self, connection: Connection, name: str, *, limit: int = 100) -> list[BreakerMove]:
        """The last moves of a breaker, the newest first; none where there is no such breaker."""
        with translating():
            found = await connection.fetch(self._moves, name, limit)
        return [BreakerMove(**{**row, "detail": row["detail"] and orjson.loads(row["detail"])}) for row in found]

    async def act(
        self,
        connection: Connection,
        act_id: UUID,
        action: BreakerAction,
        name: str,
        options: Mapping[str, Any],
        *,
        actor: str,
        reason: str | None = None,
    ) -> None:
        """Opens (`for_s`: seconds), resets, or sets limits. A repeat with the same act_id does nothing again.

        Raises BreakerNotFound, InvalidInput for an option that there is not or that cannot be.
        """
        with translating():
            await connection.fetchval(
                self._act, act_id, action, name, orjson.dumps(dict(options)).decode(), actor, reason
            )


def _breaker(row: Mapping[str, Any]) -> BreakerInfo:
    known = dict(row)
    return BreakerInfo(handlers=tuple(known.pop("handlers")), **known)
