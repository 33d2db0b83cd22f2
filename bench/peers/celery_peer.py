# pyright: basic, reportMissingImports=false
"""Celery: chains, and chords where steps run beside each other. Acknowledged late, persistent messages, confirmed.

With RabbitMQ as broker, results lie in PostgreSQL, without which there are no chords; with Redis they lie there. Each
worker process runs one task at a time (pool `solo`), and keeps its connection to PostgreSQL as one of the default pool
does: left to itself, `solo` opens a new one for each result. A task as a whole is stored nowhere: it is complete when
all of its steps have results.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from celery import Celery, chain, group, signals
from celery.backends import database
from celery.backends.database.session import SessionManager
from graphs import graph, levels
from stage import Crew, Handlers, PassingFailure, Plan, run, say_ready

_LOOK_S = 0.01


class Keeping(SessionManager):
    """Keeps its connections, as after a fork."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._after_fork()


database.SessionManager = Keeping


def application(plan: Plan) -> tuple[Celery, Any]:
    """The application with its one task; the queue is named after the database, which nobody else has."""
    name = plan.dsn.partition("?")[0].rpartition("/")[2]
    is_rabbit = plan.options["broker"] == "rabbitmq"
    url = plan.options[plan.options["broker"]]
    backend = "db+" + plan.dsn.replace("postgresql://", "postgresql+psycopg://", 1) if is_rabbit else url
    app = Celery("peers", broker=url, backend=backend)
    app.conf.update(
        task_default_queue=name,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        result_extended=True,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"confirm_publish": True} if is_rabbit else {"global_keyprefix": name},
        result_backend_transport_options={} if is_rabbit else {"global_keyprefix": name},
    )
    body = Handlers(plan)

    @app.task(bind=True, name="step", max_retries=10)
    def step(self: Any, before: Any, number: int, place: int) -> dict[str, Any]:
        last = before[0] if isinstance(before, list) else before
        try:
            return body.run_plain(number, place, last["payload"])
        except PassingFailure as error:
            raise self.retry(exc=error, countdown=0) from error

    return app, step


class CeleryPeer:
    """Sends chains."""

    WINDOW = 200

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._inputs = Handlers(plan).inputs
        self._steps = len(graph(plan.shape))
        is_idle = plan.scene == "submit"
        self.crew = Crew(Plan(**{**vars(plan), "workers": 0 if is_idle else max(1, plan.workers)}))
        self._app, self._step = application(plan)
        self._kept: dict[int, str] = {}

    async def open(self) -> None:
        """The workers; the tables of results make themselves."""
        await self.crew.start()

    async def submit(self, numbers: Sequence[int]) -> Sequence[Any]:
        """There is no call for many."""
        return await asyncio.to_thread(lambda: [self._submit(number) for number in numbers])

    def _submit(self, number: int) -> Any:
        places = {name: place for place, name in enumerate(graph(self._plan.shape))}
        parts: list[Any] = []
        for level in levels(self._plan.shape):
            signatures = [self._step.s(number, places[name]) for name in level]
            parts.append(signatures[0] if len(level) == 1 else group(signatures))
        parts[0] = self._step.s(self._inputs(number), number, 0)
        sent = (chain(*parts) if len(parts) > 1 else parts[0]).apply_async()
        self._kept[number] = sent.id
        return sent

    async def wait(self, handle: Any) -> None:
        """The result of the last step."""
        await asyncio.to_thread(lambda: handle.get(timeout=60, interval=_LOOK_S))

    async def finished(self) -> int:
        """Tasks whose last step has a result."""
        return await asyncio.to_thread(self._finished)

    def _finished(self) -> int:
        if self._plan.options["broker"] == "redis":
            backend: Any = self._app.backend
            kept = [backend.get_key_for_task(one) for one in self._kept.values()]
            return sum(1 for one in backend.mget(kept) if one is not None) if kept else 0
        from sqlalchemy import text

        asked = "select count(*) / :steps from celery_taskmeta where status = 'SUCCESS' and name = 'step'"
        session = self._app.backend.ResultSession()
        try:
            return int(session.execute(text(asked), {"steps": self._steps}).scalar())
        finally:
            session.close()

    async def close(self) -> None:
        """The workers."""
        await self.crew.stop()


def work(plan: Plan) -> None:
    """A worker process."""
    app, _ = application(plan)

    @signals.worker_ready.connect(weak=False)
    def ready(**_: Any) -> None:
        say_ready()

    app.worker_main(["worker", "--pool=solo", "--loglevel=ERROR", "--without-mingle", f"--hostname=w{plan.worker}@%h"])


if __name__ == "__main__":
    run(CeleryPeer, work)
