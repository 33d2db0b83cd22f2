"""How far a replica has come: positions in the log of what was written."""

from __future__ import annotations

from tasker.store.connection import Connection

_WRITTEN = "select (pg_catalog.pg_current_wal_lsn() - '0/0'::pg_catalog.pg_lsn)::bigint"
_REPLAYED = "select (pg_catalog.pg_last_wal_replay_lsn() - '0/0'::pg_catalog.pg_lsn)::bigint"
_IS_REPLICA = "select pg_catalog.pg_is_in_recovery()"


async def written(connection: Connection) -> int:
    """Up to where the primary has written."""
    return await connection.fetchval(_WRITTEN)


async def replayed(connection: Connection) -> int | None:
    """Up to where this replica has come; None: it is none."""
    return await connection.fetchval(_REPLAYED) if await connection.fetchval(_IS_REPLICA) else None
