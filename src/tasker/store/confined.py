"""Asking the database for callers of some namespaces only: what they do not reach is not there for them.

A transaction is confined by the setting tasker.namespaces, and goes under the role tasker_api, which policies on the
tables hold: a read that forgets to ask who calls finds nothing that it should not. Where the role cannot be had (its
administrators have not made it) the verbs still ask, and so do the operations; the reads then rest on these alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

from tasker import sql
from tasker.model.errors import Forbidden
from tasker.store.connection import Connection
from tasker.store.errors import DatabaseError, translated, translating
from tasker.store.replies import Submitted
from tasker.store.verbs import Submit, Verbs

_CONFINE = "select set_config('tasker.namespaces', $1::text[]::text, true)"
_CONFINE_AND_CHANGE = f"{_CONFINE}, set_config('role', 'tasker_api', true)"


class Confinement:
    """How one process confines its transactions; it finds out once whether the role can be had."""

    def __init__(self, schema: str = sql.DEFAULT_SCHEMA) -> None:
        self._schema = schema
        self.has_role: bool | None = None
        """Whether policies hold what is read; None before the first transaction."""

    @asynccontextmanager
    async def transaction(self, connection: Connection, namespaces: Collection[str]) -> AsyncGenerator[None]:
        """A transaction that reaches these namespaces and nothing else; with its end all is as before."""
        if self.has_role is None:
            with translating():
                query = sql.in_schema("select tasker_engine.may_be_api()", self._schema)
                self.has_role = bool(await connection.fetchval(query))
        async with connection.transaction(isolation="read_committed"):
            confine = _CONFINE_AND_CHANGE if self.has_role else _CONFINE
            await connection.fetchval(confine, sorted(namespaces))
            yield


class ConfinedVerbs(Verbs):
    """The verbs for callers of these namespaces. All but `submit` are for inside of a confined transaction."""

    def __init__(self, namespaces: Collection[str], schema: str = sql.DEFAULT_SCHEMA) -> None:
        super().__init__(schema)
        self._namespaces = sorted(namespaces)
        self._act = self._act.replace(".act(", ".act_confined(")
        self._publish = self._publish.replace(".publish(", ".publish_confined(")
        self._submit = sql.in_schema(
            "select * from tasker_engine.submit_confined("
            "$1::text[], $2::text, $3::text, $4::text, $5::uuid[], $6::jsonb[], $7::jsonb[])",
            schema,
        )

    async def submit(self, connection: Connection, submit: Submit) -> list[Submitted]:
        """As Verbs.submit, in a single call. Raises Forbidden for another namespace."""
        with translating():
            rows = await connection.fetch(self._submit, self._namespaces, *submit)
        return [Submitted(row[0], row[1]) for row in rows]

    async def publish(
        self,
        connection: Connection,
        namespace: str,
        name: str,
        version: str,
        digest: str,
        definition: str,
        identity_strategy: str,
        steps: str,
        *,
        force: bool = False,
    ) -> tuple[int, bool]:
        """As Verbs.publish. Raises Forbidden for another namespace."""
        try:
            return await super().publish(
                connection, namespace, name, version, digest, definition, identity_strategy, steps, force=force
            )
        except DatabaseError as error:
            if isinstance(better := translated(error), Forbidden):
                raise better from error
            raise
