"""The OpenAPI document, made from the table of routes: what it says of an operation is what the operation is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from tasker import __version__
from tasker.operations.health import DetailedReport, Health, ReadinessReport
from tasker.server.rest.examples import example_of
from tasker.server.rest.routes import ROUTES, Route

Schema = dict[str, Any]
_REF = "#/components/schemas/{model}"
_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "examples": ["NOT_FOUND"]},
                "message": {"type": "string", "examples": ["there is no task 0198c0de-0000-7000-8000-000000000001"]},
                "kind": {"type": "string", "description": "Which error it is.", "examples": ["task_not_found"]},
                "violations": {"type": "array", "items": {"type": "string"}, "description": "All that is wrong."},
                "task_uuid": {"type": "string", "format": "uuid", "description": "The task that has the key."},
                "retry_after_seconds": {"type": "integer"},
                "error_id": {"type": "string", "format": "uuid", "description": "The server's log has it as well."},
            },
        }
    },
}
_REFUSALS = {
    400: "The request is wrong, or the state does not allow it.",
    401: "Who calls is not known.",
    403: "The caller may not.",
    404: "There is none.",
    408: "It took too long.",
    409: "It exists with other content.",
    413: "It is too large.",
    429: "The quota is used up: see Retry-After.",
    503: "The server can take nothing at the moment: see Retry-After.",
}
_OPEN: tuple[tuple[str, Any, str], ...] = (
    ("/health", Health, "Whether the process answers"),
    ("/health/live", Health, "Whether the process answers"),
    ("/health/ready", ReadinessReport, "Whether the server can do its work; 503 where it cannot"),
    ("/health/detailed", DetailedReport, "The same, and how much lies waiting"),
)


def document(prefix: str = "", *, asks_who_calls: bool = False) -> Schema:
    """The document of an API that is mounted at `prefix`."""
    keys: dict[tuple[str, str], tuple[JsonSchemaMode, Any]] = {
        **{("answer", route.operation.name): ("serialization", route.operation.answer) for route in ROUTES},
        **{("given", route.operation.name): ("validation", route.operation.given) for route in ROUTES},
        **{("health", path): ("serialization", model) for path, model, _ in _OPEN},
    }
    adapters: list[tuple[tuple[str, str], JsonSchemaMode, TypeAdapter[Any]]] = [
        (key, mode, TypeAdapter[Any](kind)) for key, (mode, kind) in keys.items()
    ]
    made: Any = TypeAdapter.json_schemas(adapters, ref_template=_REF)
    by_key: dict[Any, Schema] = {key: schema for (key, _), schema in made[0].items()}
    components: dict[str, Schema] = {**made[1].get("$defs", {}), "Error": _ERROR}
    paths: dict[str, Schema] = {}
    for route in ROUTES:
        name = route.operation.name
        given = components[by_key["given", name]["$ref"].rpartition("/")[2]]
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(
            route, given, by_key["answer", name], components, asks_who_calls=asks_who_calls
        )
    for path, _, summary in _OPEN:
        paths[path] = {"get": _open(path, by_key["health", path], summary, components)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tasker", "version": __version__, "description": "Tasks, their steps, and their templates."},
        "servers": [{"url": prefix or "/"}],
        "paths": paths,
        "components": {
            "schemas": _referred(components, paths),
            "securitySchemes": {
                "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def _operation(
    route: Route, given: Schema, answer: Schema, components: dict[str, Schema], *, asks_who_calls: bool
) -> Schema:
    summary, _, more = (route.operation.function.__doc__ or "").strip().partition("\n")
    needs = f"Needs the permission `{route.operation.permission}`."
    made: Schema = {
        "operationId": route.operation.name,
        "tags": [route.path.split("/")[2]] if route.path.startswith("/v1/") else ["system"],
        "summary": summary,
        "description": " ".join([*more.split(), needs]),
        "x-permission": route.operation.permission,
        "parameters": _parameters(route, given),
        "responses": {str(route.status): _success(route, answer, components), **_refusals()},
    }
    if route.has_body:
        made["requestBody"] = _body(route, given, components)
    if asks_who_calls:
        made["security"] = [{"api_key": []}, {"token": []}]
    return made


def _parameters(route: Route, given: Schema) -> list[Schema]:
    required = given.get("required", [])
    named = [name for name in given.get("properties", {}) if name in route.in_path or not route.has_body]
    return [_parameter(name, given["properties"][name], name in route.in_path, name in required) for name in named]


def _parameter(name: str, schema: Schema, is_in_path: bool, is_required: bool) -> Schema:
    schema = _without_null(schema)
    made: Schema = {"name": name, "in": "path" if is_in_path else "query", "required": is_in_path or is_required}
    if "description" in schema:
        made["description"] = schema.pop("description")
    return {**made, "schema": schema}


def _without_null(schema: Schema) -> Schema:
    """A query cannot say null: what may be null may be left out."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    found = {key: value for key, value in schema.items() if key not in ("anyOf", "default", "title")}
    if len(kinds) == 1:
        return {**kinds[0], **found}
    return {**found, "anyOf": kinds} if kinds else {**schema}


def _body(route: Route, given: Schema, components: dict[str, Schema]) -> Schema:
    properties = {name: schema for name, schema in given.get("properties", {}).items() if name not in route.in_path}
    required = [name for name in given.get("required", []) if name in properties]
    if route.body_field:
        schema = properties[route.body_field]
    else:
        schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    content = {"application/json": {"schema": schema, "example": example_of(schema, components, is_input=True)}}
    return {"required": bool(required), "content": content}


def _success(route: Route, answer: Schema, components: dict[str, Schema]) -> Schema:
    if route.operation.is_stream:
        text = "Server-sent events; the data of each is this, its id the cursor to come back with (Last-Event-ID)."
        content: Schema = {"text/event-stream": {"schema": {"type": "string"}, "x-data": answer}}
        return {"description": text, "content": content}
    content = {"application/json": {"schema": answer, "example": example_of(answer, components)}}
    return {"description": "It is done, or found.", "content": content}


def _refusals(*statuses: int) -> Schema:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    made = {str(status): {"description": _REFUSALS[status], "content": content} for status in statuses or _REFUSALS}
    return {**made, "500": {"description": "Something went wrong inside.", "content": content}}


def _open(path: str, answer: Schema, summary: str, components: dict[str, Schema]) -> Schema:
    content = {"application/json": {"schema": answer, "example": example_of(answer, components)}}
    return {
        "operationId": path.strip("/").replace("/", "_"),
        "tags": ["health"],
        "summary": summary,
        "responses": {"200": {"description": "The report.", "content": content}, **_refusals(503)},
        "security": [],
    }


def _referred(components: dict[str, Schema], paths: dict[str, Schema]) -> dict[str, Schema]:
    """The schemas that the paths lead to."""
    found: dict[str, Schema] = {}
    waiting = list(_references(paths))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = components[name]
            waiting += _references(components[name])
    return {name: found[name] for name in sorted(found)}


def _references(value: Any) -> Iterable[str]:
    return re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(value))
