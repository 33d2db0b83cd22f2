"""The verbs for workers on the network, whom a server speaks for. Each is one round trip and one transaction.

They are those of `verbs`, with `Whose` in place of the session's number, and without the channels: what the session
serves stands in the database. So a server keeps nothing of a worker, and any server takes any of its calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from tasker import sql
from tasker.store.connection import Connection
from tasker.store.errors import translating
from tasker.store.replies import Reply, Verdict, read_reply
from tasker.store.verbs import Report, columns


class Whose(NamedTuple):
    """A session, the caller who says that it is theirs, and the namespaces that the caller reaches (None: all)."""

    session_uuid: UUID
    owner: str
    namespaces: Sequence[str] | None


class Turn(NamedTuple):
    """Which turn of the session a call belongs to, and whether it is the turn's first."""

    number: int
    is_first: bool


class Served(NamedTuple):
    """A channel that a session serves."""

    channel: int
    handler: str
    queue: str
    namespace: str


class RemoteVerbs:
    """The verbs of one schema. Each raises NotFound for a session that is none of the caller's, and those of a turn
    TurnSuperseded."""

    def __init__(self, schema: str = sql.DEFAULT_SCHEMA) -> None:
        def call(name: str, types: str) -> str:
            marks = ", ".join(f"${n}::{cast}" for n, cast in enumerate(types.split(), 1))
            return sql.in_schema(f"select * from tasker_engine.{name}({marks})", schema)  # noqa: S608 - our own words

        whose, turn = "uuid text text[]", "bigint bool"
        self._open = call("open_remote_session", f"{whose} text text int float8 text[] int[] text[] text[]")
        self._find = call("remote_session", whose)
        self._serve = call("remote_serve", "int")
        self._queues = call("remote_queues", "int")
        self._report = call(
            "remote_report", f"{whose} {turn} uuid[] int[] int[] text[] text[] float8[] float8[] int[] bool"
        )
        self._claim = call("remote_claim", f"{whose} {turn} int[] bool")
        self._regrant = call("remote_regrant", f"{whose} {turn} uuid[] int[] int[]")
        self._checkpoint = call("remote_checkpoint", f"{whose} uuid[] int[] int[] jsonb[]")
        self._load = call("remote_load", f"{whose} uuid[] int[]")
        self._members = call("remote_members", f"{whose} uuid[] int[]")
        self._checkpoints = call("remote_checkpoints", f"{whose} uuid[] int[]")
        self._templates = call("remote_templates", f"{whose} int[]")

    async def open(
        self,
        connection: Connection,
        whose: Whose,
        *,
        name: str,
        host: str,
        pid: int,
        lease_s: float,
        handlers: Sequence[str],
        pools: Sequence[int],
        system_dependencies: Sequence[str],
        queues: Sequence[str] | None,
    ) -> int:
        """Begins a session for these handlers, with the slot pool (1, 2, …) and the outside system ("": none) of each;
        its number. A repeat answers the same."""
        arguments = (*whose, name, host, pid, lease_s, handlers, pools, system_dependencies, queues)
        with translating():
            return await connection.fetchval(self._open, *arguments)

    async def find(self, connection: Connection, whose: Whose) -> int:
        """The session's number, for the verbs that know no better."""
        with translating():
            return await connection.fetchval(self._find, *whose)

    async def serve(self, connection: Connection, session: int) -> list[Served]:
        """What the session serves by now."""
        return [Served(*row) for row in await connection.fetch(self._serve, session)]

    async def queues(self, connection: Connection, session: int) -> list[str]:
        """The queues of RabbitMQ on which work for the session is announced; none where it is not, for now."""
        return [row[0] for row in await connection.fetch(self._queues, session)]

    async def report(
        self, connection: Connection, whose: Whose, turn: Turn, report: Report, free: Sequence[int], *, may_wait: bool
    ) -> Reply:
        """As Verbs.report. What the database refuses for its own reasons is raised as it is: see `refusal`."""
        said = (report.task_ids, report.numbers, report.attempts, report.kinds, report.payloads)
        times = (report.retry_after_s, report.run_s)
        return await self._asked(connection, self._report, *whose, *turn, *said, *times, free, may_wait)

    async def claim(
        self, connection: Connection, whose: Whose, turn: Turn, free: Sequence[int], *, may_be_alone: bool
    ) -> Reply:
        """As Verbs.claim."""
        return await self._asked(connection, self._claim, *whose, *turn, free, may_be_alone)

    async def regrant(
        self, connection: Connection, whose: Whose, turn: Turn, held: Sequence[tuple[UUID, int, int]]
    ) -> Reply:
        """As Verbs.regrant."""
        return await self._asked(connection, self._regrant, *whose, *turn, *columns(held, 3))

    async def checkpoint(
        self, connection: Connection, whose: Whose, saves: Sequence[tuple[UUID, int, int, str]]
    ) -> list[Verdict]:
        """As Verbs.checkpoint."""
        return (await self._asked(connection, self._checkpoint, *whose, *columns(saves, 4))).verdicts

    async def load(
        self, connection: Connection, whose: Whose, task_ids: Sequence[UUID], numbers: Sequence[int]
    ) -> Reply:
        """As Verbs.load. Raises TaskNotFound for a task of which the session holds no step, as do the next two."""
        return await self._asked(connection, self._load, *whose, task_ids, numbers)

    async def members(
        self, connection: Connection, whose: Whose, task_ids: Sequence[UUID], numbers: Sequence[int]
    ) -> dict[tuple[UUID, int], list[tuple[str, str | None, str | None]]]:
        """As Verbs.load_members."""
        found: dict[tuple[UUID, int], list[tuple[str, str | None, str | None]]] = {}
        with translating():
            rows = await connection.fetch(self._members, *whose, task_ids, numbers)
        for task_id, number, batch_id, _, result, error in rows:
            found.setdefault((task_id, number >> 16), []).append((batch_id, result, error))
        return found

    async def checkpoints(
        self, connection: Connection, whose: Whose, task_ids: Sequence[UUID], numbers: Sequence[int]
    ) -> dict[tuple[UUID, int], str]:
        """As Verbs.read_checkpoints."""
        with translating():
            rows = await connection.fetch(self._checkpoints, *whose, task_ids, numbers)
        return {(row[0], row[1]): row[3] for row in rows}

    async def templates(
        self, connection: Connection, whose: Whose, template_ids: Sequence[int]
    ) -> Mapping[int, dict[str, Any]]:
        """Definitions by their templates' numbers, those that the session may see."""
        with translating():
            rows = await connection.fetch(self._templates, *whose, template_ids)
        return {row[0]: orjson.loads(row[1]) for row in rows}

    async def _asked(self, connection: Connection, query: str, *arguments: Any) -> Reply:
        with translating():
            return read_reply(await connection.fetch(query, *arguments))
