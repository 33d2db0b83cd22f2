"""A worker that is stopped for longer than its lease, and a supervisor that dies."""

from __future__ import annotations

import signal
from pathlib import Path

from outage_support import field, graph, kill
from support.until import until

CHAIN = {"a": (), "b": ("a",), "c": ("b",)}


async def test_a_stopped_workers_late_results_are_refused(database: str, tmp_path: Path):
    """What a worker reports after a stop longer than its lease is refused and counted; its steps ran elsewhere."""
    gate = tmp_path / "gate"
    async with field(database, tmp_path, processes=1) as (ground, _):
        await ground.submit(graph("chain", CHAIN), [{"gate": str(gate)}] * 3)
        await until(lambda: len(ground.deeds("start")) == 3, "the first steps run")
        [stopped] = await ground.pids()
        kill(stopped, signal.SIGSTOP)
        async with field(database, tmp_path, processes=1):
            # The three lost their worker, so they are suspects: they run one after the other, each alone.
            await until(lambda: len(ground.deeds("start")) > 3, "another worker runs the first", within_s=30)
            gate.touch()
            await ground.settled(within_s=30)
            kill(stopped, signal.SIGCONT)

            async def is_counted() -> bool:
                return await ground.ask("select coalesce(sum(stale_outcomes), 0) from tasker_engine.sessions") > 0

            await until(is_counted, "stale outcomes are counted", within_s=20)
        assert await ground.states() == {"complete": 3}
        ground.assert_sound()


async def test_a_supervisor_that_dies_leaves_nothing_behind(database: str, tmp_path: Path):
    """When the parent is killed its workers stop by themselves, and another fleet finishes the work."""
    async with field(database, tmp_path, processes=2) as (ground, workers):
        await ground.submit(graph("chain", CHAIN), [{"seconds": 0.05}] * 100)
        workers.kill()

        async def is_empty() -> bool:
            return not await ground.pids()

        await until(is_empty, "the orphaned workers stop", within_s=30)
        async with field(database, tmp_path, processes=1):
            await ground.settled(within_s=60)
        assert await ground.states() == {"complete": 100}
        ground.assert_sound()
