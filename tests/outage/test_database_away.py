"""A database that is away for a while, or restarts under load."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from outage_support import FULL, Field, field, graph, seed

from tasker.embedded import PrivateServer

CHAIN = {"a": (), "b": ("a",), "c": ("b",)}
LEASE_S = 1.5


async def test_a_database_away_for_three_leases_costs_no_try(own_server: PrivateServer, tmp_path: Path):
    """After an outage of three leases every task completes, each step at its first try, no worker counted as lost."""
    async with field(own_server.dsn, tmp_path, processes=2) as (ground, _):
        await ground.submit(graph("chain", CHAIN), [{"seconds": 0.1}] * 200)
        await asyncio.to_thread(own_server.stop)
        await asyncio.sleep(3 * LEASE_S)  # the outage
        await asyncio.to_thread(own_server.restart)
        await ground.settled(within_s=60)
        await _assert_untouched(ground, 200)


async def test_restarts_under_load_lose_nothing(own_server: PrivateServer, tmp_path: Path):
    """PostgreSQL crashes or restarts five times under load: every task completes, and no step loses a try."""
    chance = random.Random(seed())
    tasks = 2000 if FULL else 400
    async with field(own_server.dsn, tmp_path, processes=2) as (ground, _):
        await ground.submit(graph("chain", CHAIN), [{"seconds": 0.05}] * tasks)
        for _ in range(5):
            await asyncio.sleep(chance.uniform(0.2, 0.6))  # the random moment is the test
            await asyncio.to_thread(chance.choice([own_server.crash, own_server.stop]))
            await asyncio.to_thread(own_server.restart)
        await ground.settled(within_s=90)
        await _assert_untouched(ground, tasks)


async def _assert_untouched(ground: Field, tasks: int) -> None:
    assert await ground.states() == {"complete": tasks}
    assert await ground.ask("select max(tries) from tasker_engine.steps") == 1
    assert await ground.ask("select count(*) from tasker_engine.sessions where is_loss") == 0
    ground.assert_sound()
