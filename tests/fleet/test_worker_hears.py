"""Workers that an operator pauses, resumes and drains while they run a step: direct ones, and those of a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import pytest
from support.serving import served
from support.templates import template
from support.until import until

from tasker import Tasker, step_handler
from tasker.model.fleet import WorkerAction
from tasker.remote.worker import RemoteWorker
from tasker.settings import Settings
from tasker.store.connection import connect
from tasker.store.fleet import Fleet

SHORT = {"beat_s": 0.1, "sweep_s": 0.2, "poll_s": 0.05, "concurrency": 1, "drain_s": 60}
WITHIN_S = 30


class Scene:
    """A worker with one slot, a step that runs in it until it is let go, and two tasks that wait."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.begun, self.let_go = asyncio.Event(), asyncio.Event()
        self.worker: Tasker | RemoteWorker
        self.client: Tasker
        self.tasks: list[UUID] = []

    async def act(self, action: WorkerAction) -> None:
        """What an operator elsewhere does to the only worker."""
        fleet, connection = Fleet(), await connect(self.database)
        try:
            (one,) = await fleet.workers(connection)
            await fleet.act_on_worker(connection, uuid4(), action, one.session_uuid, actor="ada")
        finally:
            await connection.close()

    async def states(self) -> list[str]:
        """Of the tasks, in their order."""
        return [(await self.client.get(task)).status for task in self.tasks]


@pytest.fixture(params=["direct", "gateway"])
async def scene(database: str, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """The step of the first task runs."""
    made, settings = Scene(database), Settings(**SHORT)

    @step_handler("hold")
    async def hold() -> None:
        made.begun.set()
        await made.let_go.wait()

    async with AsyncExitStack() as stack:
        made.client = await stack.enter_async_context(Tasker(database, worker=False))
        await made.client.publish(template("hold"))
        if request.param == "direct":
            made.worker = Tasker(database, handlers=[hold], settings=settings)
        else:
            app = stack.enter_context(served(lambda: Tasker(database, worker=False, settings=settings).asgi()))
            made.worker = RemoteWorker(app.url, handlers=[hold], settings=settings)
        await stack.enter_async_context(made.worker)
        made.tasks = [(await made.client.submit("flow", namespace="tests")).task_uuid for _ in range(3)]
        async with asyncio.timeout(WITHIN_S):
            await made.begun.wait()
        yield made
        made.let_go.set()


async def test_a_paused_worker_goes_on_when_it_is_resumed(scene: Scene) -> None:
    """It finishes the step that runs, takes no other, keeps its session, and works again."""
    await scene.act("pause")
    scene.let_go.set()
    await until(lambda: _is_first_done(scene), within_s=WITHIN_S)
    assert await scene.states() == ["complete", "pending", "pending"]
    await scene.act("resume")
    for task in scene.tasks:
        assert (await scene.client.wait(task, timeout=WITHIN_S)).status == "complete"


async def test_a_drained_worker_finishes_and_ends(scene: Scene) -> None:
    """It finishes the step that runs, takes no other, ends its session in order, and its process is told."""
    await scene.act("drain")
    scene.let_go.set()
    async with asyncio.timeout(WITHIN_S):
        await scene.worker.drained()
    assert await scene.states() == ["complete", "pending", "pending"]
    connection = await connect(scene.database)
    (ended,) = await Fleet().workers(connection, ended_within_s=3600)
    await connection.close()
    assert (ended.state, ended.end_reason, ended.is_loss, ended.held) == ("ended", "drained", False, 0)


async def _is_first_done(scene: Scene) -> bool:
    return (await scene.states())[0] == "complete"
