"""Tasker: everything in one process. Wiring, no rules."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID, uuid4

from tasker.breaker_calls import BreakerCalls
from tasker.embedded import Embedded
from tasker.embedded import start as start_embedded
from tasker.events.courier import Courier
from tasker.events.making import check_publishers
from tasker.handlers import Handler, discover
from tasker.handlers.events import events_of
from tasker.model.errors import NotStarted, StepNotFound, WaitTimeout
from tasker.model.event import DomainEvent, EventStatus, SubscriberInfo
from tasker.model.ids import uuid7
from tasker.model.task import BatchProgress, TaskView
from tasker.model.template import Template
from tasker.settings import Settings
from tasker.store import events as outbox
from tasker.store.confined import Confinement
from tasker.store.connection import Connection, Pool, ask_alone, ask_pool, create_pool, describe_road
from tasker.store.migrate import migrate
from tasker.store.reads import Reads
from tasker.store.reads_rows import task_view
from tasker.store.replies import Submitted
from tasker.store.verbs import Submit, Verbs
from tasker.store.waits import EndedTask, ended_tasks
from tasker.submission import Submission, SubmittedTask, TaskRequest, submitted
from tasker.templates import load_given
from tasker.templates.publishing import Published, publish
from tasker.transport.opening import choose_transport, open_transport
from tasker.transport.seam import Transport
from tasker.worker.plans import check_handlers
from tasker.worker.waiters import Waiters
from tasker.worker.worker import Worker

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tasker.operations.engine import Engine
    from tasker.server.auth import Authenticator

T = TypeVar("T")


class Tasker(BreakerCalls):
    """Submits tasks and, unless `worker=False`, runs their steps in this process.

    Without a DSN (here or in TASKER_DATABASE_URL) it starts, or joins, the project's own PostgreSQL. On start it brings
    the schema up to date and publishes `templates` (files, folders, globs, or Template records). `handlers` are module
    names, modules, decorated functions or StepHandler classes, and what is for domain events. `queues` limits what the
    worker serves. Use it as `async with Tasker(...) as tasker:`, or call start() and stop().
    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        templates: str | Path | Iterable[str | Path | Template] = (),
        handlers: Iterable[Any] = (),
        queues: Sequence[str] | None = None,
        concurrency: int | None = None,
        settings: Settings | None = None,
        worker: bool = True,
    ) -> None:
        settings = settings or Settings()  # pyright: ignore[reportCallIssue] - every field has a default
        self.settings = settings if concurrency is None else settings.model_copy(update={"concurrency": concurrency})
        self._given_dsn = dsn or settings.database_url
        self._templates = [templates] if isinstance(templates, str | Path) else list(templates)
        self._handlers: Mapping[str, Handler] = discover(handlers)
        self._queues = queues
        self._wants_worker = worker
        self._verbs = Verbs(settings.schema_name)
        self._reads = Reads(settings.schema_name)
        self._submission = Submission(self._verbs, settings)
        self._embedded: Embedded | None = None
        self._pool: Pool | None = None
        self._worker: Worker | None = None
        self._waiters = Waiters(self._ask_ended, lambda: self._worker is not None)
        self._transport: Transport | None = None
        self._courier = Courier(self._ask, self.settings, events_of(self._handlers))
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self.dsn = ""
        """The DSN in use, once started."""

    async def __aenter__(self) -> Tasker:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Finds the database, migrates, publishes, begins to work. Raises what is wrong before anything runs."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        templates = load_given(self._templates, environment=self.settings.env)
        if self._wants_worker and self._handlers:
            for template in templates:
                check_handlers(template, self._handlers, self._queues)
                check_publishers(template, events_of(self._handlers).publishers)
        if self._given_dsn is None:
            self._embedded = await asyncio.to_thread(start_embedded)
        self.dsn = self._given_dsn or (self._embedded.dsn if self._embedded else "")
        await describe_road(self.dsn, self.settings.database_pooler, self.settings.database_listen_url)

        async def prepare(connection: Connection) -> str:
            await migrate(connection, self.settings.schema_name)
            for template in templates:
                await publish(connection, self._verbs, template)
            return await choose_transport(connection, self.settings)

        transport = await ask_alone(self.dsn, prepare)
        self._pool = await create_pool(self.dsn, pinned=False, size=self.settings.read_connections)
        if self._wants_worker and (self._handlers or events_of(self._handlers)):
            await self._courier.start()
        if self._wants_worker and self._handlers:
            self._worker = Worker(
                self.dsn,
                self.settings,
                self._handlers,
                queues=self._queues,
                ended=self._waiters.resolve,
                is_awaited=self._waiters.is_awaited,
                told=self._courier.told,
                left=self._announce,
            )
            await self._worker.start()
        self._transport = open_transport(
            transport,
            self.dsn,
            self.settings,
            ask=self._ask,
            handlers=self._handlers if self._worker else {},
            queues=self._queues,
            wake=self._worker.announced if self._worker else self._wake_worker,
        )
        await self._transport.start()

    async def stop(self, drain_s: float | None = None) -> None:
        """Lets running steps finish (for `drain_s`, or the setting), hands back the rest, and closes everything."""
        if self._worker is not None:
            await self._worker.stop(drain_s)
        await self._courier.stop()
        await asyncio.gather(*(close() for close in self._closing))
        await self._waiters.close()
        if self._transport is not None:
            await self._transport.stop()
        if self._pool is not None:
            await self._pool.close()
        if self._embedded is not None:
            await asyncio.to_thread(self._embedded.release)
        self._worker = self._transport = self._pool = self._embedded = None

    def hurry(self) -> None:
        """Ends the waiting of a stop() under way: steps that still run are handed back."""
        if self._worker is not None:
            self._worker.hurry()

    async def drained(self) -> None:
        """Returns when the worker of this process has stopped because an operator drained it; never without one."""
        await (self._worker.drained() if self._worker else asyncio.Event().wait())

    # Tasks ----------------------------------------------------------------------------------------------------------

    async def submit(
        self,
        name: str,
        *,
        namespace: str = "default",
        version: str | None = None,
        context: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> SubmittedTask:
        """Creates one task; it is durable when this returns. `options` are the fields of TaskRequest.

        Raises TemplateNotFound, InvalidInput, PayloadTooLarge, IdentityConflict, KeyInFlight.
        """
        request = TaskRequest(context=context or {}, **options)
        return (await self.submit_many(name, [request], namespace=namespace, version=version))[0]

    async def submit_many(
        self,
        name: str,
        requests: Sequence[TaskRequest | Mapping[str, Any]],
        *,
        namespace: str = "default",
        version: str | None = None,
        verbs: Verbs | None = None,
    ) -> list[SubmittedTask]:
        """Creates tasks of one template in one call: all, or none if one is refused. A mapping is a task's context."""
        wanted = [one if isinstance(one, TaskRequest) else TaskRequest(context=one) for one in requests]
        new_ids = [uuid7() for _ in wanted]

        async def prepare(connection: Connection) -> Submit:
            return await self._submission.prepare(connection, namespace, name, version, wanted, new_ids)

        async def submit(connection: Connection) -> Sequence[Submitted]:
            return await (verbs or self._verbs).submit(connection, await prepare(connection))

        worker = self._worker if verbs is None else None
        answers = None if worker is None else await worker.submit_here(prepare, len(wanted))
        if answers is None:
            answers = await self._ask(submit)
            if self._worker is not None:
                self._worker.wake()
        if self._worker is None or self._worker.idle_peers:
            self._announce()
        return submitted(answers, new_ids)

    async def wait(self, task_uuid: UUID, timeout: float | None = None) -> TaskView:  # noqa: ASYNC109 - users' word
        """The task when it has ended: complete, error, cancelled. Raises WaitTimeout after `timeout` seconds."""
        ended = asyncio.ensure_future(self._waiters.wait(task_uuid))
        await asyncio.wait([ended], timeout=timeout)
        if not ended.done():
            ended.cancel()
            raise WaitTimeout(f"task {task_uuid} has not ended within {timeout} s; it goes on")
        view = ended.result().view
        return await self.get(task_uuid) if view is None else task_view(*view)

    async def get(self, task_uuid: UUID) -> TaskView:
        """The task with its steps, results and errors. Raises TaskNotFound."""
        return await self._ask(lambda connection: self._reads.task_view(connection, task_uuid))

    async def batches(self, task_uuid: UUID) -> list[BatchProgress]:
        """How far the batches of the task have come, those that have begun."""
        return await self._ask(lambda connection: self._reads.batches(connection, task_uuid))

    async def cancel(self, task_uuid: UUID, *, actor: str = "api", reason: str | None = None) -> dict[str, Any]:
        """Ends the task: what has not run will not, what runs is told to stop."""
        return await self.act("cancel", task_uuid, actor=actor, reason=reason)

    async def act(
        self,
        action: str,
        task_uuid: UUID,
        *,
        step: str | None = None,
        actor: str = "api",
        reason: str | None = None,
        result: Mapping[str, Any] | None = None,
        seen_state: str | None = None,
        seen_attempt: int | None = None,
        act_id: UUID | None = None,
    ) -> dict[str, Any]:
        """What an operator does: cancel, pause or resume a task; retry, resolve or complete one of its steps.

        Give the same `act_id` to repeat one whose answer was lost. Raises TaskNotFound, StepNotFound, ActionForbidden.
        """
        number = None
        if step is not None:
            number = (await self.get(task_uuid)).step(step).number
        elif action in ("retry", "resolve", "complete"):
            raise StepNotFound(f'"{action}" acts on a step: name it with step="…"')
        act_id, encoded = act_id or uuid4(), None if result is None else self._submission.encode(result)
        answer = await self._ask(
            lambda connection: self._verbs.act(
                connection,
                act_id,
                action,
                task_uuid,
                number=number,
                seen_state=seen_state,
                seen_attempt=seen_attempt,
                actor=actor,
                reason=reason,
                result=encoded,
            )
        )
        self._woken()
        return answer

    async def stats(self) -> dict[str, Any]:
        """Counts of tasks by state, depth of the queues, living workers, and what this process did."""
        found = await self._ask(self._reads.stats)
        return {**asdict(found), "here": dict(self._worker.counts) if self._worker else {}}

    @property
    def transport_counts(self) -> Counter[str]:
        """What this process sent to a broker and received from it, and how much of that nobody could read (`dead`)."""
        return self._transport.counts if self._transport else Counter()

    async def publish(self, template: Template, *, force: bool = False) -> Published:
        """Publishes a version of a template. Raises TemplateConflict where it exists with other content."""
        return await self._ask(lambda connection: publish(connection, self._verbs, template, force=force))

    async def events(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        names: Sequence[str] | None = None,
        namespaces: Sequence[str] | None = None,
        task_uuids: Sequence[UUID] | None = None,
        statuses: Sequence[EventStatus] = ("published",),
    ) -> list[DomainEvent]:
        """Domain events in the outbox after a cursor, in the order in which they were published, at most `limit`.

        `names` may be patterns such as `order.*`. Give the last event's `cursor` as `after` to go on from there:
        nothing is left out. Raises InvalidInput.
        """
        return await self._ask(
            lambda connection: outbox.read_events(
                connection,
                after=after,
                limit=limit,
                names=names,
                namespaces=namespaces,
                task_uuids=task_uuids,
                statuses=statuses,
                schema=self.settings.schema_name,
            )
        )

    async def event_subscribers(self) -> list[SubscriberInfo]:
        """The subscribers that the outbox knows, with what waits for each."""
        return await self._ask(partial(outbox.subscribers, schema=self.settings.schema_name))

    async def forget_subscriber(self, name: str) -> int:
        """What waits for a subscriber that will not come again is dropped; how much that was. Raises NotFound."""
        return await self._ask(partial(outbox.unsubscribe, name=name, schema=self.settings.schema_name))

    def engine(self) -> Engine:
        """This process's engine, for `tasker.operations`; it answers while this Tasker is started."""
        from tasker.operations.engine import Engine, Turning
        from tasker.operations.limits import Limits
        from tasker.operations.replica import Replica

        read_url = self.settings.database_read_url
        return Engine(
            settings=self.settings,
            verbs=self._verbs,
            reads=self._reads,
            ask=self._ask,
            submit_many=self.submit_many,
            ended=self._waiters.wait,
            woken=self._woken,
            limits=Limits(self.settings),
            confinement=Confinement(self.settings.schema_name),
            submit_by=lambda verbs: partial(self.submit_many, verbs=verbs),
            replica=Replica(read_url, self.settings, self._ask, self._closing) if read_url else None,
            turning=Turning(lambda: self.dsn, self.settings, self._closing),
        )

    def asgi(self, *, authenticator: Authenticator | None = None) -> FastAPI:
        """The API, to be served, or mounted under any prefix. Needs `tasker-engine[server]`.

        Served by itself it starts and stops this Tasker; mounted, the host does, in its own lifespan. Without an
        authenticator whoever reaches it may do everything.
        """
        from tasker.server.rest import create_app

        return create_app(self.engine(), authenticator=authenticator, running=self)

    # Inside ---------------------------------------------------------------------------------------------------------

    def _woken(self) -> None:
        self._wake_worker()
        self._announce()

    @property
    def _connections(self) -> Pool:
        if self._pool is None:
            raise NotStarted("this Tasker is not started: use `async with Tasker(...)`, or await start()")
        return self._pool

    async def _ask(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What `work` answers on a connection of the pool. It may be asked again. Raises DatabaseUnavailable."""
        return await ask_pool(self._connections, work, self.settings.read_connections, self.dsn)

    async def _ask_ended(self, task_ids: Sequence[UUID]) -> list[EndedTask]:
        async with self._connections.acquire() as connection:
            return await ended_tasks(connection, task_ids, self.settings.schema_name)

    def _wake_worker(self) -> None:
        if self._worker is not None:
            self._worker.wake()

    def _announce(self) -> None:
        if self._transport is not None:
            self._transport.nudge()
