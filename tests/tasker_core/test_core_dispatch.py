"""Applications that poll for their steps: the private seam, the poller, and the subscriber that runs handlers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from core_support import Application, ended, results, soon
from core_texts import BUSY, DSL, FLOW

from tasker_core import (
    EventBridge,
    EventNames,
    EventPoller,
    FfiStepEvent,
    HandlerRegistry,
    StepError,
    StepExecutionResult,
    StepExecutionSubscriber,
    StepHandler,
    Worker,
    WorkerAlreadyRunningError,
    WorkerNotInitializedError,
    _tasker_core,
    check_starvation_warnings,
    cleanup_timeouts,
    complete_step_event,
    get_ffi_dispatch_metrics,
    is_worker_running,
    poll_step_events,
    stop_worker,
)
from tasker_core.pending import PendingSteps, result_of

TWO = """
    name: two
    namespace_name: n
    version: 1.0.0
    steps:
      - name: one
        handler: {callable: any.one, method: go, resolver: mine, initialization: {a: 1}}
        retry: {backoff: none}
      - {name: other, handler: {callable: other}, dependencies: [one]}
"""


def polled() -> FfiStepEvent:
    """The next step."""
    return soon(poll_step_events)


def done(event: FfiStepEvent, result: dict[str, Any], **rest: Any) -> StepExecutionResult:
    return StepExecutionResult.success_result(event.step_uuid, event.task_uuid, result, 1, **rest)


@contextmanager
def wired(worker_id: str = "w") -> Iterator[EventBridge]:
    """Poller, bridge and subscriber, as an application wires them by itself."""
    bridge, poller = EventBridge.instance(), EventPoller(polling_interval_ms=1, starvation_check_interval=1)
    bridge.start()
    subscriber = StepExecutionSubscriber(bridge, HandlerRegistry.instance(), worker_id)
    subscriber.start()
    poller.on_step_event(lambda event: bridge.publish(EventNames.STEP_EXECUTION_RECEIVED, event))
    poller.on_metrics(lambda metrics: bridge.publish(EventNames.POLLER_METRICS, metrics))
    poller.start()
    try:
        assert subscriber.is_active and poller.is_running
        yield bridge
    finally:
        poller.stop()
        subscriber.stop()


def test_a_step_is_polled_for_and_completed(application: Application) -> None:
    """With all that its handler would know; a failure is tried again; another completion of it is not taken."""
    client = application(TWO, is_served=False)
    task = client.create_task("two", namespace="n", context={"x": 1})
    first = polled()
    sequence = first.task_sequence_step
    assert sequence["task"]["task"]["context"] == {"x": 1}
    assert sequence["step_definition"]["handler"] == {
        "callable": "any.one",
        "method": "go",
        "resolver": "mine",
        "initialization": {"a": 1},
    }
    assert get_ffi_dispatch_metrics().oldest_event_id == first.event_id
    assert poll_step_events() is None
    error = StepError(error_type="odd", message="not yet", retryable=True)
    failed = StepExecutionResult.failure_result(first.step_uuid, first.task_uuid, error, 1)
    assert complete_step_event(first.event_id, failed)
    assert not complete_step_event(first.event_id, failed)
    again = polled()
    assert again.task_sequence_step["workflow_step"]["attempts"] == 1
    assert complete_step_event(again.event_id, done(again, {"one": 1}, metadata={"note": "fine"}))
    other = polled()
    envelope = other.task_sequence_step["dependency_results"]["one"]
    assert (envelope["result"], envelope["metadata"]) == ({"one": 1}, {"custom": {"note": "fine"}})
    assert complete_step_event(other.event_id, done(other, {}))
    assert results(ended(client, task)) == {"one": {"one": 1}, "other": {}}
    assert client.list_task_steps(task.task_uuid)[0].metadata == {"note": "fine"}


def test_a_checkpoint_hands_the_step_out_again(application: Application) -> None:
    """Under another event, on the same attempt, with what was saved."""
    client = application(BUSY, is_served=False)
    task = client.create_task("busy", namespace="shop")
    first = polled()
    said = {"step_uuid": first.step_uuid, "cursor": "k9", "items_processed": 9, "accumulated_results": {"sum": 3}}
    assert _tasker_core.checkpoint_yield_step_event(first.event_id, said)
    second = polled()
    assert second.event_id != first.event_id
    step = second.task_sequence_step["workflow_step"]
    assert step["attempts"] == 0
    assert step["checkpoint"] == {"cursor": "k9", "items_processed": 9, "accumulated_results": {"sum": 3}}
    assert not _tasker_core.checkpoint_yield_step_event(first.event_id, said)
    assert complete_step_event(second.event_id, done(second, {}))
    assert ended(client, task).status == "complete"


def test_a_step_that_was_cancelled_waits_no_more(application: Application) -> None:
    """Its completion is not taken."""
    client = application(BUSY, is_served=False)
    task = client.create_task("busy", namespace="shop")
    event = polled()
    client.cancel_task(task.task_uuid)
    soon(lambda: get_ffi_dispatch_metrics().pending_count == 0)
    assert not complete_step_event(event.event_id, done(event, {}))


def test_stopping_waits_for_the_step_that_somebody_works_on(application: Application) -> None:
    """Its completion is still taken, and its handler may use the client; what nobody has taken goes back."""
    client = application(BUSY, is_served=False)
    task = client.create_task("busy", namespace="shop")
    event = polled()
    stopping = threading.Thread(target=stop_worker)
    stopping.start()
    assert client.get_task(task.task_uuid).status == "steps_in_process"
    assert complete_step_event(event.event_id, done(event, {"late": True}))
    stopping.join(20)
    assert not is_worker_running() and stop_worker() == "Worker system not running"
    client = application(BUSY, is_served=False)
    assert results(ended(client, client.get_task(task.task_uuid))) == {"a": {"late": True}}


def test_poller_bridge_and_subscriber_run_an_application(application: Application) -> None:
    """Wired by hand they do what Worker.start does: retries, decisions, checkpoints, methods, async handlers."""
    walk = "{name: walk, namespace_name: n, version: 1.0.0, steps: [{name: a, handler: {callable: walk}}]}"
    client = application(FLOW, BUSY, walk, is_served=False, app_handlers=DSL)
    HandlerRegistry.instance().discover_handlers("app_handlers")
    sent: list[StepExecutionResult] = []
    with wired("my-worker") as bridge:
        bridge.subscribe(EventNames.STEP_COMPLETION_SENT, sent.append)
        task = client.create_task("flow", namespace="shop", context={"items": [1, 2], "email": "a@b"})
        flow = ended(client, task)
        walked = ended(client, client.create_task("walk", namespace="n"))
    found = results(flow)
    assert flow.status == "complete", flow.steps
    assert (found["pay"], found["mail"], found["busy"]) == ({"paid": 3, "coupon": "none"}, {"result": [3]}, {})
    assert results(walked) == {"a": {"done": 3}}
    assert {one.worker_id for one in sent} == {"my-worker"}
    import app_handlers

    assert [seen[0] for seen in app_handlers.SEEN] == [0, 1, 2, 2, 3]


def test_a_handler_that_is_missing_or_unfit_fails_its_step(application: Application) -> None:
    """For good, and says why; nothing waits for a completion that never comes."""
    names = ("missing", "odd", "unfit")
    steps = ", ".join(f"{{name: {name}, handler: {{callable: {name}}}}}" for name in names)
    client = application(
        f"{{name: t, namespace_name: n, version: 1.0.0, steps: [{steps}]}}",
        is_served=False,
        odd_handlers="""
        from tasker_core import StepHandler

        class Odd(StepHandler):
            handler_name = "odd"

            def call(self, context):
                raise PermissionRefused("not you")

        class PermissionRefused(Exception):
            retryable = False

        class Unfit(StepHandler):
            handler_name = "unfit"

            def call(self, context):
                return self.success({"bytes": object()})
        """,
    )
    HandlerRegistry.instance().discover_handlers("odd_handlers")
    with wired():
        failed = ended(client, client.create_task("t", namespace="n"))
    errors = {step["name"]: (step["error"]["error_type"], step["attempts"]) for step in failed.steps}
    assert errors == {
        "missing": ("handler_not_found", 1),
        "odd": ("PermissionRefused", 1),
        "unfit": ("FFI_SERIALIZATION_ERROR", 1),
    }


def test_whoever_runs_the_steps_runs_them_alone(application: Application) -> None:
    """With Worker.start nothing is left to poll, and a subscriber only listens. While steps are polled, it refuses."""
    client = application(BUSY, app_handlers=DSL)
    with wired() as bridge:
        received: list[FfiStepEvent] = []
        bridge.subscribe(EventNames.STEP_EXECUTION_RECEIVED, received.append)
        done = ended(client, client.create_task("busy", namespace="shop"))
        assert (done.status, done.steps[0]["attempts"], len(received)) == ("complete", 2, 2)
    assert poll_step_events() is None
    stop_worker()
    application(BUSY, is_served=False)
    assert poll_step_events() is None
    with pytest.raises(WorkerAlreadyRunningError, match="polled for"):
        Worker.start()


@pytest.mark.parametrize(
    "call",
    [
        poll_step_events,
        get_ffi_dispatch_metrics,
        check_starvation_warnings,
        cleanup_timeouts,
        lambda: complete_step_event("x", {}),
        lambda: _tasker_core.client_get_task(str(UUID(int=0))),
    ],
)
def test_without_a_worker_there_is_nothing_to_ask(call: Callable[[], Any]) -> None:
    """A RuntimeError that says what to do."""
    with pytest.raises(WorkerNotInitializedError, match="bootstrap_worker") as caught:
        call()
    assert isinstance(caught.value, RuntimeError)


def test_a_poller_outlives_its_worker() -> None:
    """What goes wrong is told to those who asked, and it goes on; it runs once."""
    poller, errors = EventPoller(polling_interval_ms=1), list[Exception]()
    poller.on_error(errors.append)
    poller.start()
    with pytest.raises(RuntimeError, match="running already"):
        poller.start()
    soon(lambda: len(errors) > 1)
    poller.stop()
    assert not poller.is_running
    assert isinstance(errors[0], WorkerNotInitializedError)


def test_a_completion_may_be_sparse_and_may_not_be_odd() -> None:
    """Unknown keys are left out, missing ones have defaults; the word of its metadata comes first."""
    bare = result_of({"step_uuid": "x", "odd": 1})
    assert (bare.is_success, bare.retryable, bare.error_type) == (False, True, "handler_error")
    both = result_of({"success": False, "error": {"retryable": True}, "metadata": {"retryable": False}})
    assert not both.retryable
    assert result_of({"success": True}).result == {}
    assert result_of({"success": True, "result": [1]}).result == {"result": [1]}
    with pytest.raises(ValueError, match="error_code"):
        result_of({"success": False, "metadata": {"error_code": 7}})


async def test_a_step_that_nobody_takes_starves(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted and named."""
    import asyncio

    monkeypatch.setattr("tasker_core.pending.STARVING_MS", -1)
    steps = PendingSteps()
    event = FfiStepEvent(event_id="e", task_uuid="t", step_uuid="s", correlation_id="c", task_sequence_step={})
    waiting = asyncio.ensure_future(steps._put(event))  # pyright: ignore[reportPrivateUsage]
    await asyncio.sleep(0)
    metrics = steps.metrics()
    assert (metrics.pending_count, metrics.starving_event_count, metrics.starvation_detected) == (1, 1, True)
    assert [one.event_id for one in steps.starving()] == ["e"]
    waiting.cancel()
    await asyncio.wait([waiting])
    assert steps.poll() is None and steps.metrics().pending_count == 0


def test_the_subscriber_may_be_tried_without_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its completions go through the private module, under the names that tests replace; an orphan is an error."""

    class Echo(StepHandler):
        def call(self, context: Any) -> Any:
            return self.success({"input": context.input_data})

    sent: list[tuple[str, dict[str, Any]]] = []
    taken = threading.Event()
    taken.set()

    def complete(event_id: str, result: dict[str, Any]) -> bool:
        sent.append((event_id, result))
        if not taken.is_set():
            raise ValueError("refused")
        return True

    monkeypatch.setattr(_tasker_core, "complete_step_event", complete)
    registry, bridge = HandlerRegistry(), EventBridge()
    registry.register("echo", Echo)
    StepExecutionSubscriber(bridge, registry, "w").start()
    bridge.start()
    zero = str(UUID(int=0))
    sequence = {"task": {"task": {"context": {"a": 1}}}, "workflow_step": {"template_step_name": "echo"}}
    event = FfiStepEvent(event_id="e", task_uuid=zero, step_uuid=zero, correlation_id=zero, task_sequence_step=sequence)
    bridge.publish(EventNames.STEP_EXECUTION_RECEIVED, event)
    assert (sent[0][0], sent[0][1]["result"], sent[0][1]["worker_id"]) == ("e", {"input": {"a": 1}}, "w")
