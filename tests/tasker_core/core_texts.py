"""Modules and templates of applications, as their users wrote them."""

from __future__ import annotations

CLASSES = """
    import threading
    from uuid import UUID
    from tasker_core import StepContext, StepHandler, StepHandlerResult, PermanentError
    from tasker_core.errors import RetryableError
    from tasker_core.step_handler import DecisionHandler
    from tasker_core.types import ErrorType

    SEEN = {}
    RUNNING = threading.Semaphore(1)

    class Validate(StepHandler):
        handler_name = "Orders::Validate"
        handler_version = "2.0.0"

        def call(self, context: StepContext) -> StepHandlerResult:
            SEEN.setdefault("retry_counts", []).append(context.retry_count)
            if context.retry_count < 2:
                return self.failure("not yet", error_type="timeout", retryable=True, error_code="WAIT")
            return self.success({"total": context.get_input("total"), "nan": float("nan")}, metadata={"a": 1})

    class Charge(StepHandler):
        handler_name = "charge"

        async def call(self, context):
            assert isinstance(context.task_uuid, UUID) and context.max_retries == 3
            assert context.get_dependency_result("validate") == {"total": 12, "nan": None}
            return StepHandlerResult.success({"charged": context.get_dependency_field("validate", "total")})

    class Ship(StepHandler):
        handler_name = "ship"

        def call(self, context):
            envelope = context.dependency_results["validate"]
            assert envelope["success"] and envelope["status"] == "completed", envelope
            sequence = context.task_sequence_step
            return {  # a plain dict will do
                "ancestors": sorted(context.get_dependency_result_keys()),
                "total": envelope["result"]["total"],
                "way": self.success({}).is_success and context.get_config("way"),
                "field": sequence.get_task_field("total"),
                "step": sequence.step_definition.name,
            }

        def express(self, context):
            return self.success({"way": "express"})

    class Route(DecisionHandler):
        handler_name = "route"

        def call(self, context):
            if context.get_input("total") > 100:
                return self.decision_success(["review"], routing_context={"why": "much"})
            return self.decision_success(["approve"])

    class Named(StepHandler):
        def __init__(self, config):
            self.config = config

        def call(self, context):
            return self.success({"limit": self.config["limit"]})

    class Refuse(StepHandler):
        handler_name = "refuse"

        def call(self, context):
            raise PermanentError("no", error_code="NO", metadata={"card": "x"})
"""

ORDER = """
    name: order
    namespace_name: shop
    version: 1.0.0
    input_schema: {type: object, required: [not_enforced]}
    odd_key: {a: 1}
    steps:
      - name: validate
        handler: {callable: "Orders::Validate", initialization: {}}
        system_dependency: null
        retry: {max_attempts: 3, backoff: none}
      - name: charge
        dependencies: [validate]
        handler: {callable: charge}
      - name: ship
        dependencies: [charge]
        handler: {callable: shop_handlers.Ship, initialization: {way: air}}
      - name: express
        dependencies: [charge]
        handler: {callable: ship, method: express}
      - name: route
        type: decision
        dependencies: [charge]
        handler: {callable: route}
      - name: approve
        dependencies: [route]
        handler: {callable: shop_handlers.Named, initialization: {limit: 5}}
      - name: review
        dependencies: [route]
        handler: {callable: ship}
"""

DSL = """
    import threading
    from pydantic import BaseModel
    from tasker_core.errors import PermanentError, RetryableError
    from tasker_core.step_handler.functional import Decision, decision_handler, depends_on, inputs, step_handler
    from tasker_core import Batchable, StepHandler, StepHandlerResult, TaskerClient

    class Order(BaseModel):
        email: str
        coupon: str = "none"

    class Cart(BaseModel):
        total: int

    AT_ONCE, MOST, LOCK = [0], [0], threading.Lock()

    @step_handler("cart")
    @inputs("items", "missing")
    def cart(items, missing):
        assert missing is None
        return Cart(total=sum(items))

    @step_handler("pay")
    @depends_on(cart=("cart", Cart), nothing="mail")
    @inputs(Order)
    async def pay(cart, nothing, inputs, context):
        assert nothing is None and context.retry_count == 0
        return StepHandlerResult.success({"paid": cart.total, "coupon": inputs.coupon})

    @decision_handler("ways")
    @depends_on(pay="pay")
    def ways(pay):
        return Decision.route(["mail"], paid=pay["paid"]) if pay["paid"] else Decision.skip("nothing paid")

    @step_handler("mail")
    @depends_on(cart="cart")
    def mail(cart, _context):
        return [cart["total"]]

    @step_handler("busy")
    def busy(context):
        if context.is_retry():
            return None
        raise RetryableError("busy", retry_after=0.01)

    @step_handler("child")
    async def child():
        return {"uuid": TaskerClient().create_task("busy", namespace="shop").task_uuid}

    class Walk(StepHandler, Batchable):
        handler_name = "walk"

        def call(self, context):
            done = context.checkpoint_cursor or 0
            SEEN.append((done, context.checkpoint_items_processed, context.accumulated_results, context.retry_count))
            if done == 2 and not context.is_retry():
                raise RetryableError("broken")
            if done < 3:
                return self.checkpoint_yield(done + 1, done + 1, {"sum": done})
            return self.success({"done": done})

    class WalkOn(Walk):
        handler_name = "walk_on"

        async def call(self, context):
            return Walk.call(self, context)

    SEEN = []

    @step_handler("alone")
    def alone():
        with LOCK:
            AT_ONCE[0] += 1
            MOST[0] = max(MOST[0], AT_ONCE[0])
        threading.Event().wait(0.01)
        with LOCK:
            AT_ONCE[0] -= 1
"""

FLOW = """
    name: flow
    namespace_name: shop
    version: 1.0.0
    steps:
      - {name: cart, handler: {callable: cart}}
      - {name: pay, handler: {callable: pay}, dependencies: [cart]}
      - {name: ways, type: decision, handler: {callable: ways}, dependencies: [pay]}
      - {name: mail, handler: {callable: mail}, dependencies: [ways]}
      - {name: busy, handler: {callable: busy}, retry: {max_attempts: 2}}
      - {name: child, handler: {callable: child}}
"""

BUSY = "{name: busy, namespace_name: shop, version: 1.0.0, steps: [{name: a, handler: {callable: busy}}]}"
