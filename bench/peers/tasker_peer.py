"""Tasker, as its users have it: `Tasker` as client, `Worker` processes, the settings' defaults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import uvloop
from graphs import graph
from stage import Crew, Handlers, Plan, run, say_ready

from tasker.app import Tasker
from tasker.handlers import discover, inputs, step_handler
from tasker.model.template import HandlerRef, RetryPolicy, Step, Template
from tasker.settings import Settings
from tasker.store.connection import connect
from tasker.worker.worker import Worker

NAMESPACE = "peers"


def template(shape: str) -> Template:
    """The graph; the leaves of a fan share a handler, as they would in a user's template."""
    retry = RetryPolicy(max_attempts=10, backoff="none", backoff_base_ms=0)
    steps = tuple(
        Step(name=name, handler=HandlerRef(callable=name.partition("_")[0]), dependencies=parents, retry=retry)
        for name, parents in graph(shape).items()
    )
    return Template(namespace=NAMESPACE, name=shape, version="1.0.0", steps=steps)


def handlers(plan: Plan) -> list[Callable[..., Any]]:
    """One handler for each name; it knows which step runs from its context."""
    body = Handlers(plan)
    numbers = {name: number for number, name in enumerate(graph(plan.shape))}

    def make(name: str) -> Callable[..., Any]:
        @step_handler(name)
        @inputs("n", "payload")
        async def handle(n: int, payload: str, context: Any) -> dict[str, Any]:
            return await body.run(n, numbers[context.step_name], payload)

        return handle

    return [make(name) for name in dict.fromkeys(name.partition("_")[0] for name in numbers)]


def settings(plan: Plan) -> Settings:
    """What the environment says."""
    return Settings(database_url=plan.dsn)  # pyright: ignore[reportCallIssue] - the rest has defaults


class TaskerPeer:
    """A client, and the worker inside it or in processes of their own."""

    WINDOW = 2000

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.crew = Crew(plan)
        self._inputs = Handlers(plan).inputs
        own = handlers(plan) if plan.workers == 0 else ()
        self._tasker = Tasker(
            plan.dsn,
            templates=[template(plan.shape)],
            handlers=own,
            settings=settings(plan),
            worker=bool(own) and plan.scene != "submit",
        )

    async def open(self) -> None:
        """Migrates, publishes the template, and starts the workers."""
        await self._tasker.start()
        self._reader = await connect(self._plan.dsn, pinned=False)
        await self.crew.start()

    async def submit(self, numbers: Sequence[int]) -> Sequence[UUID]:
        """`submit` for one, `submit_many` for more."""
        contexts = [self._inputs(number) for number in numbers]
        if len(contexts) == 1:
            task = await self._tasker.submit(self._plan.shape, namespace=NAMESPACE, context=contexts[0])
            return [task.task_uuid]
        made = await self._tasker.submit_many(self._plan.shape, contexts, namespace=NAMESPACE)
        return [task.task_uuid for task in made]

    async def wait(self, handle: UUID) -> None:
        """`Tasker.wait`."""
        task = await self._tasker.wait(handle, timeout=60)
        if task.status != "complete":
            raise RuntimeError(f"a task ended as {task.status}")

    async def finished(self) -> int:
        """What lies in the table of tasks as complete."""
        if self._reader.is_closed():
            self._reader = await connect(self._plan.dsn, pinned=False)
        count = "select count(*) from tasker_engine.tasks where state = 'complete'"
        return int(await self._reader.fetchval(count))

    async def close(self) -> None:
        """The workers first."""
        await self.crew.stop()
        await self._tasker.stop()


def work(plan: Plan) -> None:
    """A worker process."""

    async def serve() -> None:
        worker = Worker(plan.dsn, settings(plan), discover(handlers(plan)), name=f"peers {plan.worker}")
        await worker.start()
        say_ready()
        await asyncio.Event().wait()

    uvloop.run(serve())


if __name__ == "__main__":
    run(TaskerPeer, work)
