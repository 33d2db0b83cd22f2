"""Rows in which messages are lost, and their broker with them: C11, C12."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from support.rabbit import RabbitServer
from support.until import until

from chaos import workload
from chaos.inside import DEAF
from chaos.nemesis import Nemesis
from chaos.run import RowOf, Run
from chaos.scene import Scene

_QUEUES = "select queue_name from pgmq.meta"
_LATE_S = 10.0


class Meddler:
    """Takes messages out of the queues of PGMQ, and loses, doubles, delays and reorders them."""

    def __init__(self, scene: Scene, chance: random.Random, *, loses: float = 0.3, doubles: float = 0.3) -> None:
        self._scene, self._chance = scene, chance
        self._loses, self._doubles = loses, doubles
        self._late: list[tuple[float, str, Any]] = []
        self.did: Counter[str] = Counter()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            with suppress(psycopg.Error):
                await asyncio.to_thread(self._once)
            await asyncio.sleep(0.02)

    def _once(self) -> None:
        with psycopg.connect(self._scene.dsn, autocommit=True) as connection:
            taken: list[tuple[str, Any]] = []
            for (queue,) in connection.execute(_QUEUES).fetchall():
                rows = connection.execute("select message::text from pgmq.pop(%s, 20)", [queue]).fetchall()
                taken += [(queue, row[0]) for row in rows]
            self._chance.shuffle(taken)
            for queue, message in taken:
                self._spoil(queue, message)
            now = time.monotonic()
            due = [one for one in self._late if one[0] <= now]
            self._late = [one for one in self._late if one[0] > now]
            for _, queue, message in due:
                connection.execute("select pgmq.send(%s, %s::jsonb)", [queue, message])

    def _spoil(self, queue: str, message: Any) -> None:
        what = self._chance.random()
        if what < self._loses:
            self.did["lost"] += 1
            return
        copies = 2 if what < self._loses + self._doubles else 1
        self.did["doubled" if copies == 2 else "late"] += 1
        for _ in range(copies):
            self._late.append((time.monotonic() + self._chance.uniform(0, _LATE_S / 4), queue, message))


async def _lost_messages(run: Run) -> None:
    """C11: messages are lost, doubled, late, in another order; then all of them are lost, and nobody hears NOTIFY."""
    tasks = run.sized(5_000, 120) // 2
    for parts in ({"lost": 0.3, "doubled": 0.3, "late": 0.4}, {"lost": 1.0}):
        is_deaf = parts == {"lost": 1.0}
        async with run.scene([workload.chain("chain", 3)], TASKER_TRANSPORT="pgmq") as scene:
            scene.environment |= {DEAF: "1"} if is_deaf else {}
            scene.serve()
            for _ in range(3):
                scene.worker()
            await scene.is_ready(3)
            meddler = Meddler(scene, run.chance, loses=parts["lost"], doubles=parts.get("doubled", 0.0))
            meddling = asyncio.create_task(meddler.run())
            await run.feed(scene, tasks, max(4.0, tasks / 100), may_fail=False)
            await run.watch.all_ended(within_s=600)
            meddling.cancel()
            await asyncio.gather(meddling, return_exceptions=True)
            planned = Counter({f"{what} of {'all' if is_deaf else 'some'}": 1 for what in parts})
            fired = Counter({f"{what} of {'all' if is_deaf else 'some'}": meddler.did[what] for what in parts})
            run.report.plan(planned, fired)
            await run.ends(scene, None)


async def _broker(run: Run) -> None:
    """C12: RabbitMQ is killed and started again, while work goes on; polling takes over."""
    kills, tasks = run.sized(30, 1), run.sized(2_000, 60)
    try:
        rabbit = RabbitServer()
    except pytest.skip.Exception as missing:
        run.cannot(str(missing))
        return
    try:
        await asyncio.to_thread(rabbit.start)
        url = {"TASKER_TRANSPORT": "rabbitmq", "TASKER_RABBITMQ_URL": rabbit.url.get_secret_value()}
        async with run.scene([workload.chain("chain", 3)], **url) as scene:
            scene.serve()
            for _ in range(3):
                scene.worker()
            await scene.is_ready(3)
            began = time.time()
            nemesis = Nemesis(scene, run.chance)

            async def kill_broker() -> bool:
                await asyncio.to_thread(rabbit.kill)
                await asyncio.sleep(run.chance.uniform(0.5, 3))
                await asyncio.to_thread(rabbit.start)
                return True

            feeding = asyncio.create_task(run.feed(scene, tasks, kills * 12))
            await until(lambda: rabbit.is_flushed(began), "the broker has written down its queues")
            await nemesis.strike({"kill broker": kill_broker}, kills, every_s=(1, 3))
            await feeding
            await run.ends(scene, nemesis)
    finally:
        await asyncio.to_thread(rabbit.remove)


ROWS = [
    RowOf("C11", "messages lost, doubled, late, reordered; then all lost", _lost_messages, least_s=38, full_s=110),
    RowOf("C12", "RabbitMQ is killed 30 times", _broker, least_s=65, full_s=545),
]
