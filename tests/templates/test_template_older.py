"""The older spelling means what it meant."""

# ruff: noqa: E501 - a message stands in one line, as users read it

from __future__ import annotations

import pytest
from template_texts import OLDER

from tasker.model.errors import TemplateError
from tasker.model.template import HandlerRef, RetryPolicy, Step, Template
from tasker.templates import load_text


def test_every_key_of_the_older_spelling_is_translated() -> None:
    """Handlers keep their names, both words for parents become one list, limits become attempts."""
    assert load_text(OLDER).template == Template(
        namespace="ecommerce",
        name="process_order",
        version="1.0.0",
        description="Takes an order.",
        metadata={"module_namespace": "Ecommerce", "task_handler_class": "OrderHandler"},
        input_schema={"type": "object"},
        enforce_schemas=False,
        steps=(
            Step(
                name="validate",
                description="Looks at the cart.",
                handler=HandlerRef(
                    callable="Ecommerce::ValidateHandler",
                    initialization={"timeout_seconds": 15, "limits": {"items": 10, "total": 99}},
                ),
                timeout_seconds=15,
                system_dependency="shop",
            ),
            Step(
                name="charge",
                handler=HandlerRef(callable="Ecommerce::ChargeHandler"),
                dependencies=("validate",),
                retry=RetryPolicy(retryable=False, max_attempts=5),
                system_dependency="gateway",
            ),
            Step(
                name="ship",
                handler=HandlerRef(callable="Ecommerce::ShipHandler"),
                dependencies=("charge", "validate"),
                system_dependency="shop",
            ),
        ),
    )


def test_an_older_environment_merges_all_the_way_down() -> None:
    """Configuration is merged deeply, the timeout follows it, and half of a retry policy keeps the other half."""
    template = load_text(OLDER, environment="test").template
    validate, charge, ship = template.steps
    assert validate.handler.initialization == {"timeout_seconds": 1, "limits": {"items": 2, "total": 99}}
    assert validate.timeout_seconds == 1
    assert charge.retry == RetryPolicy(retryable=False, max_attempts=1)
    assert ship == load_text(OLDER).template.step("ship")


def test_what_may_be_missing_has_the_older_defaults() -> None:
    """Namespace `default`, version 0.1.0, no class of the task."""
    template = load_text("name: t\nstep_templates: [{name: a, handler_class: H}]\n").template
    assert template.full_name == "default/t@0.1.0"
    assert template.steps == (Step(name="a", handler=HandlerRef(callable="H")),)


HEAD = "name: t\nstep_templates:\n- name: a\n  handler_class: H\n"

WARNINGS = {
    "  skippable: true\n": "f:5:3 step_templates[0].skippable: has no effect: a step that failed is resolved by hand, "
    "so that its successors run",
    "  custom_events: [{name: x}]\n": "f:5:3 step_templates[0].custom_events: has no effect: say in publishes_events "
    "what a step tells",
    "custom_events: [{name: x}]\n": "f:5:1 custom_events: has no effect: say in publishes_events what a step tells",
    "concurrent: false\n": "f:5:1 concurrent: has no effect: steps that do not depend on each other run at the same "
    "time; add dependencies",
    "handler_config: {a: 1}\n": "f:5:1 handler_config: has no effect here: give it to the steps that read it",
    "schema: {type: object}\n": "f:5:1 schema: is kept but not enforced: write `enforce_schemas: true` to hold inputs "
    "against it",
    "  handler_config: {fast: yes}\n": 'f:5:26: "yes" is read as text: write true or false, or put it in quotes',
    "  retry_count: 3\n": 'f:5:3 step_templates[0].retry_count: "retry_count" is not a key of a step and has no effect',
    "environments: {test: {step_templates: [{name: b}]}}\n": "f:5:47 environments.test.step_templates[0].name: "
    '"b" is not a step of this template',
}


@pytest.mark.parametrize(("text", "message"), WARNINGS.items())
def test_what_cannot_be_said_is_warned_of(text: str, message: str) -> None:
    """One warning with its place, and the template loads."""
    warnings = load_text(HEAD + text, name="f").warnings
    assert [str(warning)[: len(message)] for warning in warnings] == [message]


MISTAKES = {
    "  default_retry_limit: 0\n": "f:5:24 step_templates[0].default_retry_limit: expected a whole number from 1 to 100",
    "  depends_on_step: b\n": 'f:5:20 step_templates[0].depends_on_step[0]: "b" is not a step of this template',
    "  depends_on_steps: b\n": "f:5:21 step_templates[0].depends_on_steps: expected a list of step names, "
    'not the text "b": write [b]',
    "  handler_config: {timeout_seconds: -1}\n": "f:5:37 step_templates[0].handler_config.timeout_seconds: expected a "
    "number above 0 and at most 31536000, not the number -1",
    "  handler: h\n": 'f:5:3 step_templates[0].handler: "handler" is said twice, here and in the older spelling: '
    "remove one of them",
    "- name: b\n": 'f:5:3 step_templates[1]: a step needs the key "handler_class"',
    "named_steps: [b]\n": 'f:3:9 step_templates[0].name: "a" is not in named_steps: add it there, or remove that key',
    "named_steps: a\n": 'f:5:14 named_steps: expected a list of step names, not the text "a"',
    "schema: {}\ninput_schema: {}\n": 'f:6:1 input_schema: "input_schema" is said twice, here and in the older spelling',
    "  dependent_system: x\n  system_dependency: y\n": 'f:6:3 step_templates[0].system_dependency: "system_dependency" is',
    "environments: {t: {steps: [], step_templates: []}}\n": 'f:5:20 environments.t.steps: "steps" is said twice, here and',
    "environments: {t: {step_templates: [{name: a, handler: {initialization: {}}, handler_config: {b: 1}}]}}\n": "f:5:78 "
    'environments.t.step_templates[0].handler_config: "handler_config" is not supported in an override',
    "environments: {t: {step_templates: [{name: a, retry: {}, default_retry_limit: 2}]}}\n": "f:5:58 environments.t."
    'step_templates[0].default_retry_limit: "default_retry_limit" is not supported in an override',
    "steps: []\n": 'f:5:1 steps: "steps" and "step_templates" both stand here: keep one',
    "schema: []\n": "f:5:9 schema: expected a JSON Schema, not a list",
    "environments: {test: {step_templates: [{name: a, handler_class: G}]}}\n": "f:5:50 environments.test."
    'step_templates[0].handler_class: "handler_class" is not supported in an override of a step by this version',
    "environments: {test: {schema: {}}}\n": 'f:5:23 environments.test.schema: "schema" is not supported in an '
    "environment by this version",
    "  publishes_events: [{name: x}]\n": 'f:5:29 step_templates[0].publishes_events[0].name: "x" is not allowed here',
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_a_mistake_is_told_in_the_words_of_the_file(text: str, message: str) -> None:
    """The path and the place are those of the older key."""
    with pytest.raises(TemplateError) as caught:
        load_text(HEAD + text, name="f")
    assert [str(problem)[: len(message)] for problem in caught.value.problems] == [message]


def test_a_strict_file_may_not_use_the_older_spelling() -> None:
    """`tasker: 1` means today's words, and says which they are."""
    with pytest.raises(TemplateError, match='"step_templates" is not a key of a template; write "steps"'):
        load_text("tasker: 1\n" + HEAD)


def test_enforcing_is_a_line_away() -> None:
    """Keys of today may stand beside the older ones."""
    loaded = load_text(HEAD + "  queue: q\nschema: {type: object}\nenforce_schemas: true\n")
    assert loaded.template.enforce_schemas
    assert loaded.template.step("a").queue == "q"
    assert loaded.warnings == ()


@pytest.mark.parametrize("steps", ["text", "[a]", "{a: b}", "", "[]", "[{handler_config: []}]", "[{name: [x]}]"])
@pytest.mark.parametrize("rest", ["", "[]", "{a: [b]}", "{a: {step_templates: [1]}}", "{a: {step_templates: x}}"])
def test_older_files_of_the_wrong_shape_are_problems(steps: str, rest: str) -> None:
    """The translation leaves to the checker what it does not understand."""
    with pytest.raises(TemplateError):
        load_text(f"name: t\nstep_templates: {steps}\nenvironments: {rest}\n")
