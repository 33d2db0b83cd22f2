"""A server of gRPC in this process, and a client of it over a real channel."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from grpc import aio

from tasker import Tasker, proto, step_handler
from tasker.server.auth import Authenticator
from tasker.server.grpc import GrpcServer, Listening
from tasker.server.grpc.errors import DETAIL_KEY
from tasker.templates import load_text

ORDER = """
tasker: 1
namespace_name: shop
name: order
version: 1.0.0
description: Takes an order.
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


@dataclass
class Client:
    """Calls the services over a channel; `metadata` goes with every call."""

    channel: aio.Channel
    address: str
    metadata: tuple[tuple[str, str], ...] = ()

    def request(self, service: str, method: str, /, **fields: Any) -> Any:
        """The request of a method."""
        return proto.class_of(proto.methods(service)[method].input_type)(**fields)

    async def call(self, service: str, method: str, /, **fields: Any) -> Any:
        """One call; raises aio.AioRpcError."""
        stub = proto.Stub(self.channel, service)
        return await getattr(stub, method)(self.request(service, method, **fields), metadata=self.metadata, timeout=60)

    def stream(self, service: str, method: str, /, **fields: Any) -> Any:
        """The answers of a stream."""
        stub = proto.Stub(self.channel, service)
        return getattr(stub, method)(self.request(service, method, **fields), metadata=self.metadata, timeout=60)

    async def create(self, **fields: Any) -> Any:
        """A new task of shop/order."""
        return (await self.call("TaskService", "CreateTask", name="order", namespace="shop", **fields)).task

    async def finished(self, **fields: Any) -> Any:
        """A new task that has ended."""
        made = await self.create(**fields)
        return (await self.call("TaskService", "GetTask", task_uuid=made.task_uuid, wait_s=60)).task


def detail_of(error: aio.AioRpcError) -> Any:
    """What an error says beside its status: an ErrorDetail."""
    metadata = dict(error.trailing_metadata() or ())
    return proto.message("ErrorDetail").FromString(metadata[DETAIL_KEY])


def state(task: Any) -> str:
    """The name of a task's, or a step's, state."""
    field = task.DESCRIPTOR.fields_by_name["state"]
    return field.enum_type.values_by_number[task.state].name


async def publish(tasker: Tasker, text: str = ORDER) -> None:
    """Publishes a template."""
    await tasker.publish(load_text(text).template)


async def step_of(client: Client, task_uuid: str, name: str) -> Any:
    """The step of that name."""
    found = await client.call("StepService", "ListSteps", task_uuid=task_uuid)
    return next(step for step in found.steps if step.name == name)


@asynccontextmanager
async def client_of(
    tasker: Tasker,
    *,
    authenticator: Authenticator | None = None,
    metadata: Mapping[str, str] | None = None,
    **settings: Any,
) -> AsyncGenerator[Client]:
    """A client of a server with these settings in this process."""
    tasker.settings = tasker.settings.model_copy(update=settings)
    server = GrpcServer(tasker.engine(), Listening(host="127.0.0.1", port=0), authenticator=authenticator)
    async with server, aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Client(channel, f"127.0.0.1:{server.port}", tuple((metadata or {}).items()))


NOBODY = str(UUID("01987654-0000-7000-8000-000000000001"))
"""The id of a task that there is not."""
