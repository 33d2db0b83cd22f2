"""Requests that nobody would think of, made from the API's description: no fault inside, every answer as described."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from api_support import HANDLERS, ORDER
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from support.databases import Databases

from tasker import SyncTasker
from tasker.server.rest.routes import ROUTES, Route
from tasker.templates import load_text

EXAMPLES = 500 if os.environ.get("TASKER_TEST_SCALE") == "full" else 12
OPERATIONS = [route for route in ROUTES if not route.operation.is_stream]
pytestmark = pytest.mark.slow


@dataclass
class Hammered:
    """A server's description, and a task with its steps for requests that need one that exists."""

    schema: Any
    task: str
    step: str


@pytest.fixture(scope="module")
def hammered(databases: Databases) -> Iterator[Hammered]:
    """A server process whose tasks are worked on."""
    with databases.migrated() as dsn, SyncTasker(dsn, handlers=HANDLERS) as tasker:
        tasker.publish(load_text(ORDER).template)
        made = tasker.submit("order", namespace="shop", context={"amount": 1})
        view = tasker.wait(made.task_uuid, 60)
        process = subprocess.Popen(
            [sys.executable, "-m", "tasker", "server", "--port", "0"],
            env={**os.environ, "TASKER_DATABASE_URL": dsn, "TASKER_WAIT_S_MAX": "0.01"}, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stderr is not None
            found = re.search(r"serving (http://\S+)/v1", process.stderr.readline().decode())
            assert found
            schema = schemathesis.openapi.from_url(f"{found[1]}/v1/openapi.json")
            yield Hammered(schema, str(made.task_uuid), str(view.steps[0].step_uuid))
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("is_known", [False, True], ids=["anything", "what exists"])
@pytest.mark.parametrize("route", OPERATIONS, ids=lambda route: route.operation.name)
def test_no_request_breaks_the_api(hammered: Hammered, route: Route, is_known: bool) -> None:
    """Whatever is sent, the status is a described one and no fault, and the body fits its schema.

    A well-formed request may be refused: the state of a task may forbid what it asks for, which is a 400.
    """
    things = {
        "task_uuid": hammered.task, "step_uuid": hammered.step,
        "namespace": "shop", "name": "order", "version": "1.0.0",
    }  # fmt: skip
    known = {name: things[name] for name in route.in_path if name in things}
    if is_known and not known:
        pytest.skip("its path names nothing that the test has made")
    operation = hammered.schema[route.path][route.method]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    def hammer(case: schemathesis.Case) -> None:
        if is_known:
            case.path_parameters = {**case.path_parameters, **known}
        case.call_and_validate(timeout=30, excluded_checks=[positive_data_acceptance])

    hammer()
