"""Applications written for the published package run as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from core_support import Application, ended, results
from core_texts import BUSY, CLASSES, DSL, FLOW, ORDER

from tasker.model.errors import TaskNotFound
from tasker_core import (
    HandlerRegistry,
    TaskerClient,
    Worker,
    WorkerNotInitializedError,
    bootstrap_worker,
    get_worker_status,
    is_worker_running,
    stop_worker,
)


def test_an_application_of_classes_runs(application: Application) -> None:
    """Retries from 0, transitive envelopes, paths, methods, decisions and constructors are as they were."""
    client = application(ORDER, shop_handlers=CLASSES)
    task = client.create_task("order", namespace="shop", context={"total": 12}, tags=["a"], priority=5)
    assert (task.initiator, task.reason, task.tags, task.priority) == ("test", "Task requested", ["a"], 5)
    done = ended(client, task)
    assert done.status == "complete", done.steps
    assert results(done) == {
        "validate": {"total": 12, "nan": None},
        "charge": {"charged": 12},
        "ship": {
            "ancestors": ["charge", "validate"],
            "total": 12,
            "way": "air",
            "field": 12,
            "step": "ship",
        },
        "express": {"way": "express"},
        "route": {"decision_point_outcome": {"type": "create_steps", "step_names": ["approve"]}},
        "approve": {"limit": 5},
    }
    import shop_handlers

    assert shop_handlers.SEEN["retry_counts"] == [0, 1, 2]
    assert done.completed_steps == 6
    assert client.list_tasks(namespace="shop").tasks[0].task_uuid == task.task_uuid
    step = next(one for one in client.list_task_steps(task.task_uuid) if one.name == "validate")
    assert client.get_step(task.task_uuid, step.step_uuid) == step
    assert [one.to_state for one in client.get_step_audit_history(task.task_uuid, step.step_uuid)][-1] == "complete"
    assert client.health_check().status == "healthy"


def test_a_permanent_error_of_a_class_is_permanent(application: Application) -> None:
    """The exception's own word counts, and the record keeps its class, code and metadata."""
    client = application(
        "{name: no, namespace_name: shop, version: 1.0.0, steps: [{name: a, handler: {callable: refuse}}]}",
        shop_handlers=CLASSES,
    )
    failed = ended(client, client.create_task("no", namespace="shop"))
    step = client.list_task_steps(failed.task_uuid)[0]
    assert (failed.status, step.current_state, step.attempts) == ("error", "error", 1)
    assert step.error is not None
    assert {key: step.error[key] for key in ("error_type", "message", "error_code")} == {
        "error_type": "PermanentError",
        "message": "no",
        "error_code": "NO",
    }
    assert step.error["metadata"] == {"card": "x", "error_code": "NO"}


def test_an_application_of_functions_runs(application: Application) -> None:
    """Injection, models, decisions, wrapping, retry_after, and a client inside an async handler."""
    client = application(FLOW, BUSY, app_handlers=DSL)
    done = ended(client, client.create_task("flow", namespace="shop", context={"items": [1, 2], "email": "a@b"}))
    assert done.status == "complete", done.steps
    found = results(done)
    child = found.pop("child")
    assert found == {
        "cart": {"total": 3},
        "pay": {"paid": 3, "coupon": "none"},
        "ways": {
            "decision_point_outcome": {
                "type": "create_steps",
                "step_names": ["mail"],
                "routing_context": {"paid": 3},
            }
        },
        "mail": {"result": [3]},
        "busy": {},
    }
    assert ended(client, client.get_task(child["uuid"])).status == "complete"


def test_plain_handlers_run_one_at_a_time(application: Application) -> None:
    """They never had to be safe for threads."""
    steps = ", ".join(f"{{name: s{number}, handler: {{callable: alone}}}}" for number in range(8))
    client = application(f"{{name: many, namespace_name: shop, version: 1.0.0, steps: [{steps}]}}", app_handlers=DSL)
    assert ended(client, client.create_task("many", namespace="shop")).status == "complete"
    import app_handlers

    assert app_handlers.MOST == [1]


@pytest.mark.parametrize("walk", ["walk", "walk_on"])
def test_a_checkpoint_is_gone_on_from(application: Application, walk: str) -> None:
    """A handler that yields one is called again with it, on the same attempt; so is the next one after a failure."""
    step = f"{{name: a, handler: {{callable: {walk}}}, retry: {{backoff: none}}}}"
    client = application(f"{{name: t, namespace_name: n, version: 1.0.0, steps: [{step}]}}", app_handlers=DSL)
    done = ended(client, client.create_task("t", namespace="n"))
    assert results(done) == {"a": {"done": 3}}
    assert done.steps[0]["attempts"] == 2
    import app_handlers

    assert app_handlers.SEEN == [
        (0, 0, None, 0),
        (1, 1, {"sum": 0}, 0),
        (2, 2, {"sum": 1}, 0),
        (2, 2, {"sum": 1}, 1),
        (3, 3, {"sum": 2}, 1),
    ]


def test_two_namespaces_may_have_a_task_of_one_name(application: Application) -> None:
    """Each runs its own."""
    one = "{name: t, namespace_name: first, version: 1.0.0, steps: [{name: a, handler: {callable: cart}}]}"
    two = "{name: t, namespace_name: second, version: 1.0.0, steps: [{name: b, handler: {callable: busy}}]}"
    client = application(one, two, app_handlers=DSL)
    first = client.create_task("t", namespace="first", context={"items": []})
    second = client.create_task("t", namespace="second")
    assert list(results(ended(client, first))) == ["a"]
    assert list(results(ended(client, second))) == ["b"]


async def test_a_worker_starts_while_a_loop_runs(application: Application) -> None:
    """As web frameworks start it, and their routes call the client."""
    client = application(BUSY, app_handlers=DSL)
    assert ended(client, client.create_task("busy", namespace="shop")).status == "complete"


def test_a_task_is_cancelled(application: Application) -> None:
    """And a task that nobody knows is an error."""
    client = application("{name: t, namespace_name: n, version: 1.0.0, steps: [{name: a, handler: {callable: none}}]}")
    task = client.create_task("t", namespace="n", idempotency_key="k")
    assert client.create_task("t", namespace="n", idempotency_key="k").task_uuid == task.task_uuid
    assert client.cancel_task(task.task_uuid) == {"cancelled": True}
    assert client.get_task(task.task_uuid).status == "cancelled"
    assert [one.status for one in client.list_tasks(status="cancelled", limit=1).tasks] == ["cancelled"]
    with pytest.raises(TaskNotFound):
        client.get_task(task.task_uuid.replace(task.task_uuid[-4:], "0000"))


def test_a_changed_template_is_published_anew(application: Application) -> None:
    """Existing projects edit a template without a new version; what was broken is left out and hurts nobody."""
    text = "{name: t, namespace_name: n, version: 1.0.0, steps: [{name: NAME, handler: {callable: busy}}]}"
    application(text.replace("NAME", "a"), "{name: broken", app_handlers=DSL)
    Worker.reset_instance()
    client = application(text.replace("NAME", "b"), app_handlers=DSL)
    assert list(results(ended(client, client.create_task("t", namespace="n")))) == ["b"]


def test_the_worker_is_one_to_a_process(application: Application) -> None:
    """A second start gives the first; everything says whether it runs."""
    application(BUSY, app_handlers=DSL)
    first = Worker.instance()
    assert first is not None
    assert Worker.start(handler_packages=["no.such.package"]) is first
    assert first.is_running and is_worker_running()
    assert first.worker_id.startswith("python-worker-")
    assert bootstrap_worker().status == "already_running"
    assert "busy" in get_worker_status().handlers
    assert stop_worker() == "Worker system stopped"
    assert stop_worker() == "Worker system not running"
    assert get_worker_status().error == "Worker system not initialized"


@pytest.mark.parametrize("call", [lambda client: client.get_task("x"), lambda client: client.create_task("x")])
def test_a_client_without_a_worker_says_what_to_do(call: Callable[[TaskerClient], Any]) -> None:
    """Before the bootstrap there is nothing to ask."""
    with pytest.raises((WorkerNotInitializedError, ValueError)):
        call(TaskerClient())


def test_a_bootstrap_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """In its answer; nothing is raised, and nothing runs afterwards."""
    monkeypatch.setenv("TASKER_CONFIG_PATH", str(tmp_path / "missing.toml"))
    answer = bootstrap_worker()
    assert (answer.success, answer.status) == (False, "error")
    assert "missing.toml" in (answer.error_message or "")
    assert not is_worker_running()


def test_the_configuration_file_names_database_and_templates(
    database: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown sections pass, variables are replaced, drivers in addresses are left out."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "busy.yaml").write_text(BUSY)
    url = "${NO_SUCH_VARIABLE:-" + database.replace("postgresql://", "postgresql+asyncpg://") + "}"
    (tmp_path / "engine.toml").write_text(
        f'[common.database]\nurl = "{url}"\n[common.task_templates]\nsearch_paths = ["flows/**/*.yaml"]\n'
        '[worker.odd]\nunknown = [1, "${X:-y}"]\n'
    )
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "TASKER_DATABASE_URL", "TASKER_TEMPLATE_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TASKER_CONFIG_PATH", "engine.toml")
    HandlerRegistry.reset_instance()
    with Worker.start():
        assert TaskerClient().create_task("busy", namespace="shop").status == "pending"
