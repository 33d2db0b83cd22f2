"""A template in a test: submitted, run to its end, repaired as an operator would, without waiting for anything."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from tasker.events.calls import Calls
from tasker.events.making import as_event, check_publishers, formed, publish_waiting
from tasker.handlers import discover
from tasker.handlers.events import events_of
from tasker.handlers.resolution import Registry
from tasker.model.breaker import BreakerInfo
from tasker.model.errors import TaskerError, TemplateNotFound
from tasker.model.event import DomainEvent
from tasker.model.template import Template
from tasker.settings import Settings
from tasker.sql import DEFAULT_SCHEMA
from tasker.store.breakers import Breakers
from tasker.store.connection import connect
from tasker.store.events import read_all_events
from tasker.store.reads import Reads
from tasker.store.verbs import Verbs
from tasker.submission import Submission, TaskRequest, encode_context
from tasker.templates import load_paths, load_text
from tasker.templates.publishing import publish
from tasker.testing.clock import Clock, TimedConnection
from tasker.testing.driver import Driver
from tasker.testing.faults import Fault, check_faults
from tasker.testing.record import Attempt, TaskRecord
from tasker.testing.stage import run_here
from tasker.worker.plans import check_handlers

TemplateSource = str | Path | Template
_LEASE_S = 60.0


class Workflow:
    """Templates and handlers on a database of their own (see Databases), and a clock that moves by itself.

    `templates` is one or several of: a file, a folder, a glob, YAML text, a Template. `handlers` is what
    `Tasker(handlers=…)` takes; those in `replace` take the place of handlers of the same name, for what a test must not
    touch. `faults` happen in every task, those that are given to `run` in that one. `environment` is the block of the
    templates that applies (default: TASKER_ENV). `chance` (0 to 1) is what the engine draws for the jitter of retries.

    Raises TemplateError, HandlerNotFound, InvalidHandler, StepNotFound for a fault that could never happen.
    """

    def __init__(
        self,
        dsn: str,
        templates: TemplateSource | Iterable[TemplateSource],
        *,
        handlers: Any = (),
        replace: Mapping[str, Any] | None = None,
        faults: Sequence[Fault] = (),
        environment: str | None = None,
        chance: float = 0.0,
    ) -> None:
        settings = Settings()  # pyright: ignore[reportCallIssue] - every field has a default
        self._settings = settings.model_copy(update={"schema_name": DEFAULT_SCHEMA})
        self._dsn = dsn
        self.templates = tuple(_load(templates, environment or settings.env))
        self._handlers = _replaced(discover(handlers), discover(replace or {}))
        for template in self.templates:
            check_handlers(template, self._handlers)
            check_publishers(template, events_of(self._handlers).publishers)
        self._faults = tuple(faults)
        check_faults(self._faults, self.templates)
        self._clock = Clock(chance)
        self._verbs = Verbs()
        self._reads = Reads()
        self._submission = Submission(self._verbs, self._settings)
        self._is_published = False
        self._attempts: dict[UUID, list[Attempt]] = {}
        self._fast: dict[UUID, list[DomainEvent]] = {}
        self._told: list[UUID] = []

    @property
    def now(self) -> datetime:
        """The time of this workflow. It moves to what is due next when nothing else can move."""
        return self._clock.now

    def advance(self, seconds: float) -> None:
        """Moves the time by hand; a handler may call it to take long."""
        self._clock.advance(seconds)

    # Tasks ------------------------------------------------------------------------------------------------------------

    def run(
        self,
        context: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        namespace: str | None = None,
        version: str | None = None,
        faults: Sequence[Fault] = (),
        **options: Any,
    ) -> TaskRecord:
        """Submits a task and runs it until it has ended, or nothing can move any more.

        `name` may be left out where there is one template; `options` are the fields of TaskRequest. Raises what
        `Tasker.submit` raises. In a running event loop, use `await run_async(…)`.
        """
        work = self.run_async(context, name=name, namespace=namespace, version=version, faults=faults, **options)
        return run_here(work, "run_async(…)")

    async def run_async(
        self,
        context: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        namespace: str | None = None,
        version: str | None = None,
        faults: Sequence[Fault] = (),
        **options: Any,
    ) -> TaskRecord:
        """See run."""
        check_faults(faults, self.templates)
        template = self._template(name, namespace, version)
        request = TaskRequest(context=context or {}, **options)
        async with self._connected() as connection:
            prepared = await self._submission.prepare(
                connection, template.namespace, template.name, template.version, [request], [self._clock.uuid7()]
            )
            task_uuid = (await self._verbs.submit(connection, prepared))[0].task_id
            return await self._work_off(connection, task_uuid, faults)

    def go_on(self, task: TaskRecord | UUID, *, faults: Sequence[Fault] = ()) -> TaskRecord:
        """Runs a task further, after an operator's action, until it has ended or nothing can move any more."""
        return run_here(self.go_on_async(task, faults=faults), "go_on_async(…)")

    async def go_on_async(self, task: TaskRecord | UUID, *, faults: Sequence[Fault] = ()) -> TaskRecord:
        """See go_on."""
        check_faults(faults, self.templates)
        async with self._connected() as connection:
            return await self._work_off(connection, _uuid(task), faults)

    def act(self, action: str, task: TaskRecord | UUID, **options: Any) -> dict[str, Any]:
        """What an operator does: see `Tasker.act`, whose options it takes. Nothing runs before `go_on`."""
        return run_here(self.act_async(action, task, **options), "act_async(…)")

    async def act_async(
        self,
        action: str,
        task: TaskRecord | UUID,
        *,
        step: str | None = None,
        actor: str = "test",
        reason: str | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """See act. Raises TaskNotFound, StepNotFound, ActionForbidden."""
        encoded = None if result is None else encode_context(result, self._settings.input_bytes_max)
        async with self._connected() as connection:
            number = None
            if step is not None:
                number = (await self._reads.task_view(connection, _uuid(task))).step(step).number
            return await self._verbs.act(
                connection, uuid4(), action, _uuid(task), number=number, actor=actor, reason=reason, result=encoded
            )

    def breakers(self, *names: str) -> list[BreakerInfo]:
        """Breakers of the systems that steps depend on, at the time of this workflow: these, or all, by name."""
        return run_here(self.breakers_async(*names), "breakers_async(…)")

    async def breakers_async(self, *names: str) -> list[BreakerInfo]:
        """See breakers."""
        async with self._connected() as connection:
            return await Breakers().list(connection, names or None, now=self.now)

    # Inside -----------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[TimedConnection]:
        """A connection for one call: the next call may be made on another loop."""
        connection = TimedConnection(await connect(self._dsn), self._clock)
        try:
            if not self._is_published:
                for template in self.templates:
                    await publish(connection, self._verbs, template)
                self._is_published = True
            yield connection
        finally:
            connection.terminate()

    async def _work_off(self, connection: TimedConnection, task_uuid: UUID, faults: Sequence[Fault]) -> TaskRecord:
        every = (*faults, *self._faults)
        driver = Driver(self._dsn, connection, self._clock, self._settings, self._handlers, every)
        await driver.work_off([task_uuid])
        for of_task, attempt in driver.attempts:
            self._attempts.setdefault(of_task, []).append(attempt)
        view = await self._reads.task_view(connection, task_uuid)
        history = await self._reads.history(connection, [task_uuid])
        attempts = self._attempts.get(task_uuid, ())
        events = await self._published(connection, task_uuid, driver)
        return TaskRecord(view=view, attempts=tuple(attempts), history=tuple(history), all_events=tuple(events))

    async def _published(self, connection: TimedConnection, task_uuid: UUID, driver: Driver) -> list[DomainEvent]:
        """Publishes what waits, at this time; all events of the task, those that were fast at their places."""
        publishers, bytes_max = events_of(self._handlers).publishers, self._settings.result_bytes_max
        calls = Calls(1)
        try:
            await publish_waiting(
                connection, uuid4(), publishers, calls, bytes_max=bytes_max, lease_s=_LEASE_S, schema=DEFAULT_SCHEMA
            )
            known = self._fast.setdefault(task_uuid, [])
            for one in driver.fast:
                if one.task_uuid == task_uuid and one.mode == "fast":
                    known.append(as_event(one, await formed(one, publishers, calls, bytes_max)))
        finally:
            calls.close()
        self._told += driver.told
        kept = await read_all_events(connection, task_uuid)
        places = {event_id: place for place, event_id in enumerate(self._told)}
        return sorted([*kept, *known], key=lambda event: places.get(event.event_id, len(places)))

    def _template(self, name: str | None, namespace: str | None, version: str | None) -> Template:
        found = [
            template
            for template in self.templates
            if name in (None, template.name)
            and namespace in (None, template.namespace)
            and version in (None, template.version)
        ]
        known = ", ".join(template.full_name for template in self.templates) or "none"
        if not found:
            raise TemplateNotFound(f"no template here is {namespace or '*'}/{name or '*'}@{version or '*'}: {known}")
        if len(found) > 1:
            raise TaskerError(f"several templates fit: {known}: say which with name, namespace and version")
        return found[0]


def _load(templates: TemplateSource | Iterable[TemplateSource], environment: str | None) -> Iterable[Template]:
    sources = [templates] if isinstance(templates, str | Path | Template) else templates
    for source in sources:
        if isinstance(source, Template):
            yield source
        elif isinstance(source, str) and "\n" in source:
            yield load_text(source, environment=environment).template
        else:
            yield from (loaded.template for loaded in load_paths([source], environment=environment))


def _replaced(found: Registry, others: Registry) -> Registry:
    """The handlers, with the others in their place: under their names and under the paths of what they replace."""
    others_by_source = {id(found[name].source): other.source for name, other in others.items() if name in found}
    paths = {path: others_by_source.get(id(source), source) for path, source in found.paths.items()}
    return Registry({**found, **others}, paths, [*found.resolvers, *others.resolvers], found.events)


def _uuid(task: TaskRecord | UUID) -> UUID:
    return task.task_uuid if isinstance(task, TaskRecord) else task
