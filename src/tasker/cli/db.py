"""`tasker db migrate|status|doctor|stop`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from tasker import embedded
from tasker.cli import exits
from tasker.cli.common import Common, Output, flag
from tasker.cli.database import Database, given_url, opened, read_settings, with_database
from tasker.cli.show import bar, print_json, print_line, print_table, working
from tasker.model.errors import SchemaOutdated
from tasker.model.fleet import Finding
from tasker.settings import Settings
from tasker.store import migrate as migrations
from tasker.store.connection import connect
from tasker.store.reads import Reads


def migrate(
    *,
    print_sql: Annotated[bool, flag("Print the SQL that would run, and change nothing.")] = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Brings the schema to this version."""

    async def run() -> int:
        async with opened(common, migrates=False) as database:
            schema, connection = database.settings.schema_name, database.connection
            before = await migrations.status(connection, schema)
            if print_sql:
                print("" if before.is_current else migrations.script(before))
                return exits.OK
            with working("migrating"):
                after = await migrations.migrate(connection, schema)
        if common.json:
            print_json({**asdict(after), "is_current": after.is_current, "was_current": before.is_current})
        elif before.is_current:
            print_line(f"the schema {schema} is up to date, at migration {after.applied[-1]}")
        else:
            print_line(f"the schema {schema} is at migration {after.applied[-1]} now")
        return exits.OK

    return asyncio.run(run())


def status(*, common: Common = Common()) -> int:  # noqa: B008
    """Shows how the database stands. Starts and changes nothing."""
    settings = read_settings()
    dsn = given_url(common, settings)
    server = None if dsn is not None else embedded.status()
    found: dict[str, Any] = {
        "database": embedded.redact(dsn or (server.dsn if server and server.dsn else "")) or None,
        "embedded": None if server is None else _server(server),
        "schema": None,
        "stats": None,
    }
    address = dsn or (server.dsn if server else None)
    if address is not None:
        found.update(asyncio.run(_look(address, settings)))
    if common.json:
        print_json(found)
    else:
        _print_status(found, settings.schema_name)
    return exits.OK


def _server(server: embedded.Status) -> dict[str, Any]:
    return {
        "is_running": server.is_running,
        "version": server.version,
        "pid": server.pid,
        "data_dir": str(server.data_dir),
        "log_file": str(server.log_file),
        "users": server.users,
    }


async def _look(dsn: str, settings: Settings) -> dict[str, Any]:
    """What the schema is at, and what lies in it."""
    connection = await connect(dsn, pinned=False)
    try:
        schema = await migrations.status(connection, settings.schema_name)
        stats = await Reads(settings.schema_name).stats(connection) if schema.is_current else None
        return {"schema": {**asdict(schema), "is_current": schema.is_current}, "stats": stats}
    except SchemaOutdated as error:
        return {"schema": {"schema": settings.schema_name, "is_current": False, "problem": str(error)}}
    finally:
        await connection.close()


def _print_status(found: dict[str, Any], schema_name: str) -> None:
    server, schema, stats = found["embedded"], found["schema"], found["stats"]
    if server is None:
        print_line(f"database   {found['database']}")
    elif server["is_running"]:
        print_line(f"database   embedded PostgreSQL {server['version']}, process {server['pid']}")
        print_line(f"used by    {len(server['users'])} processes")
        print_line(f"           {found['database']}")
    else:
        print_line("database   embedded PostgreSQL, not running; the next command that needs it starts it")
    if server is not None:
        print_line(f"data       {server['data_dir']}")
    if schema is None:
        return
    if schema["is_current"]:
        print_line(f"schema     {schema_name}, up to date at migration {schema['applied'][-1]}")
    else:
        print_line(
            f"schema     {schema_name}: {schema.get('problem') or 'to be brought up to date with `tasker db migrate`'}"
        )
    if stats is None:
        return
    print_line(f"workers    {stats.sessions}, of which {stats.idle_sessions} idle")
    tasks = ", ".join(f"{count} {state}" for state, count in stats.tasks.items()) or "none"
    print_line(f"tasks      {tasks}; {stats.due} steps wait for a time")
    rows = [(c.namespace, c.queue, c.handler, c.ready, c.sessions) for c in stats.channels if c.ready]
    if rows:
        print_table(("namespace", "queue", "handler", "ready steps", "workers"), rows, empty="")


def doctor(
    *,
    repair: Annotated[bool, flag("Mend what can be mended, under the locks of the tasks.")] = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Checks server and tables."""
    from tasker.store.reads_doctor import examine

    async def work(database: Database) -> list[Finding]:
        with bar("repairing" if repair else "checking") as show:
            schema = database.settings.schema_name
            return await examine(database.connection, repair=repair, schema=schema, on_round=show)

    found = with_database(common, work)
    is_well = all(finding.is_ok for finding in found)
    if common.json:
        print_json({"is_ok": is_well, "checks": found})
    else:
        rows = [("ok" if f.is_ok else "WRONG", f.name, f.detail, f.repaired or None) for f in found]
        print_table(("", "check", "found", "repaired"), rows, empty="")
    return exits.OK if is_well else exits.FAILED


def stop(*, output: Output = Output()) -> int:  # noqa: B008
    """Stops the embedded server."""
    if read_settings().database_url is not None:
        raise exits.UsageError(
            "TASKER_DATABASE_URL is set: its server is not Tasker's to stop; unset it to stop the embedded one"
        )
    with working("stopping PostgreSQL"):
        was_running = embedded.stop()
    if output.json:
        print_json({"was_running": was_running})
    else:
        print_line("stopped" if was_running else "it was not running")
    return exits.OK
