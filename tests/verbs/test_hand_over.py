"""What a report frees goes on in the session that freed it."""

from __future__ import annotations

from support.engine import Engine
from support.session import success

from tasker.store.replies import Grant
from tasker.store.verbs import Report


async def test_a_chain_stays_with_its_worker(engine: Engine) -> None:
    """Each report of a chain hands over the next step, and nothing lies in a queue in between."""
    await engine.publish("a -> b -> c -> d")
    task = await engine.submit()
    worker = await engine.session()
    [grant] = await worker.claim()
    for _ in range(3):
        reply = await worker.succeed(grant)
        assert await engine.count("ready") == 0
        [grant] = reply.grants
    assert (await worker.succeed(grant)).ended == [(task, "complete")]


async def test_the_surplus_of_a_fan_out_becomes_ready(engine: Engine) -> None:
    """A report grants as much as there are free slots; the other children wait for whoever comes first."""
    await engine.publish("a -> " + ", ".join(f"c{n}" for n in range(10)) + " -> z")
    task = await engine.submit()
    worker, other = await engine.session(slots=4), await engine.session()
    reply = await worker.succeed(*await worker.claim())
    assert len(reply.grants) == 4
    assert await engine.count("ready") == 6
    rest = await other.claim()
    assert len(rest) == 6
    await worker.succeed(*reply.grants)
    [last] = (await other.succeed(*rest)).grants
    assert last.number == await engine.number(task, "z")


async def test_slots_are_counted_by_pool(engine: Engine) -> None:
    """A step is handed over only into a free slot of its handler's pool."""
    await engine.publish("a -> b, c")
    task = await engine.submit()
    worker = await engine.session()
    [a] = await worker.claim()
    channel = await engine.value("select channel_id from tasker_engine.channels where handler = 'b'")
    worker.serving.pools = [2 if served == channel else 1 for served in worker.serving.channels]
    report = _report_of(a)
    reply = await engine.verbs.report(engine.connection, worker.number, report, [], worker.serving, [5, 0])
    assert [grant.number for grant in reply.grants] == [await engine.number(task, "c")]
    assert (await engine.states(task))["b"] == "enqueued"


def _report_of(grant: Grant) -> Report:
    report = Report()
    report.add(grant.task_id, grant.number, grant.attempt, success(), 0.0)
    return report


async def test_what_the_session_does_not_serve_goes_to_those_who_do(engine: Engine) -> None:
    """A child whose handler this worker lacks becomes ready in its own lane."""
    await engine.publish("a -> b")
    task = await engine.submit()
    first, second = await engine.session(["a"]), await engine.session(["b"])
    reply = await first.succeed(*await first.claim())
    assert reply.grants == []
    assert await engine.state(task, "b") == "enqueued"
    assert await first.claim() == []
    assert len(await second.claim()) == 1


async def test_an_older_task_that_waits_comes_first(engine: Engine) -> None:
    """Successors are not handed over while an older head waits and there is no room for both."""
    await engine.publish("a -> b")
    older = await engine.submit()
    worker = await engine.session(slots=1)
    [early] = await worker.claim()
    engine.advance(10)
    newer = await engine.submit()
    other = await engine.session(slots=1)
    [grant] = await other.claim()
    assert (early.task_id, grant.task_id) == (older, newer)
    await worker.release(early)
    assert (await other.succeed(grant)).grants == []
    [first] = await other.claim()
    assert first.task_id == older


async def test_a_more_urgent_task_that_waits_comes_first(engine: Engine) -> None:
    """A newer task of higher priority stops the hand-over where there is no room for both."""
    await engine.publish("a -> b")
    ordinary = await engine.submit()
    worker = await engine.session(slots=1)
    [grant] = await worker.claim()
    urgent = await engine.submit(priority=2)
    assert (await worker.succeed(grant)).grants == []
    [first] = await worker.claim()
    assert first.task_id == urgent
    assert await engine.state(ordinary, "b") == "enqueued"


async def test_a_newer_task_of_the_same_priority_does_not_stop_it(engine: Engine) -> None:
    """A started task finishes before a new one begins."""
    await engine.publish("a -> b")
    older = await engine.submit()
    worker = await engine.session(slots=1)
    [grant] = await worker.claim()
    engine.advance(1)
    await engine.submit_many(5)
    [handed] = (await worker.succeed(grant)).grants
    assert handed.task_id == older


async def test_a_backlog_finishes_task_by_task(engine: Engine) -> None:
    """Under a backlog of chains the first tasks end early: half are complete by two thirds of the run."""
    await engine.publish("a -> b -> c -> d")
    await engine.submit_many(60)
    worker = await engine.session(slots=10)
    ended: list[int] = []
    ran = 0
    while True:
        grants = list(worker.held.values()) or await worker.claim()
        if not grants:
            break
        ran += len(grants)
        ended += [ran] * len((await worker.succeed(*grants)).ended)
    assert ran == 240
    assert sorted(ended)[30] <= ran * 2 / 3


async def test_the_grant_carries_the_parents_results(engine: Engine) -> None:
    """A handed-over step brings the results of parents that were not in this report, and no others."""
    await engine.publish("a, b -> c -> d")
    task = await engine.submit()
    worker = await engine.session()
    a, b = sorted(await worker.claim(), key=lambda grant: grant.number)
    await worker.succeed(a, result="from a")
    reply = await worker.succeed(b, result="from b")
    numbers = {name: await engine.number(task, name) for name in "abcd"}
    assert reply.results[task][numbers["a"]] == '"from a"'
    reply = await worker.succeed(*reply.grants, result="from c")
    assert reply.results == {}
