"""Definitions of templates, as they were published."""

from __future__ import annotations

from typing import Any

import orjson

from tasker import sql
from tasker.store.connection import Connection
from tasker.store.errors import translating

_BY_ID = "select definition from tasker_engine.templates where template_id = $1"
_BY_NAME = """
select definition from tasker_engine.templates
where template_id = (tasker_engine.find_template($1::text, $2::text, $3::text)).template_id
"""


async def read_definition(connection: Connection, template_id: int, schema: str = sql.DEFAULT_SCHEMA) -> dict[str, Any]:
    """The definition that a running task keeps."""
    return orjson.loads(await connection.fetchval(sql.in_schema(_BY_ID, schema), template_id))


async def find_definition(
    connection: Connection, namespace: str, name: str, version: str | None, schema: str = sql.DEFAULT_SCHEMA
) -> dict[str, Any]:
    """The definition of a version, or of the newest where none is named. Raises TemplateNotFound."""
    with translating():
        return orjson.loads(await connection.fetchval(sql.in_schema(_BY_NAME, schema), namespace, name, version))
