"""The list of operations and its faces agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasker import Settings
from tasker.operations import OPERATIONS, PERMISSIONS, Operation, Scope
from tasker.operations.permissions import AUTHENTICATED
from tasker.server.rest.routes import ROUTES

OF_ALL = {"get_caller"}
"""What every caller may ask whom the server knows."""


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_every_operation_is_whole(operation: Operation) -> None:
    """It has a permission, a summary, and an input that has what its scope looks at."""
    assert operation.permission in PERMISSIONS or operation.name in OF_ALL
    assert (operation.permission == AUTHENTICATED) == (operation.name in OF_ALL)
    assert operation.summary and not operation.summary.endswith(".")
    fields = operation.given.model_fields
    wanted = {Scope.NAMESPACE: "namespace", Scope.TASK: "task_uuid"}.get(operation.scope)
    assert wanted is None or wanted in fields
    assert operation.scope is not Scope.WHOLE or "task_uuid" not in fields


def test_rest_has_every_operation() -> None:
    """A use case that nobody can reach over HTTP is a mistake, and so are two at one place."""
    assert {route.operation.name for route in ROUTES} == set(OPERATIONS)
    places = [(route.method, route.path) for route in ROUTES]
    assert len(places) == len(set(places))


def test_the_page_names_every_route() -> None:
    """docs/server.md has each route with its permission and no other, and each limit that is a setting."""
    page = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
    named = set(re.findall(r"^\| `(\w+ /[^`]+)` \|.*\| ([\w:]+) \|$", page, re.MULTILINE))
    assert named == {(f"{route.method} {route.path}", route.operation.permission) for route in ROUTES}
    for name in Settings.model_fields:
        if name.endswith("_max") and name.startswith(("request_", "json_", "submit_", "streams_", "backlog_", "wait_")):
            assert f"`TASKER_{name.upper()}`" in page


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_names_fields_of_its_operation(route: object) -> None:
    """What a path names, and what is the whole body, are fields of the input; only writes have a body."""
    assert set(route.in_path) <= set(route.operation.given.model_fields)  # type: ignore[attr-defined]
    assert route.body_field is None or route.body_field in route.operation.given.model_fields  # type: ignore[attr-defined]
    assert not route.operation.is_stream or route.method == "GET"  # type: ignore[attr-defined]
