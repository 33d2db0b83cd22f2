"""`tasker template diff` and `tasker handler list|namespaces`: what is published, and what workers have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Where, flag, template_name
from tasker.cli.database import Database
from tasker.cli.doors import Door, with_door
from tasker.cli.either import on_either, record
from tasker.cli.show import print_json, print_line, print_table
from tasker.model.fleet import HandlerInfo, NamespaceInfo, WorkerName

if TYPE_CHECKING:
    from tasker.client import AsyncTaskerClient

T = TypeVar("T")
HANDLERS_MAX = 10_000
Namespace = Annotated[str | None, Parameter(help="Only of this namespace.")]


class DiscoveryWay(Protocol):
    """What the commands ask."""

    async def handlers(self, namespace: str | None) -> Sequence[HandlerInfo]:
        """By namespace, queue and name."""
        ...

    async def namespaces(self) -> Sequence[NamespaceInfo]:
        """By name."""
        ...


class DatabaseDiscovery:
    """By the reads."""

    def __init__(self, database: Database) -> None:
        self._on, self._schema = database.connection, database.settings.schema_name

    async def handlers(self, namespace: str | None) -> Sequence[HandlerInfo]:
        """One query."""
        from tasker.store import lists

        wanted = None if namespace is None else [namespace]
        return await lists.list_handlers(self._on, namespaces=wanted, limit=HANDLERS_MAX, schema=self._schema)

    async def namespaces(self) -> Sequence[NamespaceInfo]:
        """One query."""
        from tasker.store import lists

        return await lists.list_namespaces(self._on, schema=self._schema)


class ServerDiscovery:
    """By the client."""

    def __init__(self, client: AsyncTaskerClient) -> None:
        self._client = client

    async def handlers(self, namespace: str | None) -> Sequence[HandlerInfo]:
        """One request."""
        found = await self._client.list_handlers(namespace=namespace)
        return [
            record(
                HandlerInfo,
                one,
                templates=tuple(one.templates),
                sessions=one.workers,
                workers=tuple(record(WorkerName, worker) for worker in one.served_by),
                ready=one.ready_steps,
            )
            for one in found.handlers
        ]

    async def namespaces(self) -> Sequence[NamespaceInfo]:
        """One request."""
        found = await self._client.list_namespaces()
        return [
            NamespaceInfo(
                namespace=one.name,
                templates=one.template_count,
                versions=one.version_count,
                handlers=one.handler_count,
                sessions=one.worker_count,
            )
            for one in found.namespaces
        ]


def _on(where: Where, work: Callable[[DiscoveryWay], Awaitable[T]]) -> T:
    return on_either(where, DatabaseDiscovery, ServerDiscovery, work)


def diff(
    template: Annotated[str, Parameter(help="namespace/name@version: the older one.")],
    new: Annotated[str | None, Parameter(help="The other version; the newest where it is not given.")] = None,
    /,
    *,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Shows what two published versions of a template differ in; the exit code is 1 where they do."""
    namespace, name, old = template_name(template)
    if old is None:
        raise exits.UsageError(f'"{template}" names no version: write namespace/name@version')

    async def work(door: Door) -> tuple[str, Sequence[str]]:
        return await door.compare(namespace, name, old, new)

    newer, lines = with_door(common, work)
    versions = [old, newer]
    if common.json:
        print_json({"namespace": namespace, "name": name, "versions": versions, "differences": lines})
    else:
        print_line(f"{namespace}/{name}: {versions[0]} -> {versions[1]}")
        for line in lines or ("no difference",):
            print_line(f"  {line}")
    return exits.FAILED if lines else exits.OK


def list_handlers(
    *,
    namespace: Namespace = None,
    missing: Annotated[bool, flag("Only those that templates need and no living worker has.")] = False,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Lists the handlers that templates need, with the workers that have them."""

    async def work(way: DiscoveryWay) -> Sequence[HandlerInfo]:
        return await way.handlers(namespace)

    found = [one for one in _on(common, work) if not missing or (one.template_count and not one.sessions)]
    if common.json:
        print_json({"handlers": found})
    else:
        rows = [
            (one.namespace, one.queue, one.handler, one.sessions, one.ready, ", ".join(one.templates)) for one in found
        ]
        print_table(("namespace", "queue", "handler", "workers", "ready", "templates"), rows, empty="no handlers")
    return exits.OK


def list_namespaces(*, common: Where = Where()) -> int:  # noqa: B008
    """Lists the namespaces."""

    async def work(way: DiscoveryWay) -> Sequence[NamespaceInfo]:
        return await way.namespaces()

    found = _on(common, work)
    if common.json:
        print_json({"namespaces": found})
    else:
        rows = [(one.namespace, one.templates, one.versions, one.handlers, one.sessions) for one in found]
        print_table(("namespace", "templates", "versions", "handlers", "workers"), rows, empty="no namespaces")
    return exits.OK
