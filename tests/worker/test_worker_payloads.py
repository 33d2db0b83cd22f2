"""What a step is given: small things with the grant, large ones and further ancestors by load, checked inputs."""

from __future__ import annotations

from typing import Any

import orjson
from support.templates import template
from support.until import until
from worker_support import Sql, Start

from tasker import StepContext, StepHandler, depends_on, inputs, submit_call
from tasker.handlers import as_handler
from tasker.model.template import Template

SCHEMA = {
    "type": "object",
    "required": ["n"],
    "properties": {"n": {"type": "integer"}, "unit": {"type": "string", "default": "EUR"}},
}


async def test_large_inputs_and_results_arrive_whole(start: Start) -> None:
    """Inputs and results far beyond what a grant carries reach the handlers all the same, for many tasks at once."""

    async def a(context: StepContext) -> dict[str, Any]:
        return {"text": context.get_input("text")[::-1]}

    async def b(context: StepContext) -> dict[str, Any]:
        text = context.get_dependency_field("a", "text")
        return {"length": len(text), "is_right": text[::-1] == context.get_input("text")}

    tasker = await start("a -> b", {"a": a, "b": b})
    contexts = [{"text": f"{n:03}" * 100_000} for n in range(12)]
    tasks = await tasker.submit_many("flow", contexts, namespace="tests")
    for task in tasks:
        done = await tasker.wait(task.task_uuid, 20)
        assert done.results["b"] == {"length": 300_000, "is_right": True}


async def test_results_cross_from_worker_to_worker(start: Start) -> None:
    """A step whose parents ran elsewhere gets their results, large ones too."""

    async def small() -> str:
        return "small"

    async def large() -> str:
        return "x" * 200_000

    async def both(context: StepContext) -> list[int]:
        return [len(context.get_dependency_result(name)["result"]) for name in ("small", "large")]

    graph = template("small, large -> both", small={"queue": "one"}, large={"queue": "two"}, both={"queue": "three"})
    handlers = {"small": small, "large": large, "both": both}
    for queue in ("one", "two"):
        await start(graph, handlers, queues=[queue])
    tasker = await start(graph, handlers, queues=["three"])
    task = await tasker.submit("flow", namespace="tests")
    assert (await tasker.wait(task.task_uuid, 60)).results["both"] == {"result": [5, 200_000]}


async def test_a_handler_reads_ancestors_beyond_its_parents(start: Start) -> None:
    """A handler that may ask for anything gets the results of all steps before it, in one process and in several."""

    async def produce(context: StepContext) -> dict[str, int]:
        return {"number": context.number}

    class Last(StepHandler):
        handler_name = "d"

        def call(self, context: StepContext) -> dict[str, Any]:
            return context.dependency_results

    steps = {"a": {"queue": "one"}, "b": {"queue": "two"}, "c": {"queue": "one"}, "d": {"queue": "two"}}
    graph = template("a -> b -> c -> d", **steps)
    handlers = {**dict.fromkeys("abc", produce), "d": as_handler(Last)}
    expected = {"a": {"number": 1}, "b": {"number": 2}, "c": {"number": 3}}
    both = await start(graph, handlers)
    task = await both.submit("flow", namespace="tests")
    assert (await both.wait(task.task_uuid, 60)).results["d"] == expected
    await both.stop()
    await start(graph, handlers, queues=["one"])
    tasker = await start(graph, handlers, queues=["two"])
    task = await tasker.submit("flow", namespace="tests")
    assert (await tasker.wait(task.task_uuid, 60)).results["d"] == expected


async def test_declared_dependencies_beyond_parents_are_fetched(start: Start) -> None:
    """@depends_on may name any step before the handler's own."""

    async def a() -> dict[str, int]:
        return {"total": 7}

    async def b() -> None:
        return None

    @depends_on(first="a")
    async def c(first: dict[str, int]) -> int:
        return first["total"]

    tasker = await start("a -> b -> c", {"a": a, "b": b, "c": c})
    task = await tasker.submit("flow", namespace="tests")
    assert (await tasker.wait(task.task_uuid, 60)).results["c"] == {"result": 7}


async def test_a_task_from_bare_sql_is_checked_before_its_first_step(start: Start, sql: Sql) -> None:
    """What came past the client is held against the schema by the worker: defaults are filled in for every step, and a
    mismatch is a permanent error."""
    seen: list[Any] = []

    @inputs("n", "unit")
    async def look(n: int, unit: str) -> dict[str, Any]:
        seen.append((n, unit))
        return {"n": n}

    tasker = await start(_with_schema("a -> b"), {"a": look, "b": look})
    good, bad = (submit_call("flow", namespace="tests", context=context) for context in ({"n": 1}, {"n": "one"}))
    for call in (good, bad):
        await sql.connection.fetchrow(*call.numbered())
    assert (await tasker.wait(good.task_uuid, 60)).status == "complete"
    assert seen == [(1, "EUR"), (1, "EUR")]
    step = (await tasker.wait(bad.task_uuid, 60)).step("a")
    assert (step.state, step.tries) == ("error", 1)
    assert (step.error or {})["error_code"] == "invalid_input"


def _with_schema(graph: str) -> Template:
    made = template(graph)
    return Template(**{**{name: getattr(made, name) for name in made.__slots__}, "input_schema": SCHEMA})


async def test_what_cannot_be_loaded_fails_its_step_only(start: Start, sql: Sql) -> None:
    """When the database cannot give one task's inputs, that step fails for a passing reason, and the others run."""

    async def a(context: StepContext) -> int:
        return len(context.get_input("text"))

    client = await start("a", worker=False, steps={"backoff_base_ms": 1})
    tasks = await client.submit_many("flow", [{"text": str(n) * 90_000} for n in range(6)], namespace="tests")
    broken = tasks[3].task_uuid
    whole = await sql.value("select pg_get_functiondef('tasker_engine.load'::regproc)")
    await sql.run(
        whole.replace(
            "return query",
            f"if '{broken}' = any (_task_ids) then raise 'damaged' using errcode = 'XX001'; end if; return query",
            1,
        )
    )
    tasker = await start("a", {"a": a}, steps={"backoff_base_ms": 1})
    for task in tasks:
        done = await tasker.wait(task.task_uuid, 60)
        assert done.status == ("error" if task.task_uuid == broken else "complete")
    step = await sql.step(broken)
    assert step["tries"] == 3
    assert "damaged" in step["error"]["message"]


async def test_a_template_of_a_newer_version_is_left_to_newer_workers(start: Start, sql: Sql) -> None:
    """A worker that cannot read a template hands its steps back without a try, and goes on with the others."""

    async def a() -> str:
        return "done"

    tasker = await start("a", {"a": a})
    client = await start("a", worker=False, steps={"name": "newer"})
    newer = orjson.dumps({"tasker": 99, "of_the_future": True}).decode()
    await sql.run("update tasker_engine.templates set definition = $1 where name = 'newer'", newer)
    strange = await sql.value(
        "select task_id from tasker_engine.submit('tests', 'newer', null, null, array['{}'::jsonb])"
    )
    await until(lambda: _is_handed_back(sql, strange), "the step was handed back")
    task = await client.submit("flow", namespace="tests")
    assert (await tasker.wait(task.task_uuid, 60)).status == "complete"
    assert (await sql.step(strange))["tries"] == 0


async def _is_handed_back(sql: Sql, task_uuid: Any) -> bool:
    return (await sql.moves(task_uuid))[:3] == ["enqueued", "in_progress", "waiting_for_retry"]


async def test_correlation_travels(start: Start) -> None:
    """Every step of a task knows the task's correlation id, its own idempotency key, and what it is configured with."""
    seen: list[Any] = []

    async def look(context: StepContext) -> None:
        seen.append((context.correlation_id, context.idempotency_key, context.attempt))

    tasker = await start("a -> b", {"a": look, "b": look})
    from uuid import uuid4

    correlation_id = uuid4()
    task = await tasker.submit("flow", namespace="tests", correlation_id=correlation_id)
    await tasker.wait(task.task_uuid, 60)
    assert seen == [(correlation_id, f"{task.task_uuid}:{name}", 1) for name in "ab"]
