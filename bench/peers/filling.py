"""S9: tables that hold a million finished tasks, as they would after weeks of work.

Running a million tasks takes each peer minutes to hours. So one that has just run is copied: every row that it left
behind, as often as asked, with ids of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasker.model.errors import TaskerError
from tasker.store.connection import Connection, connect
from tasker.store.errors import DatabaseError


@dataclass(frozen=True)
class Left:
    """What one task leaves in a table: rows `t` that fit `where`. Their copy number g has other ids: columns of the
    type uuid by themselves, others as `own` says. Columns without a name here are copied as they are."""

    table: str
    where: str
    own: Mapping[str, str] = field(default_factory=dict[str, str])


def _tasker() -> Sequence[Left]:
    tables = ("tasks", "inputs", "steps", "transitions")
    return [Left(f"tasker_engine.{name}", "t.task_id = {one}::uuid") for name in tables]


_TEXT = {"workflow_uuid": "t.workflow_uuid || '-' || g"}
_FIRST_JOBS = "(select id from public.procrastinate_jobs where id > 0 and args ->> 'number' = {one})"
LEFT: Mapping[str, Sequence[Left]] = {
    "tasker_peer.py": _tasker(),
    "dbos_peer.py": [
        Left(f"dbos.{name}", "t.workflow_uuid = {one}", _TEXT) for name in ("workflow_status", "operation_outputs")
    ],
    "procrastinate_peer.py": [
        Left("public.procrastinate_jobs", f"t.id in {_FIRST_JOBS}", {"id": "-(g::bigint * 1000 + t.id)"}),
        Left(
            "public.procrastinate_events",
            f"t.job_id in {_FIRST_JOBS}",
            {"id": "nextval('public.procrastinate_events_id_seq')", "job_id": "-(g::bigint * 1000 + t.job_id)"},
        ),
    ],
    "absurd_peer.py": [Left(f"absurd.{name}_peers", "t.task_id = {one}::uuid") for name in ("t", "r", "c")],
    "celery_peer.py": [
        Left(
            "public.celery_taskmeta",
            "t.id in (select id from public.celery_taskmeta order by id limit {steps})",
            {"id": "nextval('public.task_id_sequence')", "task_id": "t.task_id || '-' || g"},
        )
    ],
}
"""By program; peers that keep nothing in PostgreSQL cannot be filled so. `{one}` is the id of the task that is copied,
`{steps}` how many steps it has."""

_ONE: Mapping[str, str] = {
    "tasker_peer.py": "select task_id::text from tasker_engine.tasks limit 1",
    "dbos_peer.py": "select 'task-0'",
    "procrastinate_peer.py": "select '0'",
    "absurd_peer.py": "select task_id::text from absurd.t_peers limit 1",
    "celery_peer.py": "select ''",
}

_COLUMNS = """
select attname, format_type(atttypid, null) from pg_attribute
where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum
"""


async def fill(dsn: str, program: str, copies: int, steps: int) -> None:
    """Copies what a task of so many steps left, and leaves the tables as a vacuum leaves them. TaskerError where the
    tables are others than were expected."""
    connection = await connect(dsn, pinned=False)
    try:
        await connection.execute("set session_replication_role = replica")  # no triggers: nobody is to hear of them
        one = await connection.fetchval(_ONE[program])
        for left in LEFT[program]:
            await _copy(
                connection, left, copies, left.where.replace("{one}", f"'{one}'").replace("{steps}", str(steps))
            )
            await connection.execute(f"vacuum (analyze) {left.table}")
        await connection.execute("checkpoint")
    except DatabaseError as error:
        raise TaskerError(f"the tables could not be filled: {error}") from error
    finally:
        await connection.close()


async def _copy(connection: Connection, left: Left, copies: int, where: str) -> None:
    columns = {row[0]: row[1] for row in await connection.fetch(_COLUMNS, left.table)}
    values = [left.own.get(name) or _value(name, kind) for name, kind in columns.items()]
    names = ", ".join(f'"{name}"' for name in columns)
    done = await connection.execute(
        f"insert into {left.table} ({names}) overriding system value "  # noqa: S608 - our own words
        f"select {', '.join(values)} from {left.table} t cross join generate_series(1, {copies}) g where {where}"
    )
    if int(done.rpartition(" ")[2]) < copies:
        raise TaskerError(f"{left.table} was to be filled with {copies} tasks, and the database says: {done}")


def _value(name: str, kind: str) -> str:
    if kind != "uuid":
        return f't."{name}"'
    return f"""overlay(t."{name}"::text placing lpad(to_hex(g), 12, '0') from 25)::uuid"""
