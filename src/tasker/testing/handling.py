"""One handler, run with a made-up context, and what a worker would make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

import orjson

from tasker.handlers import Handler, as_handler, encode_result, load_handler
from tasker.model.ids import FIRST_MEMBER, uuid7
from tasker.model.outcome import Outcome
from tasker.model.template import HandlerRef, RetryPolicy, Step, StepType, Template
from tasker.settings import Settings
from tasker.submission import encode_context
from tasker.testing.stage import Stage, run_here
from tasker.worker.held import POOLS, Held, Member
from tasker.worker.plans import make_plan

_NAME = "handler_under_test"
_SOURCE = "the_list"
NO_ITEM: Any = object()
"""What stands for no item, because None may be one."""
HandledKind = Literal["succeeded", "failed", "retryable", "released"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """How one execution of a handler ended: what the worker would have reported.

    `kind` is `succeeded`, `failed` (the step ends in error at once), `retryable` (it is tried again in its limit) or
    `released` (it was interrupted).
    `result` is what would have been kept, as it comes back from JSON; `error` the error record.
    """

    kind: HandledKind
    result: Any = None
    error: Mapping[str, Any] | None = None
    retry_after: float | None = None
    """Seconds that the error asks to wait."""
    checkpoints: tuple[Mapping[str, Any], ...] = ()
    """What the handler saved: cursor, items_processed and accumulated of each."""

    @property
    def succeeded(self) -> bool:
        """True when the handler returned something that can be kept."""
        return self.kind == "succeeded"

    @property
    def error_type(self) -> str | None:
        """Such as `permanent_error`, `timeout`, `validation_error`; None after a success."""
        return self._of_error("error_type")

    @property
    def error_class(self) -> str | None:
        """The class of the exception, with its module unless it is a builtin."""
        return self._of_error("error_class")

    @property
    def error_code(self) -> str | None:
        """The handler's own word for programs."""
        return self._of_error("error_code")

    @property
    def message(self) -> str | None:
        """The error's message."""
        return self._of_error("message")

    def assert_succeeded(self) -> Any:
        """The result; AssertionError with the error and its traceback where there is none."""
        __tracebackhide__ = True
        if not self.succeeded:
            raise AssertionError(f"the handler did not succeed: {self}")
        return self.result

    def assert_failed(self, error_code: str | None = None) -> None:
        """It failed for good, with this error code if one is given."""
        __tracebackhide__ = True
        self._assert_kind("failed", error_code)

    def assert_retryable(self, error_code: str | None = None) -> None:
        """It failed for a passing reason, with this error code if one is given."""
        __tracebackhide__ = True
        self._assert_kind("retryable", error_code)

    def __str__(self) -> str:
        if self.error is None:
            return f"{self.kind}: {self.result!r}"
        trace = self.error.get("traceback")
        code = f" [{self.error_code}]" if self.error_code else ""
        return f"{self.kind}: {self.error_type}{code}: {self.message}" + (f"\n{trace}" if trace else "")

    def _of_error(self, key: str) -> str | None:
        return None if self.error is None else self.error.get(key)

    def _assert_kind(self, kind: HandledKind, error_code: str | None) -> None:
        __tracebackhide__ = True
        wanted = f"{kind} [{error_code}]" if error_code else kind
        if self.kind != kind or error_code not in (None, self.error_code):
            raise AssertionError(f"expected {wanted}, the handler's outcome is {self}")


def run_handler(
    handler: Any,
    inputs: Mapping[str, Any] | None = None,
    *,
    results: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    checkpoint: Mapping[str, Any] | None = None,
    attempt: int = 1,
    max_attempts: int = 3,
    timeout_s: float | None = None,
    step: Step | None = None,
    method: str | None = None,
    type: StepType = "standard",
    batch: Mapping[str, Any] | None = None,
    item: Any = NO_ITEM,
    task_uuid: UUID | None = None,
) -> Handled:
    """Runs one handler once, as a worker would, without a database.

    `handler` is a decorated function, a StepHandler class, `"module:name"`, or a plain function. `inputs` is the task's
    input, `results` what the steps before it returned, by name, `config` its `handler.initialization`, `checkpoint`
    what an earlier attempt saved (cursor, items_processed, accumulated). `attempt` counts from 1; `method` is one of a
    class, to be called in place of `call`; `type` is that of the step ("decision", say). `batch` is the cursor of one
    part (start_cursor, end_cursor, batch_size, …; {}: there is nothing to do), `item` one of a list: then it runs as a
    member of a batch. `step` is the step of a template: it takes the place of `config`, `max_attempts`, `timeout_s`,
    `method` and `type`, and brings its result schema. The timeout is real time.

    Raises InvalidHandler, and InvalidInput for inputs that JSON does not have. In a running loop, use
    `run_handler_async`.
    """
    step = step or _step(config, max_attempts, timeout_s, method, type)
    made = _held(handler, inputs or {}, results or {}, attempt, _as_batch(step, batch, item), task_uuid)
    made.checkpoint = None if checkpoint is None else encode_result(checkpoint)
    _make_member(made, batch, item)
    return run_here(_run(made), "run_handler_async(…)")


async def run_handler_async(
    handler: Any,
    inputs: Mapping[str, Any] | None = None,
    *,
    results: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    checkpoint: Mapping[str, Any] | None = None,
    attempt: int = 1,
    max_attempts: int = 3,
    timeout_s: float | None = None,
    step: Step | None = None,
    method: str | None = None,
    type: StepType = "standard",
    batch: Mapping[str, Any] | None = None,
    item: Any = NO_ITEM,
    task_uuid: UUID | None = None,
) -> Handled:
    """See run_handler."""
    step = step or _step(config, max_attempts, timeout_s, method, type)
    made = _held(handler, inputs or {}, results or {}, attempt, _as_batch(step, batch, item), task_uuid)
    made.checkpoint = None if checkpoint is None else encode_result(checkpoint)
    _make_member(made, batch, item)
    return await _run(made)


def _handled(outcome: Outcome, saved: tuple[Mapping[str, Any], ...]) -> Handled:
    payload = None if outcome.payload is None else orjson.loads(outcome.payload)
    if outcome.kind in ("succeeded", "decided", "batched", "expanded"):
        return Handled(kind="succeeded", result=payload, checkpoints=saved)
    return Handled(kind=outcome.kind, error=payload, retry_after=outcome.retry_after_s, checkpoints=saved)


async def _run(held: Held) -> Handled:
    saved: list[Mapping[str, Any]] = []

    async def save(_: Held, state: str) -> None:
        saved.append(orjson.loads(state))

    async with Stage(_settings().result_bytes_max, save) as stage:
        await stage.run(held)
    assert held.outcome is not None  # noqa: S101 - only what was taken away has none
    return _handled(held.outcome, tuple(saved))


def _settings() -> Settings:
    return Settings()  # pyright: ignore[reportCallIssue] - every field has a default


def _step(
    config: Mapping[str, Any] | None, max_attempts: int, timeout_s: float | None, method: str | None, kind: StepType
) -> Step:
    reference = HandlerRef(callable=_NAME, method=method, initialization=dict(config or {}))
    policy = RetryPolicy(max_attempts=max_attempts)
    return Step(name="step_under_test", handler=reference, type=kind, retry=policy, timeout_seconds=timeout_s)


def _held(
    handler: Any,
    inputs: Mapping[str, Any],
    results: Mapping[str, Any],
    attempt: int,
    step: Step,
    task_uuid: UUID | None,
) -> Held:
    """The step as a worker would hold it: in a template where the steps with results come before it."""
    ready = _handler(handler, step.handler.method if step.handler.calls_method else None)
    reference = HandlerRef(callable=ready.name, initialization=step.handler.initialization)
    names = [*results, *([] if step.for_each is None else [step.for_each.split(".")[0]])]
    step = replace(step, handler=reference, dependencies=tuple(dict.fromkeys(names)))
    before = tuple(Step(name=name, handler=reference) for name in step.dependencies)
    template = Template(namespace="testing", name="made_up", version="1.0.0", steps=(*before, step))
    plan = make_plan(template, {ready.name: ready})
    return Held(
        task_id=task_uuid or uuid7(),
        number=len(template.steps),
        attempt=attempt,
        tries=attempt - 1,
        grant_no=0,
        plan=plan.steps[len(template.steps)],
        inputs=encode_context(inputs, _settings().input_bytes_max),
        results={name: encode_result(result) for name, result in results.items()},
        correlation_id=None,
        is_alone=False,
        is_unchecked=False,
        pool=POOLS.index(ready.pool),
    )


def _as_batch(step: Step, batch: Mapping[str, Any] | None, item: Any) -> Step:
    """The step as one that has members, where it is to run as one."""
    if batch is not None:
        return step if step.is_batch else replace(step, type="batch_worker")
    if item is not NO_ITEM:
        return replace(step, for_each=step.for_each or _SOURCE)
    return step


def _make_member(held: Held, batch: Mapping[str, Any] | None, item: Any) -> None:
    if batch is not None:
        index = 1 if batch else 0
        cursor = encode_result({"batch_id": f"{index:03}", **batch}) if batch else None
    elif item is not NO_ITEM:
        index, cursor = 1, orjson.dumps(item).decode()
    else:
        return
    held.number = held.number * FIRST_MEMBER + index
    held.member = Member(f"{index:03}", cursor)


def _handler(handler: Any, method: str | None) -> Handler:
    if isinstance(handler, str):
        return load_handler(f"{handler}#{method}" if method else handler)
    return as_handler(handler, _NAME, method)
