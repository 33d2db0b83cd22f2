"""The bakery's web application: orders come in over HTTP, and its own process bakes them.

uvicorn bakery.app:app
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from bakery.events import Blackboard, DeliveryNotes
from tasker_core import InProcessDomainEventPoller, Worker, get_health_check, is_worker_running
from tasker_core.client import TaskerClient
from tasker_core.domain_events import PublisherRegistry, SubscriberRegistry

os.environ.setdefault("TASKER_TEMPLATE_PATH", str(Path(__file__).parent / "config" / "tasks"))
NAMESPACE = "bakery"
client = TaskerClient(initiator="bakery", source_system="web")
board = Blackboard()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The worker runs as long as the application."""
    PublisherRegistry.instance().register(DeliveryNotes())
    worker = Worker.start(handler_packages=["bakery.handlers"])
    poller = InProcessDomainEventPoller()
    subscribers = SubscriberRegistry.instance()
    subscribers.register_instance(board)
    subscribers.start_all(poller)
    poller.start()
    try:
        yield
    finally:
        worker.stop()
        poller.stop()
        subscribers.stop_all()


app = FastAPI(title="Bakery", lifespan=lifespan)


class Order(BaseModel):
    """What a café orders."""

    customer: str
    loaves: dict[str, int] = Field(examples=[{"rye": 4, "bun": 30}])
    address: str | None = None
    power_cut_after: int | None = None


@app.post("/orders", status_code=201)
def create_order(order: Order) -> dict[str, Any]:
    """Takes an order; it is safe once this answers."""
    task = client.create_task(
        "wholesale_order", namespace=NAMESPACE, context=order.model_dump(exclude_none=True), tags=["order"]
    )
    return {"order": task.task_uuid, "status": task.status}


@app.post("/store/count", status_code=201)
def count_store(shelves: list[int]) -> dict[str, Any]:
    """Counts the flour store: the sacks on each shelf."""
    task = client.create_task("shelf_count", namespace=NAMESPACE, context={"shelves": shelves}, reason="counting")
    return {"order": task.task_uuid, "status": task.status}


@app.get("/orders/{order}")
async def get_order(order: str) -> dict[str, Any]:
    """Where an order stands."""
    task = client.get_task(order)
    if task.namespace != NAMESPACE:
        raise HTTPException(404, "no such order")
    return {
        **{key: task.__dict__[key] for key in ("status", "completion_percentage", "completed_steps", "context")},
        "steps": {step["name"]: step["results"] or step["error"] for step in task.steps},
    }


@app.get("/orders")
def list_orders(limit: int = 20) -> list[dict[str, Any]]:
    """The latest orders."""
    page = client.list_tasks(limit=limit, namespace=NAMESPACE)
    return [{"order": task.task_uuid, "status": task.status} for task in page.tasks]


@app.delete("/orders/{order}")
def cancel_order(order: str) -> dict[str, Any]:
    """Calls an order off."""
    return client.cancel_task(order)


@app.get("/board")
def read_board() -> list[dict[str, Any]]:
    """What happened lately."""
    return list(board.lines)


@app.get("/health")
def health() -> dict[str, Any]:
    """Whether the bakery works."""
    if not is_worker_running():
        raise HTTPException(503, "the worker does not run")
    return {"status": get_health_check().status}
