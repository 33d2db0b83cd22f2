"""Breakers on the clock that moves by itself: a test sees a system go down and come back, and waits for nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasker import ServiceUnavailableError, StepContext, StepHandler, step_handler
from tasker.testing import Workflow, fail, lose_worker

CHARGES = 7
TEMPLATE = """
tasker: 1
namespace_name: shop
name: charges
version: 1.0.0
steps:
""" + "".join(f"  - {{name: charge_{n}, handler: charge, retry: {{jitter: 0}}}}\n" for n in range(1, CHARGES + 1))


class Gateway:
    """Is down until so many calls have come."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls: list[str] = []

    def handler(self) -> Any:
        """The handler that calls it."""

        @step_handler("charge", system_dependency="gateway")
        def charge(context: StepContext) -> str:
            self.calls.append(context.step_name)
            if len(self.calls) <= self.failures:
                raise ServiceUnavailableError("the gateway is down")
            return "charged"

        return charge


def test_five_failures_open_it_and_the_time_moves_to_the_probe(workflow: Callable[..., Workflow]) -> None:
    """After five failures nobody calls the gateway for 30 s; then two probes succeed, and the rest follows."""
    gateway = Gateway(5)
    shop = workflow(TEMPLATE, handlers=[gateway.handler()])
    began = shop.now
    done = shop.run()
    done.assert_complete()
    assert (shop.now - began).total_seconds() == 30
    assert gateway.calls[:5] == [f"charge_{n}" for n in range(1, 6)]
    assert len(gateway.calls) == 5 + CHARGES
    done.assert_attempts(**{f"charge_{n}": 2 if n <= 5 else 1 for n in range(1, CHARGES + 1)})
    assert [attempt.tries for attempt in done.attempts_of("charge_7")] == [0]
    done.assert_waits("charge_1", 30)
    [found] = shop.breakers("gateway")
    assert (found.state, found.failures) == ("closed", 0)


def test_a_probe_that_fails_opens_it_for_longer(workflow: Callable[..., Workflow]) -> None:
    """The sixth failure is a probe's: the gateway is called again after 60 s more."""
    gateway = Gateway(6)
    shop = workflow(TEMPLATE, handlers=[gateway.handler()])
    began = shop.now
    done = shop.run()
    done.assert_complete()
    assert (shop.now - began).total_seconds() == 90
    assert len(gateway.calls) == 6 + CHARGES


def test_a_probe_that_loses_its_worker_is_followed_by_another(workflow: Callable[..., Workflow]) -> None:
    """Its place is free again when the sweep has seen it."""
    shop = workflow(TEMPLATE, handlers=[Gateway(5).handler()])
    done = shop.run(faults=[lose_worker("charge_6"), lose_worker("charge_7")])
    done.assert_complete()
    assert [found.state for found in shop.breakers()] == ["closed"]


@pytest.mark.parametrize("says", ["class", "template"])
def test_a_class_or_a_template_names_the_system(workflow: Callable[..., Workflow], says: str) -> None:
    """`system_dependency` is an attribute of a handler class, or a key of a step."""

    class Charge(StepHandler):
        handler_name = "charge"
        system_dependency = "gateway" if says == "class" else None

        def call(self, context: StepContext) -> str:
            return "charged"

    text = TEMPLATE if says == "class" else TEMPLATE.replace("retry:", "system_dependency: gateway, retry:")
    shop = workflow(text, handlers=[Charge])
    down = [fail(f"charge_{n}", attempts=1, error=ServiceUnavailableError("down")) for n in range(1, 6)]
    began = shop.now
    shop.run(faults=down).assert_complete()
    assert (shop.now - began).total_seconds() == 30
    assert [found.name for found in shop.breakers()] == ["gateway"]
