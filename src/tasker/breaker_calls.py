"""What Tasker and SyncTasker offer for breakers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID, uuid4

from tasker.model.breaker import BreakerAction, BreakerInfo, BreakerMove
from tasker.store.breakers import Breakers
from tasker.store.connection import Connection

if TYPE_CHECKING:
    from tasker.settings import Settings

T = TypeVar("T")


class BreakerCalls(ABC):
    """Breakers of the outside systems that steps depend on, shared by all workers. In each `tasker.model.breaker`."""

    settings: Settings

    async def breakers(self, *names: str) -> list[BreakerInfo]:
        """These breakers, or all, by name; one that does not exist is left out."""
        return await self._ask(lambda connection: self._breakers.list(connection, names or None))

    async def breaker_history(self, name: str, *, limit: int = 100) -> list[BreakerMove]:
        """The last moves of a breaker, the newest first."""
        return await self._ask(lambda connection: self._breakers.history(connection, name, limit=limit))

    async def act_on_breaker(
        self,
        action: BreakerAction,
        name: str,
        *,
        actor: str = "api",
        reason: str | None = None,
        act_id: UUID | None = None,
        **options: Any,
    ) -> BreakerInfo:
        """Opens a breaker (`for_s=`: so many seconds; else until it is reset), resets it, or sets its limits.

        Answers the breaker as it is then. The limits are failure_threshold, success_threshold, probes, reset_s and
        reset_max_s; None: the fleet's. Give the same `act_id` to repeat one whose answer was lost. Raises
        BreakerNotFound, InvalidInput.
        """
        act_id, breakers = act_id or uuid4(), self._breakers

        async def act(connection: Connection) -> BreakerInfo:
            await breakers.act(connection, act_id, action, name, options, actor=actor, reason=reason)
            return await breakers.one(connection, name)

        found = await self._ask(act)
        self._woken()
        return found

    @property
    def _breakers(self) -> Breakers:
        return Breakers(self.settings.schema_name)

    @abstractmethod
    async def _ask(self, work: Callable[[Connection], Awaitable[T]]) -> T: ...

    @abstractmethod
    def _woken(self) -> None: ...


Calls = TypeVar("Calls", bound=BreakerCalls)


class SyncBreakerCalls(ABC, Generic[Calls]):
    """The same without await."""

    _tasker: Calls

    def breakers(self, *names: str) -> list[BreakerInfo]:
        """See Tasker.breakers."""
        return self._run(self._tasker.breakers(*names))

    def breaker_history(self, name: str, *, limit: int = 100) -> list[BreakerMove]:
        """See Tasker.breaker_history."""
        return self._run(self._tasker.breaker_history(name, limit=limit))

    def act_on_breaker(self, action: BreakerAction, name: str, **options: Any) -> BreakerInfo:
        """See Tasker.act_on_breaker."""
        return self._run(self._tasker.act_on_breaker(action, name, **options))

    @abstractmethod
    def _run(self, work: Coroutine[Any, Any, T]) -> T: ...
