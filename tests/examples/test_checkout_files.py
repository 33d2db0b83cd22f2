"""The workflow's two spellings: they load, say the same, and fit their handlers."""

from __future__ import annotations

import pytest
from ecommerce import LEGACY_WORKFLOW, WORKFLOW, faults
from ecommerce.samples import careless_checkout, sample_checkout

from tasker.handlers import discover
from tasker.templates import check_inputs, load_file

FILES = {"functions": (WORKFLOW, "ecommerce.handlers"), "classes": (LEGACY_WORKFLOW, "ecommerce.legacy.handlers")}


@pytest.mark.parametrize("environment", [None, "demo"])
@pytest.mark.parametrize("spelling", FILES)
def test_every_handler_that_a_file_names_exists(spelling, environment):
    """The template loads, as written and for the demo, and a worker with these handlers can run all of it."""
    path, handlers = FILES[spelling]
    template = load_file(path, environment=environment).template

    assert {step.handler.callable for step in template.steps} == set(discover([handlers]))
    assert template.full_name.startswith("ecommerce/process_order@")


def test_both_spellings_say_the_same():
    """Steps, limits and timeouts agree; limits are those that the faults are made for."""
    steps, older = (load_file(path).template.steps for path, _ in FILES.values())

    def said(step):
        return step.name, step.retry.max_attempts, step.timeout_seconds, step.system_dependency

    assert [said(step) for step in steps] == [said(step) for step in older]
    assert {step.name: step.retry.max_attempts for step in steps} == faults.STEP_LIMITS
    assert [step.timeout_seconds for step in steps] == [15, 30, 20, 15, 10]


def test_the_demo_waits_less_and_changes_no_limit():
    """The demo environment shortens waits only: a step is tried as often as ever."""
    base, demo = load_file(WORKFLOW).template, load_file(WORKFLOW, environment="demo").template

    assert [step.retry.max_attempts for step in demo.steps] == [step.retry.max_attempts for step in base.steps]
    assert all(step.retry.max_backoff_ms <= 200 for step in demo.steps)
    assert demo.step("process_payment").handler.initialization == {
        "check_amount": False,
        "default_payment_method": "credit_card",
        "rate_limit_wait_s": 0.2,
    }


def test_the_older_file_needs_few_warnings():
    """The older spelling is read as it is; the only thing told is that its schema is not enforced."""
    warnings = load_file(LEGACY_WORKFLOW).warnings

    assert ["schema" in str(warning) for warning in warnings] == [True]
    assert load_file(WORKFLOW).warnings == ()


@pytest.mark.parametrize("spelling", FILES)
def test_the_samples_and_the_crowd_fit_the_input_schema(spelling):
    """Every checkout that the example makes is a valid input: what is wrong with one is for the rules to say."""
    template = load_file(FILES[spelling][0]).template

    for inputs in [sample_checkout(), careless_checkout(), *(one.context for one in faults.checkouts(1, 200))]:
        check_inputs(template, inputs)
