"""Calling a read or an act of the engine by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tasker import sql
from tasker.store.connection import Connection
from tasker.store.errors import translating


async def ask(connection: Connection, call: str, *arguments: Any, schema: str = sql.DEFAULT_SCHEMA) -> list[Any]:
    """The rows of `call`, such as `read_why($1::uuid[], $2)`. Raises Tasker's exceptions for the database's."""
    query = sql.in_schema(f"select * from tasker_engine.{call}", schema)  # noqa: S608 - our own words
    with translating():
        return await connection.fetch(query, *arguments)


def as_json(value: Mapping[str, Any] | None) -> str | None:
    """An argument of type jsonb."""
    return None if value is None else orjson.dumps(dict(value)).decode()
