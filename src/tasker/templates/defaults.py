"""Filling in the defaults of a JSON Schema, and following its local references."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, TypeGuard
from urllib.parse import unquote

_REFERENCES_MAX = 100
"""How many references may lead to one another before they are taken for a circle."""


class EndlessSchema(Exception):
    """The schema refers to itself without end, or would make more values than anyone means."""


def with_defaults(schema: object, value: Any, *, visits_max: int = 1_000_000) -> Any:
    """A copy of the value with defaults in the objects that are there: through properties, items, allOf and $ref.

    What holds only in one of several branches (anyOf, oneOf, if) is never filled in, since which branch is meant is
    known only when the value is complete. Raises EndlessSchema, after `visits_max` steps at the latest.
    """
    try:
        return _Filling(schema, visits_max).fill(schema, value)
    except RecursionError as error:
        raise EndlessSchema from error


class _Filling:
    def __init__(self, root: object, visits_max: int) -> None:
        self._root = root
        self._visits_left = visits_max

    def fill(self, schema: object, value: Any) -> Any:
        self._visits_left -= 1
        if self._visits_left < 0:
            raise EndlessSchema
        rules = self._rules(schema)
        for part in items_of(rules.get("allOf")):
            value = self.fill(part, value)
        if is_object(value):
            return self._object(pairs_of(rules.get("properties")), dict(value))
        if is_list(value) and "items" in rules:
            return [self.fill(rules["items"], item) for item in value]
        return value

    def _object(self, properties: Iterable[tuple[str, Any]], value: dict[str, Any]) -> dict[str, Any]:
        for name, schema in properties:
            rules = self._rules(schema)
            if name not in value and "default" in rules:
                value[name] = copy.deepcopy(rules["default"])
            if name in value:
                value[name] = self.fill(schema, value[name])
        return value

    def _rules(self, schema: object) -> dict[str, Any]:
        """The schema's own keys, and those of what it refers to where it does not say them itself."""
        rules: dict[str, Any] = {}
        for _ in range(_REFERENCES_MAX):
            rules = dict(pairs_of(schema)) | rules
            reference = rules.pop("$ref", None)
            if not isinstance(reference, str) or not reference.startswith("#"):
                return rules
            schema = lookup(reference, self._root)
        raise EndlessSchema


def lookup(reference: str, root: object) -> Any:
    """What a pointer such as `#/$defs/money` names in the schema, None where it names nothing."""
    found: Any = root
    for part in unquote(reference).removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if is_object(found):
            found = found.get(name)
        elif is_list(found) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """True for a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """True for a JSON array."""
    return isinstance(value, list)


def pairs_of(value: object) -> list[tuple[str, Any]]:
    """The entries of an object, none of anything else."""
    return list(value.items()) if is_object(value) else []


def items_of(value: object) -> list[Any]:
    """The items of a list, none of anything else."""
    return value if is_list(value) else []
