"""What a handler reads from its context."""

from __future__ import annotations

import pickle
import time
from uuid import UUID, uuid4

from tasker.handlers import StepContext
from tasker.model.template import HandlerRef, Step, Template


def test_inputs_are_read_by_key_and_by_default(make_context):
    """A missing input is None, and `get_input_or` gives its default for what is missing or null."""
    context = make_context({"email": "a@b.c", "phone": None})

    assert context.get_input("email") == "a@b.c"
    assert context.get_input("fax") is None
    assert context.get_input_or("phone", "none") == "none"
    assert context.get_input_or("fax", "none") == "none"
    assert context.inputs == {"email": "a@b.c", "phone": None}


def test_what_a_handler_changes_is_seen_by_itself_only(make_context):
    """Two executions never share a decoded value; inside one execution a value is decoded once."""
    first, second = (make_context({"items": [1]}, {"cart": {"total": 1}}, config={"limits": [1]}) for _ in range(2))

    first.inputs["items"].append(2)
    first.get_dependency_result("cart")["total"] = 9
    first.configuration["limits"].append(2)

    assert first.inputs["items"] == [1, 2]
    assert first.get_dependency_result("cart") == {"total": 9}
    assert second.inputs["items"] == [1]
    assert second.get_dependency_result("cart") == {"total": 1}
    assert second.configuration == {"limits": [1]}
    assert first.template.step("charge").handler.initialization == {"limits": [1]}


def test_results_of_earlier_steps(make_context):
    """Results are found by step name, fields by a path through objects and lists, and what is missing is None."""
    context = make_context(results={"cart": {"items": [{"price": 3}]}, "part_2": {"n": 2}, "part_1": {"n": 1}})

    assert context.get_dependency_result("cart") == {"items": [{"price": 3}]}
    assert context.get_dependency_result("other") is None
    assert context.get_dependency_field("cart", "items", 0, "price") == 3
    assert context.get_dependency_field("cart", "items", 5, "price") is None
    assert context.get_dependency_field("cart", "items", "price") is None
    assert context.get_dependency_field("other", "items") is None
    assert context.get_dependency_result_keys() == ["cart", "part_2", "part_1"]
    assert context.get_all_dependency_results("part_") == [{"n": 1}, {"n": 2}]
    assert context.dependency_results["part_2"] == {"n": 2}


def test_the_configuration_is_the_steps_own(make_context):
    """`configuration` is the step's `handler.initialization`."""
    context = make_context(config={"url": "x"})

    assert context.get_config("url") == "x"
    assert context.get_config("other") is None
    assert make_context().configuration == {}


def test_the_idempotency_key_outlives_attempts(make_context):
    """All attempts of a step have one key, and no other step has it."""
    first = make_context(attempt=1, tries=0)
    later = make_context(attempt=9, tries=2)
    other = make_context(step="refund")

    assert first.idempotency_key == later.idempotency_key
    assert first.idempotency_key != other.idempotency_key


def test_retries_are_counted_from_zero(make_context):
    """The first execution is no retry; the last one is that before the limit."""
    first, second, last = (make_context(tries=tries, max_attempts=3) for tries in range(3))

    assert (first.retry_count, first.is_retry(), first.is_last_retry()) == (0, False, False)
    assert (second.retry_count, second.is_retry(), second.is_last_retry()) == (1, True, False)
    assert (last.is_retry(), last.is_last_retry(), last.max_retries) == (True, True, 3)
    assert make_context(max_attempts=1).is_last_retry()


def test_seconds_left_count_down_to_zero(make_context):
    """`seconds_left` is what remains until the deadline, never negative, None without a timeout."""
    assert make_context().seconds_left is None
    assert make_context(deadline=time.monotonic() - 5).seconds_left == 0
    assert 50 < make_context(deadline=time.monotonic() + 60).seconds_left <= 60


def test_a_heartbeat_raises_nothing(make_context):
    """A heartbeat calls the worker's beat if there is one, and survives one that fails."""
    beats: list[str] = []

    def broken():
        raise OSError("no pipe")

    make_context().heartbeat()
    make_context(beat=lambda: beats.append("beat")).heartbeat()
    make_context(beat=broken).heartbeat()

    assert beats == ["beat"]


def test_the_logger_knows_its_step(make_context):
    """What a handler logs carries the task, the step, the attempt and the correlation id."""
    context = make_context(attempt=4)

    bound = context.logger._context

    assert bound == {
        "task_uuid": str(context.task_uuid),
        "step": "charge",
        "attempt": 4,
        "correlation_id": str(UUID(int=7)),
    }
    assert context.logger is context.logger


def test_a_context_travels_to_another_process(make_context):
    """A context can be pickled: everything arrives but the worker's own beat."""
    context = make_context({"a": 1}, {"cart": {"b": 2}}, config={"c": 3}, tries=1, attempt=2, deadline=5.0, beat=print)

    arrived: StepContext = pickle.loads(pickle.dumps(context))  # noqa: S301

    assert (arrived.inputs, arrived.dependency_results) == ({"a": 1}, {"cart": {"b": 2}})
    assert (arrived.configuration, arrived.tries, arrived.attempt, arrived.deadline) == ({"c": 3}, 1, 2, 5.0)
    assert arrived.idempotency_key == context.idempotency_key
    arrived.heartbeat()


def test_a_member_of_a_batch_travels_whole() -> None:
    """In another process the context knows its part as well."""
    steps = (
        Step(name="cut", handler=HandlerRef(callable="h"), type="batchable"),
        Step(name="do", handler=HandlerRef(callable="h"), type="batch_worker", dependencies=("cut",)),
    )
    template = Template(namespace="n", name="t", version="1", steps=steps)
    made = StepContext(
        uuid4(), None, "do_002", 2 << 16 | 2, 1, 0, 3, template, "{}", {}, member=("002", '{"start_cursor": 5}')
    )
    found = pickle.loads(pickle.dumps(made))  # noqa: S301 - our own
    assert (found.batch.batch_id, found.batch.index, found.batch.start, found.batch.end) == ("002", 2, 5, None)
    assert found.step.name == "do"
