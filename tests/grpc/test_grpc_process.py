"""`tasker server --grpc-port`: gRPC beside REST in processes of its own, and how it stops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import grpc
import httpx2
import pytest
from grpc import aio
from grpc_process import serving_grpc, start
from grpc_support import HANDLERS, Client, detail_of, publish, state

from tasker import Tasker


@asynccontextmanager
async def client_at(address: str) -> AsyncGenerator[Client]:
    """A client of that server, once it answers."""
    async with aio.insecure_channel(address) as channel:
        await asyncio.wait_for(channel.channel_ready(), 60)
        yield Client(channel, address)


@pytest.fixture
async def worked_on(database: str) -> AsyncGenerator[str]:
    """A database whose tasks a worker in this process works on."""
    async with Tasker(database, handlers=HANDLERS) as tasker:
        await publish(tasker)
        yield database


async def test_both_faces_show_the_same_tasks(worked_on: str) -> None:
    """A task that came by gRPC is there over HTTP, from two processes that share both ports."""
    async with serving_grpc(worked_on, "--processes", "2") as served, client_at(served.address) as client:
        made = await client.finished(context={"amount": 1})
        assert state(made) == "TASK_STATE_COMPLETE"
        async with httpx2.AsyncClient(base_url=served.url, timeout=60) as api:
            found = (await api.get(f"/v1/tasks/{made.task_uuid}")).json()
        assert (found["status"], found["task_uuid"]) == ("complete", made.task_uuid)
        assert await served.stop() == 0


async def test_a_stop_ends_streams_with_a_word(database: str) -> None:
    """SIGTERM: a stream that is watched ends with UNAVAILABLE and says to come back; the process ends well."""
    async with Tasker(database, worker=False) as tasker:
        await publish(tasker)
        async with serving_grpc(database) as served, client_at(served.address) as client:
            made = await client.create()
            watched = client.stream("TaskService", "StreamTaskStatus", task_uuid=made.task_uuid)
            await watched.read()
            stopped = asyncio.create_task(served.stop())
            with pytest.raises(aio.AioRpcError) as caught:
                await watched.read()
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "last cursor" in detail_of(caught.value).message
            assert await stopped == 0


async def test_beyond_loopback_callers_are_asked(database: str) -> None:
    """Whoever listens for everybody without a key is refused; with authentication nobody gets in unasked."""
    refused = await start(database, "--grpc-port", "0", "--host", "0.0.0.0", "--auth", "off")  # noqa: S104
    _, said = await asyncio.wait_for(refused.communicate(), 60)
    assert refused.returncode == 2
    assert b"--insecure" in said
    async with serving_grpc(database, "--host", "0.0.0.0") as served, client_at(served.address) as client:  # noqa: S104
        with pytest.raises(aio.AioRpcError) as caught:
            await client.create()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_taken_port_is_told(database: str) -> None:
    """A port that another program, or another server of ours, listens on is an error, and is not shared with it."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = await start(database, "--grpc-port", str(taken.getsockname()[1]))
        _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2, said
    assert b"cannot listen for gRPC on 127.0.0.1 port" in said


async def test_without_a_port_there_is_no_grpc(database: str) -> None:
    """The port may come from the environment; half of TLS is refused before anything listens."""
    process = await start(database, TASKER_SERVER_GRPC_PORT="0", TASKER_SERVER_GRPC_TLS_KEY="/nowhere/key.pem")
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert b"TASKER_SERVER_GRPC_TLS_CERTIFICATE" in said
