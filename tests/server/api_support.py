"""A client of the API in this process, and templates for its tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tasker import Tasker, step_handler
from tasker.templates import load_text

ORDER = """
tasker: 1
namespace_name: shop
name: order
version: 1.0.0
description: Takes an order.
input_schema: {type: object, properties: {amount: {type: number}}}
steps:
  - {name: check, handler: check}
  - {name: charge, handler: charge, dependencies: [check], retry: {max_attempts: 1}}
"""


@step_handler("check")
async def check(context: Any) -> dict[str, Any]:
    """Passes the amount on."""
    return {"amount": context.get_input("amount") or 0}


@step_handler("charge")
async def charge(context: Any) -> dict[str, Any]:
    """Fails for a negative amount."""
    if (context.get_input("amount") or 0) < 0:
        raise ValueError("a negative amount")
    return {"paid": True}


HANDLERS = [check, charge]


async def publish(tasker: Tasker, text: str = ORDER) -> None:
    """Publishes a template."""
    await tasker.publish(load_text(text).template)


@asynccontextmanager
async def client_of(app: Any, **options: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client that calls the application directly."""
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url="http://tasker", **options) as client:
        yield client


async def create(api: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    """A new task of shop/order."""
    answer = await api.post("/v1/tasks", json={"name": "order", "namespace": "shop", **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()
