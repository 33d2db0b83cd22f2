"""The examples on the path, a shop of their own for each test, and a checkout run without an engine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from tasker.handlers import Handler, StepContext, discover, outcome_of_error, outcome_of_result
from tasker.model.outcome import Outcome
from tasker.model.template import HandlerRef, RetryPolicy, Step, Template

EXAMPLES = Path(__file__).parents[2] / "examples"
if str(EXAMPLES) not in sys.path:
    sys.path.insert(0, str(EXAMPLES))

STEPS = ("validate_cart", "process_payment", "update_inventory", "create_order", "send_confirmation")
LIMITS = (3, 3, 2, 3, 5)
LEGACY = {
    "validate_cart": "Ecommerce::ValidateCartHandler",
    "process_payment": "Ecommerce::ProcessPaymentHandler",
    "update_inventory": "Ecommerce::UpdateInventoryHandler",
    "create_order": "Ecommerce::CreateOrderHandler",
    "send_confirmation": "Ecommerce::SendConfirmationHandler",
}


@dataclass
class Checked:
    """What became of a checkout: the results by step, and the error record of the step that ended it."""

    results: dict[str, Any] = field(default_factory=dict)
    failed_step: str | None = None
    error: dict[str, Any] | None = None
    executions: dict[str, int] = field(default_factory=dict)


class Checkout:
    """Runs the five handlers as a worker would, one after the other, each within its limit."""

    def __init__(self, source: str, config: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        handlers = discover([source])
        is_legacy = source.startswith("ecommerce.legacy")
        self.handlers: dict[str, Handler] = {name: handlers[LEGACY[name] if is_legacy else name] for name in STEPS}
        configured = config or {}
        steps = tuple(
            Step(
                name=name,
                handler=HandlerRef(callable=self.handlers[name].name, initialization=dict(configured.get(name, {}))),
                dependencies=STEPS[place - 1 : place] if place else (),
                retry=RetryPolicy(max_attempts=limit),
            )
            for place, (name, limit) in enumerate(zip(STEPS, LIMITS, strict=True))
        )
        self.template = Template(namespace="ecommerce", name="process_order", version="1.0.0", steps=steps)

    def context(
        self, step: str, inputs: Mapping[str, Any], results: Mapping[str, Any], tries: int = 0, task: UUID | None = None
    ) -> StepContext:
        """The context of one execution."""
        return StepContext(
            task_uuid=task or uuid4(),
            step_uuid=uuid4(),
            step_name=step,
            number=STEPS.index(step) + 1,
            attempt=tries + 1,
            tries=tries,
            max_attempts=LIMITS[STEPS.index(step)],
            template=self.template,
            inputs_json=orjson.dumps(inputs).decode(),
            results_json={name: orjson.dumps(result).decode() for name, result in results.items()},
        )

    def execute(self, context: StepContext) -> Outcome:
        """One execution of one step."""
        handler = self.handlers[context.step_name]
        try:
            result = handler.call(context)
            return outcome_of_result(asyncio.run(result) if handler.pool == "async" else result, 100_000)
        except Exception as error:
            return outcome_of_error(error)

    def run(self, inputs: Mapping[str, Any]) -> Checked:
        """A whole checkout."""
        checked, task = Checked(), uuid4()
        for step, limit in zip(STEPS, LIMITS, strict=True):
            for tries in range(limit):
                checked.executions[step] = tries + 1
                outcome = self.execute(self.context(step, inputs, checked.results, tries, task))
                payload = orjson.loads(outcome.payload or "")
                if outcome.kind != "retryable":
                    break
            if outcome.kind != "succeeded":
                checked.failed_step, checked.error = step, payload
                return checked
            checked.results[step] = payload
        return checked


@pytest.fixture
def shop(tmp_path):
    """A shop whose ledger is a file, used by the handlers of this test."""
    from ecommerce.services import Shop, use_shop

    shop = Shop(tmp_path / "ledger")
    use_shop(shop)
    yield shop
    use_shop(None)


@pytest.fixture(params=["ecommerce.handlers", "ecommerce.legacy.handlers"], ids=["functions", "classes"])
def handlers(request) -> str:
    """The two ways in which the same steps are written."""
    return request.param


@pytest.fixture
def checkout() -> Callable[..., Checkout]:
    """Makes what runs a checkout."""
    return Checkout
