"""JSON Schemas: whether one is valid, and whether a value fits one.

Nothing is ever fetched: a reference that leads out of the schema is refused when the template is read. Formats are
notes for people, as the standard has it, and are not checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from tasker.model.errors import InvalidInput, StepValidationError
from tasker.model.json import JsonObject
from tasker.model.template import Template
from tasker.templates.defaults import EndlessSchema, items_of, lookup, pairs_of, with_defaults
from tasker.templates.document import shorten, shown
from tasker.templates.report import did_you_mean

VIOLATIONS_MAX = 50
"""How many violations are told of one value."""
_MESSAGE_LENGTH_MAX = 200
_VALIDATORS_MAX = 256
_ENDLESS = "it is nested too deeply or too large, or its schema refers to itself without end"
_UNCHECKABLE = (RecursionError, ArithmeticError)
"""What the validator lets out: on endless schemas, on patterns nested too deeply, on numbers past its arithmetic."""
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_NAMES = frozenset({"$ref", "$id", "$anchor", "$dynamicAnchor"})
_NO_SCHEMA_BELOW = frozenset({"const", "enum", "default", "examples"})

_Path = tuple[str | int, ...]

_validators: dict[int, tuple[JsonObject, Any]] = {}
"""By the identity of the schema, which is kept beside its validator so that no other object can take its place."""


def check_inputs(template: Template, context: dict[str, Any]) -> dict[str, Any]:
    """The input of a task with the schema's defaults filled in; `context` itself is not changed.

    Raises InvalidInput with every violation and its path. Gives the input back as it is where the template has no
    input schema or does not enforce it.
    """
    schema = template.input_schema
    if schema is None or not template.enforce_schemas:
        return context
    try:
        filled = with_defaults(schema, context)
    except EndlessSchema as error:
        raise InvalidInput(f"the input cannot be checked for {template.full_name}: {_ENDLESS}") from error
    violations = _violations(schema, filled)
    if violations:
        lines = "\n".join(f"  {violation}" for violation in violations)
        raise InvalidInput(f"the input does not fit the schema of {template.full_name}:\n{lines}", violations)
    return filled


def check_result(template: Template, step: str, result: object) -> None:
    """Raises StepValidationError where the result of the step of that name does not fit its `result_schema`.

    `result` is made of what JSON reads as: dict, list, str, int, float, bool and None.
    """
    schema = template.step(step).result_schema
    if schema is None or not template.enforce_schemas:
        return
    violations = _violations(schema, result)
    if violations:
        raise StepValidationError(
            f"the result of step {shown(step)} does not fit its result_schema: {'; '.join(violations)}",
            error_code="RESULT_SCHEMA_MISMATCH",
            metadata={"violations": list(violations)},
        )


def check_event(name: str, schema: JsonObject, payload: object) -> str | None:
    """What is wrong with the payload of an event, in words; None where it fits its schema."""
    violations = _violations(schema, payload)
    return f"the payload of {shown(name)} does not fit its schema: {'; '.join(violations)}" if violations else None


def _violations(schema: JsonObject, value: object) -> tuple[str, ...]:
    from referencing.exceptions import Unresolvable

    try:
        found = [_deepest(error) for error in islice(_validator(schema).iter_errors(value), VIOLATIONS_MAX)]
    except Unresolvable as error:
        return (
            f"cannot be checked: the schema's reference {shorten(str(error))} leads nowhere, and nothing is fetched",
        )
    except _UNCHECKABLE as error:
        return (f"cannot be checked: {_ENDLESS} ({shorten(str(error))})",)
    return tuple(sorted(f"{_dotted(error.absolute_path)}{_message(error)}" for error in found))


def _validator(schema: JsonObject) -> Any:
    """A validator that knows the schema and the standard's own, and fetches nothing."""
    known = _validators.get(id(schema))
    if known and known[0] is schema:
        return known[1]
    validator = _dialect(schema)(schema, registry=_standards())
    if len(_validators) >= _VALIDATORS_MAX:
        _validators.clear()
    _validators[id(schema)] = (schema, validator)
    return validator


def _standards() -> Any:
    """The schemas of the standard itself."""
    from jsonschema_specifications import REGISTRY  # pyright: ignore[reportMissingTypeStubs]

    return REGISTRY


def _dialect(schema: JsonObject) -> Any:
    """The validator class of the dialect that the schema names, of draft 2020-12 if it names none, None if unknown."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    if "$schema" not in schema:
        return Draft202012Validator
    find: Any = validator_for
    return find(schema, default=None) if isinstance(schema["$schema"], str) else None


def schema_problems(schema: dict[str, Any]) -> list[tuple[_Path, str]]:
    """What is wrong with a schema itself: the path in it, and the message. At most VIOLATIONS_MAX."""
    from jsonschema import FormatChecker

    validator = _dialect(schema)
    if validator is None:
        return [(("$schema",), f"{shown(str(schema['$schema']))} is not a JSON Schema dialect that Tasker knows")]
    meta = validator(validator.META_SCHEMA, format_checker=FormatChecker(formats=["regex"]))
    try:
        errors = [_deepest(error) for error in islice(meta.iter_errors(schema), VIOLATIONS_MAX)]
    except _UNCHECKABLE as error:
        return [((), f"this JSON Schema cannot be checked: {shorten(str(error))}")]
    found = [(tuple(error.absolute_path), _meta_message(error)) for error in errors]
    return found or _reference_problems(schema)


def _meta_message(error: Any) -> str:
    if error.absolute_path and error.absolute_path[-1] == "type" and isinstance(error.instance, str):
        hint = did_you_mean(error.instance, _TYPES)
        return f"{shown(error.instance)} is not a type of JSON Schema: they are {', '.join(_TYPES)}{hint}"
    return f"not valid in a JSON Schema: {_message(error)}"


def _reference_problems(schema: dict[str, Any]) -> list[tuple[_Path, str]]:
    """References that lead out of the schema or nowhere, and schemas without end."""
    below = list(_keywords(schema, ()))
    ids = {value for path, value in below if path[-1] == "$id"}
    anchors = {value for path, value in below if path[-1] in ("$anchor", "$dynamicAnchor")}
    told = [(path, _reference_problem(value, schema, ids, anchors)) for path, value in below if path[-1] == "$ref"]
    found = [(path, message) for path, message in told if message]
    if found:
        return found[:VIOLATIONS_MAX]
    try:
        with_defaults(schema, {}, visits_max=10_000)
    except EndlessSchema:
        return [((), "the schema refers to itself without end")]
    return []


def _keywords(schema: object, path: _Path) -> Iterator[tuple[_Path, str]]:
    """Every `$ref`, `$id` and anchor of a schema, with its path."""
    for index, item in enumerate(items_of(schema)):
        yield from _keywords(item, (*path, index))
    for key, value in pairs_of(schema):
        if key in _NAMES and isinstance(value, str):
            yield (*path, key), value
        elif key not in _NO_SCHEMA_BELOW:
            yield from _keywords(value, (*path, key))


def _reference_problem(reference: str, root: dict[str, Any], ids: set[str], anchors: set[str]) -> str | None:
    address, _, pointer = reference.partition("#")
    if address:
        is_known = address in _standards() or any(known == address or known.endswith(f"/{address}") for known in ids)
        return None if is_known else f"{shown(reference)} lies outside this schema, and nothing is fetched: copy it in"
    # A part with an id of its own counts pointers and anchors from itself.
    leads = pointer in anchors if pointer and not pointer.startswith("/") else lookup(reference, root) is not None
    return None if leads or ids - {root.get("$id")} else f"{shown(reference)} leads nowhere in this schema"


def _deepest(error: Any) -> Any:
    """Of an error of `anyOf` and the like the one inside it that says most."""
    from jsonschema import exceptions

    library: Any = exceptions
    return library.best_match([error])


def _message(error: Any) -> str:
    return shorten(str(error.message), _MESSAGE_LENGTH_MAX)


def _dotted(path: Iterable[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{shorten(step)}" for step in path)
    return f"{text.removeprefix('.')}: " if text else ""
