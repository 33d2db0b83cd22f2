"""Methods that are about the server itself: its health, and the operations that it has."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel, TypeAdapter

from tasker.model.errors import DatabaseUnavailable, InvalidInput, NotFound
from tasker.operations import OPERATIONS, Operation, health
from tasker.operations.health import Check
from tasker.operations.worker_sessions import PERMISSION
from tasker.server.grpc.asked import Asked, Fields
from tasker.server.rest.body import check_of_worker, check_value, read_object

JSON = "given_json"
"""The field with the input as JSON."""


async def alive(asked: Asked) -> health.Health:
    """The process answers."""
    return health.health()


async def readiness(asked: Asked) -> Fields:
    """Raises DatabaseUnavailable where work cannot go on, as REST answers 503."""
    found = await health.readiness(asked.engine)
    if not found.is_ready:
        raise DatabaseUnavailable
    return _report(asked, found)


async def details(asked: Asked) -> Fields:
    """How everything is, with counts."""
    found = await health.details(asked.engine)
    said = _report(asked, found)
    is_known = found.queue_depth is not None
    depth = Check(
        status="healthy" if is_known else "unhealthy",
        message=f"{found.queue_depth} steps are ready and wait" if is_known else "nobody can tell",
        duration_ms=0,
    )
    said["checks"] = {**_fields(found.checks), "queue_depth": depth}
    counts = {name: getattr(found, name) for name in ("queue_depth", "due_steps", "workers", "idle_workers")}
    return {**said, **counts}


def _report(asked: Asked, found: health.ReadinessReport) -> Fields:
    size = asked.engine.settings.read_connections
    info = {
        **_fields(found.info),
        "web_database_pool_size": size,
        "orchestration_database_pool_size": size,
        "circuit_breaker_state": "closed",
    }
    return {**_fields(found), "info": info}


def _fields(model: BaseModel) -> Fields:
    return {name: getattr(model, name) for name in type(model).model_fields}


async def list_operations(asked: Asked) -> Fields:
    """Every operation with its permission and the JSON Schemas of its input and answer."""
    return {"operations": [_described(name) for name in sorted(OPERATIONS)]}


@cache
def _described(name: str) -> Fields:
    one = OPERATIONS[name]
    return {
        "name": one.name,
        "permission": one.permission,
        "summary": one.summary,
        "is_stream": one.is_stream,
        "given": one.given.model_json_schema(),
        "answer": _adapter(name).json_schema(mode="serialization"),
    }


async def call_operation(asked: Asked) -> Fields:
    """What the operation answers, as JSON."""
    one = _named(asked, is_stream=False)
    answer, write = await asked.call_given(one, _given(asked, one)), _adapter(one.name)
    if JSON in asked.fields:
        return {"answer_json": write.dump_json(answer)}
    return {"answer": write.dump_python(answer, mode="json")}


def watch_operation(asked: Asked) -> tuple[Operation[Any], Any]:
    """The operation behind a stream."""
    one = _named(asked, is_stream=True)
    return one, _given(asked, one)


def item(asked: Asked, found: Any) -> Fields:
    """An item of a stream, as JSON."""
    if JSON in asked.fields:
        return {"answer_json": found.model_dump_json().encode()}
    return {"answer": found.model_dump(mode="json")}


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(OPERATIONS[name].answer)


def _given(asked: Asked, one: Operation[Any]) -> Any:
    """Read as REST reads a body. Raises ValidationError, MalformedRequest, RequestTooLarge."""
    said = asked.fields.get("given", {})
    if JSON in asked.fields:
        if said:
            raise InvalidInput(f"given: the input comes as given or as {JSON}, not both")
        check = check_of_worker if one.permission == PERMISSION else check_value
        said = read_object(asked.fields[JSON], JSON, lambda value: check(value, asked.engine.settings))
    return one.given.model_validate_json(orjson.dumps(said), strict=True)


def _named(asked: Asked, *, is_stream: bool) -> Operation[Any]:
    name = asked.fields.get("operation", "")
    one = OPERATIONS.get(name)
    if one is None:
        raise NotFound(f'operation: there is no "{name[:100]}"; ListOperations names those that there are')
    if one.is_stream is not is_stream:
        raise InvalidInput(f"operation: {name} is called by {'Watch' if one.is_stream else 'Call'}")
    return one
