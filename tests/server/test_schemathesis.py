"""Requests that nobody would think of, made from the API's description: no fault inside, every answer as described.

At full size, with tens of thousands of requests: TASKER_TEST_SCALE=full pytest tests/server/test_schemathesis.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from api_support import HANDLERS, ORDER
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance
from support.databases import Databases

from tasker import SyncTasker
from tasker.server.rest.openapi import document
from tasker.server.rest.routes import ROUTES
from tasker.templates import load_text

IS_FULL = os.environ.get("TASKER_TEST_SCALE") == "full"
EXAMPLES = {
    "all": 500 if IS_FULL else 5,
    "known": 500 if IS_FULL else 6,
    "few": 100 if IS_FULL else 3,
    "nobody": 100 if IS_FULL else 2,
}
"""Requests of each operation, by who sends them: a caller who may everything, the same about what exists, one who may
little, and nobody."""
OPERATIONS = [(method, path) for path, methods in document()["paths"].items() for method in methods]
OPEN = {"/health", "/health/live", "/health/ready", "/health/detailed"}
STREAMS = {route.path for route in ROUTES if route.operation.is_stream}
pytestmark = pytest.mark.slow


@dataclass
class Hammered:
    """A server's description, what exists there, and the headers of each kind of caller."""

    schema: Any
    things: Mapping[str, str]
    headers: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])


def _key(dsn: str, *words: str) -> dict[str, str]:
    """The headers of a new key."""
    command = (sys.executable, "-m", "tasker", "auth", "key", "create", "tester", "--json", *words)
    made = subprocess.run(command, env={**os.environ, "TASKER_DATABASE_URL": dsn}, capture_output=True, check=True)
    return {"X-API-Key": json.loads(made.stdout)["key"]}


@pytest.fixture(scope="module")
def hammered(databases: Databases) -> Iterator[Hammered]:
    """A server process whose tasks are worked on, and which asks who calls."""
    with databases.migrated() as dsn, SyncTasker(dsn, handlers=HANDLERS) as tasker:
        tasker.publish(load_text(ORDER).template)
        made = tasker.submit("order", namespace="shop", context={"amount": 1})
        view = tasker.wait(made.task_uuid, 60)
        everything = _key(dsn, "--role", "admin", "--all-namespaces")
        few = _key(dsn, "--permission", "tasks:list", "--permission", "dlq:read", "--namespace", "shop")
        unbound = {"TASKER_WAIT_S_MAX": "0.01", "TASKER_AUTH_FAILURES_PER_MINUTE": "0"}
        process = subprocess.Popen(
            [sys.executable, "-m", "tasker", "server", "--port", "0", "--auth", "on"],
            env={**os.environ, "TASKER_DATABASE_URL": dsn, **unbound}, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stderr is not None
            found = re.search(r"serving (http://\S+)/v1", process.stderr.readline().decode())
            assert found
            things = {
                "task_uuid": str(made.task_uuid), "step_uuid": str(view.steps[0].step_uuid),
                "namespace": "shop", "name": "order", "version": "1.0.0",
            }  # fmt: skip
            headers = {"all": everything, "known": everything, "few": few, "nobody": {}}
            yield Hammered(schemathesis.openapi.from_url(f"{found[1]}/v1/openapi.json"), things, headers)
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("who", EXAMPLES)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_breaks_the_api(hammered: Hammered, method: str, path: str, who: str) -> None:
    """Whatever is sent by whomever, the status is a described one and no fault, and the body fits its schema; nobody
    gets past the door.

    A well-formed request may be refused: the state of a task may forbid what it asks for, which is a 400.
    """
    known = {name: thing for name, thing in hammered.things.items() if f"{{{name}}}" in path} if who == "known" else {}
    if who == "known" and not known:
        pytest.skip("its path names nothing that the test has made")

    @given(case=hammered.schema[path][method].as_strategy())
    @settings(
        max_examples=EXAMPLES[who], deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    def hammer(case: schemathesis.Case) -> None:
        case.path_parameters = {**case.path_parameters, **known}
        status = _send(case, hammered.headers[who], is_stream=path in STREAMS)
        if who == "nobody" and path not in OPEN:
            assert status in (400, 401, 404, 405), status

    hammer()


def _send(case: schemathesis.Case, headers: dict[str, str], *, is_stream: bool) -> int:
    """Sends it and looks at the answer; the status."""
    left_out = [positive_data_acceptance]
    if not is_stream:
        return case.call_and_validate(headers=headers, timeout=30, excluded_checks=left_out).status_code
    sent = case.as_transport_kwargs(headers=headers)
    with requests.request(**sent, timeout=30, stream=True) as answer:
        if answer.status_code == 200:
            assert answer.headers["content-type"].startswith("text/event-stream")
        else:
            case.validate_response(answer, excluded_checks=[*left_out, ignored_auth])
    return answer.status_code


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_status_is_described_by_itself(method: str, path: str) -> None:
    """No description says "whatever else": a status that it does not name would go unseen."""
    assert all(status.isdigit() for status in document()["paths"][path][method]["responses"])
