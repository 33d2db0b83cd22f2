"""The database goes away under load: who calls is told so, and what was acknowledged is there when it is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx2
import pytest
from api_support import ORDER, client_of
from grpc import StatusCode, aio
from server_process import Served, serving
from support.until import until

from tasker import Tasker, proto
from tasker.embedded import PrivateServer, start_private
from tasker.store.connection import Connection, connect
from tasker.templates import load_text

CALLERS = 4
"""Of each face."""
LOST_WITHIN_S = 60


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServer]:
    """A PostgreSQL of the test's own."""
    folder = tmp_path_factory.mktemp("away") / "private"
    with start_private(folder, settings={"recovery_init_sync_method": "syncfs"}) as started:
        yield started


class Caller:
    """Creates tasks, one after the other, each with a key, and asks again with the same key until it is told yes."""

    def __init__(self, place: int) -> None:
        self._place = place
        self.begun = 0
        self.acknowledged: dict[str, str] = {}
        """The task that each key was answered with."""
        self.refused: list[str] = []
        """What was wrong with refusals; "" where nothing was."""

    async def call(self) -> None:
        """Until it is cancelled."""
        while True:
            key = f"{self._place}-{self.begun}"
            self.begun += 1
            while not (task_uuid := await self.create(key)):  # noqa: ASYNC110 - an impatient client asks again
                await asyncio.sleep(0.01)
            self.acknowledged[key] = task_uuid

    async def create(self, key: str) -> str:
        """The task's id; nothing where it was refused."""
        raise NotImplementedError


class HttpCaller(Caller):
    """Over HTTP."""

    def __init__(self, place: int, api: httpx2.AsyncClient) -> None:
        super().__init__(place)
        self._api = api

    async def create(self, key: str) -> str:
        """See Caller."""
        body = {"name": "order", "namespace": "shop", "idempotency_key": key}
        answer = await self._api.post("/v1/tasks", json=body)
        if answer.status_code == 200:
            return answer.json()["task_uuid"]
        is_well = answer.status_code == 503 and int(answer.headers.get("retry-after", 0)) >= 1
        tells = "postgres" in answer.text.lower() or "/" in answer.text
        self.refused.append("" if is_well and not tells else f"{answer.status_code} {answer.text}")
        return ""


class GrpcCaller(Caller):
    """Over gRPC."""

    def __init__(self, place: int, channel: aio.Channel) -> None:
        super().__init__(place)
        self._create = proto.Stub(channel, "TaskService").CreateTask

    async def create(self, key: str) -> str:
        """See Caller."""
        request = proto.message("CreateTaskRequest")(name="order", namespace="shop", idempotency_key=key)
        try:
            return (await self._create(request, timeout=60)).task.task_uuid
        except aio.AioRpcError as error:
            told = dict(error.trailing_metadata() or ())
            is_well = error.code() is StatusCode.UNAVAILABLE and int(told.get("retry-after", 0)) >= 1
            self.refused.append("" if is_well else f"{error.code()} {error.details()}")
            return ""


@pytest.mark.parametrize("away_s", [0.5, pytest.param(20, marks=pytest.mark.slow)])
async def test_nothing_acknowledged_is_lost(own_server: PrivateServer, away_s: float) -> None:
    """A database that is killed under load, and comes back: meanwhile every answer is 503 or UNAVAILABLE and says when
    to come back; then all goes on by itself; every task that was acknowledged exists, and no key made two."""
    async with Tasker(own_server.dsn, worker=False) as tasker:
        await tasker.publish(load_text(ORDER).template)
    async with (
        serving(own_server.dsn, "--processes", "2", "--grpc-port", "0") as served,
        aio.insecure_channel(served.grpc) as channel,
    ):
        await asyncio.wait_for(channel.channel_ready(), LOST_WITHIN_S)
        callers: list[Caller] = [HttpCaller(place, served.api) for place in range(CALLERS)]
        callers += [GrpcCaller(CALLERS + place, channel) for place in range(CALLERS)]
        running = [asyncio.create_task(caller.call()) for caller in callers]
        await until(lambda: _go_on(callers, [0] * len(callers)), within_s=LOST_WITHIN_S)
        await asyncio.to_thread(own_server.crash)
        await until(lambda: all(len(caller.refused) > 5 for caller in callers), within_s=LOST_WITHIN_S)
        await _is_down(served)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(own_server.restart)
        began, before = time.monotonic(), [len(caller.acknowledged) for caller in callers]
        await until(lambda: _go_on(callers, before), within_s=LOST_WITHIN_S)
        print(f"\nback for all {len(callers)} callers {time.monotonic() - began:.2f} s after the database")
        for one in running:
            one.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in ended), "every call was answered"
    assert {wrong for caller in callers for wrong in caller.refused} == {""}
    await _check_tasks(own_server.dsn, callers)


def _go_on(callers: list[Caller], before: list[int]) -> bool:
    return all(len(caller.acknowledged) > count + 5 for caller, count in zip(callers, before, strict=True))


async def _is_down(served: Served) -> None:
    """Alive, not ready, and the figures say it."""
    assert (await served.api.get("/health/live")).status_code == 200
    assert (await served.api.get("/health/ready")).status_code == 503
    assert "tasker_database_up 0.0" in (await served.api.get("/metrics")).text


async def _check_tasks(dsn: str, callers: list[Caller]) -> None:
    """What the tables say: each acknowledged task is there, each key made one task, and none was made by nobody."""
    connection = await connect(dsn)
    try:
        rows = await connection.fetch("select task_id::text from tasker_engine.tasks")
    finally:
        await connection.close()
    tasks = {row[0] for row in rows}
    acknowledged = [task_uuid for caller in callers for task_uuid in caller.acknowledged.values()]
    assert len(set(acknowledged)) == len(acknowledged), "no two keys share a task"
    assert set(acknowledged) <= tasks, "nothing acknowledged is lost"
    assert len(tasks) <= sum(caller.begun for caller in callers), "no key made two tasks"


async def test_what_is_not_started_says_so(database: str) -> None:
    """An application that mounts the API and does not start its Tasker is told what is missing, and not a fault."""
    async with client_of(Tasker(database, worker=False).asgi()) as client:
        answer = await client.get("/v1/tasks")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert "not started" in answer.json()["error"]["message"]
        assert (await client.get("/health")).status_code == 200


NO_ROOM = """create or replace function tasker_engine.require_room() returns trigger language plpgsql as
             'begin raise exception ''no room'' using errcode = ''53100''; end';
             create trigger no_room before insert on tasker_engine.tasks
             execute function tasker_engine.require_room()"""
END_OTHERS = """select pg_terminate_backend(pid) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()"""


@pytest.mark.parametrize("why", ["no room", "read only"])
async def test_a_database_that_can_take_nothing_now_says_when_to_come_back(database: str, why: str) -> None:
    """A full disk, and a database that may only be read for a while, are no fault of the request: 503, with the time to
    try again; nothing was done, and afterwards the same request works."""
    async with Tasker(database, worker=False) as tasker, client_of(tasker.asgi()) as client:
        await tasker.publish(load_text(ORDER).template)
        body = {"name": "order", "namespace": "shop", "idempotency_key": "k"}
        connection = await connect(database)
        try:
            await _take_nothing(connection, why)
            answer = await client.post("/v1/tasks", json=body)
            await _take_all_again(connection, why)
        finally:
            await connection.close()
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
        assert int(answer.headers["retry-after"]) >= 1
        assert (await client.post("/v1/tasks", json=body)).status_code == 200


async def _take_nothing(connection: Connection, why: str) -> None:
    if why == "no room":
        await connection.execute(NO_ROOM)
    else:
        await _read_only(connection, "on")


async def _take_all_again(connection: Connection, why: str) -> None:
    if why == "no room":
        await connection.execute("drop trigger no_room on tasker_engine.tasks")
    else:
        await _read_only(connection, "off")


async def _read_only(connection: Connection, value: str) -> None:
    """From each new connection on; there are no others then."""
    name = await connection.fetchval("select current_database()")
    await connection.execute("set default_transaction_read_only = off")
    await connection.execute(f'alter database "{name}" set default_transaction_read_only = {value}')
    await connection.execute(END_OTHERS)
