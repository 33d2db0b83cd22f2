"""A worker deletes what ended long ago, beside its work."""

from __future__ import annotations

from support.until import until
from worker_support import Sql, Start


async def _nothing() -> None:
    return None


async def test_a_worker_deletes_what_ended_long_ago(start: Start, sql: Sql) -> None:
    """The database says how long tasks are kept; any worker sees to it, and goes on working."""
    database = await sql.value("select current_database()")
    await sql.run(f'alter database "{database}" set tasker.retention_s = 0.001')
    tasker = await start("a -> b", dict.fromkeys("ab", _nothing), sweep_s=0.02)
    for _ in range(3):
        await tasker.submit("flow", namespace="tests")

    async def are_gone() -> bool:
        return await sql.value("select count(*) = 0 from tasker_engine.tasks") and await sql.value(
            "select count(*) = 0 from tasker_engine.transitions"
        )

    await until(are_gone, "the tasks have ended and are deleted")
