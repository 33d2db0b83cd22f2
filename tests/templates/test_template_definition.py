"""The canonical form: complete, the same for the same content, and what two versions differ in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from template_texts import FULL, step, template, text_of, with_steps

from tasker.model.errors import TemplateError
from tasker.model.template import Template
from tasker.templates import differences, digest, from_definition, load_text, to_definition

FULL_TEMPLATE = load_text(FULL).template


def test_a_template_is_rebuilt_from_its_definition() -> None:
    """Also after it has been JSON, as in the database."""
    stored = json.loads(json.dumps(to_definition(FULL_TEMPLATE)))
    assert from_definition(stored) == FULL_TEMPLATE


def test_a_definition_is_a_strict_template() -> None:
    """What is stored can be read as a file, without a warning."""
    loaded = load_text(json.dumps(to_definition(FULL_TEMPLATE)))
    assert loaded.template == FULL_TEMPLATE
    assert loaded.warnings == ()


def test_a_definition_shares_nothing_with_its_template() -> None:
    """Whoever changes the one does not change the other."""
    definition = to_definition(FULL_TEMPLATE)
    definition["metadata"]["tags"].append("c")
    definition["steps"][1]["handler"]["initialization"]["limits"]["max"] = 0
    assert load_text(FULL).template == FULL_TEMPLATE


def test_an_older_definition_may_lack_keys() -> None:
    """A key that a later version adds has its default in what was stored before."""
    definition = to_definition(template("a -> b"))
    del definition["identity_strategy"], definition["steps"][0]["queue"], definition["steps"][0]["retry"]["jitter"]
    assert from_definition(definition) == template("a -> b")


@pytest.mark.parametrize("broken", [{}, {"steps": 1}, {"namespace_name": "n", "steps": [1]}, {"namespace_name": "n"}])
def test_what_is_no_definition_is_refused(broken: dict[str, Any]) -> None:
    """With the error of templates, not with one of Python's."""
    with pytest.raises(TemplateError, match="not a stored definition"):
        from_definition(broken)


def test_the_digest_is_of_the_content() -> None:
    """The spelling, the order of keys, 30 or 30.0, defaults written out or not: all one digest."""
    one = load_text(with_steps("- {name: a, handler: h, timeout_seconds: 30}\n")).template
    other = load_text(
        with_steps("- {timeout_seconds: 30.0, retry: {jitter: 1.0e-1}, handler: {callable: h}, name: a}\n")
    ).template
    assert digest(one) == digest(other)
    assert len(digest(one)) == 64


def _changed(path: str, value: object) -> Template:
    definition = to_definition(FULL_TEMPLATE)
    target: Any = definition
    *way, last = path.split("/")
    for key in way:
        target = target[int(key) if key.isdigit() else key]
    target[last] = value
    return from_definition(definition)


DIFFERENCES: list[tuple[str, object, str]] = [
    ("namespace_name", "store", 'namespace_name: "shop" -> "store"'),
    ("name", "orders", 'name: "order" -> "orders"'),
    ("version", "2", 'version: "1.0" -> "2"'),
    ("description", None, 'description: "Takes an order." -> null'),
    ("metadata/author", "Bob", 'metadata.author: "Ada" -> "Bob"'),
    ("metadata/team", "x", 'metadata.team: added ("x")'),
    ("system_dependencies/primary", "bank", 'system_dependencies.primary: "gateway" -> "bank"'),
    ("input_schema", None, 'input_schema: {"type": "object"} -> null'),
    ("enforce_schemas", True, "enforce_schemas: false -> true"),
    ("identity_strategy", "strict", 'identity_strategy: "caller_provided" -> "strict"'),
    ("steps/1/description", "x", 'steps.charge.description: "Charges the card." -> "x"'),
    ("steps/1/handler/callable", "x", 'steps.charge.handler.callable: "Shop::Charge" -> "x"'),
    ("steps/1/handler/initialization/limits/max", 11, "steps.charge.handler.initialization.limits.max: 10 -> 11"),
    ("steps/1/handler/initialization/limits/max", True, "steps.charge.handler.initialization.limits.max: 10 -> true"),
    ("steps/1/dependencies", [], 'steps.charge.dependencies: ["check"] -> []'),
    ("steps/1/retry/retryable", True, "steps.charge.retry.retryable: false -> true"),
    ("steps/1/retry/max_attempts", 5, "steps.charge.retry.max_attempts: 7 -> 5"),
    ("steps/1/retry/backoff", "none", 'steps.charge.retry.backoff: "linear" -> "none"'),
    ("steps/1/retry/backoff_base_ms", 9, "steps.charge.retry.backoff_base_ms: 1 -> 9"),
    ("steps/1/retry/max_backoff_ms", 9, "steps.charge.retry.max_backoff_ms: 2 -> 9"),
    ("steps/1/retry/jitter", 0.5, "steps.charge.retry.jitter: 0 -> 0.5"),
    ("steps/1/timeout_seconds", 2, "steps.charge.timeout_seconds: 1.5 -> 2"),
    ("steps/1/queue", "q", 'steps.charge.queue: "payments" -> "q"'),
    ("steps/1/system_dependency", "x", 'steps.charge.system_dependency: "gateway" -> "x"'),
    ("steps/1/result_schema/type", "array", 'steps.charge.result_schema.type: "object" -> "array"'),
]


@pytest.mark.parametrize(("path", "value", "line"), DIFFERENCES)
def test_every_key_is_part_of_the_digest_and_told_as_a_difference(path: str, value: object, line: str) -> None:
    """No change of content passes unseen, and each is one line."""
    other = _changed(path, value)
    assert digest(other) != digest(FULL_TEMPLATE)
    assert differences(to_definition(FULL_TEMPLATE), to_definition(other)) == [line]


def test_steps_that_come_go_or_move_are_told() -> None:
    """Steps are compared by name; their order counts too."""
    old, new = to_definition(template("a -> b -> c")), to_definition(template("a -> c"))
    lines = differences(old, new)
    assert lines[0].startswith('steps.b: removed (was {"name": "b"')
    assert lines[1:] == ['steps.c.dependencies: ["b"] -> ["a"]']
    assert differences(new, old)[-1].startswith('steps.b: added ({"name": "b"')
    moved = differences(to_definition(template("a, b")), to_definition(template("b, a")))
    assert moved == ['the order of the steps: ["a", "b"] -> ["b", "a"]']


def test_equal_definitions_do_not_differ() -> None:
    """Whatever JSON made of their numbers."""
    stored = json.loads(json.dumps(to_definition(FULL_TEMPLATE)).replace("1.5", "1.50"))
    assert differences(to_definition(FULL_TEMPLATE), stored) == []
    assert differences(json.loads(text_of("a", metadata={"n": 1.0})), json.loads(text_of("a", metadata={"n": 1}))) == []


def test_long_values_are_shortened() -> None:
    """A difference stays one readable line."""
    old, new = (to_definition(load_text(step(f"description: {letter * 5_000}")).template) for letter in "ab")
    (line,) = differences(old, new)
    assert len(line) < 250
