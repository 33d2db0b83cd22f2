"""The turn of a worker on the network: what it is told, and that no call that is repeated does anything twice."""

from __future__ import annotations

import asyncio

import httpx2
from gateway_support import PlainWorker, create, done, fence, state_of
from support.until import until

from tasker import Tasker
from tasker.store.connection import connect


async def test_a_task_runs_from_its_first_step_to_its_last(client: httpx2.AsyncClient, plain: PlainWorker) -> None:
    """A turn grants what is ready with its input; the next reports, and is handed what this frees."""
    [task] = await create(client, amount=5)
    first = await plain.turn()
    [a] = first["grants"]
    assert (a["task_uuid"], a["number"], a["attempt"], a["tries"], a["is_alone"]) == (task, 1, 1, 0, False)
    [context] = first["contexts"]
    assert (context["task_uuid"], context["context"]) == (task, {"amount": 5})
    second = await plain.turn([done(a, {"of": "a"})])
    [b] = second["grants"]
    assert (b["number"], second["verdicts"], second["results"]) == (2, [], [])
    third = await plain.turn([done(b, 7)])
    assert (third["ended"], third["grants"]) == ([{"task_uuid": task, "state": "complete"}], [])
    view = (await client.get(f"/v1/tasks/{task}")).json()
    assert view["status"] == "complete"


async def test_a_lost_answer_loses_nothing(client: httpx2.AsyncClient, plain: PlainWorker) -> None:
    """Whoever did not hear an answer names what it holds: the same attempts are granted again, and what was recorded
    is `already`."""
    tasks = set(await create(client, 2))
    lost = await plain.turn(free=2)
    again = await plain.turn(free=2, held=[])
    assert {(one["task_uuid"], one["attempt"]) for one in again["grants"]} == {(one, 1) for one in tasks}
    assert {one["task_uuid"] for one in again["contexts"]} == tasks
    one, other = again["grants"]
    assert sorted(map(str, lost["grants"])) == sorted(map(str, again["grants"]))
    await plain.turn([done(one)], free=0)
    told = await plain.turn([done(one)], free=0, held=[fence(one), fence(other)])
    assert told["verdicts"] == [{**fence(one), "verdict": "already", "reason": None}]
    assert (told["gone"], told["grants"]) == ([fence(one)], [])


async def test_a_call_that_comes_late_does_nothing(client: httpx2.AsyncClient, plain: PlainWorker) -> None:
    """A turn whose number is not higher than the latest is refused, and neither records nor grants."""
    [task] = await create(client)
    [a] = (await plain.turn())["grants"]
    body = {"turn": plain.turns, "outcomes": [done(a)], "free": [1]}
    for number in (plain.turns, plain.turns - 1 or 1):
        answer = await plain.call("turn", {**body, "turn": number})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "TURN_SUPERSEDED")
        assert answer.json()["error"]["kind"] == "turn_superseded"
    assert await state_of(client, task) == "steps_in_process"
    assert (await plain.turn(held=[fence(a)]))["grants"] == []


async def test_who_waits_is_woken(client: httpx2.AsyncClient, plain: PlainWorker, serving: Tasker) -> None:
    """A turn that waits is answered as soon as there is work, and one without work when its time is over."""
    assert (await plain.turn(wait=0.05))["grants"] == []
    waiting = asyncio.create_task(plain.turn(wait=30))
    await until(lambda: _turn_is(serving, 2), "the turn waits")
    [task] = await create(client)
    async with asyncio.timeout(60):
        assert [one["task_uuid"] for one in (await waiting)["grants"]] == [task]


async def _turn_is(tasker: Tasker, turn: int) -> bool:
    connection = await connect(tasker.dsn)
    try:
        return await connection.fetchval("select max(turn) from tasker_engine.remote_sessions") == turn
    finally:
        await connection.close()


async def test_a_newer_turn_ends_one_that_waits(
    client: httpx2.AsyncClient, plain: PlainWorker, serving: Tasker
) -> None:
    """While a turn waits, another may be taken; the one that waited is told so, and grants nothing."""
    waiting = asyncio.create_task(plain.turn(wait=30))
    await until(lambda: _turn_is(serving, 1), "the turn waits")
    [task] = await create(client)
    newer = await plain.turn()
    async with asyncio.timeout(60):
        older = await waiting
    assert len(newer["grants"]) + len(older["grants"]) == 1
    assert older["superseded"] or older["grants"][0]["task_uuid"] == task


async def test_any_server_takes_any_call(client: httpx2.AsyncClient, plain: PlainWorker, serving: Tasker) -> None:
    """A session that one server opened turns through another, and a server that was started anew goes on."""
    [task] = await create(client)
    [a] = (await plain.turn())["grants"]
    async with Tasker(serving.dsn, worker=False) as second:
        transport = httpx2.ASGITransport(app=second.asgi(), raise_app_exceptions=True)
        async with httpx2.AsyncClient(transport=transport, base_url="http://tasker") as other:
            moved = PlainWorker(other, session_uuid=plain.session_uuid, turns=plain.turns)
            [b] = (await moved.turn([done(a)]))["grants"]
            await moved.turn([done(b)])
    assert await state_of(client, task) == "complete"


async def test_an_outcome_of_an_attempt_that_is_lost_is_stale(client: httpx2.AsyncClient, plain: PlainWorker) -> None:
    """When a session has ended, its steps are granted anew, and what it reports then changes nothing."""
    [task] = await create(client)
    [a] = (await plain.turn())["grants"]
    assert await plain.asked("end", {"reason": "a test"}) == {"released": 1}
    told = await plain.turn([done(a)])
    assert (told["session_ended"], told["verdicts"][0]["verdict"]) == (True, "stale")
    other = PlainWorker(client)
    assert (await other.open()).status_code == 200
    [again] = (await other.turn())["grants"]
    assert (again["task_uuid"], again["attempt"]) == (task, 2)


async def test_one_bad_outcome_stops_no_other(client: httpx2.AsyncClient, plain: PlainWorker) -> None:
    """A result that the database cannot keep, or that is too large, fails its own step and says why; the rest of the
    batch is recorded."""
    await create(client, 4)
    good, nul, large, odd = (await plain.turn(free=4))["grants"]
    outcomes = [
        done(good), done(nul, {"of": "a\0b"}), done(large, {"of": "x" * 1_100_000}),
        {**fence(odd), "kind": "decided", "result": {}},
    ]  # fmt: skip
    told = await plain.turn(outcomes, free=0)
    verdicts = {one["task_uuid"]: (one["verdict"], one["reason"]) for one in told["verdicts"]}
    assert {verdicts[nul["task_uuid"]][0], verdicts[large["task_uuid"]][0]} == {"refused"}
    assert "1100" in verdicts[large["task_uuid"]][1]
    assert await state_of(client, nul["task_uuid"]) == "error"
    assert await state_of(client, good["task_uuid"]) == "steps_in_process"


async def test_failures_are_tried_again_as_they_ask(client: httpx2.AsyncClient, plain: PlainWorker) -> None:
    """A retryable failure runs again after its wait, on a new attempt; a permanent one ends the step."""
    [task] = await create(client)
    [a] = (await plain.turn())["grants"]
    failure = {"message": "busy", "error_type": "timeout", "extra": 1}
    await plain.turn([{**fence(a), "kind": "retryable", "error": failure, "retry_after_s": 0}], free=0)
    [again] = (await plain.turn(wait=20))["grants"]
    assert (again["attempt"], again["tries"]) == (2, 1)
    await plain.turn([{**fence(again), "kind": "failed", "error": {"message": "declined"}}])
    step = (await client.get(f"/v1/tasks/{task}/workflow_steps")).json()[0]
    assert (step["state"] if "state" in step else step["current_state"]) == "error"
    assert "declined" in str(step)


async def test_what_is_released_spends_no_try(client: httpx2.AsyncClient, plain: PlainWorker) -> None:
    """A step that a worker hands back is granted anew with the same number of tries."""
    await create(client)
    [a] = (await plain.turn())["grants"]
    await plain.turn([{**fence(a), "kind": "released"}], free=0)
    [again] = (await plain.turn(wait=20))["grants"]
    assert (again["attempt"], again["tries"]) == (2, 0)
