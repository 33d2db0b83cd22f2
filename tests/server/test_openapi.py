"""The API's description: whole, with examples that fit, and served with a page that needs no script."""

from __future__ import annotations

from typing import Any

import httpx2
import jsonschema
import pytest
from api_support import client_of
from fastapi import FastAPI

from tasker import Tasker
from tasker.server.rest.openapi import document
from tasker.server.rest.routes import ROUTES, Route

DOCUMENT = document()


def _operation(route: Route) -> dict[str, Any]:
    return DOCUMENT["paths"][route.path][route.method.lower()]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_an_operation_is_described(route: Route) -> None:
    """Its name, permission, every field, and what it may refuse."""
    found = _operation(route)
    assert found["operationId"] == route.operation.name and found["x-permission"] == route.operation.permission
    named = {one["name"] for one in found["parameters"]}
    body = found.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    fields = {route.body_field} if route.body_field else set(body.get("properties", {}))
    assert named | fields == set(route.operation.given.model_fields)
    assert {"400", "401", "403", "404", "409", "413", "429", "500", "503"} <= set(found["responses"])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_examples_fit(route: Route) -> None:
    """The example of a request is one that its schema takes, and that of an answer is like the answers."""
    found = _operation(route)
    holders = [found["responses"][str(route.status)], found.get("requestBody", {})]
    for content in (holder.get("content", {}).get("application/json") for holder in holders):
        if content is not None:
            jsonschema.validate(content["example"], {**content["schema"], "components": DOCUMENT["components"]})


def test_operations_have_names_of_their_own() -> None:
    """Programs that are made from the document name their functions by them."""
    names = [one["operationId"] for methods in DOCUMENT["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))


async def test_the_description_is_served(api: httpx2.AsyncClient) -> None:
    """At the older path as well, and as a page that no browser runs a script of."""
    found = (await api.get("/v1/openapi.json")).json()
    assert found == (await api.get("/api-docs/openapi.json")).json() == DOCUMENT
    for path in ("/v1/docs", "/api-docs/ui"):
        page = await api.get(path)
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert "<script" not in page.text and "/v1/tasks/{task_uuid}" in page.text


async def test_a_prefix_is_part_of_it(idle: Tasker) -> None:
    """Mounted in another application, the document says where, and everything answers there."""
    host = FastAPI()
    host.mount("/tasker", idle.asgi())
    async with client_of(host) as client:
        assert (await client.get("/tasker/v1/openapi.json")).json()["servers"] == [{"url": "/tasker"}]
        assert 'href="/tasker/v1/openapi.json"' in (await client.get("/tasker/v1/docs")).text
        made = await client.post("/tasker/v1/tasks", json={"name": "order", "namespace": "shop"})
        assert (await client.get(f"/tasker/v1/tasks/{made.json()['task_uuid']}")).status_code == 200
        assert (await client.get("/tasker/health")).status_code == 200
        assert (await client.get("/tasker/v1/nothing")).json()["error"]["code"] == "NOT_FOUND"
