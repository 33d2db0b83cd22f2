"""One run of one row: its scene, its random numbers, its load, and its judgement."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from support.until import until

from chaos import workload
from chaos.checker import check, check_tables, is_ill
from chaos.evidence import Evidence, Row, read_leaks, read_tables
from chaos.nemesis import Nemesis
from chaos.report import Report
from chaos.scene import Scene, Stage
from chaos.watch import Watch
from chaos.wires import Wire
from tasker.model.template import Template

BATCH_MAX = 50
BACKLOG_MAX = 300
"""Steps that may lie ready before more tasks are created: the faults are to strike work, not a queue."""
_LOOK_S = 0.1
VIEWS = 2
LOST_SHARE_MAX = 0.01
_LOOK_MIDWAY_MAX = 3000
"""Tasks: up to so many the tables are checked in the middle of it all too."""


@dataclass(frozen=True)
class RowOf:
    """A row of the table: what `play` does, and how long it takes on two cores, at the least load and in full."""

    name: str
    title: str
    play: Callable[[Run], Awaitable[None]]
    least_s: float
    full_s: float


@dataclass
class Run:
    """A row at a scale, by a seed."""

    stage: Stage
    report: Report
    scale: float
    chance: random.Random
    fed: float = 0.0
    """The share of the row's tasks that have been created."""
    wires: list[Wire] = field(default_factory=list[Wire])
    """Lines of the row: what they still hold open when everybody has gone is theirs."""
    watch: Watch = field(init=False)
    evidence: Evidence = field(init=False)
    """What the last scene was judged by."""

    def sized(self, full: int, least: int) -> int:
        """A number of the full load, at this scale."""
        return min(full, max(least, round(full * self.scale)))

    def cannot(self, why: str) -> None:
        """The row needs what is not installed here: it says so, and in CI it fails, where nothing may be missing."""
        self.report.counts["not run"] = why
        if os.environ.get("CI") == "1":
            self.report.violations.append(f"I17: {why}")

    @asynccontextmanager
    async def scene(
        self, templates: Sequence[Template], *, tablespace: str = "pg_default", **environment: str
    ) -> AsyncIterator[Scene]:
        """A scene with these templates published; everybody is stopped in the end."""
        scene = await self.stage.scene(self.report.row, tablespace)
        scene.environment.update(environment)
        await scene.publish(templates)
        self.watch = Watch(scene)
        try:
            yield scene
        finally:
            self.watch.sampling.cancel()
            if scene.keeper is not None:
                scene.keeper.cancel()
            scene.kill()
            await scene.client.close()

    async def feed(self, scene: Scene, count: int, over_s: float, **more: Any) -> None:
        """Creates so many tasks of the templates, spread over a time, and never more than workers keep up with."""
        names = sorted(scene.templates)
        made = 0
        while made < count:
            began = time.monotonic()
            await self._backlog_is_small(scene)
            template = scene.templates[self.chance.choice(names)]
            some = range(made, min(count, made + BATCH_MAX, made + max(1, count // 20)))
            contexts = {f"{self.report.row}-{n}": {**workload.context(self.chance, template, n), **more} for n in some}
            await scene.client.create(template.name, contexts)
            made += len(some)
            self.fed = made / count
            await asyncio.sleep(max(0.0, over_s * len(some) / count - (time.monotonic() - began)))

    async def _backlog_is_small(self, scene: Scene) -> None:
        query = "select count(*) from tasker_engine.ready"
        while True:
            with suppress(psycopg.Error):
                if (await asyncio.to_thread(scene.ask, query))[0][0] < BACKLOG_MAX:
                    return
            await asyncio.sleep(_LOOK_S)

    async def ends(
        self, scene: Scene, nemesis: Nemesis | None, *, within_s: float = 900, x_max_s: float | None = None
    ) -> None:
        """The faults are over: all has to end, everybody leaves, and the evidence is judged."""
        if nemesis is not None:
            self.report.plan(nemesis.planned, nemesis.fired)
        await scene.is_up()
        if len(scene.client.asked) <= _LOOK_MIDWAY_MAX:
            self.report.violations += await asyncio.to_thread(check_tables, scene.dsn)
        await self.watch.all_ended(within_s=within_s)
        if nemesis is not None:
            took_s = self.report.to_terminal_s = time.monotonic() - nemesis.struck_at
            if x_max_s is not None and took_s > x_max_s:
                self.report.late.append(f"all had ended {took_s:.1f} s after the last fault, not {x_max_s:.0f}")
        await self.judge(scene)

    async def judge(self, scene: Scene) -> None:
        """Holds everything against the invariants."""
        views = await self._views(scene) if scene.of("server") else {}
        self.report.add({"deaths": dict(scene.deaths)})
        self.watch.sampling.cancel()
        await scene.stop()
        for wire in self.wires:
            wire.cut()
        self.wires.clear()
        leaks = await _leaks(scene)
        self.evidence = seen = Evidence(
            scene.dsn, await asyncio.to_thread(read_tables, scene.dsn), scene.ledger.entries()
        )
        seen.asked, seen.told, seen.wrong = scene.client.asked, scene.client.told, scene.client.wrong
        seen.samples, seen.views, seen.leaks = self.watch.samples, views, leaks
        self._count(seen, scene)
        self.report.violations += await asyncio.to_thread(check, seen)

    def _count(self, seen: Evidence, scene: Scene) -> None:
        lost = {task for (task, _), step in seen.steps.items() if _is_lost(step)}
        poison = {
            task for task, row in seen.inputs.items() if row["context"].get("deadly") or row["context"].get("greedy")
        }
        seen.outcasts = lost | poison
        states = [row["state"] for row in seen.tasks.values()]
        ill = {task for task, row in seen.inputs.items() if is_ill(row["context"])}
        if len(lost - poison) > max(1, LOST_SHARE_MAX * len(states)):
            self.report.violations.append(f"I1: {len(lost - poison)} tasks lost their workers once too often")
        stale = scene.ask("select coalesce(sum(stale_outcomes), 0)::int from tasker_engine.sessions")[0][0]
        found: dict[str, Any] = {
            "tasks": len(states),
            "complete": states.count("complete"),
            "meant_to_fail": sum(seen.tasks[task]["state"] == "error" for task in ill | poison),
            "lost_for_good": len(lost - poison),
            "steps": len(seen.steps),
            "attempts": sum(step["attempt"] for step in seen.steps.values()),
            "acknowledged": sum(len(tasks) for tasks in seen.told.values()),
            "stale_refused": stale,
            "samples": len(seen.samples),
            "views": len(seen.views),
            "answers": dict(scene.client.statuses),
        }
        self.report.add(found)

    async def _views(self, scene: Scene) -> dict[str, dict[str, Row]]:
        tasks = [task for told in scene.client.told.values() for task in told]
        some = self.chance.sample(tasks, min(VIEWS, len(tasks)))
        return {
            task: {"REST": _plain(await scene.client.view(task)), "CLI": await _cli_view(scene, task)} for task in some
        }


def _is_lost(step: Row) -> bool:
    return step["state"] == "error" and (step["error"] or {}).get("error_type") == "worker_lost"


def _plain(view: Row) -> Row:
    """The state of the task and of its steps by name, as a face says them."""
    steps = {one["name"]: one.get("current_state") or one["state"] for one in view["steps"]}
    gone = {name for name, state in steps.items() if state == "not_taken"}
    gone |= {one["name"] for one in view["steps"] if one.get("is_not_taken")}
    return {"status": view["status"], "steps": {name: steps[name] for name in steps.keys() - gone}}


async def _cli_view(scene: Scene, task: str) -> Row:
    command = [sys.executable, "-m", "tasker", "task", "get", task, "--json"]
    environment = {**os.environ, "TASKER_DATABASE_URL": scene.dsn}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=STDOUT)
    said, _ = await process.communicate()
    assert process.returncode == 0, f"`tasker task get` failed: {said.decode()}"
    return _plain(json.loads(said))


async def _leaks(scene: Scene) -> dict[str, list[Row]]:
    """What is left once the server has had time to see that everybody has gone."""
    left: dict[str, list[Row]] = {}

    async def is_clean() -> bool:
        nonlocal left
        left = await asyncio.to_thread(read_leaks, scene.dsn)
        return not any(left.values())

    try:
        await until(is_clean, "nothing is left", within_s=10)
    except AssertionError:
        return left
    return {}
