"""The JSON Schema of templates for editors, and the tables of the reference page, both made from the grammar.

`python -m tasker.templates.schema` prints the schema, with `--tables` the tables.

The schema describes files with `tasker: 1`. Its draft is 7, the newest that editors for YAML know well.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tasker.templates.checker import default_of, wanted
from tasker.templates.event_grammar import EVENT
from tasker.templates.grammar import (
    BATCH_CONFIG,
    ENVIRONMENT,
    GRAMMAR_VERSION,
    HANDLER,
    LIFECYCLE,
    OVERRIDE,
    RETRY,
    STEP,
    TEMPLATE,
)
from tasker.templates.kinds import (
    Absent,
    Choice,
    Flag,
    Free,
    GrammarVersion,
    JsonSchema,
    Key,
    Kind,
    ListOf,
    MapOf,
    Number,
    Record,
    Text,
    Whole,
)

_PAGES = (
    ("The template", TEMPLATE),
    ("A step", STEP),
    ("`handler`", HANDLER),
    ("`retry`", RETRY),
    ("`batch_config`", BATCH_CONFIG),
    ("An event in `publishes_events`", EVENT),
    ("`lifecycle`", LIFECYCLE),
    ("`environments.<name>`", ENVIRONMENT),
    ("An override in `environments.<name>.steps`", OVERRIDE),
)
_DIALECT = "http://json-schema.org/draft-07/schema#"


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a template with `tasker: 1`."""
    schema = _record(TEMPLATE)
    schema["required"] = ["tasker", *schema["required"]]
    return {"$schema": _DIALECT, "title": "Tasker template", **schema}


def _record(record: Record) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    exclusive: list[dict[str, Any]] = []
    for key in record.keys:
        properties[key.name] = _key(key)
        if key.alias:
            properties[key.alias] = properties[key.name]
            exclusive.append({"not": {"required": [key.name, key.alias]}})
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [key.name for key in record.keys if key.is_required]
    if required:
        schema["required"] = required
    if exclusive:
        schema["allOf"] = exclusive
    if record.short:
        short = next(key for key in record.keys if key.name == record.short)
        return {"anyOf": [_kind(short.kind), schema]}
    return schema


def _key(key: Key) -> dict[str, Any]:
    schema = _kind(key.kind)
    if key.default is None:
        schema = {"anyOf": [schema, {"type": "null"}]}
    described = {"description": key.about, **schema}
    if key.default not in (Absent.ABSENT, None):
        described["default"] = default_of(key, is_strict=True)
    return described


def _kind(kind: Kind) -> dict[str, Any]:
    match kind:
        case Text():
            pattern = {"pattern": f"^(?:{kind.pattern})$"} if kind.pattern else {}
            return {"type": "string", "minLength": kind.at_least, "maxLength": kind.at_most, **pattern}
        case Whole():
            return {"type": "integer", "minimum": kind.at_least, "maximum": kind.at_most}
        case Number():
            lower = {"minimum": kind.at_least} if kind.above is None else {"exclusiveMinimum": kind.above}
            return {"type": "number", **lower, "maximum": kind.at_most}
        case Flag():
            return {"type": "boolean"}
        case Choice():
            return {"enum": list(kind.words)}
        case GrammarVersion():
            return {"const": GRAMMAR_VERSION}
        case Free():
            return {"type": ["object", "null"]}
        case JsonSchema():
            return {"type": "object"}
        case ListOf():
            items = {"minItems": kind.at_least, "maxItems": kind.at_most}
            return {"type": "array", "items": _kind(kind.item), **items}
        case MapOf():
            return {"type": "object", "additionalProperties": _kind(kind.item)}
        case Record():
            return _record(kind)


def tables() -> str:
    """The grammar as Markdown tables, one for each kind of mapping."""
    return "\n".join(_table(title, record) for title, record in _PAGES)


def _table(title: str, record: Record) -> str:
    rows = "".join(f"| {_name(key)} | {_value(key.kind)} | {_default(key)} | {key.about} |\n" for key in record.keys)
    later = ", ".join(f"`{key}`" for key in record.later)
    note = f"\nNot supported by this version of Tasker: {later}.\n" if later else ""
    return f"### {title}\n\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}{note}"


def _name(key: Key) -> str:
    return f"`{key.name}` (or `{key.alias}`)" if key.alias else f"`{key.name}`"


def _default(key: Key) -> str:
    if key.is_required:
        return "required"
    if key.default is Absent.ABSENT or key.default is None:
        return "-"
    if isinstance(key.kind, Record):
        return "each key's own"
    text = f"`{json.dumps(key.default)}`"
    loose = key.loose_default
    return text if loose is Absent.ABSENT else f"{text}; `{json.dumps(loose)}` without `tasker: 1`"


def _value(kind: Kind) -> str:
    if isinstance(kind, Record):
        return f"text, or {kind.noun} as a mapping" if kind.short else kind.noun
    return wanted(kind)


if __name__ == "__main__":
    sys.stdout.write(tables() if "--tables" in sys.argv[1:] else json.dumps(json_schema(), indent=2) + "\n")
