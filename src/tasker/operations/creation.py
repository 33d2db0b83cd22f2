"""What every way of creating tasks is held to."""

from __future__ import annotations

from tasker.operations.registry import Access
from tasker.store.sweeps import count_ready


async def check_limits(access: Access, namespace: str, count: int) -> None:
    """Takes so many creations from the caller's quotas. Raises Backpressure or QuotaExceeded."""
    engine, limits = access.engine, access.engine.limits
    if count_max := limits.backlog_to_count:
        schema = engine.settings.schema_name
        limits.know_backlog(await engine.ask(lambda connection: count_ready(connection, count_max, schema)))
    limits.check_create(access.quota_key, namespace, count)
