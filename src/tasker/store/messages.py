"""Transports: which one a database announces its work by, the outbox for RabbitMQ, and queues of PGMQ."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import asyncpg

from tasker import sql
from tasker.model.errors import DatabaseUnavailable, SettingsError
from tasker.store.asking import ask
from tasker.store.connection import Connection

_INSTALL_LOCK = 8_317_405_524_231_104_594
_SWITCH_TRIES_MAX = 100
_SWITCH_PAUSE_S = 0.1


class Message(NamedTuple):
    """A message in the outbox, of kind `step` or `event`; `body` is JSON."""

    seq: int
    kind: str
    queue: str
    routing_key: str
    body: str


class Read(NamedTuple):
    """A message of PGMQ, read for the `read_ct`-th time; `message` is JSON."""

    queue: str
    msg_id: int
    read_ct: int
    message: str


async def transport_in_use(connection: Connection, *, schema: str) -> str:
    """The name of the transport by which the database announces work."""
    return await connection.fetchval(sql.in_schema("select name from tasker_engine.transport", schema))


async def use_transport(connection: Connection, name: str, *, schema: str) -> str:
    """Switches the database to a transport; the name of the one before. What PGMQ needs is installed first.

    Raises SettingsError where that cannot be, DatabaseUnavailable where a transaction holds the engine's tables.
    """
    if name == "pgmq":
        await install_pgmq(connection)
    for _ in range(_SWITCH_TRIES_MAX):
        try:
            return (await ask(connection, "use_transport($1)", name, schema=schema))[0][0]
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            await asyncio.sleep(_SWITCH_PAUSE_S)
    raise DatabaseUnavailable(
        f'the transport could not be switched to "{name}": a transaction holds the tables of {schema} for long; '
        "end it (pg_stat_activity shows it), and start again"
    )


async def install_pgmq(connection: Connection) -> None:
    """Installs PGMQ unless the database has it: the extension where the server has it, else the SQL of its package.

    Raises SettingsError where there is neither, or the user may not.
    """
    try:
        async with connection.transaction(isolation="read_committed"):
            await connection.execute("select pg_advisory_xact_lock($1)", _INSTALL_LOCK)
            if await connection.fetchval("select to_regclass('pgmq.meta') is not null"):
                return
            query = "select exists (select from pg_available_extensions where name = 'pgmq')"
            if await connection.fetchval(query):
                await connection.execute("create extension pgmq")
            else:
                await connection.execute(_pgmq_script())
    except asyncpg.InsufficientPrivilegeError as error:
        raise SettingsError(
            f"PGMQ cannot be installed: {error}. Let an owner of the database run `create extension pgmq`, or start "
            "once as a user who may create schemas"
        ) from error


def _pgmq_script() -> str:
    """The SQL of PGMQ that its package carries. The package itself is not imported: it would bring a driver along."""
    found = find_spec("pgmq")
    path = Path(found.origin).parent / "sql" / "pgmq.sql" if found and found.origin else None
    if path is None or not path.is_file():
        raise SettingsError(
            'the server has no extension "pgmq": install it there, or `pip install tasker-engine[pgmq]` here, '
            "which brings PGMQ as plain SQL"
        )
    return "set local client_min_messages = warning;\nset local search_path = public;\n" + path.read_text("utf-8")


async def worker_queues(
    connection: Connection, handlers: Sequence[str], queues: Sequence[str] | None, *, schema: str
) -> list[str]:
    """The queues on which steps for these handlers are announced, by name."""
    rows = await ask(connection, "worker_queues($1::text[], $2::text[])", list(handlers), queues, schema=schema)
    return [row[0] for row in rows]


# The outbox for RabbitMQ ----------------------------------------------------------------------------------------------


async def lease_outbox(connection: Connection, owner: UUID, lease_s: float, *, schema: str) -> bool:
    """Makes this publisher the one that drains the outbox, for so long; False while another one does."""
    return (await ask(connection, "lease_outbox($1, $2)", owner, lease_s, schema=schema))[0][0]


async def leave_outbox(connection: Connection, owner: UUID, *, schema: str) -> None:
    """Lets another publisher begin at once."""
    await ask(connection, "leave_outbox($1)", owner, schema=schema)


async def take_messages(connection: Connection, owner: UUID, after: int, most: int, *, schema: str) -> list[Message]:
    """What is to be sent next, in order; nothing where this publisher has not the lease."""
    rows = await ask(connection, "take_messages($1, $2, $3)", owner, after, most, schema=schema)
    return [Message(*row) for row in rows]


async def drop_messages(connection: Connection, seqs: Sequence[int], *, schema: str) -> int:
    """These have been sent; how many of them were still there."""
    return (await ask(connection, "drop_messages($1::bigint[])", list(seqs), schema=schema))[0][0]


async def prune_messages(connection: Connection, most: int, *, schema: str) -> int:
    """Drops what has waited for the broker for too long to matter; how much that was."""
    return (await ask(connection, "prune_messages($1)", most, schema=schema))[0][0]


# Queues of PGMQ -------------------------------------------------------------------------------------------------------


async def read_queues(
    connection: Connection, queues: Sequence[str], *, hidden_s: int, most: int, schema: str
) -> list[Read]:
    """Messages of these queues, at most so many of each, hidden from others for so long."""
    rows = await ask(connection, "read_queues($1::text[], $2, $3)", list(queues), hidden_s, most, schema=schema)
    return [Read(*row) for row in rows]


async def settle_queue(
    connection: Connection, queue: str, done: Sequence[int], dead: Sequence[Read], problem: str, *, schema: str
) -> int:
    """Deletes what is done, and moves what nobody can make sense of to the queue's `_dlq`; how many were moved."""
    call = "settle_queue($1, $2::bigint[], $3::bigint[], $4::jsonb[], $5)"
    dead_ids, bodies = [one.msg_id for one in dead], [one.message for one in dead]
    return (await ask(connection, call, queue, list(done), dead_ids, bodies, problem, schema=schema))[0][0]


async def prune_queues(connection: Connection, most: int, *, schema: str) -> int:
    """Deletes messages that nobody read in time, at most so many of each queue; how many that were."""
    return (await ask(connection, "prune_queues($1)", most, schema=schema))[0][0]


async def notify(connection: Connection, channel: str) -> None:
    """Wakes whoever listens on that channel."""
    await connection.execute("select pg_notify($1, '')", channel)
