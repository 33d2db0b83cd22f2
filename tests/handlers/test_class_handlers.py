"""Handlers as classes, those of the older form included."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tasker.handlers import StepContext, StepHandler, as_handler, discover, step_handler
from tasker.handlers.resolution import offers, system_dependencies
from tasker.model.errors import InvalidHandler


def call(cls: Any, context: StepContext) -> Any:
    handler = as_handler(cls)
    result = handler.call(context)
    return asyncio.run(result) if handler.pool == "async" else result


class SendMail(StepHandler):
    handler_name = "send_mail"
    handler_version = "1.2.0"

    def call(self, context):
        return {"to": context.get_input("email"), "me": self}


class SendMailAsync(StepHandler):
    handler_name = "send_mail_async"

    async def call(self, context):
        return context.attempt


class Configured(StepHandler):
    handler_name = "configured"

    def __init__(self, config=None):
        self.config = config

    def call(self, context):
        return self.config


class PayOlder(StepHandler):
    handler_name = "Shop::PaymentHandler"

    def process(self, task, sequence, step):
        cart = sequence.find_step_by_name("validate").results
        return {
            "token": task.context["token"],
            "total": cart["total"],
            "inputs": step.inputs["token"],
            "step": (step.name, step.attempts, step.retry_limit, step.step_id),
            "task": (task.task_id, task.name, task.namespace, task.version, str(task.task_uuid)),
            "unknown": sequence.find_step_by_name("nothing"),
            "names": [one.name for one in sequence.steps],
            "own": sequence.find_step_by_name("charge") is step,
            "config": step.config,
        }


class PayOlderAsync(StepHandler):
    handler_name = "older_async"

    async def process(self, task, sequence, step):
        return task.context["token"]


class SetsItsResults(StepHandler):
    handler_name = "sets_results"

    def process(self, task, sequence, step):
        step.results = {"kept": True}
        return "dropped"


class ShapesItsResults(StepHandler):
    handler_name = "shapes_results"

    def process(self, task, sequence, step):
        return 20

    def process_results(self, step, output, initial_results):
        step.results = {"doubled": output * 2, **initial_results}


def test_each_execution_has_its_own_instance(make_context):
    """No state passes from one execution to the next through the instance."""
    first, second = call(SendMail, make_context({"email": "a"})), call(SendMail, make_context({"email": "b"}))

    assert (first["to"], second["to"]) == ("a", "b")
    assert first["me"] is not second["me"]


def test_what_a_class_says_about_itself():
    """The record has the class's name, version and pool, and takes any ancestor's result for read."""
    handler = as_handler(SendMail)

    assert (handler.name, handler.version, handler.pool, handler.needs) == ("send_mail", "1.2.0", "thread", None)
    assert as_handler(SendMailAsync).pool == "async"
    assert as_handler(PayOlder).name == "Shop::PaymentHandler"
    assert as_handler(SendMail, "other").name == "other"
    assert SendMail().name == "send_mail"
    assert repr(SendMail()) == "SendMail(name='send_mail', version='1.2.0')"


def test_an_async_class(make_context):
    """`async def call` is awaited."""
    assert call(SendMailAsync, make_context(attempt=3)) == 3


def test_a_constructor_that_takes_config_gets_it(make_context):
    """`config` is the step's `handler.initialization`, also where the constructor has a default for it."""
    assert call(Configured, make_context(config={"url": "x"})) == {"url": "x"}


def test_the_older_form_reads_task_sequence_and_step(make_context):
    """`process(task, sequence, step)` finds inputs, results, names and counts where older handlers look for them."""
    context = make_context({"token": "t"}, {"validate": {"total": 3}}, tries=1, config={"k": 1})

    assert call(PayOlder, context) == {
        "token": "t",
        "total": 3,
        "inputs": "t",
        "step": ("charge", 1, 3, str(context.step_uuid)),
        "task": (str(context.task_uuid), "order", "shop", "1.0.0", str(context.task_uuid)),
        "unknown": None,
        "names": ["validate", "charge"],
        "own": True,
        "config": {"k": 1},
    }
    assert call(PayOlderAsync, make_context({"token": "t"})) == "t"


def test_the_older_form_may_set_the_results_itself(make_context):
    """Results set on the step are kept instead of the returned value, and `process_results` may shape them."""
    assert call(SetsItsResults, make_context()) == {"kept": True}
    assert call(ShapesItsResults, make_context()) == {"doubled": 40}


class Nothing(StepHandler):
    handler_name = "nothing"


class NeedsMore(StepHandler):
    handler_name = "needs_more"

    def __init__(self, gateway):
        self.gateway = gateway

    def call(self, context):
        return None


class NotDerived:
    def call(self, context):
        return None


class Yields(StepHandler):
    def call(self, context):
        yield 1


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Nothing, r"defines neither call\(self, context\) nor process"),
        (NeedsMore, "nothing gives its constructor gateway"),
        (NotDerived, "derive it from StepHandler"),
        (Yields, "is a generator"),
        (SendMail(), "is not a handler"),
    ],
)
def test_a_class_that_could_not_be_called_is_refused_at_start(cls, message):
    """What would fail at every step fails when the handler is made, and says what to change."""
    with pytest.raises(InvalidHandler, match=message):
        as_handler(cls)


def test_a_handler_names_the_system_that_it_depends_on() -> None:
    """As an attribute of its class, or an argument of its decorator; in the order of what a worker offers."""

    class Refund(StepHandler):
        handler_name = "refund"
        system_dependency = "gateway"

        def call(self, context: StepContext) -> None:
            """Nothing."""

        def step_call(self, context: StepContext) -> None:
            """Nothing."""

    @step_handler("charge", system_dependency="bank")
    def charge() -> None:
        """Nothing."""

    @step_handler("ship")
    def ship() -> None:
        """Nothing."""

    found = discover([Refund, charge, ship])
    named = dict(zip(offers(found), system_dependencies(found), strict=True))
    assert {key: named[key] for key in ("refund", "charge", "ship")} == {
        "refund": "gateway",
        "charge": "bank",
        "ship": "",
    }


@pytest.mark.parametrize("wrong", ["", "x" * 256, 5, "a\0b"])
def test_a_system_that_cannot_be_named_is_refused(wrong: Any) -> None:
    """When the handler is registered, and not when a worker first says it."""

    @step_handler("charge", system_dependency=wrong)
    def charge() -> None:
        """Nothing."""

    with pytest.raises(InvalidHandler, match="system_dependency"):
        as_handler(charge)
