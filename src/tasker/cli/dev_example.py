"""What to try first: a line for curl that creates a task of one of the templates."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from tasker.model.errors import TaskerError
from tasker.model.template import Template
from tasker.templates import load_paths

_OF_TYPES: dict[str, Any] = {"string": "text", "integer": 1, "number": 1, "boolean": True, "array": [], "null": None}
_DEPTH_MAX = 8


def curl_line(port: int, templates: Sequence[str], environment: str | None) -> str:
    """Creates a task of the first template; of none where they are broken, which the worker tells."""
    body: dict[str, Any] = {"namespace": "NAMESPACE", "name": "TEMPLATE", "context": {}}
    with suppress(TaskerError):
        body = next((_body(one.template) for one in load_paths(templates, environment)), body)
    return (
        f"curl -s http://127.0.0.1:{port}/v1/tasks -H 'Content-Type: application/json' "
        f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )


def _body(template: Template) -> dict[str, Any]:
    context = example_of(template.input_schema or {})
    return {
        "namespace": template.namespace,
        "name": template.name,
        "context": cast("Any", context) if isinstance(context, dict) else {},
    }


def example_of(schema: Mapping[str, Any], depth: int = 0) -> Any:
    """A value that a JSON schema asks for: its own example or default, else the simplest of its type."""
    for word in ("examples", "enum"):
        if schema.get(word):
            return schema[word][0]
    for word in ("default", "const"):
        if word in schema:
            return schema[word]
    said: Any = schema.get("type", "object")
    kind = str(cast("list[Any]", said)[0] if isinstance(said, list) else said)
    if kind != "object" or depth > _DEPTH_MAX:
        return _OF_TYPES.get(kind, {})
    properties: Mapping[str, Any] = schema.get("properties", {})
    asked: Sequence[str] = schema.get("required", ())
    return {name: example_of(properties.get(name, {"type": "string"}), depth + 1) for name in asked}
