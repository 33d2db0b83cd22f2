"""The client of tasker_core over REST: an application without a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.serving import Serving, served

from tasker import Tasker, step_handler
from tasker.model.errors import ActionForbidden, InvalidInput, SettingsError, StepNotFound, TaskNotFound
from tasker_core import TaskerClient
from tasker_core.exceptions import WorkerNotInitializedError
from tasker_core.remote import remote

ORDER = """
tasker: 1
namespace_name: shop
name: order
version: 1.0.0
steps:
  - {name: check, handler: remote_check}
  - {name: charge, handler: remote_charge, dependencies: [check], retry: {max_attempts: 1}}
"""
NOBODY = "0198c0de-0000-7000-8000-000000000001"
NAMES = (
    "TASKER_ORCHESTRATION_URL", "TASKER_URL", "TASKER_PROFILE", "TASKER_CONFIG_PATH", "TASKER_CLIENT_TRANSPORT",
    "TASKER_DATABASE_URL", "DATABASE_URL", "TASKER_API_KEY", "TASKER_AUTH_TOKEN",
)  # fmt: skip


@step_handler("remote_check")
async def check() -> dict[str, bool]:
    """Is content."""
    return {"ok": True}


@step_handler("remote_charge")
async def charge() -> dict[str, bool]:
    """Fails."""
    raise ValueError("no money")


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is named unless a test does."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(database: str, tmp_path: Path) -> Iterator[Serving]:
    """A server whose tasks fail at their second step."""
    file = tmp_path / "order.yaml"
    file.write_text(ORDER)
    with served(lambda: Tasker(database, templates=file, handlers=[check, charge]).asgi()) as serving:
        yield serving


def _configure(monkeypatch: pytest.MonkeyPatch, folder: Path, url: str, more: str = "") -> None:
    file = folder / "tasker.toml"
    file.write_text(f'[worker.orchestration_client]\nbase_url = "{url}"\n{more}')
    monkeypatch.setenv("TASKER_CONFIG_PATH", str(file))


def _ended(task_uuid: str) -> None:
    asked = remote()
    assert asked is not None
    asked._client.wait(task_uuid, 60)


@pytest.mark.parametrize("by", ["TASKER_ORCHESTRATION_URL", "TASKER_URL", "file"])
def test_an_application_without_a_database_uses_a_server(
    server: Serving, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by: str
) -> None:
    """All eight operations work over REST, wherever the server is named, and answer what the database answers."""
    if by == "file":
        _configure(monkeypatch, tmp_path, server.url, "max_retries = 2\ntimeout_ms = 20000")
    else:
        monkeypatch.setenv(by, server.url)
    client = TaskerClient(initiator="ann")
    made = client.create_task("order", namespace="shop", context={"a": 1}, tags=["x"], priority=1)
    assert (made.initiator, made.context, made.tags, made.reason) == ("ann", {"a": 1}, ["x"], "Task requested")
    _ended(made.task_uuid)
    assert client.get_task(made.task_uuid).status == "error"
    first, second = client.list_task_steps(made.task_uuid)
    assert (first.results, first.current_state, second.current_state) == ({"ok": True}, "complete", "error")
    assert client.get_step(made.task_uuid, second.step_uuid) == second
    assert client.get_task(made.task_uuid).steps[0]["step_uuid"] == first.step_uuid
    moves = client.get_step_audit_history(made.task_uuid, second.step_uuid)
    assert (moves[-1].to_state, moves[0].step_name, moves[0].task_uuid) == ("error", "charge", made.task_uuid)
    page = client.list_tasks(limit=1, namespace="shop", status="error")
    assert [one.task_uuid for one in page.tasks] == [made.task_uuid]
    assert not page.pagination.has_next
    later = client.create_task("order", namespace="shop")
    assert [one.task_uuid for one in client.list_tasks(limit=1, offset=1).tasks] == [made.task_uuid]
    assert client.health_check().status == "healthy"
    _ended(later.task_uuid)
    assert client.cancel_task(later.task_uuid) == {"cancelled": True}
    with pytest.raises(ActionForbidden):
        client.cancel_task(later.task_uuid)


def test_errors_are_the_same(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not there, or not valid, raises what the database's client raises."""
    monkeypatch.setenv("TASKER_ORCHESTRATION_URL", server.url)
    client = TaskerClient()
    with pytest.raises(TaskNotFound):
        client.get_task(NOBODY)
    made = client.create_task("order", namespace="shop")
    with pytest.raises(StepNotFound):
        client.get_step(made.task_uuid, NOBODY)
    with pytest.raises(ValueError, match="sleeping"):
        client.list_tasks(status="sleeping")
    with pytest.raises(InvalidInput, match="reason"):
        client.create_task("order", namespace="shop", reason=None)  # type: ignore[arg-type]


def test_without_a_server_the_worker_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No server, or one in a file beside a database: the client wants its worker, as ever."""
    with pytest.raises(WorkerNotInitializedError):
        TaskerClient().list_tasks()
    _configure(monkeypatch, tmp_path, "http://127.0.0.1:1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    with pytest.raises(WorkerNotInitializedError):
        TaskerClient().list_tasks()


def test_a_server_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Health says so, and raises nothing."""
    monkeypatch.setenv("TASKER_ORCHESTRATION_URL", "http://127.0.0.1:1")
    assert TaskerClient().health_check().status == "unavailable"


WRONG = [('transport = "grpc"', "say rest"), ("max_retry = 3", "no setting max_retry"), ('timeout_ms = "x"', "milli")]


@pytest.mark.parametrize(("more", "says"), WRONG)
def test_wrong_settings_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, more: str, says: str) -> None:
    """What would have no effect is refused."""
    _configure(monkeypatch, tmp_path, "http://127.0.0.1:1", more)
    with pytest.raises(SettingsError, match=says):
        TaskerClient().list_tasks()
