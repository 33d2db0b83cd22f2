"""Inputs and results against their schemas."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tasker.model.errors import InvalidInput, StepValidationError
from tasker.model.template import HandlerRef, Step, Template
from tasker.templates import check_inputs, check_result, schemas
from tasker.templates.schemas import VIOLATIONS_MAX

ORDER = {
    "type": "object",
    "required": ["items", "email"],
    "properties": {
        "items": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "properties": {"quantity": {"type": "integer", "minimum": 1, "default": 1}}},
        },
        "email": {"type": "string"},
        "currency": {"enum": ["EUR", "USD"], "default": "EUR"},
        "address": {"$ref": "#/$defs/address"},
        "shipping": {"allOf": [{"properties": {"days": {"default": 3}}}], "default": {}},
    },
    "$defs": {"address": {"type": "object", "properties": {"country": {"default": "DE"}}}},
}


def with_schema(schema: Any, *, enforced: bool = True, result: Any = None) -> Template:
    step = Step(name="s", handler=HandlerRef(callable="h"), result_schema=result)
    return Template(namespace="n", name="t", version="1", steps=(step,), input_schema=schema, enforce_schemas=enforced)


def test_defaults_are_filled_in_where_their_object_is() -> None:
    """At the top, in items, through references and allOf; an object that is missing is not invented."""
    given = {"items": [{"quantity": 2}, {}], "email": "a@b.c"}
    assert check_inputs(with_schema(ORDER), given) == {
        "items": [{"quantity": 2}, {"quantity": 1}],
        "email": "a@b.c",
        "currency": "EUR",
        "shipping": {"days": 3},
    }
    assert check_inputs(with_schema(ORDER), {**given, "address": {}})["address"] == {"country": "DE"}
    assert given == {"items": [{"quantity": 2}, {}], "email": "a@b.c"}


def test_defaults_are_not_shared() -> None:
    """What one task does to its input reaches no other."""
    template = with_schema({"properties": {"a": {"default": {"b": []}}}})
    check_inputs(template, {})["a"]["b"].append(1)
    assert check_inputs(template, {}) == {"a": {"b": []}}


def test_defaults_of_branches_are_left_alone() -> None:
    """Which branch holds is known only when the value is complete."""
    schema = {"anyOf": [{"properties": {"a": {"default": 1}}}, {"required": ["b"]}]}
    assert check_inputs(with_schema(schema), {"b": 2}) == {"b": 2}


def test_a_default_that_does_not_fit_is_a_violation() -> None:
    """Defaults are checked like what the caller gave."""
    with pytest.raises(InvalidInput, match="a: 'x' is not of type 'integer'"):
        check_inputs(with_schema({"properties": {"a": {"type": "integer", "default": "x"}}}), {})


def test_every_violation_is_told_with_its_path() -> None:
    """One line each, sorted by path."""
    with pytest.raises(InvalidInput) as caught:
        check_inputs(with_schema(ORDER), {"items": [{"quantity": 0}, {"quantity": "x"}], "currency": "GBP"})
    assert caught.value.violations == (
        "'email' is a required property",
        "currency: 'GBP' is not one of ['EUR', 'USD']",
        "items[0].quantity: 0 is less than the minimum of 1",
        "items[1].quantity: 'x' is not of type 'integer'",
    )
    assert str(caught.value) == "the input does not fit the schema of n/t@1:\n" + "\n".join(
        f"  {violation}" for violation in caught.value.violations
    )


def test_violations_are_bounded_and_short() -> None:
    """A huge wrong input gives a message that can be stored."""
    schema = {"properties": {"a": {"items": {"type": "integer"}}}}
    with pytest.raises(InvalidInput) as caught:
        check_inputs(with_schema(schema), {"a": ["x" * 10_000] * 1_000})
    assert len(caught.value.violations) == VIOLATIONS_MAX
    assert max(map(len, caught.value.violations)) < 300


@pytest.mark.parametrize("template", [with_schema(None), with_schema({"required": ["a"]}, enforced=False)])
def test_without_enforcement_everything_fits(template: Template) -> None:
    """The input comes back as it is."""
    given: dict[str, Any] = {"b": 1}
    assert check_inputs(template, given) is given


def test_a_result_is_checked_where_schemas_are_enforced() -> None:
    """A result that does not fit is a permanent error with every violation."""
    template = with_schema(None, result={"type": "object", "required": ["id"]})
    check_result(template, "s", {"id": 1})
    with pytest.raises(StepValidationError, match='the result of step "s" does not fit') as caught:
        check_result(template, "s", {})
    assert not caught.value.retryable
    assert caught.value.error_code == "RESULT_SCHEMA_MISMATCH"
    assert caught.value.metadata == {"violations": ["'id' is a required property"]}
    check_result(with_schema(None, result={"type": "object"}, enforced=False), "s", [])
    check_result(with_schema({"type": "object"}), "s", [])


def test_the_named_dialect_is_used() -> None:
    """`$schema` decides what a keyword means: in draft 4 exclusiveMinimum is a flag."""
    draft_4 = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "properties": {"a": {"minimum": 1, "exclusiveMinimum": True}},
    }
    with pytest.raises(InvalidInput):
        check_inputs(with_schema(draft_4), {"a": 1})
    newest = {"properties": {"a": {"prefixItems": [{"type": "integer"}]}}}
    with pytest.raises(InvalidInput):
        check_inputs(with_schema(newest), {"a": ["x"]})


def test_formats_are_notes() -> None:
    """As the standard has it."""
    assert check_inputs(with_schema({"properties": {"a": {"format": "email"}}}), {"a": "no"}) == {"a": "no"}


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference to another place is a violation, not a request."""

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(InvalidInput, match=r"http://example.com/s.json leads nowhere, and nothing is fetched"):
        check_inputs(with_schema({"$ref": "http://example.com/s.json"}), {})


def test_the_standards_own_schemas_are_known() -> None:
    """They are part of the validator, and need no fetching either."""
    template = with_schema({"properties": {"schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}})
    assert check_inputs(template, {"schema": {"type": "object"}})
    with pytest.raises(InvalidInput):
        check_inputs(template, {"schema": {"type": "nothing"}})


ENDLESS: list[Any] = [
    {"$ref": "#"},
    {"allOf": [{"$ref": "#"}]},
    {"properties": {"a": {"$ref": "#", "default": {}}}},
    {"anyOf": [{"$ref": "#"}]},
]


@pytest.mark.parametrize("schema", ENDLESS)
def test_an_endless_schema_is_an_error_of_the_input(schema: Any) -> None:
    """A definition from elsewhere cannot bring down whoever checks it."""
    with pytest.raises(InvalidInput, match="cannot be checked"):
        check_inputs(with_schema(schema), {})


def test_an_input_nested_too_deeply_is_an_error_of_the_input() -> None:
    """Recursion ends as a violation."""
    value: dict[str, Any] = {}
    for _ in range(5_000):
        value = {"a": value}
    with pytest.raises(InvalidInput, match="cannot be checked"):
        check_inputs(with_schema({"properties": {"a": {"$ref": "#"}}}), value)


def test_a_number_past_arithmetic_is_an_error_of_the_input() -> None:
    """JSON allows numbers that a validator cannot divide."""
    with pytest.raises(InvalidInput, match="cannot be checked"):
        check_inputs(with_schema({"properties": {"a": {"multipleOf": 0.1}}}), {"a": 10**400})


def test_validators_are_kept_for_the_schema_they_were_made_for() -> None:
    """Two equal schemas have one each, and many schemas do not fill the memory."""
    for number in range(600):
        with pytest.raises(InvalidInput):
            check_inputs(with_schema({"required": [f"k{number}"]}), {})
    assert len(schemas._validators) <= 256  # pyright: ignore[reportPrivateUsage]
