"""Operations: one typed function per use case, and the one place where a caller is let in.

Every face (REST, gRPC, …) is thin on this list. It makes an operation's input from what came in, calls `call` or
`stream`, and writes down the answer; who may is decided here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar, get_type_hints
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from tasker.model.errors import Forbidden, NotFound, TaskNotFound
from tasker.operations.engine import Engine
from tasker.operations.permissions import AUTHENTICATED, PERMISSIONS
from tasker.operations.principal import Principal
from tasker.operations.replica import LAGGING
from tasker.store.namespaces import namespaces_of_tasks
from tasker.store.reads import task_not_found


class OutOfReach(TaskNotFound):
    """The task is of a namespace that the caller does not reach: it is told what it would be told of no task at all."""

    def __init__(self, message: str, namespace: str) -> None:
        super().__init__(message)
        self.namespace = namespace
        """For the record of refused calls."""


class Given(BaseModel):
    """What an operation is given. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """What an operation answers."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


In = TypeVar("In", bound=Given)


class Scope(Enum):
    """How an operation is confined to the caller's namespaces."""

    NAMESPACE = "namespace"
    """Its input names the namespace, as `namespace`."""
    TASK = "task"
    """Its input names tasks, as `task_uuid`: a task of another namespace is not found."""
    ACROSS = "across"
    """It answers for many namespaces, and leaves out those that are not the caller's: see `Access.confined_to`."""
    WHOLE = "whole"
    """It is about the whole installation: only for callers of all namespaces."""


@dataclass(frozen=True, slots=True)
class Access:
    """A caller who was let in, and the engine."""

    engine: Engine
    principal: Principal

    def confined_to(self, wanted: str | Sequence[str] | None) -> list[str] | None:
        """The namespaces that a list may show where the caller asks for one, for several (None: all); None is all."""
        if wanted is not None:
            return [one for one in ([wanted] if isinstance(wanted, str) else wanted) if self.principal.reaches(one)]
        return None if self.principal.namespaces is None else sorted(self.principal.namespaces)

    def require(self, namespace: str) -> None:
        """Raises Forbidden for a namespace that is not the caller's, where only the operation can know which it is."""
        _confine_to_namespace(self.principal, namespace)

    @property
    def shows_context(self) -> bool:
        """Whether the caller may see what tasks were created with."""
        return self.principal.holds("tasks:context_read")

    @property
    def quota_key(self) -> str:
        """What the caller's quota is counted by."""
        return self.principal.key or self.principal.subject

    def actor(self, said: str | None = None) -> str:
        """Who acts, for the history: the caller, and the name that the caller gives, which proves nothing."""
        if said is None or said == self.principal.subject:
            return self.principal.subject
        return said if self.principal.kind == "none" else f"{said} (by {self.principal.subject})"


@dataclass(frozen=True, slots=True)
class Operation(Generic[In]):
    """A use case: its name, the permission that it needs, and what it takes and gives."""

    name: str
    permission: str
    scope: Scope
    summary: str
    given: type[In]
    answer: Any
    """The type of the answer; of each item, where it is a stream."""
    function: Callable[[Access, In], Any]
    is_stream: bool


OPERATIONS: dict[str, Operation[Any]] = {}
"""Every operation by its name."""


def operation(permission: str, scope: Scope) -> Callable[[Callable[[Access, In], Any]], Operation[In]]:
    """Registers a function `(access, given)` under its own name; the first line of its docstring is the summary.

    The permission is one of PERMISSIONS, or AUTHENTICATED where whoever calls may.

    A coroutine function answers once; an async generator is a stream of its items.
    """
    known = (*PERMISSIONS, AUTHENTICATED)
    assert permission in known, f"{permission} is no permission: {', '.join(known)}"  # noqa: S101

    def register(function: Callable[[Access, In], Any]) -> Operation[In]:
        name = function.__name__
        assert name not in OPERATIONS, f"two operations are called {name}"  # noqa: S101
        hints = get_type_hints(function)
        answer = hints["return"]
        is_stream = getattr(answer, "__origin__", None) is AsyncIterator
        made = Operation(
            name,
            permission,
            scope,
            (function.__doc__ or "").strip().partition("\n")[0],
            hints["given"],
            answer.__args__[0] if is_stream else answer,
            function,
            is_stream,
        )
        OPERATIONS[name] = made
        return made

    return register


async def call(engine: Engine, operation: Operation[In], principal: Principal, given: In) -> Any:
    """What an operation answers to this caller. Raises Forbidden, and what the operation raises."""
    if engine.replica is not None and operation.name in LAGGING:
        with suppress(NotFound, TaskNotFound):  # it may be too new for the replica
            lagging = engine.lagging()
            return await operation.function(await admit(lagging, operation, principal, given), given)
    return await operation.function(await admit(engine, operation, principal, given), given)


async def stream(engine: Engine, operation: Operation[In], principal: Principal, given: In) -> AsyncIterator[Any]:
    """The items of a stream, once the caller was let in. Raises as `call`, before the first item."""
    access = await admit(engine, operation, principal, given)
    return operation.function(access, given)


async def admit(engine: Engine, operation: Operation[In], principal: Principal, given: In) -> Access:
    """Lets a caller in. Raises Forbidden, and TaskNotFound for tasks of namespaces that are not the caller's."""
    if not principal.holds(operation.permission):
        raise Forbidden(f'{principal.subject} lacks the permission "{operation.permission}"')
    if principal.namespaces is None:
        return Access(engine, principal)
    await _confine(engine, operation.scope, principal, given)
    return Access(engine.confined_to(principal.namespaces), principal)


async def _confine(engine: Engine, scope: Scope, principal: Principal, given: Any) -> None:
    if scope is Scope.WHOLE:
        raise Forbidden(f"{principal.subject} is confined to namespaces, and this is about the whole installation")
    if scope is Scope.NAMESPACE:
        _confine_to_namespace(principal, given.namespace)
    elif scope is Scope.TASK:
        await _confine_to_task(engine, principal, given.task_uuid)


def _confine_to_namespace(principal: Principal, namespace: str) -> None:
    if not principal.reaches(namespace):
        raise Forbidden(f'{principal.subject} may not use the namespace "{namespace}"', namespace)


async def _confine_to_task(engine: Engine, principal: Principal, task_uuid: UUID) -> None:
    schema = engine.settings.schema_name
    found = await engine.ask(lambda connection: namespaces_of_tasks(connection, [task_uuid], schema))
    if task_uuid not in found:
        raise task_not_found(task_uuid)
    if not principal.reaches(found[task_uuid]):
        raise OutOfReach(str(task_not_found(task_uuid)), found[task_uuid])
