"""Connections to PostgreSQL, with one plan per verb.

A plan that is made while a table is small costs up to two hundred times too much later. So joins run in the order in
which the verbs write them, and a table is only ever probed by a key: sequential and full index scans are off, also for
an empty table. The few functions that walk an index in order turn that back on for themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Protocol, TypeVar

import asyncpg

from tasker.embedded import redact
from tasker.model.errors import DatabaseUnavailable, SettingsError
from tasker.store.errors import CONNECTION_ERRORS
from tasker.store.pooled import Listen, PooledConnection, PooledPool
from tasker.store.roads import Pooler, Road, open_on, road_to


class Connection(Protocol):
    """What the store asks of a connection: asyncpg's own, or one lent by a pool."""

    async def fetch(self, query: str, /, *args: Any) -> list[Any]: ...
    async def fetchrow(self, query: str, /, *args: Any) -> Any: ...
    async def fetchval(self, query: str, /, *args: Any) -> Any: ...
    async def execute(self, query: str, /, *args: Any) -> Any: ...
    async def add_listener(self, channel: str, callback: Callable[..., None], /) -> None: ...
    async def close(self) -> None: ...
    def transaction(self, *, isolation: str = ...) -> AbstractAsyncContextManager[Any]: ...
    def get_server_version(self) -> Any: ...
    def is_closed(self) -> bool: ...
    def terminate(self) -> None: ...


class Pool(Protocol):
    """Connections to borrow."""

    def acquire(self) -> AbstractAsyncContextManager[Connection]: ...
    async def close(self) -> None: ...
    def terminate(self) -> None: ...


T = TypeVar("T")
_driver: Any = asyncpg
PLAN_SETTINGS = {
    "enable_seqscan": "off",
    "enable_indexscan": "off",
    "enable_indexonlyscan": "off",
    "enable_mergejoin": "off",
    "join_collapse_limit": "1",
    "from_collapse_limit": "1",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}
_AT_BEGIN = ("application_name", "default_transaction_isolation")
_LISTEN_S = 10.0
_TRIES = 5
on_open: list[Callable[[Any], None]] = []
"""Told of each connection that this process opens (the driver's own object): see `statements`."""
_SESSION = {
    "application_name": "tasker",
    "default_transaction_isolation": "read committed",
    # As in functions that run with their owner's rights: with another path, plans would be made anew at each change.
    "search_path": "pg_catalog, pg_temp",
}


async def describe_road(dsn: str, pooler: Pooler, listen_dsn: str | None) -> None:
    """What the settings say of the way to a database: whether a pooler is there (`auto`: ask), and the DSN for LISTEN.

    Raises DatabaseUnavailable, or SettingsError, where that DSN leads to no database itself.
    """
    road = road_to(dsn)
    road.listen_dsn = listen_dsn
    if pooler != "auto":
        road.is_pooled = pooler == "on"
    if listen_dsn is not None:
        await (await connect(listen_dsn)).close()
        if road_to(listen_dsn).is_pooled:
            raise SettingsError(
                "TASKER_DATABASE_LISTEN_URL leads to a pooler, which swallows LISTEN: name the database itself"
            )


async def connect(
    dsn: str, *, pinned: bool = True, timeout_s: float = 10, call_timeout_s: float | None = None
) -> Connection:
    """A connection for verbs (`pinned`), or for reads, whose plans the server may choose by each query's arguments.

    A call without an answer after `call_timeout_s` raises TimeoutError: the other side may be gone without a word.
    Raises DatabaseUnavailable, which names the DSN without its password.
    """
    road, settings = road_to(dsn), _settings(pinned)
    try:
        connection, is_pooled = await open_on(
            _driver, dsn, road, settings, timeout=timeout_s, command_timeout=call_timeout_s
        )
        await _announce(connection)
        return PooledConnection(connection, _kept(settings), _past(road)) if is_pooled else connection
    except (*CONNECTION_ERRORS, TimeoutError, asyncpg.PostgresError, ValueError) as error:
        raise unavailable(dsn, error) from error


async def connect_with_patience(
    dsn: str, *, first_wait_s: float = 0.05, wait_max_s: float = 1, call_timeout_s: float | None = None
) -> Connection:
    """A connection for verbs, as soon as the database answers; the wait doubles from try to try."""
    wait_s = first_wait_s
    while True:
        try:
            return await connect(dsn, call_timeout_s=call_timeout_s)
        except DatabaseUnavailable:
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, wait_max_s)


async def ask_alone(dsn: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    """What `work` answers on a connection of its own; where that is cut meanwhile, on another: `work` bears repeating.
    Raises DatabaseUnavailable."""
    for _ in range(_TRIES - 1):
        connection = await connect(dsn)
        with suppress(*CONNECTION_ERRORS):
            return await _asked(connection, work)
    connection = await connect(dsn)
    try:
        return await _asked(connection, work)
    except CONNECTION_ERRORS as error:
        raise unavailable(dsn, error) from error


async def _asked(connection: Connection, work: Callable[[Connection], Awaitable[T]]) -> T:
    try:
        answer = await work(connection)
        with suppress(*CONNECTION_ERRORS):
            await connection.close()
        return answer
    finally:
        connection.terminate()


async def create_pool(dsn: str, *, pinned: bool, size: int) -> Pool:
    """A pool of such connections."""
    road, settings = road_to(dsn), _settings(pinned)
    if road.is_pooled is None:
        await (await connect(dsn)).close()
    limits: dict[str, Any] = {"min_size": 1, "max_size": size, "init": _announce, "reset": _nothing}
    try:
        if not road.is_pooled:
            return await _driver.create_pool(dsn, server_settings=settings, **limits)
        name = {"application_name": settings["application_name"]}
        raw = await _driver.create_pool(dsn, server_settings=name, statement_cache_size=0, **limits)
        return PooledPool(raw, _kept(settings))
    except (*CONNECTION_ERRORS, TimeoutError, asyncpg.PostgresError, ValueError) as error:
        raise unavailable(dsn, error) from error


async def ask_pool(pool: Pool, work: Callable[[Connection], Awaitable[T]], size: int, dsn: str) -> T:
    """What `work` answers on a connection of the pool; after a lost one on another: a restart of the database leaves as
    many dead ones there as it holds (`size`). Raises DatabaseUnavailable."""
    for _ in range(size):
        with suppress(*CONNECTION_ERRORS):
            async with pool.acquire() as connection:
                return await work(connection)
    try:
        async with pool.acquire() as connection:
            return await work(connection)
    except CONNECTION_ERRORS as error:
        raise unavailable(dsn, error) from error


def _settings(pinned: bool) -> dict[str, str]:
    return {**_SESSION, **(PLAN_SETTINGS if pinned else {"plan_cache_mode": "force_custom_plan", "jit": "off"})}


def _kept(settings: Mapping[str, str]) -> dict[str, str]:
    """Those that have to go along with each statement through a pooler."""
    return {name: value for name, value in settings.items() if name not in _AT_BEGIN}


def _past(road: Road) -> Listen | None:
    """How to listen past the pooler."""
    dsn = road.listen_dsn
    if dsn is None:
        return None
    return lambda: _driver.connect(dsn, server_settings={"application_name": "tasker listener"}, timeout=_LISTEN_S)


async def _announce(connection: Any) -> None:
    for told in on_open:
        told(connection)


async def _nothing(_: object) -> None:
    """No reset between borrowers: nothing here changes a session, and the round trip would cost every submit."""


def unavailable(dsn: str, error: BaseException) -> DatabaseUnavailable:
    """What to tell a user whose database does not answer."""
    what = str(error).strip() or type(error).__name__
    return DatabaseUnavailable(
        f"the database {redact(dsn)} does not answer: {what}. "
        "Check that the server runs and that TASKER_DATABASE_URL is right, or unset it to use the embedded PostgreSQL."
    )
