"""A database as users have it: no verb may name the time there, not even one verb to another."""

from __future__ import annotations

from uuid import uuid4

from tasker.store.connection import connect
from tasker.store.migrate import migrate
from tasker.store.verbs import Verbs


async def test_a_silent_session_is_ended_where_no_time_can_be_given(empty_database: str) -> None:
    """Outside of tests, too, the sweep ends a session that was silent for longer than its lease, as lost."""
    connection, verbs = await connect(empty_database), Verbs()
    try:
        await migrate(connection, "tasker_engine")
        await connection.execute("set tasker.test_clock = off")
        session = await verbs.open_session(connection, uuid4(), "w", "h", 1, 60)
        assert (await verbs.sweep(connection))["fresh_leases"]
        await connection.execute("update tasker_engine.sessions set beat_at = now() - interval '1 hour'")
        await verbs.sweep(connection)
        query = "select is_loss from tasker_engine.sessions where session_id = $1 and ended_at is not null"
        assert await connection.fetchval(query, session) is True
    finally:
        await connection.close()
