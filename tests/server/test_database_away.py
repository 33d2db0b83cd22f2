"""The database goes away under load: who calls is told so, and what was acknowledged is there when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx2
import pytest
from api_support import ORDER, client_of
from server_process import serving
from support.until import until

from tasker import Tasker
from tasker.embedded import PrivateServer, start_private
from tasker.model.ids import uuid7
from tasker.templates import load_text

pytestmark = pytest.mark.slow
CALLERS = 8


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServer]:
    """A PostgreSQL of the test's own."""
    folder = tmp_path_factory.mktemp("away") / "private"
    with start_private(folder, settings={"recovery_init_sync_method": "syncfs"}) as started:
        yield started


class Caller:
    """Creates tasks, one after the other, and notes what it is answered."""

    def __init__(self, api: httpx2.AsyncClient) -> None:
        self._api = api
        self.acknowledged: list[str] = []
        self.refused: list[httpx2.Response] = []

    async def call(self) -> None:
        """Until it is cancelled."""
        while True:
            body = {"name": "order", "namespace": "shop", "task_uuid": str(uuid7())}
            answer = await self._api.post("/v1/tasks", json=body)
            if answer.status_code == 200:
                self.acknowledged.append(body["task_uuid"])
            else:
                self.refused.append(answer)
                await asyncio.sleep(0.01)


async def test_nothing_acknowledged_is_lost(own_server: PrivateServer) -> None:
    """While the database is down every answer is a 503 that says when to come back; then all goes on by itself, and
    every task that was acknowledged exists."""
    async with Tasker(own_server.dsn, worker=False) as tasker:
        await tasker.publish(load_text(ORDER).template)
    async with serving(own_server.dsn, "--processes", "2") as served:
        callers = [Caller(served.api) for _ in range(CALLERS)]
        running = [asyncio.create_task(caller.call()) for caller in callers]
        await until(lambda: all(len(caller.acknowledged) > 5 for caller in callers), within_s=60)
        await asyncio.to_thread(own_server.stop)
        await until(lambda: all(len(caller.refused) > 5 for caller in callers), within_s=60)
        assert (await served.api.get("/health/live")).status_code == 200
        assert (await served.api.get("/health/ready")).status_code == 503
        assert "tasker_database_up 0.0" in (await served.api.get("/metrics")).text
        before = [len(caller.acknowledged) for caller in callers]
        await asyncio.to_thread(own_server.restart)
        await until(lambda: all(len(c.acknowledged) > n + 5 for c, n in zip(callers, before, strict=True)), within_s=60)
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        refusals = [answer for caller in callers for answer in caller.refused]
        assert {answer.status_code for answer in refusals} == {503}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refusals)
        assert not any("5432" in answer.text or "postgres" in answer.text.lower() for answer in refusals)
        for uuid in (uuid for caller in callers for uuid in caller.acknowledged):
            assert (await served.api.get(f"/v1/tasks/{uuid}")).status_code == 200


async def test_what_is_not_started_says_so(database: str) -> None:
    """An application that mounts the API and does not start its Tasker is told what is missing, and not a fault."""
    async with client_of(Tasker(database, worker=False).asgi()) as client:
        answer = await client.get("/v1/tasks")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert "not started" in answer.json()["error"]["message"]
        assert (await client.get("/health")).status_code == 200
