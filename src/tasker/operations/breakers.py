"""Breakers of the outside systems that steps depend on: how they are, and what operators do to them.

A breaker belongs to the whole installation. Callers of some namespaces see those that their own steps depend on; who
moved one and why, and moving it, is for callers of all namespaces: it holds up the steps of everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import Field

from tasker.model import breaker as model
from tasker.model.errors import InvalidInput
from tasker.operations.fields import Name
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.store.breakers import Breakers
from tasker.store.connection import Connection

BreakerName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        description="Its name: a `system_dependency` of steps or handlers.",
        examples=["payment_gateway"],
    ),
]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Duration = Annotated[float, Field(ge=0.001, le=31_536_000, allow_inf_nan=False)]
Limit = Literal["failure_threshold", "success_threshold", "probes", "reset_s", "reset_max_s"]


class BreakerInfo(Answer):
    """The breaker of one outside system. Durations in seconds."""

    name: str
    state: str = Field(description="closed, open or half_open.")
    failures: int = Field(description="In a row, while it is closed; when it opened, those that opened it.")
    successes: int = Field(description="Of probes, while it is half open.")
    openings: int = Field(description="How often it opened by itself since it was closed last.")
    changed_at: datetime | None
    open_until: datetime | None = Field(description="While it is open: when it lets probes through; null: once reset.")
    for_s: float | None = Field(description="Seconds until then.")
    running_probes: int
    waiting: int = Field(description="Ready steps behind it, up to 10,000; of the caller's namespaces.")
    handlers: list[str] = Field(description="Of the caller's namespaces.")
    failure_threshold: int
    success_threshold: int
    probes: int
    reset_s: float
    reset_max_s: float
    why: str | None = Field(description="Why steps behind it wait; null while it is closed.")


class ListBreakers(Given):
    """Which breakers."""

    namespace: Name | None = Field(None, description="Those that steps of this namespace depend on.")


@operation("breakers:read", Scope.ACROSS)
async def list_breakers(access: Access, given: ListBreakers) -> list[BreakerInfo]:
    """List the breakers of the outside systems that steps depend on, by name"""
    breakers, shown = _breakers(access), access.confined_to(given.namespace)
    found = await access.engine.ask(lambda connection: breakers.list(connection, namespaces=shown))
    return [BreakerInfo.model_validate(one) for one in found]


class OfBreaker(Given):
    """One breaker."""

    breaker: BreakerName


@operation("breakers:read", Scope.ACROSS)
async def get_breaker(access: Access, given: OfBreaker) -> BreakerInfo:
    """Show a breaker with its limits"""
    return await _one(access, given.breaker)


async def _one(access: Access, name: str) -> BreakerInfo:
    """Raises BreakerNotFound, for systems on which no step of the caller's depends too."""
    breakers, shown = _breakers(access), access.confined_to(None)
    return BreakerInfo.model_validate(await access.engine.ask(lambda on: breakers.one(on, name, namespaces=shown)))


class ListMoves(OfBreaker):
    """Whose moves, and how many."""

    limit: int = Field(100, ge=1, le=500)


class BreakerMove(Answer):
    """One move of a breaker."""

    seq: int = Field(description="Counts its moves.")
    from_state: str
    to_state: str
    at: datetime
    actor: str | None = Field(description="Null where it moved by itself.")
    reason: str | None
    detail: dict[str, Any] | None


@operation("breakers:read", Scope.WHOLE)
async def list_breaker_moves(access: Access, given: ListMoves) -> list[BreakerMove]:
    """List the last moves of a breaker, the newest first"""
    breakers = _breakers(access)

    async def read(connection: Connection) -> list[model.BreakerMove]:
        await breakers.one(connection, given.breaker)
        return await breakers.history(connection, given.breaker, limit=given.limit)

    return [BreakerMove.model_validate(one) for one in await access.engine.ask(read)]


class ActOnBreaker(OfBreaker):
    """What an operator says of an act."""

    reason: str | None = Field(None, max_length=10_000)
    actor: Name | None = None
    act_id: UUID | None = Field(None, description="The same again: it is done once.")


class OpenBreaker(ActOnBreaker):
    """For how long a breaker is opened."""

    for_s: Duration | None = Field(None, description="So many seconds, then probes decide; null: until it is reset.")


@operation("breakers:act", Scope.WHOLE)
async def open_breaker(access: Access, given: OpenBreaker) -> BreakerInfo:
    """Open a breaker: steps that depend on its system wait"""
    return await _act(access, "open", given, {} if given.for_s is None else {"for_s": given.for_s})


class ResetBreaker(ActOnBreaker):
    """Which breaker is closed."""


@operation("breakers:act", Scope.WHOLE)
async def reset_breaker(access: Access, given: ResetBreaker) -> BreakerInfo:
    """Close a breaker, and forget the failures"""
    return await _act(access, "reset", given, {})


class SetBreakerLimits(ActOnBreaker):
    """Which limits a breaker has from now on; what is not named stays."""

    failure_threshold: Count | None = Field(None, description="So many failures in a row open it.")
    success_threshold: Count | None = Field(None, description="So many probes that succeed close it.")
    probes: Count | None = Field(None, description="So many steps probe at once.")
    reset_s: Duration | None = Field(None, description="How long it is open the first time.")
    reset_max_s: Duration | None = Field(None, description="And how long at most.")
    as_fleet: list[Limit] = Field([], max_length=5, description="Limits that are to be the fleet's again.")

    def limits(self) -> dict[str, Any]:
        """What is to be set; null: the fleet's. Raises InvalidInput for a limit that is named twice."""
        names = ("failure_threshold", "success_threshold", "probes", "reset_s", "reset_max_s")
        said = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if twice := said.keys() & set(self.as_fleet):
            raise InvalidInput(f"as_fleet: {', '.join(sorted(twice))} cannot be the fleet's and have a value")
        return {**said, **dict.fromkeys(self.as_fleet)}


@operation("breakers:act", Scope.WHOLE)
async def set_breaker_limits(access: Access, given: SetBreakerLimits) -> BreakerInfo:
    """Set limits of a breaker, for the whole fleet"""
    return await _act(access, "set", given, given.limits())


async def _act(
    access: Access, action: model.BreakerAction, given: ActOnBreaker, options: Mapping[str, Any]
) -> BreakerInfo:
    breakers, actor, act_id = _breakers(access), access.actor(given.actor), given.act_id or uuid4()

    async def act(connection: Connection) -> model.BreakerInfo:
        await breakers.act(connection, act_id, action, given.breaker, options, actor=actor, reason=given.reason)
        return await breakers.one(connection, given.breaker)

    found = await access.engine.ask(act)
    access.engine.woken()
    return BreakerInfo.model_validate(found)


def _breakers(access: Access) -> Breakers:
    return Breakers(access.engine.settings.schema_name)
