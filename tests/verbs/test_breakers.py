"""A breaker keeps steps from a system that is down: for all workers alike, and at no cost to the steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from support.breakers import DOWN, act, gateway, go_down, half_open, publish
from support.engine import Engine
from support.session import hand_back, lasting_fault, passing_fault, success

from tasker.store.reads import Reads


async def test_five_failures_open_it_for_all_workers(engine: Engine) -> None:
    """After the fifth failure in a row no worker is handed a step of that system; before it, all are."""
    await publish(engine)
    one, other = await engine.session(), await engine.session(connection=await engine.connect())
    await go_down(engine, one, 4)
    assert (await gateway(engine)).state == "closed"
    await engine.submit_many(3)
    [fifth] = await other.claim(1)
    await other.report((fifth, lasting_fault(DOWN)), room=0)
    found = await gateway(engine)
    assert (found.state, found.failures, found.open_until) == ("open", 5, engine.clock.now + timedelta(seconds=30))
    assert await one.claim() == await other.claim() == []
    assert found.waiting == 2


async def test_waiting_steps_keep_attempts_and_tries(engine: Engine) -> None:
    """What waits behind an open breaker, first and further tries alike, is not touched, and runs when it closed."""
    await publish(engine)
    worker = await engine.session()
    await go_down(engine, worker)
    fresh = await engine.submit()
    engine.advance(3600)
    await worker.claim()
    await act(engine, "open")
    tried = (await engine.rows("select task_id from tasker_engine.steps where tries = 1 limit 1"))[0]["task_id"]
    engine.advance(7200)
    assert await worker.claim(may_be_alone=True) == []
    for task, tries in ((fresh, 0), (tried, 1)):
        step = await engine.step(task, "a")
        assert (step["state"], step["attempt"], step["tries"]) == ("enqueued", tries, tries)
    await act(engine, "reset")
    assert await worker.work_off() == 6


async def test_only_marked_failures_count(engine: Engine) -> None:
    """A step that fails for a reason of its own says nothing of the system that it depends on."""
    await publish(engine)
    worker = await engine.session()
    await engine.submit_many(20)
    await worker.report(*((grant, passing_fault(3600)) for grant in await worker.claim(10)), room=0)
    await worker.report(*((grant, lasting_fault()) for grant in await worker.claim(10)), room=0)
    assert (await gateway(engine)).failures == 0
    assert await engine.count("breaker_signals") == 0


async def test_a_success_between_failures_begins_the_count_anew(engine: Engine) -> None:
    """Failures in a row are counted, in the order of the outcomes, also inside one report."""
    await publish(engine)
    worker = await engine.session()
    await engine.submit_many(20)
    grants = await worker.claim(11)
    down, well = passing_fault(3600, DOWN), success()
    outcomes = [down] * 4 + [well] + [down] * 4
    await worker.report(*zip(grants[:9], outcomes, strict=True), room=0)
    assert (await gateway(engine)).failures == 4
    await worker.report((grants[9], well), room=0)
    assert (await gateway(engine)).failures == 0
    await worker.report((grants[10], down), room=0)
    assert (await gateway(engine)).failures == 1


async def test_successes_write_nothing_while_nothing_has_failed(engine: Engine) -> None:
    """The row of a healthy system is not written: it would be the hottest of all."""
    await publish(engine, "a -> b")
    worker = await engine.session()
    query = "select xmin::text || ctid::text from tasker_engine.breakers"
    before = await engine.value(query)
    await engine.submit_many(20)
    assert await worker.work_off() == 40
    assert await engine.value(query) == before
    assert await engine.value("select nextval('tasker_engine.breaker_signals_signal_no_seq')") == 1


async def test_a_successor_is_not_handed_over_past_an_open_breaker(engine: Engine) -> None:
    """A step that is freed while its breaker is open becomes ready instead, and waits there."""
    await engine.publish("a -> b", name="chain", b={"system_dependency": "gateway"})
    task = await engine.submit()
    worker = await engine.session()
    grants = await worker.claim()
    await act(engine, "open")
    assert (await worker.succeed(*grants)).grants == []
    assert await engine.states(task) == {"a": "complete", "b": "enqueued"}
    await act(engine, "reset")
    assert [grant.attempt for grant in await worker.claim()] == [1]


async def test_a_submit_of_an_idle_worker_does_not_pass_it(engine: Engine) -> None:
    """Tasks that a worker submits itself wait as well."""
    await publish(engine)
    worker = await engine.session()
    await act(engine, "open")
    assert (await worker.submit_here(engine.clock.uuid7())).grants == []
    assert await engine.count("ready") == 1


async def test_other_systems_go_on(engine: Engine) -> None:
    """An open breaker holds up its own lanes only: not those of the same handler without a system, or with another."""
    for name, system in (("guarded", "gateway"), ("free", None), ("other", "mail")):
        await engine.publish("a", name=name, handler="work", system_dependency=system)
    worker = await engine.session()
    await act(engine, "open")
    tasks = [await engine.submit(name=name) for name in ("guarded", "free", "other")]
    assert {grant.task_id for grant in await worker.claim()} == set(tasks[1:])


async def test_steps_in_flight_end_normally(engine: Engine) -> None:
    """What runs when the breaker opens may succeed, fail and be handed back; it says nothing of the system any more."""
    await publish(engine)
    worker = await engine.session()
    tasks = await engine.submit_many(9)
    grants = await worker.claim()
    await worker.report(*((grant, passing_fault(3600, DOWN)) for grant in grants[:5]), room=0)
    before = await gateway(engine)
    outcomes = [success(), passing_fault(7200, DOWN), lasting_fault(DOWN), hand_back()]
    await worker.report(*zip(grants[5:], outcomes, strict=True), room=0)
    states = [await engine.state(task, "a") for task in tasks[5:]]
    assert states == ["complete", "waiting_for_retry", "error", "enqueued"]
    assert await gateway(engine) == replace(before, waiting=1)


async def test_what_was_granted_before_it_closed_does_not_count(engine: Engine) -> None:
    """Failures of steps that began before the breaker last moved are of the past, and do not open it again."""
    await publish(engine)
    worker = await engine.session()
    await engine.submit_many(15)
    old = await worker.claim()
    await worker.report(*((grant, passing_fault(86_400, DOWN)) for grant in old[:5]), room=0)
    engine.advance(1)
    await act(engine, "reset")
    await worker.report(*((grant, passing_fault(86_400, DOWN)) for grant in old[5:]), room=0)
    found = await gateway(engine)
    assert (found.state, found.failures) == ("closed", 0)


async def test_a_report_never_waits_for_a_breaker(engine: Engine) -> None:
    """While another transaction holds the breaker's row, outcomes are recorded all the same, and the sweep counts."""
    await publish(engine)
    worker = await engine.session(connection=await engine.connect())
    await worker.connection.execute("set lock_timeout = '60ms'")
    await engine.submit_many(7)
    grants = await worker.claim()
    async with engine.connection.transaction():
        await engine.connection.execute("select from tasker_engine.breakers for update")
        await worker.report(*((grant, passing_fault(3600, DOWN)) for grant in grants[:5]), room=0)
        assert (await gateway(engine)).failures == 0
    await engine.sweep_all()
    await engine.sweep_all()
    assert (await gateway(engine)).state == "open"
    assert await engine.count("breaker_signals") == 0


async def test_a_handlers_own_word_counts_where_the_template_says_nothing(engine: Engine) -> None:
    """The newest worker's handlers say which system they depend on; a template's step comes before them."""
    await engine.publish("a", name="silent", handler="work")
    await engine.publish("a", name="spoken", handler="work", system_dependency="mail")
    worker = await engine.session()
    serve = engine.verbs.serve
    await serve(engine.connection, worker.number, ["work"], None, system_dependencies=["gateway"])
    query = """select c.system_dependency, b.name from tasker_engine.channels c
               left join tasker_engine.breakers b using (breaker_id) order by 1"""
    found = [tuple(row.values()) for row in await engine.rows(query)]
    assert found == [("", None), ("mail", "mail")], "a session that serves a channel already says nothing new"
    newer = await engine.session([])
    await serve(engine.connection, newer.number, ["work"], None, system_dependencies=["gateway"])
    assert [tuple(row.values()) for row in await engine.rows(query)] == [("", "gateway"), ("mail", "mail")]
    newest = await engine.session([])
    await serve(engine.connection, newest.number, ["work"], None)
    assert [tuple(row.values()) for row in await engine.rows(query)] == [("", None), ("mail", "mail")]


async def test_readiness_says_why_a_step_waits(engine: Engine) -> None:
    """A step behind a breaker is not ready, and its `why` names the breaker and the time."""
    await publish(engine)
    await engine.session()
    task = await engine.submit()

    async def asked() -> tuple[bool, str | None]:
        [found] = await Reads().readiness(engine.connection.raw, [task], now=engine.clock.now)
        return found.ready_for_execution, found.why

    assert await asked() == (True, "waits for a worker to have room")
    await act(engine, "open", options={"for_s": 60})
    until = engine.clock.now + timedelta(seconds=60)
    assert await asked() == (False, f'breaker "gateway" is open until {until:%Y-%m-%d %H:%M:%SZ}')
    await act(engine, "open")
    assert await asked() == (False, 'breaker "gateway" is open until somebody resets it')
    await act(engine, "open", options={"for_s": 1})
    await half_open(engine)
    assert await asked() == (False, 'breaker "gateway" is half open: it waits for its probes')


async def test_a_claim_says_when_a_breaker_lets_probes_through(engine: Engine) -> None:
    """An idle worker need not look before; and a breaker without an end is none to wait for."""
    await publish(engine)
    worker = await engine.session()
    await act(engine, "open", options={"for_s": 12.5})
    assert (await worker.claim_reply()).next_due_s == 12.5
    await act(engine, "open")
    assert (await worker.claim_reply()).next_due_s is None
