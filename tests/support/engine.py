"""A driver of the engine for tests: builders, a clock, sessions that do as they are told, and readers of the tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from support.clock import Clock
from support.session import Session
from support.templates import template
from tasker.model.template import Template
from tasker.store.connection import connect
from tasker.store.verbs import Submit, Verbs
from tasker.templates.publishing import publish
from tasker.testing.clock import TimedConnection


class Engine:
    """The verbs on one database, at the time of `clock`."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.clock = Clock()
        self.verbs = Verbs()
        self.templates: dict[str, Template] = {}
        self._connections: list[Any] = []
        self.connection: Any

    async def open(self, kept: Any = None) -> None:
        """Opens the first connection, or goes on with one that another engine handed over."""
        if kept is None:
            self.connection = await self.connect()
        else:
            self._connections.append(kept)
            self.connection = TimedConnection(kept, self.clock)

    async def hand_over(self) -> Any:
        """The first connection as it was when it was new, for another engine; None where it cannot be that."""
        first = self._connections[0]
        if first.is_closed() or first.is_in_transaction():
            return None
        self._connections.remove(first)
        await first.reset()
        return first

    async def close(self) -> None:
        """Closes all connections."""
        for connection in self._connections:
            if not connection.is_closed():
                connection.terminate()

    def close_others(self) -> None:
        """Closes all connections but the first."""
        for connection in self._connections[1:]:
            connection.terminate()
        del self._connections[1:]

    async def connect(self, *, pinned: bool = True) -> Any:
        """A further connection, at the same clock; the engine closes it."""
        raw = await connect(self.dsn, pinned=pinned)
        self._connections.append(raw)
        return TimedConnection(raw, self.clock)

    def advance(self, seconds: float) -> None:
        """Moves the time."""
        self.clock.advance(seconds)

    # Builders ---------------------------------------------------------------------------------------------------------

    async def publish(self, graph: str | Template, *, force: bool = False, **options: Any) -> Template:
        """Publishes a template, or the one that `template(graph, …)` makes."""
        made = graph if isinstance(graph, Template) else template(graph, **options)
        await publish(self.connection, self.verbs, made, force=force)
        self.templates[made.name] = made
        return made

    async def submit_many(
        self,
        count: int = 1,
        *,
        name: str | None = None,
        namespace: str | None = None,
        version: str | None = None,
        contexts: Sequence[dict[str, Any]] | None = None,
        ids: Sequence[UUID] | None = None,
        connection: Any = None,
        **options: Any,
    ) -> list[UUID]:
        """Creates tasks of the template (default: the one published last), all with the same options."""
        made = self.templates[name] if name in self.templates else next(reversed(self.templates.values()))
        contexts = contexts or [{} for _ in range(count)]
        answers = await self.verbs.submit(
            connection or self.connection,
            Submit(
                namespace or made.namespace,
                name or made.name,
                version,
                ids or [self.clock.uuid7() for _ in contexts],
                [json.dumps(context) for context in contexts],
                [json.dumps(options) for _ in contexts] if options else None,
            ),
        )
        return [answer.task_id for answer in answers]

    async def submit(self, context: dict[str, Any] | None = None, **options: Any) -> UUID:
        """Creates one task; its id."""
        return (await self.submit_many(contexts=[context or {}], **options))[0]

    async def session(
        self,
        handlers: Sequence[str] | None = None,
        *,
        queues: Sequence[str] | None = None,
        slots: int = 1000,
        lease_s: float = 15,
        connection: Any = None,
        name: str = "worker",
        pid: int = 1,
    ) -> Session:
        """Opens a session that serves these handlers (default: all of the published templates)."""
        uuid = uuid4()
        connection = connection or self.connection
        number = await self.verbs.open_session(connection, uuid, name, "host", pid, lease_s)
        made = Session(self, connection, number, uuid, slots)
        every = {step.handler.callable for known in self.templates.values() for step in known.steps}
        await made.serve(sorted(every) if handlers is None else handlers, queues)
        return made

    # Verbs that belong to no session ----------------------------------------------------------------------------------

    async def sweep(self) -> dict[str, Any]:
        """One sweep."""
        return await self.verbs.sweep(self.connection)

    async def forgive(self, losses: int) -> None:
        """A step that is lost more often than this becomes a suspect."""
        await self.connection.execute(f"set tasker.losses_forgiven = {losses}")

    async def sweep_all(self, *, rounds_max: int = 100) -> None:
        """Sweeps until there is no more to do; what a fresh lease postpones is not waited for."""
        for _ in range(rounds_max):
            if not (await self.sweep())["more"]:
                return
        raise AssertionError(f"there is more to sweep after {rounds_max} rounds")

    async def act(
        self,
        action: str,
        task_id: UUID,
        step: str | int | None = None,
        *,
        act_id: UUID | None = None,
        seen_state: str | None = None,
        seen_attempt: int | None = None,
        actor: str = "ada",
        reason: str | None = "the test asks for it",
        result: Any = None,
        connection: Any = None,
    ) -> dict[str, Any]:
        """An operator's action; the states after it."""
        return await self.verbs.act(
            connection or self.connection,
            act_id or uuid4(),
            action,
            task_id,
            number=await self.number(task_id, step) if isinstance(step, str) else step,
            seen_state=seen_state,
            seen_attempt=seen_attempt,
            actor=actor,
            reason=reason,
            result=None if result is None else json.dumps(result),
        )

    # Readers ----------------------------------------------------------------------------------------------------------

    async def number(self, task_id: UUID, step: str) -> int:
        """The number of a task's step."""
        query = """select s.number from tasker_engine.template_steps s join tasker_engine.tasks t using (template_id)
                   where t.task_id = $1 and s.name = $2"""
        return await self.connection.raw.fetchval(query, task_id, step)

    async def task(self, task_id: UUID) -> dict[str, Any]:
        """The row of a task."""
        row = await self.connection.raw.fetchrow("select * from tasker_engine.tasks where task_id = $1", task_id)
        assert row is not None, f"there is no task {task_id}"
        return dict(row)

    async def step(self, task_id: UUID, name: str) -> dict[str, Any]:
        """The row of a step; `result` and `error` are decoded."""
        number = await self.number(task_id, name)
        query = "select * from tasker_engine.steps where task_id = $1 and number = $2"
        row = dict(await self.connection.raw.fetchrow(query, task_id, number))
        return {**row, **{key: row[key] and json.loads(row[key]) for key in ("result", "error")}}

    async def state(self, task_id: UUID, step: str | None = None) -> str:
        """The state of a task, or of its step."""
        return (await (self.task(task_id) if step is None else self.step(task_id, step)))["state"]

    async def states(self, task_id: UUID) -> dict[str, str]:
        """The states of all steps of a task, by name."""
        query = """select ts.name, s.state::text from tasker_engine.steps s join tasker_engine.tasks t using (task_id)
                   join tasker_engine.template_steps ts on ts.template_id = t.template_id and ts.number = s.number
                   where s.task_id = $1 order by s.number"""
        return dict(await self.connection.raw.fetch(query, task_id))

    async def members(self, task_id: UUID, step: str) -> dict[str, str]:
        """The states of the members of a batch, by their ids in it."""
        query = """select i.batch_id, s.state::text from tasker_engine.steps s
                   join tasker_engine.batch_items i using (task_id, number)
                   where s.task_id = $1 and s.number >> 16 = $2 order by s.number"""
        return dict(await self.connection.raw.fetch(query, task_id, await self.number(task_id, step)))

    async def counters(self, task_id: UUID) -> tuple[int, int, int, int]:
        """The counters (open, live, due, failed) of a task."""
        task = await self.task(task_id)
        return task["open"], task["live"], task["due"], task["failed"]

    async def history(self, task_id: UUID, step: str | None = None) -> list[tuple[str | None, str]]:
        """The moves of a task, or of its step: (from, to)."""
        number = 0 if step is None else await self.number(task_id, step)
        query = """select from_state::text, to_state::text from tasker_engine.transitions
                   where task_id = $1 and number = $2 order by seq"""
        return [tuple(row) for row in await self.connection.raw.fetch(query, task_id, number)]

    async def due_in_s(self, task_id: UUID, step: str) -> float | None:
        """Seconds until a step is due; None where it waits for no time."""
        query = """select d.due_at from tasker_engine.due d join tasker_engine.steps s using (task_id, number, attempt)
                   where task_id = $1 and number = $2"""
        due_at = await self.value(query, task_id, await self.number(task_id, step))
        return None if due_at is None else (due_at - self.clock.now).total_seconds()

    async def count(self, table: str) -> int:
        """How many rows a table of the engine has."""
        return await self.connection.raw.fetchval(f"select count(*) from tasker_engine.{table}")

    async def value(self, query: str, *args: Any) -> Any:
        """One value of a query, without the pinned plans' settings in its way."""
        return await self.connection.raw.fetchval(query, *args)

    async def rows(self, query: str, *args: Any) -> list[dict[str, Any]]:
        """The rows of a query."""
        return [dict(row) for row in await self.connection.raw.fetch(query, *args)]
