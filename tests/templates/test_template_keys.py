"""Every key of the grammar has an effect."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from template_texts import ENVIRONMENTS, FULL, HEAD, LOOSE_HEAD, step, with_steps

from tasker.model.template import BatchConfig, EventDeclaration, HandlerRef, Lifecycle, RetryPolicy, Step, Template
from tasker.templates import load_text, to_definition
from tasker.templates.checker import default_of
from tasker.templates.event_grammar import EVENT
from tasker.templates.grammar import BATCH_CONFIG, ENVIRONMENT, HANDLER, LIFECYCLE, OVERRIDE, RETRY, STEP, TEMPLATE
from tasker.templates.kinds import Record

RETRY_SET = RetryPolicy(
    retryable=False, max_attempts=7, backoff="linear", backoff_base_ms=1, max_backoff_ms=2, jitter=0
)
CHARGE = Step(
    name="charge",
    description="Charges the card.",
    handler=HandlerRef(
        callable="Shop::Charge",
        method="go",
        resolver="ours",
        initialization={"gateway": "sandbox", "limits": {"max": 10}},
    ),
    dependencies=("check",),
    retry=RETRY_SET,
    timeout_seconds=1.5,
    queue="payments",
    system_dependency="gateway",
    result_schema={"type": "object"},
    for_each="check.cards.0",
    batch_config=BatchConfig(parallelism=3, failure_strategy="isolate"),
    publishes_events=(
        EventDeclaration(
            name="order.charged",
            description="Paid.",
            schema={"type": "object"},
            condition="always",
            delivery_mode="broadcast",
            publisher="Shop::Paid",
        ),
        EventDeclaration(name="order.seen"),
    ),
)
CUT = Step(name="cut", type="batchable", handler=HandlerRef(callable="cut"))
COUNT = Step(
    name="count",
    type="batch_worker",
    handler=HandlerRef(callable="count"),
    dependencies=("cut",),
    batch_config=BatchConfig(
        parallelism=7, failure_strategy="fail_fast", batch_size=10, cursor_field="row", worker_template="count"
    ),
)


def test_every_key_arrives_in_the_template() -> None:
    """A template that sets every key to something else than its default has all of them."""
    assert load_text(FULL).template == Template(
        namespace="shop",
        name="order",
        version="1.0",
        description="Takes an order.",
        metadata={"author": "Ada", "tags": ["a", "b"]},
        system_dependencies={"primary": "gateway", "secondary": []},
        input_schema={"type": "object"},
        enforce_schemas=False,
        identity_strategy="caller_provided",
        search_fields=("customer.id", "order"),
        lifecycle=Lifecycle(
            max_waiting_for_dependencies_minutes=1,
            max_waiting_for_retry_minutes=2,
            max_steps_in_process_minutes=3,
            max_duration_minutes=43_200,
            staleness_action="error",
            auto_fail_on_timeout=False,
            auto_dlq_on_timeout=True,
        ),
        steps=(Step(name="check", handler=HandlerRef(callable="check")), CHARGE, CUT, COUNT),
    )


def test_the_full_example_names_every_key_of_the_grammar() -> None:
    """So that the test above cannot forget a key that is added."""
    for record in (TEMPLATE, LIFECYCLE, STEP, RETRY, HANDLER, BATCH_CONFIG, EVENT, ENVIRONMENT):
        for key in record.keys:
            assert f"{key.name}:" in FULL, key.name


def _defaults(record: Record, *, is_strict: bool = True) -> dict[str, Any]:
    return {key.name: default_of(key, is_strict=is_strict) for key in record.keys if not key.is_required}


def test_the_grammars_defaults_are_the_models() -> None:
    """What a file leaves out is what a record built in Python leaves out."""
    model = Template(namespace="n", name="t", version="1", steps=(Step(name="s", handler=HandlerRef(callable="h")),))
    definition = to_definition(model)
    for key, default in _defaults(TEMPLATE).items():
        assert key in ("tasker", "environments", "search_fields", "lifecycle") or definition[key] == default
    for key, default in _defaults(STEP).items():
        assert key in ("type", "for_each", "batch_config", "publishes_events") or definition["steps"][0][key] == default
    assert {field.name for field in fields(RetryPolicy)} == set(_defaults(RETRY))


def test_a_tolerant_file_differs_only_in_enforcing_schemas() -> None:
    """`tasker: 1` turns the enforcement on; the rest of the template is the same."""
    strict = load_text(step("depends_on: [], step_type: standard")).template
    tolerant = load_text(step("depends_on: [], step_type: standard", LOOSE_HEAD)).template
    assert (strict.enforce_schemas, tolerant.enforce_schemas) == (True, False)
    assert {**to_definition(strict), "enforce_schemas": False} == to_definition(tolerant)
    assert load_text(step("", LOOSE_HEAD, "enforce_schemas: true\n")).template == strict


@pytest.mark.parametrize("key", ["dependencies", "depends_on"])
def test_dependencies_have_two_names(key: str) -> None:
    """`depends_on` is another word for `dependencies`."""
    text = with_steps(f"- {{name: a, handler: h}}\n- {{name: b, handler: h, {key}: [a]}}\n")
    assert load_text(text).template.step("b").dependencies == ("a",)


@pytest.mark.parametrize("handler", ["h", "{callable: h}", "{callable: h, initialization: {}}", '"h"'])
def test_a_handler_may_be_written_short(handler: str) -> None:
    """A bare name is the handler's callable."""
    assert load_text(with_steps(f"- {{name: a, handler: {handler}}}\n")) == load_text(step(""))


def test_null_is_the_default_of_what_may_be_missing() -> None:
    """Keys whose default is null may say so in both dialects; in tolerant files all optional keys may."""
    nulls = "description: , timeout_seconds: ~, queue: null, system_dependency: , result_schema: "
    assert load_text(step(nulls)).template == load_text(step("")).template
    loose = f"{nulls}, retry: , dependencies: , type: "
    top = "metadata: \nenvironments: \nidentity_strategy: \n"
    assert load_text(step(loose, LOOSE_HEAD, top)).template == load_text(step("", LOOSE_HEAD)).template


def test_bounds_are_included() -> None:
    """The smallest and largest values are allowed."""
    low = load_text(step("timeout_seconds: 0.001, retry: {max_attempts: 1, backoff_base_ms: 1, max_backoff_ms: 1}"))
    high = load_text(step("retry: {max_attempts: 100, backoff_base_ms: 3600000, max_backoff_ms: 3600000, jitter: 1}"))
    assert low.template.step("a").retry.max_backoff_ms == 1
    assert high.template.step("a").retry.max_attempts == 100


@pytest.mark.parametrize("strategy", ["always_unique", "strict", "caller_provided"])
def test_identity_strategies(strategy: str) -> None:
    """All three are read."""
    assert load_text(step("", top=f"identity_strategy: {strategy}\n")).template.identity_strategy == strategy


@pytest.mark.parametrize("backoff", ["none", "linear", "exponential", "fibonacci"])
def test_backoffs(backoff: str) -> None:
    """All four are read."""
    assert load_text(step(f"retry: {{backoff: {backoff}}}")).template.step("a").retry.backoff == backoff


def test_an_override_changes_its_environment_only() -> None:
    """Without an environment, or in one that says nothing, the template is as written."""
    plain = load_text(ENVIRONMENTS).template
    assert plain.step("a").timeout_seconds is None
    for environment in ("empty", "production", ""):
        assert load_text(ENVIRONMENTS, environment=environment).template == plain


def test_overrides_replace_and_merge() -> None:
    """ALL first and names after it; configuration merges key by key, timeouts and policies are replaced as a whole."""
    template = load_text(ENVIRONMENTS, environment="test").template
    assert (template.step("a").timeout_seconds, template.step("b").timeout_seconds) == (5, 1)
    assert template.step("a").handler.initialization == {"x": 1, "y": 2, "deep": {"two": 2}}
    assert template.step("b").handler.initialization == {"y": 2}
    assert template.step("a").retry == RetryPolicy(max_attempts=1)
    assert template.step("b").dependencies == ("a",)


def test_an_override_has_no_defaults() -> None:
    """Naming a step and changing nothing changes nothing."""
    text = step("timeout_seconds: 3", top="environments: {test: {steps: [{name: a}]}}\n")
    assert load_text(text, environment="test").template == load_text(text).template
    assert {key.name for key in OVERRIDE.keys} == {"name", "handler", "timeout_seconds", "retry"}


def test_two_overrides_of_a_step_apply_in_order_in_tolerant_files() -> None:
    """The later one has the last word."""
    text = step(
        "",
        LOOSE_HEAD,
        "environments: {t: {steps: [{name: a, timeout_seconds: 1}, {name: a, timeout_seconds: 2}]}}\n",
    )
    assert load_text(text, environment="t").template.step("a").timeout_seconds == 2


def test_an_older_limit_is_the_number_of_attempts() -> None:
    """`retry.limit` of older files sets max_attempts instead of being ignored."""
    assert load_text(step("retry: {limit: 5}", LOOSE_HEAD)).template.step("a").retry.max_attempts == 5


def test_scalars_are_yaml_1_2() -> None:
    """Words and dates are text, `010` is ten, quotes make text of anything."""
    values = "{a: yes, b: 2024-01-01, c: 010, d: 0x1F, e: 0o17, f: 1e3, g: 'true', h: True, i: ~, j: 1_0, k: .5, l: -3}"
    text = with_steps(f"- {{name: a, handler: {{callable: h, initialization: {values}}}}}\n")
    assert load_text(f"%YAML 1.1\n---\n{text}").template.step("a").handler.initialization == {
        "a": "yes",
        "b": "2024-01-01",
        "c": 10,
        "d": 31,
        "e": 15,
        "f": 1000.0,
        "g": "true",
        "h": True,
        "i": None,
        "j": "1_0",
        "k": 0.5,
        "l": -3,
    }


def test_keys_of_free_mappings_are_text_as_written() -> None:
    """JSON knows no other keys."""
    text = with_steps("- {name: a, handler: {callable: h, initialization: {200: ok, true: x, 1.50: y}}}\n")
    assert load_text(text).template.step("a").handler.initialization == {"200": "ok", "true": "x", "1.50": "y"}


def test_anchors_and_merges_work() -> None:
    """What is said once may be used again; a key that stands in the mapping itself wins."""
    text = with_steps(
        "- {name: a, handler: h, retry: &quick {max_attempts: 5, jitter: 0}}\n"
        "- {name: b, handler: h, retry: *quick}\n"
        "- {name: c, handler: h, retry: {<<: *quick, max_attempts: 2}}\n"
        "- {name: d, handler: h, retry: {jitter: 1, <<: [{backoff: none}, *quick]}}\n"
    )
    retries = [each.retry for each in load_text(text).template.steps]
    assert retries[0] == retries[1] == RetryPolicy(max_attempts=5, jitter=0)
    assert retries[2] == RetryPolicy(max_attempts=2, jitter=0)
    assert retries[3] == RetryPolicy(max_attempts=5, jitter=1, backoff="none")


def test_aliases_share_nothing() -> None:
    """Two steps that take the same anchor have mappings of their own."""
    text = with_steps(
        "- {name: a, handler: {callable: h, initialization: &i {x: {y: 1}}}}\n"
        "- {name: b, handler: {callable: h, initialization: *i}}\n"
    )
    first, second = (each.handler.initialization for each in load_text(text).template.steps)
    assert first == second
    assert first is not second
    assert first["x"] is not second["x"]


def test_escaped_characters_past_the_first_plane_are_read() -> None:
    """JSON writes an emoji as two escapes; they are one character."""
    assert load_text(step('description: "\\ud83d\\ude00"')).template.step("a").description == "\U0001f600"


def test_a_byte_order_mark_and_crlf_are_read(tmp_path: Any) -> None:
    """Files from editors on Windows are templates too."""
    assert load_text("\ufeff" + step("").replace("\n", "\r\n")).template == load_text(step("")).template
    assert HEAD.startswith("tasker: 1")
