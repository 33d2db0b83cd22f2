"""One typed function per verb. Each is one round trip and one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from tasker import sql
from tasker.model.outcome import Outcome
from tasker.store.connection import Connection
from tasker.store.errors import translating
from tasker.store.replies import Reply, Submitted, Verdict, read_reply


class Submit(NamedTuple):
    """What submit is called with; contexts and options are JSON text, one of each per task."""

    namespace: str
    name: str
    version: str | None
    task_ids: Sequence[UUID]
    contexts: Sequence[str]
    options: Sequence[str | None] | None = None


@dataclass(slots=True)
class Report:
    """Outcomes on their way: the fence of each, how it ended, and how many seconds its handler ran."""

    task_ids: list[UUID] = field(default_factory=list[UUID])
    numbers: list[int] = field(default_factory=list[int])
    attempts: list[int] = field(default_factory=list[int])
    kinds: list[str] = field(default_factory=list[str])
    payloads: list[str | None] = field(default_factory=list[str | None])
    retry_after_s: list[float | None] = field(default_factory=list[float | None])
    run_s: list[float] = field(default_factory=list[float])

    def add(self, task_id: UUID, number: int, attempt: int, outcome: Outcome, run_s: float) -> None:
        """Adds one outcome."""
        self.task_ids.append(task_id)
        self.numbers.append(number)
        self.attempts.append(attempt)
        self.kinds.append(outcome.kind)
        self.payloads.append(outcome.payload)
        self.retry_after_s.append(outcome.retry_after_s)
        self.run_s.append(run_s)

    def __len__(self) -> int:
        return len(self.task_ids)


@dataclass(slots=True)
class Serving:
    """What a session serves: channels, and the slot pool (1, 2, …) that each needs."""

    channels: list[int] = field(default_factory=list[int])
    pools: list[int] = field(default_factory=list[int])


class Verbs:
    """The verbs of one schema. A method takes the connection to use; none keeps state."""

    def __init__(self, schema: str = sql.DEFAULT_SCHEMA) -> None:
        def call(name: str, types: str = "") -> str:
            marks = ", ".join(f"${n}::{cast}" for n, cast in enumerate(types.split(), 1))
            return sql.in_schema(f"select * from tasker_engine.{name}({marks})", schema)  # noqa: S608 - our own words

        self._submit = call("submit", "text text text uuid[] jsonb[] jsonb[]")
        self._submit_here = call("submit_here", "int int[] int[] int[] text text text uuid[] jsonb[] jsonb[]")
        report = "int uuid[] int[] int[] text[] text[] float8[] float8[] bigint[] int[] int[] int[] bool"
        self._report = call("report", report)
        self._report_awaited = call("report_awaited", f"uuid[] {report}")
        self._claim = call("claim", "int int[] int[] int[] bool")
        self._load = call("load", "uuid[] int[]")
        self._load_members = call("load_members", "uuid[] int[]")
        self._checkpoint = call("checkpoint", "int uuid[] int[] int[] jsonb[]")
        self._read_checkpoints = call("read_checkpoints", "uuid[] int[]")
        self._regrant = call("regrant", "int uuid[] int[] int[]")
        self._beat = call("beat", "int bool bigint uuid[] int[] int[] float8[] uuid[] int[] int[]")
        self._open_session = call("open_session", "uuid text text int float8")
        self._serve = call("serve_guarded", "int text[] text[] text[]")
        self._describe_session = call("describe_session", "int text text[] text[]")
        self._end_session = call("end_session", "int text bool")
        self._end_process = call("end_process", "text int text bool")
        self._live_processes = call("live_processes", "text")
        self._sweep = call("sweep")
        self._prune = call("prune")
        self._act = call("act", "uuid text uuid int text int text text jsonb")
        self._publish = call("publish", "text text text text jsonb text jsonb bool")

    async def submit(self, connection: Connection, submit: Submit) -> list[Submitted]:
        """Creates tasks. Raises what `check_submission` and identity refuse."""
        with translating():
            rows = await connection.fetch(self._submit, *submit)
        return [Submitted(row[0], row[1]) for row in rows]

    async def submit_here(
        self, connection: Connection, session: int, serving: Serving, free: Sequence[int], submit: Submit
    ) -> Reply:
        """The same for a session that has nothing to do: the reply's grants are the first steps, as far as it has
        `free` slots."""
        with translating():
            return read_reply(
                await connection.fetch(self._submit_here, session, serving.channels, serving.pools, free, *submit)
            )

    async def report(
        self,
        connection: Connection,
        session: int,
        report: Report,
        finished_grants: Sequence[int],
        serving: Serving,
        free: Sequence[int],
        *,
        may_wait: bool = False,
        awaited: Sequence[UUID] = (),
    ) -> Reply:
        """Records outcomes; the reply's grants are the steps that these free. Of the `awaited` tasks that have ended it
        has the views."""
        query, more = (self._report_awaited, (awaited,)) if awaited else (self._report, ())
        return read_reply(
            await connection.fetch(
                query,
                *more,
                session,
                report.task_ids,
                report.numbers,
                report.attempts,
                report.kinds,
                report.payloads,
                report.retry_after_s,
                report.run_s,
                finished_grants,
                serving.channels,
                serving.pools,
                free,
                may_wait,
            )
        )

    async def claim(
        self, connection: Connection, session: int, serving: Serving, free: Sequence[int], *, may_be_alone: bool
    ) -> Reply:
        """Takes further steps, up to `free` slots of each pool."""
        return read_reply(
            await connection.fetch(self._claim, session, serving.channels, serving.pools, free, may_be_alone)
        )

    async def load(self, connection: Connection, task_ids: Sequence[UUID], numbers: Sequence[int]) -> Reply:
        """Contexts (number 0), results, and what members of batches work on (their numbers, negated), that a grant did
        not carry."""
        return read_reply(await connection.fetch(self._load, task_ids, numbers))

    async def load_members(
        self, connection: Connection, task_ids: Sequence[UUID], numbers: Sequence[int]
    ) -> dict[tuple[UUID, int], list[tuple[str, str | None, str | None]]]:
        """Of each batch its members in order: id, result, and the error of one that failed, both as JSON."""
        found: dict[tuple[UUID, int], list[tuple[str, str | None, str | None]]] = {}
        for task_id, number, batch_id, _, result, error in await connection.fetch(
            self._load_members, task_ids, numbers
        ):
            found.setdefault((task_id, number >> 16), []).append((batch_id, result, error))
        return found

    async def checkpoint(
        self, connection: Connection, session: int, saves: Sequence[tuple[UUID, int, int, str]]
    ) -> list[Verdict]:
        """Notes how far steps have come: (task, number, attempt, JSON). The verdicts: recorded, stale or deferred."""
        return read_reply(await connection.fetch(self._checkpoint, session, *columns(saves, 4))).verdicts

    async def read_checkpoints(
        self, connection: Connection, task_ids: Sequence[UUID], numbers: Sequence[int]
    ) -> dict[tuple[UUID, int], str]:
        """How far these steps have come, as JSON; only those that have said so."""
        rows = await connection.fetch(self._read_checkpoints, task_ids, numbers)
        return {(row[0], row[1]): row[3] for row in rows}

    async def regrant(self, connection: Connection, session: int, held: Sequence[tuple[UUID, int, int]]) -> Reply:
        """After a lost reply: what the session owns but the worker does not hold, and what it holds in vain."""
        return read_reply(await connection.fetch(self._regrant, session, *columns(held, 3)))

    async def beat(
        self,
        connection: Connection,
        session: int,
        *,
        is_idle: bool,
        stale_outcomes: int,
        started: Sequence[tuple[UUID, int, int, float]],
        held: Sequence[tuple[UUID, int, int]],
    ) -> Reply:
        """Keeps the session alive. `started` names (task, number, attempt, seconds ago)."""
        arguments = (session, is_idle, stale_outcomes, *columns(started, 4), *columns(held, 3))
        return read_reply(await connection.fetch(self._beat, *arguments))

    async def open_session(
        self, connection: Connection, session_uuid: UUID, name: str, host: str, pid: int, lease_s: float
    ) -> int:
        """Begins a session; the number that names it from now on."""
        with translating():
            return await connection.fetchval(self._open_session, session_uuid, name, host, pid, lease_s)

    async def serve(
        self,
        connection: Connection,
        session: int,
        handlers: Sequence[str],
        queues: Sequence[str] | None,
        *,
        system_dependencies: Sequence[str] = (),
    ) -> list[tuple[int, str]]:
        """Announces handlers and queues; the channels served, each with its handler.

        `system_dependencies` are those that the handlers name, in the same order, "" for none; empty: none names any.
        """
        with translating():
            rows = await connection.fetch(self._serve, session, handlers, system_dependencies, queues)
        return [(row[0], row[1]) for row in rows]

    async def describe_session(
        self, connection: Connection, session: int, version: str, handlers: Sequence[str], versions: Sequence[str]
    ) -> None:
        """What a worker says of itself: its version, and its handlers with the version of each ("": none)."""
        with translating():
            await connection.fetchval(self._describe_session, session, version, handlers, versions)

    async def end_session(self, connection: Connection, session: int, reason: str, *, is_loss: bool) -> int:
        """Ends a session and releases up to 100 of its steps; how many it released."""
        return await connection.fetchval(self._end_session, session, reason, is_loss)

    async def end_process(self, connection: Connection, host: str, pid: int, reason: str, *, is_loss: bool) -> int:
        """Ends the sessions of a process; how many of its steps were released."""
        return await connection.fetchval(self._end_process, host, pid, reason, is_loss)

    async def live_processes(self, connection: Connection, host: str) -> list[int]:
        """The processes of a host that have living sessions."""
        return [row[0] for row in await connection.fetch(self._live_processes, host)]

    async def sweep(self, connection: Connection) -> dict[str, Any]:
        """One sweep: what it did, and whether there is `more`."""
        return orjson.loads(await connection.fetchval(self._sweep))

    async def prune(self, connection: Connection) -> dict[str, Any]:
        """A little of the retention that the database's setting `tasker.retention_s` asks for: how many `tasks` and
        `others` went, and whether there is `more`. One process at a time does it; for the others there is nothing."""
        return orjson.loads(await connection.fetchval(self._prune))

    async def act(
        self,
        connection: Connection,
        act_id: UUID,
        action: str,
        task_id: UUID,
        *,
        number: int | None = None,
        seen_state: str | None = None,
        seen_attempt: int | None = None,
        actor: str,
        reason: str | None = None,
        result: str | None = None,
    ) -> dict[str, Any]:
        """What an operator does; the states after it. A repeat with the same act_id answers the same."""
        with translating():
            answer = await connection.fetchval(
                self._act, act_id, action, task_id, number, seen_state, seen_attempt, actor, reason, result
            )
        return orjson.loads(answer)

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
        """Stores a template's version; its id, and whether it is new. Raises asyncpg's error TK013 on other content."""
        row = await connection.fetchrow(
            self._publish, namespace, name, version, digest, definition, identity_strategy, steps, force
        )
        assert row is not None  # noqa: S101 - a function with OUT columns always answers one row
        return row[0], row[1]


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as parallel arrays."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
