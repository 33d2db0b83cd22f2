"""`tasker template diff` and `tasker handler list|namespaces`: what is published, and what workers have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Common, Where, flag, template_name
from tasker.cli.database import Database, with_database
from tasker.cli.doors import Door, with_door
from tasker.cli.show import print_json, print_line, print_table
from tasker.model.fleet import HandlerInfo, NamespaceInfo

Namespace = Annotated[str | None, Parameter(help="Only of this namespace.")]


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
    common: Common = Common(),  # noqa: B008
) -> int:
    """Lists the handlers that templates need, with the workers that have them."""
    from tasker.store import lists

    async def work(database: Database) -> list[HandlerInfo]:
        wanted = None if namespace is None else [namespace]
        return await lists.list_handlers(database.connection, namespaces=wanted, schema=database.settings.schema_name)

    found = [one for one in with_database(common, work) if not missing or (one.template_count and not one.sessions)]
    if common.json:
        print_json({"handlers": found})
    else:
        rows = [
            (one.namespace, one.queue, one.handler, one.sessions, one.ready, ", ".join(one.templates)) for one in found
        ]
        print_table(("namespace", "queue", "handler", "workers", "ready", "templates"), rows, empty="no handlers")
    return exits.OK


def list_namespaces(*, common: Common = Common()) -> int:  # noqa: B008
    """Lists the namespaces."""
    from tasker.store import lists

    async def work(database: Database) -> list[NamespaceInfo]:
        return await lists.list_namespaces(database.connection, schema=database.settings.schema_name)

    found = with_database(common, work)
    if common.json:
        print_json({"namespaces": found})
    else:
        rows = [(one.namespace, one.templates, one.versions, one.handlers, one.sessions) for one in found]
        print_table(("namespace", "templates", "versions", "handlers", "workers"), rows, empty="no namespaces")
    return exits.OK
