"""What operations work with: the engine of one process, as whoever wires it hands it out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar
from uuid import UUID

from tasker.operations.limits import Limits
from tasker.operations.replica import Replica
from tasker.operations.turning import Turning
from tasker.settings import Settings
from tasker.store.confined import ConfinedVerbs, Confinement
from tasker.store.connection import Connection
from tasker.store.reads import Reads
from tasker.store.verbs import Verbs
from tasker.submission import SubmittedTask, TaskRequest

T = TypeVar("T")


class Ask(Protocol):
    """What `work` answers on a borrowed connection; may be asked twice. Raises DatabaseUnavailable."""

    async def __call__(self, work: Callable[[Connection], Awaitable[T]], /) -> T: ...


class SubmitMany(Protocol):
    """Tasker.submit_many."""

    async def __call__(
        self, name: str, requests: Sequence[TaskRequest], *, namespace: str, version: str | None
    ) -> list[SubmittedTask]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The database and the worker of this process, for operations."""

    settings: Settings
    verbs: Verbs
    reads: Reads
    ask: Ask
    submit_many: SubmitMany
    ended: Callable[[UUID], Awaitable[object]]
    """Waits until a task has ended, or is found missing."""
    woken: Callable[[], None]
    """Tells workers, here and elsewhere, that there may be work."""
    limits: Limits
    confinement: Confinement
    submit_by: Callable[[Verbs], SubmitMany]
    """`submit_many` by other verbs, in a connection of their own."""
    replica: Replica | None = None
    """For what may lag; None: the database itself answers everything."""
    turning: Turning | None = None
    """For workers on the network; None: they are not served."""

    def lagging(self) -> Engine:
        """The same engine on the replica; itself where there is none."""
        return self if self.replica is None else replace(self, ask=self.replica.ask, replica=None)

    def confined_to(self, namespaces: Collection[str]) -> Engine:
        """The same engine for a caller of these namespaces: what it asks the database reaches nothing else."""

        async def ask(work: Callable[[Connection], Awaitable[T]], /) -> T:
            async def confined(connection: Connection) -> T:
                async with self.confinement.transaction(connection, namespaces):
                    return await work(connection)

            return await self.ask(confined)

        verbs = ConfinedVerbs(namespaces, self.settings.schema_name)
        return replace(self, ask=ask, verbs=verbs, submit_many=self.submit_by(verbs))
