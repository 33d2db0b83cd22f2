"""While a breaker is half open, a few steps at a time find out whether the system is back."""

from __future__ import annotations

import asyncio

import pytest
from support.breakers import DOWN, act, gateway, go_down, half_open, publish
from support.costs import cost_of
from support.engine import Engine
from support.session import hand_back, lasting_fault, passing_fault


@pytest.mark.parametrize("probes", [1, 3])
async def test_so_many_probes_run_at_once_in_the_whole_fleet(engine: Engine, probes: int) -> None:
    """When its time is over exactly so many steps run as may, whoever claims; each that ends makes room for one."""
    await publish(engine)
    await act(engine, "set", options={"probes": probes, "success_threshold": 5})
    one, other = await engine.session(), await engine.session(connection=await engine.connect())
    await go_down(engine, one)
    await engine.submit_many(20)
    engine.advance(29)
    await engine.sweep_all()
    assert await one.claim() == []
    engine.advance(1)
    assert await one.claim() == []
    await engine.sweep_all()
    first = await other.claim()
    assert len(first) == probes == (await gateway(engine)).running_probes
    await engine.sweep_all()
    assert await one.claim() == await other.claim() == []
    await other.succeed(first[0], room=0)
    assert len(await one.claim()) == 1
    assert await other.claim() == []


async def test_workers_that_claim_at_the_same_time_share_the_probes(engine: Engine) -> None:
    """However many workers look at the same moment, together they run as many probes as may run, and no more."""
    await publish(engine)
    await act(engine, "set", options={"probes": 3, "success_threshold": 1000})
    workers = [await engine.session(connection=await engine.connect()) for _ in range(6)]
    await go_down(engine, workers[0])
    await engine.submit_many(60)
    await half_open(engine)
    for _ in range(10):
        await asyncio.gather(*(worker.claim() for worker in workers))
        for worker in workers:  # who met another's claim passed on, and comes again
            await worker.claim()
        held = [(worker, grant) for worker in workers for grant in worker.held.values()]
        assert len(held) == 3 == (await gateway(engine)).running_probes
        await asyncio.gather(*(worker.succeed(*worker.held.values(), room=0) for worker in workers if worker.held))
    assert (await gateway(engine)).successes == 30


async def test_probes_that_succeed_close_it(engine: Engine) -> None:
    """Two successes by default; then everything that waited runs, and nothing is remembered against the system."""
    await publish(engine)
    worker = await engine.session()
    await go_down(engine, worker)
    await engine.submit_many(20)
    await half_open(engine)
    for _ in range(2):
        [probe] = await worker.claim()
        await worker.succeed(probe, room=0)
    found = await gateway(engine)
    assert (found.state, found.failures, found.openings, found.why) == ("closed", 0, 0, None)
    assert len(await worker.claim()) == 18
    assert await engine.count("breaker_probes") == 0


async def test_a_probe_that_fails_opens_it_for_longer_and_longer(engine: Engine) -> None:
    """Each opening in a row lasts twice as long as the one before, up to the limit; closing begins anew."""
    await publish(engine)
    worker = await engine.session()
    await go_down(engine, worker)
    await engine.submit_many(20)
    waits = [(await gateway(engine)).for_s]
    for _ in range(5):
        await half_open(engine)
        [probe] = await worker.claim()
        await worker.report((probe, passing_fault(86_400, DOWN)), room=0)
        waits.append((await gateway(engine)).for_s)
    assert waits == [30, 60, 120, 240, 300, 300]
    await act(engine, "reset")
    for grant in await worker.claim(5):
        await worker.report((grant, passing_fault(86_400, DOWN)), room=0)
    assert (await gateway(engine)).for_s == 30


async def test_a_probe_that_says_nothing_makes_room_for_another(engine: Engine) -> None:
    """A probe that is handed back, or fails for a reason of its own, neither closes the breaker nor opens it."""
    await publish(engine)
    worker = await engine.session()
    await go_down(engine, worker)
    await engine.submit_many(3)
    await half_open(engine)
    for outcome in (hand_back(600), passing_fault(600), lasting_fault()):
        [probe] = await worker.claim()
        await worker.report((probe, outcome), room=0)
        found = await gateway(engine)
        assert (found.state, found.successes, found.running_probes) == ("half_open", 0, 0)


async def test_a_probe_that_loses_its_worker_makes_room_for_another(engine: Engine) -> None:
    """The sweep takes back the place of a probe that runs no longer; the step that was lost is next run alone."""
    await publish(engine)
    worker, dying = await engine.session(), await engine.session()
    await go_down(engine, worker)
    await engine.submit_many(2)
    await half_open(engine)
    [probe] = await dying.claim()
    await dying.end(is_loss=True)
    assert await worker.claim(may_be_alone=False) == []
    await engine.sweep_all()
    assert (await gateway(engine)).running_probes == 0
    [again] = await worker.claim(may_be_alone=True)
    assert (await gateway(engine)).running_probes == 1
    assert again.is_alone == (again.task_id == probe.task_id)
    await worker.succeed(again, room=0)
    [last] = await worker.claim(may_be_alone=True)
    assert {again.task_id, last.task_id} >= {probe.task_id}
    await worker.succeed(last, room=0)
    assert (await gateway(engine)).state == "closed"


async def test_a_suspect_waits_for_its_breaker_too(engine: Engine) -> None:
    """A step that lost its worker is not run alone past an open breaker, and may be its only probe."""
    await engine.forgive(0)
    await publish(engine)
    worker, dying = await engine.session(), await engine.session()
    task = await engine.submit()
    await dying.claim()
    await dying.end(is_loss=True)
    await act(engine, "open", options={"for_s": 10})
    assert await worker.claim(may_be_alone=True) == []
    await half_open(engine)
    assert await worker.claim(may_be_alone=False) == []
    [probe] = await worker.claim(may_be_alone=True)
    assert (probe.task_id, probe.is_alone) == (task, True)


async def test_cancelled_and_paused_steps_are_no_probes(engine: Engine) -> None:
    """Rows of steps that cannot be granted leave the lane and take no probe's place."""
    await publish(engine)
    worker = await engine.session()
    await go_down(engine, worker)
    tasks = await engine.submit_many(6)
    for task in tasks[:3]:
        await engine.act("cancel", task)
    for task in tasks[3:5]:
        await engine.act("pause", task)
    await half_open(engine)
    [probe] = await worker.claim()
    assert probe.task_id == tasks[5]
    assert await engine.count("breaker_probes") == 1


async def test_one_claim_at_a_time_takes_probes_and_the_others_pass_on(engine: Engine) -> None:
    """While a claim that took a probe is under way, another takes what is not guarded, and does not wait."""
    await publish(engine)
    await engine.publish("b", name="free")
    one, other = await engine.session(), await engine.session(connection=await engine.connect())
    await other.connection.execute("set lock_timeout = '60ms'")
    await engine.submit_many(5, name="flow")
    await act(engine, "open", options={"for_s": 1})
    await half_open(engine)
    free = await engine.submit(name="free")
    async with engine.connection.transaction():
        assert len(await one.claim(1)) == 1
        assert [grant.task_id for grant in await other.claim()] == [free]
    assert await other.claim() == []


@pytest.mark.unchecked
async def test_a_backlog_behind_a_breaker_costs_a_turn_nothing(engine: Engine) -> None:
    """While it is open nobody looks at what waits; half open, a claim looks at what it takes."""
    await publish(engine, name="guarded")
    await engine.publish("b -> c", name="free", c={"system_dependency": "gateway"})
    worker = await engine.session(slots=20, connection=await engine.connect(), lease_s=10_000)
    await act(engine, "set", options={"probes": 5})
    for _ in range(3):  # so that all plans are made, over empty tables
        await act(engine, "open", options={"for_s": 1})
        await engine.submit_many(2)
        await worker.succeed(*await worker.claim(), room=0)
        await half_open(engine)
        await worker.work_off()
        await act(engine, "reset")
        await worker.work_off()
    await act(engine, "open", options={"for_s": 1})
    for _ in range(2):
        await engine.submit_many(5_000, name="guarded")
    await engine.submit_many(20, name="free")
    async with cost_of(worker.connection) as open_cost:
        grants = await worker.claim()
        await worker.succeed(*grants)
    await half_open(engine)
    async with cost_of(worker.connection) as half_open_cost:
        probes = await worker.claim()
        await worker.succeed(*probes, room=0)
    assert (len(grants), len(probes)) == (20, 5)
    assert open_cost.total() <= 400 + 60 * 20 + 400, dict(open_cost.most_common(5))
    assert half_open_cost.total() <= 400 + 60 * 5 + 400, dict(half_open_cost.most_common(5))
