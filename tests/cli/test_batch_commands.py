"""Batches at the command line: how far they are, and pages that stay short."""

from __future__ import annotations

from uuid import UUID, uuid4

from cli_shell import Shell
from support.batch_play import fails, start
from support.engine import Engine
from support.session import success
from support.templates import template

from tasker.model.outcome import decided


async def _sixty_parts(engine: Engine) -> UUID:
    run = await start(engine, 60, "isolate", parallelism=50)
    await run.all_at_once(fails(40))
    return run.task


async def _one_way(engine: Engine) -> UUID:
    await engine.publish(template("route -> left, right", route={"type": "decision"}))
    task, worker = await engine.submit(), await engine.session()
    choice = '{"decision_point_outcome": {"type": "create_steps", "step_names": ["right"]}}'
    [right] = (await worker.report((*await worker.claim(), decided(choice)))).grants
    await worker.report((right, success()))
    return task


def test_the_page_of_a_large_batch_is_short(shell: Shell) -> None:
    """Members that failed come first; the others are counted. Their steps can be listed, and acted on by name."""
    task = shell.drive(_sixty_parts)
    page = shell.run("task", "get", task).out
    assert "work_040" in page
    assert "… 40 more" in page
    assert len(page.splitlines()) < 60
    steps = shell.ok("task", "steps", task)["steps"]
    assert {step["name"]: step["level"] for step in steps}["work_060"] == 1
    [batch] = shell.ok("task", "batches", task)["batches"]
    assert (batch["total"], batch["succeeded"], batch["failed"], batch["items_done"]) == (60, 49, 1, 500)
    assert "83%" in shell.run("task", "batches", task).out
    assert shell.ok("step", "resolve", task, "work_040", "--reason", "seen")["step_state"] == "resolved_manually"


def test_a_task_without_batches_says_so(shell: Shell) -> None:
    """A task that does not exist is another thing."""
    assert "no batch of this task has begun" in shell.run("task", "batches", shell.drive(_one_way)).out
    assert shell.run("task", "batches", uuid4()).code == 3


def test_steps_that_were_not_taken_are_listed(shell: Shell) -> None:
    """They have a level, and wait for nothing."""
    task = shell.drive(_one_way)
    steps = {step["name"]: step for step in shell.ok("task", "steps", task)["steps"]}
    assert (steps["left"]["level"], steps["left"]["why"], steps["left"]["ready_for_execution"]) == (1, None, False)
    assert "not_taken" in shell.run("task", "steps", task).out
