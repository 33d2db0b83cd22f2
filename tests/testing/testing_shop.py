"""A small shop: a template of four steps, and handlers that write down what they did."""

from __future__ import annotations

import os

from tasker import StepContext, StepHandler, depends_on, inputs, step_handler

done: list[str] = []
"""What the handlers did, in order; a test clears it."""

DIAMOND = """
tasker: 1
namespace_name: shop
name: order
version: 1.0.0
steps:
  - {name: price, handler: price}
  - name: charge
    handler: {callable: charge, initialization: {currency: EUR}}
    dependencies: [price]
  - {name: reserve, handler: reserve, dependencies: [price], retry: {max_attempts: 2, backoff: linear}}
  - {name: ship, handler: ship, dependencies: [charge, reserve]}
environments:
  patient: {steps: [{name: charge, retry: {backoff_base_ms: 60000, max_backoff_ms: 600000}}]}
"""


@step_handler("price")
@inputs("amount")
async def price(amount=5):
    done.append("price")
    return {"total": amount * 2}


@step_handler("charge")
@depends_on(priced="price")
async def charge(priced, context):
    done.append(f"charge {context.attempt}")
    return {"paid": priced["total"], "currency": context.get_config("currency")}


@step_handler("reserve")
def reserve():
    done.append("reserve")


@step_handler("which_process", runs_in="process")
def which_process():
    return {"pid": os.getpid()}


class Ship(StepHandler):
    handler_name = "ship"

    def call(self, context):
        done.append("ship")
        return {"of": sorted(context.dependency_results), "paid": context.get_dependency_field("charge", "paid")}

    def by_train(self, context: StepContext):
        return {"by": "train"}


IMPORT = """
tasker: 1
namespace_name: shop
name: import
version: 1.0.0
steps:
  - {name: rows, handler: rows}
"""


@step_handler("rows")
async def rows(context: StepContext):
    """Five rows; each is written down, and then a checkpoint says so."""
    for row in range(context.checkpoint_cursor or 0, 5):
        done.append(f"row {row}")
        await context.save_checkpoint(row + 1, items_processed=row + 1)
    return {"rows": 5, "resumed": context.attempt > 1}


def rows_in_thread(context: StepContext):
    """The same, as a plain function."""
    for row in range(context.checkpoint_cursor or 0, 5):
        done.append(f"row {row}")
        context.save_checkpoint(row + 1)


HANDLERS = [price, charge, reserve, Ship]
