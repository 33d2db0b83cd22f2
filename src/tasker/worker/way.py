"""How a worker reaches the engine: straight to the database, or through a server (`tasker.remote`)."""

from __future__ import annotations

from typing import Any, Protocol

from tasker.store.connection import Connection, connect, connect_with_patience
from tasker.store.definitions import read_definition
from tasker.store.verbs import Verbs


class Way(Protocol):
    """The verbs, and connections to call them on."""

    @property
    def verbs(self) -> Verbs:
        """Those that these connections are for."""
        ...

    async def connect(self, *, call_timeout_s: float | None = None) -> Connection:
        """A connection. Raises DatabaseUnavailable, or ServerUnavailable."""
        ...

    async def connect_with_patience(self, *, call_timeout_s: float | None = None) -> Connection:
        """A connection, as soon as there is one to be had."""
        ...

    async def read_definition(self, connection: Connection, template_id: int) -> dict[str, Any]:
        """The template of a grant."""
        ...


class DatabaseWay:
    """Straight to the database."""

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn, self._schema = dsn, schema
        self.verbs = Verbs(schema)

    async def connect(self, *, call_timeout_s: float | None = None) -> Connection:
        """See Way."""
        return await connect(self._dsn, call_timeout_s=call_timeout_s)

    async def connect_with_patience(self, *, call_timeout_s: float | None = None) -> Connection:
        """See Way."""
        return await connect_with_patience(self._dsn, call_timeout_s=call_timeout_s)

    async def read_definition(self, connection: Connection, template_id: int) -> dict[str, Any]:
        """See Way."""
        return await read_definition(connection, template_id, self._schema)
