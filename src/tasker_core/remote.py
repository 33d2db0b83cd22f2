"""The client over REST: for applications without a database of their own, and those that name a server.

The answers have the keys of `client_answers`, which asks the database.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, cast
from uuid import UUID

from tasker.client import Profile, TaskerClient, find_profile
from tasker.model.errors import SettingsError
from tasker.model.states import TaskState
from tasker.operations.accounts import Move
from tasker.operations.views import StepResponse, TaskResponse
from tasker_core import runtime
from tasker_core.client_answers import actor, options_of, page_of
from tasker_core.config import read_orchestration
from tasker_core.metadata import parted

_RETRIES = 3
_KNOWN = {"base_url", "transport", "timeout_ms", "max_retries", "auth"}


class Remote:
    """The client's functions, on a server."""

    def __init__(self, profile: Profile, *, retries: int = _RETRIES) -> None:
        self._client = TaskerClient(profile=profile, attempts_max=retries + 1)

    def create_task(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """See client_answers.create_task."""
        options = options_of(request)
        made = self._client.create_task(
            request["name"],
            namespace=request["namespace"],
            version=request["version"],
            context=dict(request["context"]),
            **options,
        )
        return _task(made)

    def get_task(self, task_uuid: str) -> dict[str, Any]:
        """See client_answers.get_task."""
        return _task(self._client.get_task(task_uuid))

    def list_tasks(
        self, limit: int = 50, offset: int = 0, namespace: str | None = None, status: str | None = None
    ) -> dict[str, Any]:
        """See client_answers.list_tasks."""
        status = None if status is None else str(TaskState(status))
        found = list(islice(self._client.each_task(namespace=namespace, status=status), offset + limit + 1))
        return page_of([_task(one) for one in found], limit, offset)

    def cancel_task(self, task_uuid: str) -> dict[str, Any]:
        """See client_answers.cancel_task."""
        self._client.cancel_task(task_uuid, actor=actor.get())
        return {"cancelled": True}

    def list_steps(self, task_uuid: str) -> list[dict[str, Any]]:
        """See client_answers.list_steps."""
        return [_step(one) for one in self._client.list_steps(task_uuid)]

    def get_step(self, task_uuid: str, step_uuid: str) -> dict[str, Any]:
        """See client_answers.get_step."""
        return _step(self._client.get_step(task_uuid, step_uuid))

    def audit_history(self, task_uuid: str, step_uuid: str) -> list[dict[str, Any]]:
        """See client_answers.audit_history."""
        step = self._client.get_step(task_uuid, step_uuid)
        moves = [one for one in self._client.get_task_history(task_uuid) if one.step_uuid == step.step_uuid]
        return [_move(one, task_uuid) for one in sorted(moves, key=lambda one: one.seq)]

    def health(self) -> dict[str, Any]:
        """What the server says of itself; `unavailable` where it does not answer."""
        return {"status": self._client.ready()["status"], "timestamp": datetime.now(UTC).isoformat()}

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()


class _Opened:
    """The client that the process has open, and what it was opened with."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.key: tuple[Profile, int] | None = None
        self.remote: Remote | None = None


_opened = _Opened()


def remote() -> Remote | None:
    """The client over REST, where the process is set to use one; None where its worker's database is asked.

    A server that TASKER_ORCHESTRATION_URL names always counts. TASKER_URL and TASKER_PROFILE count before the worker is
    bootstrapped, and so does `[worker.orchestration_client] base_url` of the configuration file where no database is
    configured. Raises SettingsError for gRPC, and for settings that there are not.
    """
    key = _wanted()
    if key is None:
        return None
    with _opened.lock:
        if _opened.key != key or _opened.remote is None:
            if _opened.remote is not None:
                _opened.remote.close()
            _opened.key, _opened.remote = key, Remote(key[0], retries=key[1])
        return _opened.remote


def _wanted() -> tuple[Profile, int] | None:
    environment = os.environ
    if url := environment.get("TASKER_ORCHESTRATION_URL"):
        _check_transport(environment.get("TASKER_CLIENT_TRANSPORT"))
        timeout_s = _seconds(environment.get("TASKER_ORCHESTRATION_TIMEOUT_MS"), "TASKER_ORCHESTRATION_TIMEOUT_MS")
        return _profile(url, timeout_s, environment.get("TASKER_ORCHESTRATION_AUTH_TOKEN")), _RETRIES
    if runtime.is_running():
        return None
    if environment.get("TASKER_URL") or environment.get("TASKER_PROFILE"):
        return find_profile(), _RETRIES
    said = read_orchestration()
    return None if said is None else _of_file(said)


def _of_file(said: Mapping[str, Any]) -> tuple[Profile, int]:
    for key in said:
        if key not in _KNOWN:
            raise SettingsError(f"[worker.orchestration_client] has no setting {key}: {', '.join(sorted(_KNOWN))}")
    _check_transport(said.get("transport"))
    auth = cast("dict[str, Any]", said.get("auth") or {})
    token = auth.get("token") or auth.get("auth_token") or auth.get("bearer_token")
    timeout_s = _seconds(said.get("timeout_ms"), "[worker.orchestration_client] timeout_ms")
    profile = _profile(str(said["base_url"]), timeout_s, token, auth.get("api_key"))
    return profile, int(said.get("max_retries", _RETRIES))


def _profile(url: str, timeout_s: float, token: str | None, api_key: str | None = None) -> Profile:
    known = find_profile(url, token=token, api_key=None if token else api_key)
    header = os.environ.get("TASKER_API_KEY_HEADER") or known.api_key_header
    return Profile(url=url, token=known.token, api_key=known.api_key, api_key_header=header, timeout_s=timeout_s)


def _seconds(milliseconds: Any, name: str) -> float:
    try:
        return float(milliseconds or 30_000) / 1000
    except (TypeError, ValueError) as error:
        raise SettingsError(f'{name} is a number of milliseconds, not "{milliseconds}"') from error


def _check_transport(transport: str | None) -> None:
    if transport and transport.lower() != "rest":
        raise SettingsError(f"the transport {transport} is not here: name the server's HTTP address, and say rest")


def _task(task: TaskResponse) -> dict[str, Any]:
    said = task.model_dump(mode="json")
    steps = [{**one, "step_uuid": one["workflow_step_uuid"]} for one in said["steps"]]
    texts = ("initiator", "source_system", "reason", "recommended_action")
    shown = {name: said[name] or "" for name in texts}
    correlation_id = said["correlation_id"] or said["task_uuid"]
    return {**said, **shown, "context": said["context"] or {}, "correlation_id": correlation_id, "steps": steps}


def _step(step: StepResponse) -> dict[str, Any]:
    result, metadata = parted(step.results)
    return {**step.model_dump(mode="json"), "results": result, "metadata": metadata}


def _move(move: Move, task_uuid: str | UUID) -> dict[str, Any]:
    said = move.model_dump(mode="json")
    return {**said, "task_uuid": str(task_uuid), "worker_uuid": said["worker"], "recorded_at": said["at"]}
