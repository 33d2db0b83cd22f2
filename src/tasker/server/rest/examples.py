"""Examples for the OpenAPI document, made from schemas: what a field says of itself, else what its type is like."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
_BY_FORMAT = {
    "uuid": "0198c0de-0000-7000-8000-000000000001",
    "date-time": "2030-01-31T09:00:00Z",
}
_BY_TYPE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": False, "null": None}
_DEPTH_MAX = 6


def example_of(schema: Schema, components: dict[str, Schema], *, is_input: bool = False, depth: int = 0) -> Any:
    """A value that fits. Of an input only what is required, and what has an example of its own."""
    if "$ref" in schema:
        schema = {**components[schema["$ref"].rpartition("/")[2]], **{k: v for k, v in schema.items() if k != "$ref"}}
    for word in ("const", "default"):
        if word in schema and "examples" not in schema:
            return schema[word]
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return example_of(schema[word][0], components, is_input=is_input, depth=depth)
    return _by_type(schema, components, is_input=is_input, depth=depth)


def _by_type(schema: Schema, components: dict[str, Schema], *, is_input: bool, depth: int) -> Any:
    kind = schema.get("type")
    if depth > _DEPTH_MAX:
        return None
    if kind == "array":
        items = [schema.get("items", {})] * max(1, schema.get("minItems", 1))
        return [example_of(item, components, is_input=is_input, depth=depth + 1) for item in items]
    if kind == "object":
        required = schema.get("required", [])
        wanted = {
            name: inner
            for name, inner in schema.get("properties", {}).items()
            if not is_input or name in required or "examples" in inner
        }
        return {name: example_of(one, components, is_input=is_input, depth=depth + 1) for name, one in wanted.items()}
    return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE.get(str(kind)))
