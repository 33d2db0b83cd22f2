"""Breakers, and batches of a task, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from api_support import create
from support import breakers
from support.batch_play import fails, start
from support.engine import Engine

from tasker import Tasker

NOBODY = "01987654-0000-7000-8000-000000000001"
HARD = "a/b c?d=%2F#.."


@pytest.fixture
async def engine(idle: Tasker) -> AsyncIterator[Engine]:
    """The server's database, driven by hand."""
    made = Engine(idle.dsn)
    await made.open()
    yield made
    await made.close()


async def test_a_breaker_is_listed_shown_and_its_moves_are_told(api: httpx2.AsyncClient, engine: Engine) -> None:
    """A system that is down says why steps wait, how many, and since when."""
    await breakers.publish(engine)
    await breakers.go_down(engine, await engine.session())
    await engine.submit_many(3)
    (listed,) = (await api.get("/v1/breakers")).json()
    assert (listed["name"], listed["state"], listed["waiting"], listed["failures"]) == ("gateway", "open", 3, 5)
    one = (await api.get("/v1/breakers/one", params={"breaker": "gateway"})).json()
    assert one["handlers"] == ["a"]
    assert one["why"].startswith('breaker "gateway" is open until')
    moves = (await api.get("/v1/breakers/moves", params={"breaker": "gateway"})).json()
    assert [(move["from_state"], move["to_state"], move["actor"]) for move in moves] == [("closed", "open", None)]
    assert (await api.get("/v1/breakers", params={"namespace": "elsewhere"})).json() == []


async def test_operators_move_a_breaker_once(api: httpx2.AsyncClient, engine: Engine) -> None:
    """Opened, reset, its limits set and given back; the same act again does nothing again."""
    await breakers.publish(engine)
    said = {"breaker": "gateway", "actor": "ada", "reason": "maintenance", "act_id": str(uuid4()), "for_s": 600}
    for _ in range(2):
        opened = await api.post("/v1/breakers/open", json=said)
        assert (opened.status_code, opened.json()["state"]) == (200, "open")
    assert 590 < opened.json()["for_s"] <= 600
    limits = await api.post("/v1/breakers/limits", json={"breaker": "gateway", "probes": 3, "reset_s": 7})
    assert (limits.json()["probes"], limits.json()["reset_s"]) == (3, 7)
    back = await api.post("/v1/breakers/limits", json={"breaker": "gateway", "as_fleet": ["probes"]})
    assert (back.json()["probes"], back.json()["reset_s"]) == (1, 7)
    assert (await api.post("/v1/breakers/reset", json={"breaker": "gateway"})).json()["state"] == "closed"
    moves = (await api.get("/v1/breakers/moves", params={"breaker": "gateway"})).json()
    assert [move["detail"]["action"] for move in moves] == ["reset", "set", "set", "open"]
    assert (moves[-1]["actor"], moves[-1]["reason"]) == ("ada", "maintenance")


async def test_a_breaker_may_be_called_anything(api: httpx2.AsyncClient, engine: Engine) -> None:
    """A name that would be cut or joined in a path is found, and moved, as it is."""
    await breakers.publish(engine, system_dependency=HARD)
    assert (await api.get("/v1/breakers/one", params={"breaker": HARD})).json()["name"] == HARD
    assert (await api.post("/v1/breakers/open", json={"breaker": HARD})).json()["state"] == "open"


WRONG: list[tuple[str, dict[str, Any], int]] = [
    ("open", {"breaker": "gatway"}, 404),
    ("open", {"breaker": "gateway", "for_s": -1}, 400),
    ("open", {"breaker": "gateway", "for_s": 1e9}, 400),
    ("open", {"breaker": ""}, 400),
    ("open", {"breaker": "x" * 256}, 400),
    ("open", {"breaker": "gateway", "act_id": "x"}, 400),
    ("reset", {"breaker": "gateway", "for_s": 1}, 400),
    ("limits", {"breaker": "gateway"}, 400),
    ("limits", {"breaker": "gateway", "probes": 0}, 400),
    ("limits", {"breaker": "gateway", "probes": 10**9}, 400),
    ("limits", {"breaker": "gateway", "probes": 2, "as_fleet": ["probes"]}, 400),
    ("limits", {"breaker": "gateway", "as_fleet": ["patience"]}, 400),
]


async def test_what_no_breaker_can_do_is_refused(api: httpx2.AsyncClient, engine: Engine) -> None:
    """Each mistake is told in the one form of errors, and moves nothing."""
    await breakers.publish(engine)
    for path, body, status in WRONG:
        answer = await api.post(f"/v1/breakers/{path}", json=body)
        assert (answer.status_code, bool(answer.json()["error"]["message"])) == (status, True), (path, body)
    for query in ({"breaker": "gatway"}, {"breaker": "gateway", "limit": 1_000_000}, {}):
        assert (await api.get("/v1/breakers/moves", params=query)).status_code in (400, 404)
    assert await breakers.history(engine) == []


async def test_batches_of_a_task_are_told(api: httpx2.AsyncClient, engine: Engine) -> None:
    """How far each batch has come; none of a task without, and a task that does not exist is not found."""
    run = await start(engine, 6, "isolate", parallelism=4)
    await run.all_at_once(fails(2))
    (batch,) = (await api.get(f"/v1/tasks/{run.task}/batches")).json()
    assert (batch["name"], batch["total"], batch["succeeded"], batch["failed"]) == ("work", 6, 3, 1)
    assert 0 < batch["share"] < 1
    plain = await create(api)
    assert (await api.get(f"/v1/tasks/{plain['task_uuid']}/batches")).json() == []
    assert (await api.get(f"/v1/tasks/{NOBODY}/batches")).status_code == 404
    assert (await api.get("/v1/tasks/garbage/batches")).status_code == 400
