"""Both clients against a server on loopback: every operation, waiting, watching, and all pages."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from client_support import HANDLERS, NOBODY, ORDER, Making, serving_over
from support.until import until

from tasker import Tasker
from tasker.client import AsyncTaskerClient
from tasker.model.errors import (
    ActionForbidden,
    IdentityConflict,
    InvalidInput,
    StepNotFound,
    TaskNotFound,
    TemplateConflict,
    TemplateNotFound,
    WaitTimeout,
)
from tasker.model.ids import uuid7


async def test_a_task_is_created_and_waited_for(client: AsyncTaskerClient) -> None:
    """A task is created with all that is said of it, and waited for until its end; its data is there."""
    made = await client.create_task(
        "order", namespace="shop", context={"amount": 3, "at": datetime(2030, 1, 1, tzinfo=UTC)}, tags=["a"], priority=1
    )
    assert (made.is_duplicate, made.tags, made.priority) == (False, ["a"], 1)
    done = await client.wait(made.task_uuid, timeout_s=60)
    assert (done.status, done.completed_steps) == ("complete", 2)
    data = await client.get_task_context(made.task_uuid)
    assert data.inputs == {"amount": 3, "at": "2030-01-01T00:00:00+00:00"}
    assert data.outputs == {"check": {"amount": 3}, "charge": {"paid": True}}
    assert (await client.get_task_summary(made.task_uuid)).timing.critical_path == ["check", "charge"]
    history = await client.get_task_history(made.task_uuid)
    assert history[-1].to_state == "complete"


async def test_many_tasks_are_created_and_listed(client: AsyncTaskerClient) -> None:
    """Tasks made together are all there; the iterator goes through all pages, each task once, newest first."""
    later = [{"context": {"amount": n}, "delay_s": 3600, "tags": ["many"]} for n in range(5)]
    made = await client.create_tasks("order", later, namespace="shop")
    assert (made.created, made.duplicates) == (5, 0)
    seen = [task.task_uuid async for task in client.each_task(tag="many", per_page=2)]
    assert seen == [one.task_uuid for one in reversed(made.tasks)]
    page = await client.list_tasks(
        tag="many", status=["pending"], per_page=3, created_after=datetime(2020, 1, 1, tzinfo=UTC)
    )
    assert (len(page.tasks), page.pagination.total_count) == (3, 5)
    held = made.tasks[0].task_uuid
    with pytest.raises(WaitTimeout, match=r"is pending after 0\.1 s"):
        await client.wait(held, timeout_s=0.1)


async def test_tasks_are_held_and_ended(client: AsyncTaskerClient) -> None:
    """Pause, resume and cancel; the same act again answers the same, another one is refused."""
    made = await client.create_task("order", namespace="shop", delay_s=3600)
    assert (await client.pause_task(made.task_uuid, reason="stock-taking")).is_paused
    assert not (await client.resume_task(made.task_uuid)).is_paused
    act_id = uuid7()
    first = await client.cancel_task(made.task_uuid, actor="ann", reason="twice", act_id=act_id)
    again = await client.cancel_task(made.task_uuid, actor="ann", reason="twice", act_id=act_id)
    assert first.status == again.status == "cancelled"
    with pytest.raises(ActionForbidden, match="cannot be cancelled"):
        await client.cancel_task(made.task_uuid)


async def test_steps_are_repaired(client: AsyncTaskerClient) -> None:
    """A failed step is retried, completed by hand and resolved; the audit says by whom."""
    tasks = [(await client.create_task("order", namespace="shop", context={"amount": -1})).task_uuid for _ in range(2)]
    for task in tasks:
        assert (await client.wait(task, timeout_s=60)).status == "error"
    charge = (await client.list_steps(tasks[0]))[1]
    assert "negative" in (charge.error or {})["message"]
    await client.retry_step(tasks[0], charge.step_uuid, actor="ann", reason="once more")
    assert (await client.wait(tasks[0], timeout_s=60)).status == "error"
    done = await client.complete_step(tasks[0], charge.step_uuid, {"paid": "cash"}, actor="ann", reason="in cash")
    assert (done.current_state, done.results) == ("complete", {"paid": "cash"})
    assert (await client.get_step(tasks[0], charge.step_uuid)).results == {"paid": "cash"}
    audit = await client.get_step_audit(tasks[0], charge.step_uuid)
    assert any((one.result or {}).get("actor", "").startswith("ann") for one in audit if isinstance(one.result, dict))
    other = (await client.list_steps(tasks[1]))[1]
    resolved = await client.resolve_step(tasks[1], other.step_uuid, actor="ann")
    assert resolved.current_state == "resolved_manually"


async def test_templates_are_looked_at_and_published(client: AsyncTaskerClient) -> None:
    """Lists, versions, graphs, differences, checks; publishing one, and many by force."""
    newer = ORDER.replace("1.0.0", "1.1.0").replace("max_attempts: 1", "max_attempts: 5")
    assert (await client.validate_template(newer)).valid
    assert (await client.publish_template(newer)).is_new
    with pytest.raises(TemplateConflict, match="max_attempts: 5 -> 6"):
        await client.publish_template(newer.replace("max_attempts: 5", "max_attempts: 6"))
    forced = await client.publish_templates([{"template": newer.replace("attempts: 5", "attempts: 6")}], force=True)
    assert forced.templates[0].is_new
    assert [one.version for one in (await client.list_versions("shop", "order")).versions] == ["1.1.0", "1.0.0"]
    assert (await client.list_templates(namespace="shop", only_newest=True)).total_count == 1
    assert (await client.get_template("shop", "order", "1.1.0")).revision == 2
    assert (await client.get_template_graph("shop", "order", "1.0.0")).levels == [["check"], ["charge"]]
    changed = await client.compare_versions("shop", "order", old="1.0.0", new="1.1.0")
    assert changed.differences == ["steps.charge.retry.max_attempts: 1 -> 6"]
    assert (await client.check_template("shop", "order", "1.0.0")).valid


async def test_the_dead_letter_queue_is_worked_off(client: AsyncTaskerClient) -> None:
    """A task is put into the queue, looked at, noted and tried again; and why it waits is told."""
    made = (await client.create_task("order", namespace="shop", context={"amount": -1})).task_uuid
    assert (await client.wait(made, timeout_s=60)).status == "error"
    assert (await client.explain(made)).state == "error"
    entry = await client.add_dlq_entry(made, notes="look at it", actor="ann")
    assert [one.task_uuid for one in await client.list_dlq(resolution_status="pending")] == [made]
    await client.update_dlq_entry(entry.dlq_entry_uuid, assigned_to="bob", resolved_by="ann")
    assert (await client.get_dlq_of_task(made)).assigned_to == "bob"
    assert [one.task_uuid for one in await client.get_investigation_queue()] == [made]
    assert (await client.requeue_dlq_entry(entry.dlq_entry_uuid, reason="once more")).steps == 1
    assert (await client.get_dlq_entry(entry.dlq_entry_uuid)).events[-1].actor
    assert sum(one.total_entries for one in await client.get_dlq_stats()) >= 1
    assert isinstance(await client.get_staleness(limit=5), list)


async def test_many_tasks_are_acted_on_and_run_again(client: AsyncTaskerClient) -> None:
    """A job cancels what a filter lets through; a rerun makes a task from a step on; and the figures are there."""
    made = await client.create_tasks("order", [{"delay_s": 3600, "tags": ["late"]} for _ in range(2)], namespace="shop")
    dry = await client.create_job("cancel", {"tag": ["late"]}, dry_run=True)
    assert (dry.count, dry.job) == (2, None)
    job = (await client.create_job("cancel", {"tag": ["late"]}, reason="too late")).job
    assert job is not None
    for task in made.tasks:
        assert (await client.wait(task.task_uuid, timeout_s=60)).status == "cancelled"
    assert [one.job_uuid for one in await client.list_jobs()] == [job.job_uuid]
    assert (await client.get_job(job.job_uuid)).action == "cancel"
    assert {one.task_uuid for one in await client.list_job_items(job.job_uuid)} == {one.task_uuid for one in made.tasks}
    first = (await client.create_task("order", namespace="shop", context={"amount": -1})).task_uuid
    assert (await client.wait(first, timeout_s=60)).status == "error"
    plan = await client.rerun_task(first, "charge", patch={"amount": 1})
    assert plan.task_uuid is not None
    assert (await client.wait(plan.task_uuid, timeout_s=60)).status == "complete"
    assert plan.task_uuid in {one.task_uuid for one in await client.get_lineage(first)}
    assert (await client.analyze(first)).task_uuid == first
    assert (await client.get_performance(hours=1)).total_tasks >= 1
    for figures in (client.get_bottlenecks(hours=1), client.get_durations(by="handler"), client.get_throughput()):
        assert await figures is not None


async def test_the_fleet_is_looked_at(client: AsyncTaskerClient) -> None:
    """Namespaces, handlers with who serves them, workers, settings, and health."""
    assert [one.name for one in (await client.list_namespaces()).namespaces] == ["shop"]
    assert {one.handler: one.workers for one in (await client.list_handlers()).handlers} == {"charge": 1, "check": 1}
    assert (await client.list_workers()).workers[0].handler_versions == {"charge": "1.0.0", "check": "1.0.0"}
    assert (await client.get_config()).settings["schema_name"] == "tasker_engine"

    async def is_healthy() -> bool:
        return (await client.ready())["status"] == "healthy"  # a sweep may be late on a busy machine

    await until(is_healthy, "all is well")


async def test_what_is_refused_raises_its_own_error(client: AsyncTaskerClient) -> None:
    """The errors are those that the engine raises, with what they know."""
    with pytest.raises(TaskNotFound, match=NOBODY):
        await client.get_task(NOBODY)
    with pytest.raises(TemplateNotFound, match="shop/ordr"):
        await client.create_task("ordr", namespace="shop")
    made = await client.create_task("order", namespace="shop", idempotency_key="k", delay_s=60)
    again = await client.create_task("order", namespace="shop", idempotency_key="k", delay_s=60)
    assert (again.task_uuid, again.is_duplicate) == (made.task_uuid, True)
    with pytest.raises(StepNotFound):
        await client.get_step(made.task_uuid, NOBODY)
    with pytest.raises(IdentityConflict) as conflict:
        await client.create_task("order", namespace="shop", idempotency_key="k", context={"amount": 9})
    assert conflict.value.task_uuid == made.task_uuid
    with pytest.raises(InvalidInput) as invalid:
        await client.create_task("order", namespace="shop", context={"amount": "much"})
    assert invalid.value.violations
    for wrong in ({"context": {"amount": float("nan")}}, {"colour": "red"}, {"priority": "high"}):
        with pytest.raises(InvalidInput):
            await client.create_task("order", namespace="shop", **wrong)


async def test_a_task_is_watched_to_its_end(client: AsyncTaskerClient) -> None:
    """The updates tell where the steps stand, and end with the task."""
    made = await client.create_task("order", namespace="shop")
    updates = [update async for update in client.watch_task(made.task_uuid)]
    assert [update.update_type for update in updates].count("ready") == 1
    states = {update.step.name: update.step.state for update in updates if update.step}
    assert states == {"check": "complete", "charge": "complete"}
    assert (updates[-1].task_state, updates[-1].is_last) == ("complete", True)


@pytest.mark.parametrize("over", ["over HTTP", "over gRPC"])
async def test_watching_goes_on_when_the_server_is_started_again(
    database: str, tmp_path: Any, make: Making, over: str
) -> None:
    """A server that goes away and comes back cuts nothing short: neither a stream nor a wait."""
    (tmp_path / "order.yaml").write_text(ORDER)

    def api() -> Tasker:
        return Tasker(database, templates=tmp_path / "order.yaml", worker=False)

    first = serving_over(over, api).start()
    client = make(first.url)
    made = await client.create_task("order", namespace="shop")
    updates = client.watch_task(made.task_uuid)
    assert (await anext(updates)).update_type == "ready"
    waiting = asyncio.ensure_future(client.wait(made.task_uuid, timeout_s=120))
    await asyncio.to_thread(first.stop)
    second = serving_over(over, api, port=first.port).start()
    try:
        async with Tasker(database, handlers=HANDLERS):
            told = [update async for update in updates]
            assert told[-1].task_state == "complete"
            assert (await waiting).status == "complete"
    finally:
        await client.aclose()
        await asyncio.to_thread(second.stop)
