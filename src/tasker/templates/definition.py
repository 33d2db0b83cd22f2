"""The canonical form of a template: what the database stores, what a digest is made of, what two versions differ in.

A definition is itself a template in the strict grammar, with every default written out and the environment's overrides
applied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from tasker.model.errors import TemplateError
from tasker.model.json import Json, JsonObject
from tasker.model.template import BatchConfig, EventDeclaration, HandlerRef, Lifecycle, RetryPolicy, Step, Template
from tasker.templates.document import shorten
from tasker.templates.grammar import GRAMMAR_VERSION

_WHOLE_FLOATS_BELOW = 2.0**53
_VALUE_LENGTH_MAX = 80
_RETRY_FIELDS = tuple(field.name for field in fields(RetryPolicy))
_OF_STEP = ("handler", "dependencies", "retry", "batch_config", "publishes_events")
_STEP_FIELDS = tuple(field.name for field in fields(Step) if field.name not in _OF_STEP)
_EVENT_FIELDS = tuple(field.name for field in fields(EventDeclaration))
_BATCH_FIELDS = tuple(field.name for field in fields(BatchConfig))
_LATER = ("search_fields", "lifecycle")
"""What came later is written only where it says something: what was published before keeps its digest."""
_LIFECYCLE_FIELDS = tuple(field.name for field in fields(Lifecycle))
_TEMPLATE_FIELDS = tuple(f.name for f in fields(Template) if f.name not in ("namespace", "steps", *_LATER))


def to_definition(template: Template) -> dict[str, Any]:
    """The template as JSON values, complete: `from_definition` gives the same template back. All values are new."""
    later: dict[str, Any] = {"search_fields": list(template.search_fields)} if template.search_fields else {}
    if template.lifecycle is not None:
        later["lifecycle"] = _lifecycle_definition(template.lifecycle)
    return {
        "tasker": GRAMMAR_VERSION,
        "namespace_name": template.namespace,
        "name": template.name,
        "version": template.version,
        "description": template.description,
        "metadata": _canonical(template.metadata),
        "system_dependencies": _canonical(template.system_dependencies),
        "input_schema": _canonical(template.input_schema),
        "enforce_schemas": template.enforce_schemas,
        "identity_strategy": template.identity_strategy,
        "steps": [_step_definition(step) for step in template.steps],
        **later,
    }


def _lifecycle_definition(lifecycle: Lifecycle) -> dict[str, Any]:
    said = {name: getattr(lifecycle, name) for name in _LIFECYCLE_FIELDS}
    return {name: value for name, value in said.items() if value is not None}


def _step_definition(step: Step) -> dict[str, Any]:
    retry = step.retry
    # What came later is written only where it says something: what was published before keeps its digest.
    later: dict[str, Any] = {"type": step.type} if step.type != "standard" else {}
    if step.for_each is not None:
        later["for_each"] = step.for_each
    if step.batch_config is not None:
        later["batch_config"] = _said(step.batch_config)
    if step.publishes_events:
        later["publishes_events"] = [_event_definition(event) for event in step.publishes_events]
    return {
        "name": step.name,
        "description": step.description,
        "handler": _handler_definition(step.handler),
        "dependencies": list(step.dependencies),
        "retry": {
            "retryable": retry.retryable,
            "max_attempts": retry.max_attempts,
            "backoff": retry.backoff,
            "backoff_base_ms": retry.backoff_base_ms,
            "max_backoff_ms": retry.max_backoff_ms,
            "jitter": _canonical(retry.jitter),
        },
        "timeout_seconds": _canonical(step.timeout_seconds),
        "queue": step.queue,
        "system_dependency": step.system_dependency,
        "result_schema": _canonical(step.result_schema),
        **later,
    }


def _event_definition(event: EventDeclaration) -> dict[str, Any]:
    """What differs from an event that is only a name."""
    usual = EventDeclaration(name="")
    values = {name: getattr(event, name) for name in _EVENT_FIELDS}
    return {name: _canonical(value) for name, value in values.items() if value != getattr(usual, name)}


def _said(config: BatchConfig) -> dict[str, Any]:
    """A batch configuration: what every batch has, and the rest where it was said."""
    usual = BatchConfig()
    values = {name: getattr(config, name) for name in _BATCH_FIELDS}
    return {
        name: value
        for name, value in values.items()
        if name in ("parallelism", "failure_strategy") or value != getattr(usual, name)
    }


def _handler_definition(handler: HandlerRef) -> dict[str, Any]:
    """Method and resolver only where they are said, so that what was published without them keeps its digest."""
    said = {"method": handler.method, "resolver": handler.resolver}
    return {
        "callable": handler.callable,
        **{key: value for key, value in said.items() if value is not None},
        "initialization": _canonical(handler.initialization),
    }


def _canonical(value: Json) -> Any:
    """A copy in which 30.0 is 30, as databases and other languages write it, so that equal content has one digest."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_FLOATS_BELOW:
        return int(value)
    if isinstance(value, Mapping):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_canonical(inner) for inner in value]
    return value


def from_definition(definition: Mapping[str, Any]) -> Template:
    """The template of a definition. A key that an older definition lacks has its default.

    Raises TemplateError for what `to_definition` cannot have made.
    """
    try:
        return Template(
            namespace=definition["namespace_name"],
            steps=tuple(_step_of(step) for step in definition["steps"]),
            search_fields=tuple(definition.get("search_fields", ())),
            lifecycle=_lifecycle_of(definition.get("lifecycle")),
            **_taken(definition, *_TEMPLATE_FIELDS),
        )
    except (KeyError, TypeError, AttributeError) as error:
        message = f"this is not a stored definition of a template: {error!r}; publish the template again"
        raise TemplateError(message) from error


def _lifecycle_of(said: Mapping[str, Any] | None) -> Lifecycle | None:
    return None if said is None else Lifecycle(**_taken(said, *_LIFECYCLE_FIELDS))


def _step_of(step: Mapping[str, Any]) -> Step:
    config = step.get("batch_config")
    return Step(
        handler=HandlerRef(**_taken(step["handler"], "callable", "method", "resolver", "initialization")),
        dependencies=tuple(step.get("dependencies", ())),
        retry=RetryPolicy(**_taken(step.get("retry", {}), *_RETRY_FIELDS)),
        batch_config=None if config is None else BatchConfig(**_taken(config, *_BATCH_FIELDS)),
        publishes_events=tuple(
            EventDeclaration(**_taken(event, *_EVENT_FIELDS)) for event in step.get("publishes_events", ())
        ),
        **_taken(step, *_STEP_FIELDS),
    )


def _taken(source: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: source[key] for key in keys if key in source}


def digest(template: Template) -> str:
    """The sha256 of the template's canonical JSON, in hexadecimal. The order of keys plays no part."""
    text = json.dumps(to_definition(template), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def differences(old: JsonObject, new: JsonObject) -> list[str]:
    """What differs between two definitions, a line each: `steps.charge.retry.max_attempts: 3 -> 5`.

    Empty exactly when the definitions have the same content.
    """
    return list(_differences(_by_name(_canonical(old)), _by_name(_canonical(new)), ""))


def _by_name(definition: dict[str, Any]) -> dict[str, Any]:
    """The definition with its steps by name, and their order beside them."""
    steps = definition.get("steps")
    if not isinstance(steps, list):
        return definition
    known: list[dict[str, Any]] = steps  # pyright: ignore[reportUnknownVariableType]
    return {**definition, "steps": {step["name"]: step for step in known}, "order of steps": [s["name"] for s in known]}


def _differences(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[str]:
    for key in [*old, *(key for key in new if key not in old)]:
        place = f"{path}.{key}" if path else key
        if key == "order of steps" and not path:
            if old.get(key) != new.get(key) and sorted(old.get(key, ())) == sorted(new.get(key, ())):
                yield f"the order of the steps: {_text(old[key])} -> {_text(new[key])}"
        elif key not in new:
            yield f"{place}: removed (was {_text(old[key])})"
        elif key not in old:
            yield f"{place}: added ({_text(new[key])})"
        elif isinstance(old[key], dict) and isinstance(new[key], dict):
            yield from _differences(old[key], new[key], place)
        elif not _is_same(old[key], new[key]):
            yield f"{place}: {_text(old[key])} -> {_text(new[key])}"


def _is_same(old: Json, new: Json) -> bool:
    # Compared as JSON, because Python takes true for 1.
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def _text(value: Json) -> str:
    return shorten(json.dumps(value, ensure_ascii=False, default=str), _VALUE_LENGTH_MAX)
