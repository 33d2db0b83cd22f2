"""Workers run what templates name: by path, by method, by resolver."""

from __future__ import annotations

from typing import Any

from tasker import StepHandler, Tasker
from tasker.handlers.resolution import Resolver
from tasker.model.template import HandlerRef
from tasker.settings import Settings
from tasker.templates import load_text

HERE = __name__

FLOW = f"""
tasker: 1
namespace_name: shop
name: approval
version: 1.0.0
steps:
  - {{name: check, handler: {{callable: {HERE}.Approve}}}}
  - name: auto
    dependencies: [check]
    handler: {{callable: {HERE}.Approve, method: auto, initialization: {{limit: 5}}}}
  - {{name: human, dependencies: [auto], handler: {{callable: {HERE}.Approve, method: human}}}}
  - {{name: pay, dependencies: [human], handler: {{callable: pay:visa, resolver: payments}}}}
"""


class Approve(StepHandler):
    def call(self, context):
        return {"by": "call"}

    def auto(self, context):
        return {"by": "auto", "limit": context.get_config("limit")}

    async def human(self, context):
        return {"by": "human", "after": context.get_dependency_field("auto", "by")}


class Payments(Resolver):
    name = "payments"

    def resolve(self, ref: HandlerRef) -> Any:
        scheme, _, brand = ref.callable.partition(":")
        return (lambda context: {"brand": brand}) if scheme == "pay" else None

    def names(self):
        return ["pay:visa"]


RESULTS = {
    "check": {"by": "call"},
    "auto": {"by": "auto", "limit": 5},
    "human": {"by": "human", "after": "auto"},
    "pay": {"brand": "visa"},
}


async def test_a_template_names_paths_methods_and_resolvers(database: str) -> None:
    """Each step runs what it names, and a worker that was given no template is handed such steps all the same."""
    handlers = [Approve, Payments()]
    template = load_text(FLOW).template
    async with Tasker(database, templates=[template], worker=False) as client:
        async with Tasker(database, handlers=handlers, settings=Settings(poll_s=0.05)):
            task = await client.submit("approval", namespace="shop")
            first = await client.wait(task.task_uuid, 20)
        async with Tasker(database, templates=[template], handlers=handlers) as tasker:
            task = await tasker.submit("approval", namespace="shop")
            second = await tasker.wait(task.task_uuid, 20)
    assert first.results == second.results == RESULTS
    assert first.step("auto").handler == f"{HERE}.Approve#auto"
