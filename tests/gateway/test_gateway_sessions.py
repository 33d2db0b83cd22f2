"""Sessions on the network: beats, what grants did not carry, checkpoints, and who goes away."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
from gateway_support import PlainWorker, create, done, fence
from support.until import until

from tasker import Tasker
from tasker.store.connection import connect
from tasker.templates import load_text


async def value(tasker: Tasker, query: str, *arguments: Any) -> Any:
    """What the tables say."""
    connection = await connect(tasker.dsn)
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def test_a_session_is_told_what_it_serves(
    client: httpx2.AsyncClient, plain: PlainWorker, serving: Tasker
) -> None:
    """Opening answers the times to keep and what templates need of the handlers; a beat knows of templates published
    since. A repeat answers the same session."""
    again = (await plain.open()).json()
    assert (again["lease_s"], again["beat_s"]) == (60.0, 0.2)
    assert [(one["handler"], one["queue"], one["namespace"]) for one in again["serving"]] == [
        ("a", "shop", "shop"), ("b", "shop", "shop")
    ]  # fmt: skip
    more = "tasker: 1\nnamespace_name: other\nname: n\nversion: 1.0.0\nsteps: [{name: a, handler: a}]\n"
    await serving.publish(load_text(more).template)
    beat = await plain.asked("beat", {"is_idle": True})
    assert [one["namespace"] for one in beat["serving"]] == ["shop", "shop", "other"]
    assert await value(serving, "select count(*) from tasker_engine.sessions") == 1


async def test_a_silent_session_is_ended_by_the_server(
    client: httpx2.AsyncClient, plain: PlainWorker, serving: Tasker
) -> None:
    """A server draws the sweep: a worker that stops beating loses its steps to others, without any other process. What
    is lost a second time is granted alone."""
    [task] = await create(client)
    [a] = (await plain.turn())["grants"]
    silent = "update tasker_engine.sessions set beat_at = now() - interval '1 hour' returning 1"
    await value(serving, silent)
    query = "select ended_at is not null from tasker_engine.sessions order by session_id limit 1"
    await until(lambda: value(serving, query), "the silent session is ended")
    beat = await plain.asked("beat", {"held": [fence(a)]})
    assert (beat["session_ended"], beat["gone"]) == (True, [fence(a)])
    for attempt, is_alone in ((2, False), (3, True)):
        other = PlainWorker(client)
        await other.open()
        [again] = (await other.turn(wait=20))["grants"]
        assert (again["task_uuid"], again["attempt"], again["is_alone"]) == (task, attempt, is_alone)
        await value(serving, silent)


async def test_what_a_grant_did_not_carry_is_loaded(client: httpx2.AsyncClient, plain: PlainWorker) -> None:
    """Inputs, results, checkpoints and templates can be asked for while a step of the task is held."""
    [task] = await create(client, of=["x" * 35_000] * 2)
    [a] = (first := await plain.turn())["grants"]
    assert first["contexts"] == []
    loaded = await plain.asked("load", {"contexts": [task], "templates": [a["template_id"]]})
    assert loaded["contexts"][0]["context"] == {"of": ["x" * 35_000] * 2}
    assert [step["name"] for step in loaded["templates"][0]["definition"]["steps"]] == ["a", "b"]
    state = {"cursor": 7, "items_processed": 3, "accumulated": {"sum": 1}}
    saved = await plain.asked("checkpoints", {"checkpoints": [{**fence(a), **state}]})
    assert saved["verdicts"] == [{**fence(a), "verdict": "recorded", "reason": None}]
    [b] = (await plain.turn([done(a, {"of": "y" * 70_000})]))["grants"]
    wanted = [{"task_uuid": task, "number": 1}]
    loaded = await plain.asked("load", {"results": wanted, "checkpoints": wanted})
    assert loaded["results"][0]["result"] == {"of": "y" * 70_000}
    assert {name: loaded["checkpoints"][0]["checkpoint"][name] for name in state} == state
    await plain.turn([done(b)])
    refused = await plain.call("load", {"contexts": [task]})
    assert (refused.status_code, refused.json()["error"]["kind"]) == (404, "task_not_found")


async def test_a_checkpoint_of_another_attempt_is_stale(client: httpx2.AsyncClient, plain: PlainWorker) -> None:
    """The fence of a checkpoint is that of an outcome."""
    await create(client)
    [a] = (await plain.turn())["grants"]
    late = {**fence(a), "attempt": 9, "cursor": 1}
    assert (await plain.asked("checkpoints", {"checkpoints": [late]}))["verdicts"][0]["verdict"] == "stale"


async def test_who_goes_away_while_waiting_holds_nothing(
    client: httpx2.AsyncClient, plain: PlainWorker, serving: Tasker
) -> None:
    """A worker that hangs up while its turn waits is waited for no longer: what becomes ready then is another's."""
    app = serving.asgi()
    gone, answered = asyncio.Event(), asyncio.Event()
    path = f"/v1/worker/sessions/{plain.session_uuid}/turn"
    sent = [{"type": "http.request", "body": b'{"turn": 1, "free": [1], "wait": 60}', "more_body": False}]

    async def receive() -> Any:
        if sent:
            return sent.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        answered.set()

    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"tasker"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    calling = asyncio.create_task(app(scope, receive, send))
    query = "select max(turn) from tasker_engine.remote_sessions"
    await until(lambda: _is(serving, query, 1), "the turn waits")
    gone.set()
    async with asyncio.timeout(60):
        await calling
    [task] = await create(client)
    other = PlainWorker(client)
    await other.open()
    assert [one["task_uuid"] for one in (await other.turn(wait=20))["grants"]] == [task]


async def _is(tasker: Tasker, query: str, wanted: Any) -> bool:
    return await value(tasker, query) == wanted


async def test_waiting_grants_nothing(client: httpx2.AsyncClient, plain: PlainWorker) -> None:
    """`wait` says that there may be work, and leaves it where it is."""
    assert await plain.asked("wait", {"wait": 0.01}) == {"woken": False}
    waiting = asyncio.create_task(plain.asked("wait", {"wait": 30}))
    async with asyncio.timeout(60):
        while not waiting.done():
            await create(client)
            await asyncio.wait([waiting], timeout=0.2)
    assert waiting.result() == {"woken": True}
    assert len((await plain.turn(free=100))["grants"]) >= 1


async def test_the_grants_of_a_session_do_not_pile_up(
    client: httpx2.AsyncClient, plain: PlainWorker, serving: Tasker
) -> None:
    """What a session no longer holds is not kept in its grants for ever, though it never says so."""
    for _ in range(20):
        await create(client)
        [a] = (await plain.turn(wait=20))["grants"]
        [b] = (await plain.turn([done(a)]))["grants"]
        await plain.turn([done(b)], claim=False)
    assert await value(serving, "select count(*) from tasker_engine.grants") < 32
