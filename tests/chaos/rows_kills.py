"""Rows in which processes are killed or stopped: C1, C2, C4."""

from __future__ import annotations

import asyncio

from chaos import workload
from chaos.nemesis import Nemesis
from chaos.run import RowOf, Run

_C2_PAUSE_S = (0.5, 2.0)


async def _kill_workers(run: Run) -> None:
    """C1: kill -9 of workers under a chain of five steps."""
    kills, tasks = run.sized(20, 4), run.sized(500, 60)
    async with run.scene([workload.chain("chain", 5), workload.chain("threads", 5, "chaos_thread")]) as scene:
        scene.serve()
        for _ in range(3):
            scene.worker()
        await scene.is_ready(3)
        scene.keep_up()
        nemesis = Nemesis(scene, run.chance)
        pauses = (0.3, 1.2)
        feeding = asyncio.create_task(run.feed(scene, tasks, kills * sum(pauses) / 2))
        await nemesis.strike({"kill worker": nemesis.kill("worker")}, kills, every_s=pauses, share=lambda: run.fed)
        await feeding
        await run.ends(scene, nemesis, x_max_s=15)


async def _kill_everybody(run: Run) -> None:
    """C2: kill -9 of workers, of both kinds, and of servers, under random work."""
    kills, tasks = run.sized(200, 6), run.sized(10_000, 120)
    async with run.scene(workload.random_templates(run.chance, 16)) as scene:
        servers = [scene.serve(), scene.serve()]
        for _ in range(2):
            scene.worker()
        scene.worker(url=servers[0].url)
        await scene.is_ready(3)
        scene.keep_up()
        nemesis = Nemesis(scene, run.chance)
        feeding = asyncio.create_task(run.feed(scene, tasks, kills * sum(_C2_PAUSE_S) / 2))
        faults = {"kill worker": nemesis.kill("worker"), "kill server": nemesis.kill("server")}
        await nemesis.strike(faults, kills, every_s=_C2_PAUSE_S, share=lambda: run.fed)
        await feeding
        await run.ends(scene, nemesis, x_max_s=30)


async def _stop_workers(run: Run) -> None:
    """C4: SIGSTOP of a worker for longer than its lease; what it brings when it wakes is refused."""
    stops, tasks = run.sized(300, 4), run.sized(2_000, 60)
    lease_s, at_once = 1.0, 4
    times = {"TASKER_LEASE_S": str(lease_s), "TASKER_BEAT_S": "0.3", "TASKER_SWEEP_S": "0.3"}
    async with run.scene([workload.chain("slow", 2)], **times) as scene:
        scene.serve()
        for _ in range(at_once + 2):
            scene.worker()
        await scene.is_ready(at_once + 2)
        scene.keep_up()
        nemesis = Nemesis(scene, run.chance)
        fault = nemesis.freeze_busy(1.5 * lease_s, 5 * lease_s)
        over_s = stops / at_once * 4.5 * lease_s
        feeding = asyncio.create_task(run.feed(scene, tasks, over_s, first_s=0.5))
        shares = [stops // at_once + (n < stops % at_once) for n in range(at_once)]
        await asyncio.gather(*(nemesis.strike({"stop worker": fault}, n, every_s=(0.5, 1.5)) for n in shares))
        await feeding
        await run.ends(scene, nemesis)
        if not run.report.counts["stale_refused"]:
            run.report.violations.append("I17: no late result came, so none was refused")


ROWS = [
    RowOf("C1", "20 kill -9 of workers", _kill_workers, least_s=13, full_s=40),
    RowOf("C2", "200 kill -9 of workers, gateway workers and servers", _kill_everybody, least_s=25, full_s=640),
    RowOf("C4", "workers stopped beyond their lease, 300 times", _stop_workers, least_s=15, full_s=355),
]
