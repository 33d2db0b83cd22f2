"""How many rows a verb reads, counted by the server: what a plan costs, without a clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

_COUNTS = """
  select c.relname,
    pg_stat_get_xact_tuples_returned(c.oid) as returned, pg_stat_get_xact_tuples_fetched(c.oid) as fetched
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'tasker_engine' and c.relkind in ('r', 'i')"""


class Cost(Counter[str]):
    """Rows and index entries read, by table or index. Rows that are dead, but may not be removed yet, count too."""


@asynccontextmanager
async def cost_of(connection: Any) -> AsyncGenerator[Cost, None]:
    """Counts what is read on the connection meanwhile, in one transaction."""
    cost = Cost()
    async with connection.transaction():
        before = await _counts(connection)
        yield cost
        after = await _counts(connection)
    cost.update(after)
    cost.subtract(before)
    for name in [name for name, count in cost.items() if not count]:
        del cost[name]


async def _counts(connection: Any) -> dict[str, int]:
    rows = await connection.raw.fetch(_COUNTS)
    return {row["relname"]: row["returned"] + row["fetched"] for row in rows}
