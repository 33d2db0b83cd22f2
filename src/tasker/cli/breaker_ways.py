"""Breakers of a database, and of a server; see `tasker.cli.either`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from tasker.cli.database import Database
from tasker.cli.either import record
from tasker.model.breaker import BreakerAction, BreakerInfo, BreakerMove

if TYPE_CHECKING:
    from tasker.client import AsyncTaskerClient


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerAct:
    """What an operator does to a breaker; `options` are those of the action."""

    action: BreakerAction
    name: str
    options: Mapping[str, Any]
    act_id: UUID
    actor: str
    reason: str | None


class BreakerWay(Protocol):
    """What the commands ask."""

    async def list(self) -> list[BreakerInfo]:
        """All, by name."""
        ...

    async def show(self, name: str, moves: int) -> tuple[BreakerInfo, list[BreakerMove]]:
        """One, and its last moves."""
        ...

    async def act(self, act: BreakerAct) -> BreakerInfo:
        """As it is then."""
        ...


class DatabaseBreakers:
    """By the verb and the reads."""

    def __init__(self, database: Database) -> None:
        from tasker.store.breakers import Breakers

        self._on, self._breakers = database.connection, Breakers(database.settings.schema_name)

    async def list(self) -> list[BreakerInfo]:
        """One query."""
        return await self._breakers.list(self._on)

    async def show(self, name: str, moves: int) -> tuple[BreakerInfo, list[BreakerMove]]:
        """Two queries."""
        found = await self._breakers.one(self._on, name)
        return found, await self._breakers.history(self._on, name, limit=moves)

    async def act(self, act: BreakerAct) -> BreakerInfo:
        """By the verb, and a look at it."""
        what = (act.act_id, act.action, act.name, act.options)
        await self._breakers.act(self._on, *what, actor=act.actor, reason=act.reason)
        return await self._breakers.one(self._on, act.name)


class ServerBreakers:
    """By the client."""

    def __init__(self, client: AsyncTaskerClient) -> None:
        self._client = client

    async def list(self) -> list[BreakerInfo]:
        """One request."""
        return [_breaker(one) for one in await self._client.list_breakers()]

    async def show(self, name: str, moves: int) -> tuple[BreakerInfo, list[BreakerMove]]:
        """Two requests."""
        found = await self._client.get_breaker(name)
        history = await self._client.list_breaker_moves(name, limit=moves)
        return _breaker(found), [record(BreakerMove, one) for one in history]

    async def act(self, act: BreakerAct) -> BreakerInfo:
        """One request."""
        operation = {"open": "open_breaker", "reset": "reset_breaker", "set": "set_breaker_limits"}[act.action]
        said = {**act.options, "act_id": act.act_id, "actor": act.actor, "reason": act.reason}
        return _breaker(await self._client.call(operation, breaker=act.name, **said))


def _breaker(answer: Any) -> BreakerInfo:
    return record(BreakerInfo, answer, handlers=tuple(answer.handlers))
