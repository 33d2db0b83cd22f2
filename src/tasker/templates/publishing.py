"""Templates in the database: publishing and reading definitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tasker.model.errors import TemplateConflict
from tasker.model.template import Step, Template
from tasker.store.connection import Connection
from tasker.store.errors import DatabaseError, translated
from tasker.store.verbs import Verbs
from tasker.templates.definition import differences, digest, to_definition
from tasker.templates.graph import ancestors_of, items_path, joins


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did: the id of the version in the database, and whether it is new there."""

    template: Template
    template_id: int
    is_new: bool


async def publish(connection: Connection, verbs: Verbs, template: Template, *, force: bool = False) -> Published:
    """Stores a template's version, once. Raises TemplateConflict, which says what differs, on other content."""
    definition = to_definition(template)
    try:
        template_id, is_new = await verbs.publish(
            connection,
            template.namespace,
            template.name,
            template.version,
            digest(template),
            orjson.dumps(definition).decode(),
            template.identity_strategy,
            orjson.dumps(_steps(template)).decode(),
            force=force,
        )
    except DatabaseError as error:
        detail = getattr(error, "detail", None)
        if getattr(error, "sqlstate", None) != "TK013" or detail is None:
            raise translated(error) from error
        changes = "; ".join(differences(orjson.loads(detail), definition))
        raise TemplateConflict(
            f"{template.full_name} is published already with other content: {changes}. "
            "Give it a new version, or in development publish with --force"
        ) from error
    return Published(template, template_id, is_new)


def _batch(template: Template, step: Step, numbers: Mapping[str, int]) -> dict[str, Any] | None:
    """How the step is expanded; None for one that runs once."""
    if not step.is_batch:
        return None
    how: dict[str, Any] = {
        "parallelism": step.batch.parallelism,
        "failure_strategy": step.batch.failure_strategy,
    }
    if step.for_each is not None:
        source, path = items_path(step.for_each, ancestors_of(template, step.name))
        return how | {"source": numbers[source], "path": path}
    types = {one.name: one.type for one in template.steps}
    return how | {"source": next(numbers[name] for name in step.dependencies if types[name] == "batchable")}


def _events(step: Step) -> list[dict[str, Any]] | None:
    """What the step publishes; None where it is nothing."""
    return [
        {
            "name": event.name,
            "condition": event.condition,
            "mode": event.delivery_mode,
            "publisher": event.publisher,
            "schema": event.schema,
        }
        for event in step.publishes_events
    ] or None


def _steps(template: Template) -> list[dict[str, Any]]:
    """The steps as the verb `publish` takes them: numbered from 1 in the template's order."""
    numbers = {step.name: number for number, step in enumerate(template.steps, 1)}
    types = {step.name: step.type for step in template.steps}
    joined = joins(template)
    children: dict[str, list[int]] = {step.name: [] for step in template.steps}
    for step in template.steps:
        for parent in step.dependencies:
            children[parent].append(numbers[step.name])
    return [
        {
            "number": numbers[step.name],
            "name": step.name,
            "queue": step.queue or template.namespace,
            "handler": step.handler.key,
            "parents": [numbers[parent] for parent in step.dependencies],
            "children": children[step.name],
            "is_retryable": step.retry.retryable,
            "max_attempts": step.retry.max_attempts,
            "backoff": step.retry.backoff,
            "backoff_base_s": step.retry.backoff_base_ms / 1000,
            "backoff_max_s": step.retry.max_backoff_ms / 1000,
            "jitter": step.retry.jitter,
            "timeout_s": step.timeout_seconds,
            "type": step.type,
            "deciders": sum(types[parent] == "decision" for parent in step.dependencies),
            "joins": [numbers[decision] for decision in joined.get(step.name, ())],
            "batch": _batch(template, step, numbers),
            "system_dependency": step.system_dependency,
            "events": _events(step),
        }
        for step in template.steps
    ]
