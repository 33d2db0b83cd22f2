"""What this process knows of the way to a database: whether a pooler stands in it, and what leads past that.

It is asked once for each DSN. The settings may say more than can be found out: see `connection.describe_road`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import asyncpg

from tasker.model.errors import SettingsError

Pooler = Literal["auto", "on", "off"]
_MARK = {"tasker.startup": "heard"}
_IS_HEARD = "select 1 where pg_catalog.current_setting('tasker.startup', true) = 'heard'"
_IS_COMMITTED = "select 1 where pg_catalog.current_setting('default_transaction_isolation') = 'read committed'"


@dataclass(slots=True)
class Road:
    """`is_pooled` None: it is not known yet. `listen_dsn` leads past the pooler, for what only a whole session can."""

    is_pooled: bool | None = None
    listen_dsn: str | None = None
    is_checked: bool = False


_ROADS: dict[str, Road] = {}


def road_to(dsn: str) -> Road:
    """What is known."""
    return _ROADS.setdefault(dsn, Road())


async def open_on(driver: Any, dsn: str, road: Road, settings: dict[str, str], **limits: Any) -> tuple[Any, bool]:
    """A connection of the driver's, and whether it leads to a pooler. Finds out which it is, where that is not known.

    A pooler refuses settings that a connection begins with, or drops them: so a mark among them is asked for again.
    Raises SettingsError for a database that begins transactions in another isolation, since nobody can tell a pooler.
    """
    if not road.is_pooled:
        begins_with = settings if road.is_pooled is False else settings | _MARK
        try:
            connection = await driver.connect(dsn, server_settings=begins_with, **limits)
        except asyncpg.PostgresError as error:
            if road.is_pooled is False or "unsupported startup parameter" not in str(error):
                raise
        else:
            if road.is_pooled is False or await _answers_yes(connection, _IS_HEARD):
                road.is_pooled = False
                return connection, False
            await connection.close()
        road.is_pooled = True
    name = {"application_name": settings["application_name"]}
    connection = await driver.connect(dsn, server_settings=name, statement_cache_size=0, **limits)
    if not road.is_checked:
        if not await _answers_yes(connection, _IS_COMMITTED):
            await connection.close()
            raise SettingsError(
                "behind a pooler the database itself has to begin transactions as READ COMMITTED: "
                "`alter role … set default_transaction_isolation = 'read committed'` for the user that Tasker has"
            )
        road.is_checked = True
    return connection, True


async def _answers_yes(connection: Any, query: str) -> bool:
    """Asked without a prepared statement, which would stay behind in a pooler's connection."""
    return await connection.execute(query) == "SELECT 1"
