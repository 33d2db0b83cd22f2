"""Contexts of steps, as a worker would make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import orjson

from tasker.handlers import StepContext
from tasker.model.template import HandlerRef, RetryPolicy, Step, Template

TASK = UUID("0190f000-0000-7000-8000-000000000001")
STEP = UUID("0190f000-0000-7000-8000-000000000002")

ContextBuilder = Callable[..., StepContext]


def build_context(
    inputs: Mapping[str, Any] | None = None,
    results: Mapping[str, Any] | None = None,
    *,
    step: str = "charge",
    config: Mapping[str, Any] | None = None,
    tries: int = 0,
    attempt: int = 1,
    max_attempts: int = 3,
    deadline: float | None = None,
    beat: Callable[[], object] | None = None,
) -> StepContext:
    """A step's context; `results` are those of its ancestors."""
    results = results or {}
    policy = RetryPolicy(max_attempts=max_attempts)
    steps = [Step(name=name, handler=HandlerRef(callable=name)) for name in results if name != step]
    own = Step(
        name=step,
        handler=HandlerRef(callable=step, initialization=dict(config or {})),
        dependencies=tuple(results),
        retry=policy,
    )
    return StepContext(
        task_uuid=TASK,
        step_uuid=STEP,
        step_name=step,
        number=len(steps) + 1,
        attempt=attempt,
        tries=tries,
        max_attempts=max_attempts,
        template=Template(namespace="shop", name="order", version="1.0.0", steps=(*steps, own)),
        inputs_json=orjson.dumps(inputs or {}).decode(),
        results_json={name: orjson.dumps(value).decode() for name, value in results.items()},
        correlation_id=UUID(int=7),
        deadline=deadline,
        beat=beat,
    )
