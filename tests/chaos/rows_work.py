"""Rows about the work itself: C3 (named crash points), C13 (poison)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from chaos import workload
from chaos.inside import CRASH, PHASES
from chaos.run import RowOf, Run
from chaos.scene import Process, Scene

_CALLS = ("open_session", "serve", "claim", "report", "beat", "sweep", "load", "checkpoint", "read_checkpoints")
_REMOTE_CALLS = ("open_session", "claim", "report", "beat", "load", "checkpoint")
_PLACES = ("handler.start", "handler.end", "handler.fail")
_AT_ONCE = 4
_TIMES = 25
_DIES_WITHIN_S = 40.0
POINTS = [
    *(f"{verb}.{phase}" for verb in _CALLS for phase in PHASES),
    *_PLACES,
    *(f"through a server: {verb}.{phase}" for verb in _REMOTE_CALLS for phase in PHASES),
]
"""Before and after each commit that a worker's life is made of, on both ways; and around what handlers do."""


async def _points(run: Run) -> None:
    """C3: a worker dies at each named point, before the commit, after it, and after its reply, again and again.

    Where there are fewer deaths than points, chance says which of them have their turn.
    """
    deaths = run.sized(_TIMES * len(POINTS), _AT_ONCE * 2)
    orders = run.chance.sample(POINTS, len(POINTS)) * _TIMES
    del orders[deaths:]
    run.chance.shuffle(orders)
    large = workload.chain("large", 2, "chaos_thread")
    async with run.scene([workload.fan("diamond", 2), workload.fan("wide", 50), large]) as scene:
        server = scene.serve()
        scene.worker()
        await scene.is_ready(1)
        made = 0
        left = list(orders)
        running: dict[str, asyncio.Task[bool]] = {}
        fired: Counter[str] = Counter()
        while left or running:
            while left and len(running) < _AT_ONCE:
                point = left.pop()
                running[f"{point} {len(left)}"] = asyncio.create_task(
                    _dies_at(scene, point, server, run.chance.randint)
                )
            contexts = {f"C3-{made + n}": _context(made + n, run) for n in range(3)}
            await scene.client.create(run.chance.choice(("diamond", "wide", "large")), contexts)
            made += 3
            await asyncio.wait(running.values(), timeout=0.15, return_when=asyncio.FIRST_COMPLETED)
            for order in [order for order, task in running.items() if task.done()]:
                fired[order.rpartition(" ")[0]] += running.pop(order).result()
        run.report.plan(
            *(Counter({f"kill at {point}": n for point, n in one.items()}) for one in (Counter(orders), fired))
        )
        await run.ends(scene, None)
        run.report.counts["points"] = f"{len(+fired)} of {len(POINTS)}"


def _context(n: int, run: Run) -> dict[str, object]:
    large = {"texts": ["x" * 40_000] * 2} if n % 3 == 0 else {}
    return {"n": n, "pause_s": 0.02, "may_fail": True, **large}


async def _dies_at(scene: Scene, point: str, server: Process, between: Callable[[int, int], int]) -> bool:
    """Starts a worker that dies at the point. False: it lived on for too long, and is ended."""
    is_remote = point.startswith("through")
    where = point.rpartition(" ")[2]
    count = 1 if where.startswith(("open_session", "serve", "read_checkpoints")) else between(1, 3)
    environment = {CRASH: f"{where}.{count}"}
    one = scene.worker(url=server.url, **environment) if is_remote else scene.worker(**environment)
    one.is_expected = False
    waited_s = 0.0
    while one.is_alive and waited_s < _DIES_WITHIN_S:
        await asyncio.sleep(0.1)
        waited_s += 0.1
    has_died = not one.is_alive
    one.signal(9)
    scene.processes.remove(one)
    scene.deaths["worker"] += 1
    return has_died


async def _poison(run: Run) -> None:
    """C13: steps that kill their worker, that run out of memory, and that always fail, among good ones."""
    each, good = run.sized(50, 2), run.sized(2_000, 60)
    async with run.scene([workload.chain("flow", 2)]) as scene:
        scene.serve()
        for _ in range(4):
            scene.worker()
        await scene.is_ready(4)
        scene.keep_up()
        kinds = ["deadly", "greedy", "doomed"] * each + [""] * good
        run.chance.shuffle(kinds)
        for at in range(0, len(kinds), 50):
            some = dict(enumerate(kinds[at : at + 50], at))
            contexts = {
                f"C13-{n}": {"n": n, "pause_s": 0.05, **({kind: 2} if kind else {})} for n, kind in some.items()
            }
            await scene.client.create("flow", contexts)
        planned = Counter(dict.fromkeys(("deadly", "greedy", "doomed"), each))
        await run.watch.all_ended(within_s=1800)
        ended = "select count(*) from tasker_engine.tasks t join tasker_engine.inputs i using (task_id)"
        fired = {kind: scene.ask(f"{ended} where t.state = 'error' and i.context ? %s", kind)[0][0] for kind in planned}
        run.report.plan(planned, Counter(fired))
        await run.ends(scene, None)
        _judge_poison(run, scene, each, good)


def _judge_poison(run: Run, scene: Scene, each: int, good: int) -> None:
    """As many entries as poison steps, all good tasks complete; at most five workers for each step that kills: two
    beside others, for which nobody is blamed, and three alone."""
    entries = scene.ask("select count(*) from tasker_engine.dlq")[0][0]
    if entries != 3 * each:
        run.report.violations.append(f"I12: {entries} entries in the dead letter queue for {3 * each} poison steps")
    if run.report.counts["complete"] != good:
        run.report.violations.append(f"I1: {run.report.counts['complete']} of {good} good tasks are complete")
    worst = scene.ask("select coalesce(max(losses), 0) from tasker_engine.steps")[0][0]
    deaths = scene.deaths["worker"] / (2 * each)
    run.report.counts |= {"entries": entries, "deaths_per_killer": round(deaths, 2)}
    if worst > 3 or deaths > 5:
        run.report.violations.append(
            f"I7: a step took {worst} workers while alone; {deaths:.1f} deaths for each killer"
        )


ROWS = [
    RowOf("C3", "a death at each named point", _points, least_s=40, full_s=3000),
    RowOf("C13", "50 steps that kill, 50 that run out of memory, 50 that always fail", _poison, least_s=25, full_s=260),
]
