"""Short ways to write templates in tests."""

from __future__ import annotations

import json

from tasker.model.template import Template
from tasker.templates import load_text

HEAD = "tasker: 1\nnamespace_name: shop\nname: order\nversion: 1.0.0\n"
LOOSE_HEAD = HEAD.removeprefix("tasker: 1\n")


def text_of(graph: str, **top: object) -> str:
    """`a -> b, c -> d`: each step depends on all the steps before the arrow. `top` are further keys of the template."""
    steps: list[dict[str, object]] = []
    parents: list[str] = []
    for group in graph.split("->"):
        names = [name.strip() for name in group.split(",")]
        steps += [{"name": name, "handler": name, "dependencies": parents} for name in names]
        parents = names
    head = {"tasker": 1, "namespace_name": "shop", "name": "order", "version": "1.0.0"}
    return json.dumps({**head, "steps": steps, **top})


def template(graph: str, **top: object) -> Template:
    """The template of `text_of`."""
    return load_text(text_of(graph, **top)).template


def with_steps(steps: str, top: str = "", head: str = HEAD) -> str:
    """A template's text: its head, further keys, and the steps from line 6 on where `top` is empty."""
    return f"{head}{top}steps:\n{steps}"


def step(keys: str, head: str = HEAD, top: str = "") -> str:
    """A template's text with one step `a` that has further keys, given in flow style."""
    return with_steps(f"- {{name: a, handler: h{', ' if keys else ''}{keys}}}\n", top, head)


FULL = """\
tasker: 1
namespace_name: shop
name: order
version: "1.0"
description: Takes an order.
metadata: {author: Ada, tags: [a, b]}
system_dependencies: {primary: gateway, secondary: []}
input_schema: {type: object}
enforce_schemas: false
identity_strategy: caller_provided
search_fields: [customer.id, order]
lifecycle:
  max_waiting_for_dependencies_minutes: 1
  max_waiting_for_retry_minutes: 2
  max_steps_in_process_minutes: 3
  max_duration_minutes: 43200
  staleness_action: error
  auto_fail_on_timeout: false
  auto_dlq_on_timeout: true
steps:
  - name: check
    handler: check
  - name: charge
    description: Charges the card.
    handler:
      {callable: "Shop::Charge", method: go, resolver: ours, initialization: {gateway: sandbox, limits: {max: 10}}}
    type: standard
    dependencies: [check]
    retry: {retryable: false, max_attempts: 7, backoff: linear, backoff_base_ms: 1, max_backoff_ms: 2, jitter: 0}
    timeout_seconds: 1.5
    queue: payments
    system_dependency: gateway
    result_schema: {type: object}
    for_each: check.cards.0
    batch_config: {parallelism: 3, failure_strategy: isolate}
    publishes_events:
      - name: order.charged
        description: Paid.
        schema: {type: object}
        condition: always
        delivery_mode: broadcast
        publisher: Shop::Paid
      - order.seen
  - {name: cut, handler: cut, type: batchable}
  - name: count
    handler: count
    type: batch_worker
    dependencies: [cut]
    batch_config:
      {parallelism: 7, failure_strategy: fail_fast, batch_size: 10, cursor_field: row, worker_template: count}
environments:
  test:
    steps:
      - {name: ALL, timeout_seconds: 5}
"""

ENVIRONMENTS = with_steps(
    """\
- {name: a, handler: {callable: h, initialization: {x: 1, deep: {one: 1}}}, retry: {max_attempts: 9, jitter: 0.5}}
- {name: b, handler: h, timeout_seconds: 60, dependencies: [a]}
environments:
  test:
    steps:
      - {name: b, timeout_seconds: 1}
      - {name: ALL, timeout_seconds: 5, handler: {initialization: {y: 2}}}
      - {name: a, handler: {initialization: {deep: {two: 2}}}, retry: {max_attempts: 1}}
  empty: {}
""",
)


OLDER = """\
name: process_order
namespace_name: ecommerce
version: 1.0.0
module_namespace: Ecommerce
task_handler_class: OrderHandler
description: Takes an order.
concurrent: true
default_dependent_system: shop
named_steps: [validate, charge, ship]
schema: {type: object}
step_templates:
  - name: validate
    description: Looks at the cart.
    handler_class: Ecommerce::ValidateHandler
    handler_config: {timeout_seconds: 15, limits: {items: 10, total: 99}}
  - name: charge
    depends_on_step: validate
    dependent_system: gateway
    handler_class: Ecommerce::ChargeHandler
    default_retryable: false
    default_retry_limit: 5
    skippable: false
    custom_events: []
  - name: ship
    depends_on_step: charge
    depends_on_steps: [validate, charge]
    handler_class: Ecommerce::ShipHandler
environments:
  test:
    step_templates:
      - {name: validate, handler_config: {timeout_seconds: 1, limits: {items: 2}}}
      - {name: charge, default_retry_limit: 1}
"""


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
