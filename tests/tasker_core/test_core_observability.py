"""Health, figures and configuration of a worker; and what handlers say beside their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from core_support import Application, ended
from core_texts import BUSY, DSL

from tasker.model.errors import DatabaseUnavailable
from tasker_core import (
    ClientTaskResponse,
    WorkerNotInitializedError,
    _tasker_core,
    get_health_check,
    get_metrics,
    get_worker_config,
)
from tasker_core.types import ClientStepResponse, ClientTaskListResponse
from tasker_core.types import ClientTaskResponse as TaskModel


def test_a_worker_says_how_it_is(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its database is asked; its steps are counted by how they ended; its templates say what it serves."""
    monkeypatch.setenv("TASKER_ENV", "staging")
    client = application(BUSY, app_handlers=DSL)
    ended(client, client.create_task("busy", namespace="shop"))
    health = get_health_check()
    assert (health.status, health.is_running, health.components["database"].status) == ("healthy", True, "healthy")
    assert set(health.components) == {"database", "worker"}
    figures = get_metrics()
    assert (figures.steps_processed, figures.steps_succeeded, figures.steps_failed) == (2, 1, 1)
    assert figures.steps_in_progress == 0
    config = get_worker_config()
    assert (config.environment, config.supported_namespaces, config.max_concurrent_handlers) == ("staging", ["shop"], 1)


def test_a_database_that_is_away_is_unhealthy(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the check says why, and raises nothing."""

    def away() -> None:
        raise DatabaseUnavailable("nobody answers")

    application(BUSY, app_handlers=DSL)
    monkeypatch.setattr("tasker_core.health.health", away)
    health = get_health_check()
    assert (health.status, health.components["database"].message) == ("unhealthy", "nobody answers")


@pytest.mark.parametrize("read", [get_health_check, get_metrics, get_worker_config])
def test_without_a_worker_there_is_nothing_to_say(read: Callable[[], Any]) -> None:
    """An error that says what to do."""
    with pytest.raises(WorkerNotInitializedError):
        read()


def test_what_a_handler_says_beside_its_result_is_kept(application: Application) -> None:
    """The steps after it find it in its envelope, the client beside the result; neither finds it in the result."""
    client = application(
        """
        name: t
        namespace_name: n
        version: 1.0.0
        steps:
          - {name: says, handler: {callable: says}}
          - {name: reads, handler: {callable: reads}, dependencies: [says]}
        """,
        saying="""
        from tasker_core import StepHandler

        class Says(StepHandler):
            handler_name = "says"

            def call(self, context):
                return self.success({"n": 1}, metadata={"took": 7, "nan": float("nan")})

        class Reads(StepHandler):
            handler_name = "reads"

            def call(self, context):
                envelope = context.dependency_results["says"]
                return self.success({"all": envelope["metadata"], "result": context.get_dependency_result("says")})
        """,
    )
    task = ended(client, client.create_task("t", namespace="n"))
    says, reads = client.list_task_steps(task.task_uuid)
    assert (says.results, says.metadata) == ({"n": 1}, {"took": 7, "nan": None})
    assert reads.results == {"all": {"custom": {"took": 7, "nan": None}}, "result": {"n": 1}}
    assert reads.metadata == {}


def test_the_models_of_answers_take_what_the_raw_client_gives(application: Application) -> None:
    """The dataclasses and the models have the same names; a request that lacks something is refused."""
    client = application(BUSY, app_handlers=DSL)
    task = ended(client, client.create_task("busy", namespace="shop"))
    raw = _tasker_core.client_get_task(task.task_uuid)
    model = TaskModel.model_validate(raw)
    assert (model.task_uuid, model.status, model.steps[0].name) == (task.task_uuid, "complete", "a")
    assert ClientTaskResponse.from_dict(raw) == task
    page = ClientTaskListResponse.model_validate(_tasker_core.client_list_tasks(10, 0, "shop", "complete"))
    assert [one.task_uuid for one in page.tasks] == [task.task_uuid]
    step = ClientStepResponse.model_validate(_tasker_core.client_list_task_steps(task.task_uuid)[0])
    assert (step.attempts, step.total_parents, step.completed_at is not None) == (2, 0, True)
    moves = client.get_step_audit_history(task.task_uuid, step.step_uuid)
    ends = [one for one in moves if one.from_state == "in_progress"]
    assert [(one.to_state, one.success, one.attempt) for one in ends] == [
        ("waiting_for_retry", False, 1),
        ("complete", True, 2),
    ]
    assert all((one.execution_time_ms is not None) == (one in ends) for one in moves)
    assert (moves[-1].result, moves[-1].workflow_step_uuid, moves[-1].correlation_id) == (
        {},
        step.step_uuid,
        task.correlation_id,
    )
    with pytest.raises(Exception, match="has no namespace, reason"):
        _tasker_core.client_create_task(
            {"name": "busy", "version": "1.0.0", "context": {}, "initiator": "i", "source_system": "s"}
        )
