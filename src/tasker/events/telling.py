"""What a report told, for the subscribers in this process: outcomes that are to be made into events at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from tasker.model.event import Occurrence
from tasker.model.template import EventDeclaration
from tasker.store.replies import Told
from tasker.worker.held import Held


def occurrences(outcomes: Sequence[Held], told: Sequence[Told]) -> list[Occurrence]:
    """Those of these events that do not wait for the outbox: `fast` and `broadcast` ones."""
    by_key = {held.key: held for held in outcomes}
    found: list[Occurrence] = []
    for one in told:
        held = by_key[one.task_id, one.number]
        declaration = held.plan.step.publishes_events[one.place]
        if declaration.delivery_mode != "durable":
            found.append(_occurrence(held, one, declaration))
    return found


def _occurrence(held: Held, told: Told, declaration: EventDeclaration) -> Occurrence:
    template, payload = held.plan.template, held.outcome.payload if held.outcome else None
    content: Any = None if payload is None else orjson.loads(payload)
    return Occurrence(
        event_id=told.event_id,
        name=declaration.name,
        mode=declaration.delivery_mode,
        outcome=told.outcome,
        content=content,
        task_uuid=told.task_id,
        step_name=held.name,
        number=told.number,
        attempt=told.attempt,
        namespace=template.namespace,
        template=template.name,
        version=template.version,
        description=declaration.description,
        publisher=declaration.publisher,
        schema=declaration.schema,
        correlation_id=held.correlation_id,
    )
