"""From an outcome to an event: its publisher is asked, and what it made is held against the event's schema."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from tasker.handlers.events import DomainEventPublisher
from tasker.handlers.results import encode_result
from tasker.model.errors import HandlerNotFound, ResultTooLarge, StepValidationError
from tasker.model.event import DomainEvent, EventStatus, Occurrence
from tasker.model.template import Template
from tasker.store.connection import Connection
from tasker.store.events import Made, settle_events, take_events
from tasker.templates.schemas import check_event

Call = Callable[..., Awaitable[Any]]
"""Calls a function of a user's: on the loop where it is async, else in a thread."""
TAKEN_MAX = 100
PROBLEM_LENGTH_MAX = 2000
_ORDINARY = DomainEventPublisher()


@dataclass(frozen=True, slots=True)
class Form:
    """What an outcome was made into: payload and metadata are JSON texts. `recorded`: its publisher failed."""

    status: EventStatus
    payload: str | None = None
    metadata: str | None = None
    problem: str | None = None


LOST = Form("refused", problem="the process ended each time while the publisher ran")


async def formed(
    occurrence: Occurrence, publishers: Mapping[str, DomainEventPublisher], call: Call, bytes_max: int
) -> Form:
    """Asks the publisher. Raises nothing that a publisher may raise."""
    publisher = _ORDINARY if occurrence.publisher is None else publishers.get(occurrence.publisher)
    if publisher is None:
        return Form("recorded", problem=f'this process has no publisher "{occurrence.publisher}"')
    try:
        if publisher is _ORDINARY:
            said, metadata = occurrence.content, {}
        elif await call(publisher.should_publish, occurrence):
            said, metadata = await call(publisher.payload, occurrence), await call(publisher.metadata, occurrence)
        else:
            return Form("declined")
        payload = encode_result(said, bytes_max)
        about = encode_result(metadata, bytes_max)
    except (StepValidationError, ResultTooLarge) as error:
        return Form("refused", problem=f"the event cannot be kept: {error}"[:PROBLEM_LENGTH_MAX])
    except Exception as error:
        # A user's publisher may raise anything.
        problem = f"the publisher failed: {type(error).__name__}: {error}"
        return Form("recorded", problem=problem.replace("\0", "?")[:PROBLEM_LENGTH_MAX])
    problem = check_event(occurrence.name, occurrence.schema, orjson.loads(payload)) if occurrence.schema else None
    if problem is not None:
        return Form("refused", problem=problem[:PROBLEM_LENGTH_MAX])
    return Form("published", payload, about)


def as_event(occurrence: Occurrence, form: Form) -> DomainEvent:
    """The event that goes out without the outbox."""
    return DomainEvent(
        event_id=occurrence.event_id,
        name=occurrence.name,
        payload=orjson.loads(form.payload or "{}"),
        metadata=orjson.loads(form.metadata or "{}"),
        task_uuid=occurrence.task_uuid,
        step_name=occurrence.step_name,
        number=occurrence.number,
        attempt=occurrence.attempt,
        namespace=occurrence.namespace,
        template=occurrence.template,
        version=occurrence.version,
        mode=occurrence.mode,
        outcome=occurrence.outcome,
        publisher=occurrence.publisher,
        correlation_id=occurrence.correlation_id,
        recorded_at=occurrence.recorded_at,
        status=form.status,
        problem=form.problem,
    )


async def publish_waiting(
    connection: Connection,
    owner: UUID,
    publishers: Mapping[str, DomainEventPublisher],
    call: Call,
    *,
    bytes_max: int,
    lease_s: float,
    schema: str,
) -> int:
    """Publishes what waits in the outbox, as far as these publishers can; how many it looked at."""
    looked = 0
    while taken := await take_events(connection, owner, list(publishers), TAKEN_MAX, lease_s, schema=schema):
        forms = [await formed(one.occurrence, publishers, call, bytes_max) for one in taken]
        made = [
            Made(one.seq, form.status, form.payload, form.metadata, form.problem)
            for one, form in zip(taken, forms, strict=True)
        ]
        await settle_events(connection, owner, made, schema=schema)
        looked += len(taken)
    return looked


def check_publishers(template: Template, publishers: Mapping[str, DomainEventPublisher]) -> None:
    """Raises HandlerNotFound, which names every event whose publisher this process does not have."""
    missing = [
        f'"{event.publisher}" ({event.name} of step {step.name})'
        for step in template.steps
        for event in step.publishes_events
        if event.publisher is not None and event.publisher not in publishers
    ]
    if missing:
        raise HandlerNotFound(
            f"{template.full_name} names publishers that this process does not have: {', '.join(missing)}. "
            f"It has: {', '.join(sorted(publishers)) or 'none'}"
        )
