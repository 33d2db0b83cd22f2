"""`tasker server`: who may call, stopping, several processes, health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx2
import pytest
from api_support import create
from server_process import Served
from support.until import until

from tasker.cli.serving.api import decide_auth, is_loopback
from tasker.model.errors import SettingsError

Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    """On loopback nobody is asked who calls, unless that is wanted."""
    assert is_loopback(host)
    assert not decide_auth(host, "auto", is_insecure=False)
    assert decide_auth(host, "on", is_insecure=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])  # noqa: S104 - not bound
def test_beyond_loopback_callers_are_asked(host: str) -> None:
    """Elsewhere they are asked, and it is an error to want otherwise without saying that it is insecure."""
    assert decide_auth(host, "auto", is_insecure=False)
    with pytest.raises(SettingsError, match="--insecure"):
        decide_auth(host, "off", is_insecure=False)
    assert not decide_auth(host, "off", is_insecure=True)
    assert not decide_auth(host, "auto", is_insecure=True)
    assert decide_auth(host, "on", is_insecure=True)


async def test_a_server_serves_and_stops(serve: Serve) -> None:
    """Health, figures and a task; and SIGTERM lets a request that is being answered finish."""
    async with serve() as served:
        assert (await served.api.get("/health")).json()["status"] == "healthy"
        ready = await served.api.get("/health/ready")
        assert ready.status_code == 200 and ready.json()["checks"]["web_database"]["status"] == "healthy"
        made = await create(served.api)
        assert (await served.api.get(f"/v1/tasks/{made['task_uuid']}?wait=30s")).json()["status"] == "complete"
        figures = (await served.api.get("/metrics")).text
        assert 'tasker_http_requests_total{method="POST",route="/v1/tasks",status="200"} 1.0' in figures
        assert 'tasker_tasks{state="complete"} 1.0' in figures
        held = await create(served.api, delay_s=600)
        waiting = asyncio.create_task(served.api.get(f"/v1/tasks/{held['task_uuid']}?wait=3s"))
        await until(lambda: _is_being_answered(served, waiting))
        code = await served.stop()
        assert (await waiting).json()["status"] == "pending"
        assert code == 0


async def _is_being_answered(served: Served, waiting: asyncio.Task[httpx2.Response]) -> bool:
    """The request has reached the server: two requests are under way, and this one is the other."""
    assert not waiting.done()
    return "tasker_http_requests_open 1.0" in (await served.api.get("/metrics")).text


async def test_who_calls_is_asked(serve: Serve) -> None:
    """With authentication a request without credentials is refused, and health is open."""
    async with serve("--auth", "on") as served:
        refused = await served.api.get("/v1/tasks")
        assert refused.status_code == 401
        assert refused.headers["x-auth-failure-reason"] == "missing"
        assert (await served.api.get("/health")).status_code == 200


async def test_pages_of_other_sites_may_not_call(serve: Serve) -> None:
    """Where nobody is asked who calls, a browser that another site's page uses is refused, and so are strange names."""
    async with serve() as served:
        for headers in (
            {"origin": "https://evil.example"},
            {"sec-fetch-site": "cross-site"},
            {"host": "evil.example"},
        ):
            assert (await served.api.get("/v1/tasks", headers=headers)).status_code == 403, headers
        assert (await served.api.get("/v1/tasks", headers={"origin": served.url})).status_code == 200


async def test_several_processes_serve_one_port(serve: Serve) -> None:
    """Requests are answered by more than one process, and any of them has the figures of all."""
    async with serve("--processes", "2") as served:
        pids: set[int] = set()

        async def ask() -> None:
            async with httpx2.AsyncClient(base_url=served.url, timeout=60) as own:
                pids.add((await own.get("/health/detailed")).json()["info"]["process_id"])

        async with asyncio.timeout(60):
            while len(pids) < 2:
                await asyncio.gather(*(ask() for _ in range(8)))
        await create(served.api)
        async with httpx2.AsyncClient(base_url=served.url, timeout=60) as own:
            assert 'route="/v1/tasks",status="200"} 1.0' in (await own.get("/metrics")).text
        assert await served.stop() == 0


async def test_no_process_is_left_of_a_killed_server(serve: Serve) -> None:
    """Server processes whose parent was killed end by themselves."""
    async with serve("--processes", "2") as served:
        pid = (await served.api.get("/health/detailed")).json()["info"]["process_id"]
        assert pid != served.process.pid
        served.process.kill()
        await served.process.wait()
        await until(lambda: not _lives(pid), within_s=60)


def _lives(pid: int) -> bool:
    """Whether the process is there, and is no zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
