"""Steps that take their worker with them, and those that only stood beside."""

from __future__ import annotations

import pytest
import pytest_asyncio
from support.engine import Engine


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def nothing_is_forgiven(engine: Engine) -> None:
    """The first loss makes a suspect, but where a test says something else."""
    await engine.forgive(0)


async def test_what_is_lost_once_runs_as_before(engine: Engine) -> None:
    """A process that is killed from outside says nothing about what it held: all of it goes on at once, side by side.
    Who loses the next worker too is run alone."""
    await engine.forgive(1)
    await engine.publish("good; bad; fine")
    task = await engine.submit()
    first, second, third = await engine.session(), await engine.session(), await engine.session()
    assert len(await first.claim()) == 3
    await first.end(is_loss=True)
    again = await second.claim()
    assert len(again) == 3
    assert not any(grant.is_alone for grant in again)
    await second.succeed(again[0])
    await second.end(is_loss=True)
    assert await third.claim() == []
    for _ in range(2):
        [suspect] = await third.claim(may_be_alone=True)
        assert suspect.is_alone
        await third.succeed(suspect)
    assert await engine.state(task) == "complete"


async def test_a_try_that_ended_in_between_is_no_loss(engine: Engine) -> None:
    """Only attempts without an outcome count: a step that failed before is forgiven its first loss too."""
    await engine.forgive(1)
    await engine.publish("a", max_attempts=10, backoff="none")
    await engine.submit()
    for _ in range(3):
        worker = await engine.session()
        [grant] = await worker.claim()
        await worker.retry(grant)
    worker, other = await engine.session(), await engine.session()
    await worker.claim()
    await worker.end(is_loss=True)
    [grant] = await other.claim()
    assert not grant.is_alone


async def test_bystanders_are_not_condemned(engine: Engine) -> None:
    """Steps that were held by a worker that died are each run alone next, and the good ones end well."""
    await engine.publish("good; bad; fine")
    task = await engine.submit()
    first, second = await engine.session(), await engine.session()
    assert len(await first.claim()) == 3
    await first.end(is_loss=True)
    assert await second.claim() == []
    for _ in range(3):
        [suspect] = await second.claim(may_be_alone=True)
        assert suspect.is_alone
        await second.succeed(suspect)
    assert await engine.state(task) == "complete"
    assert await engine.value("select max(losses) from tasker_engine.steps") == 0


async def test_the_third_loss_while_alone_ends_a_step(engine: Engine) -> None:
    """A step that killed three workers while it ran alone ends with `worker_lost`; the death before is not counted."""
    await engine.publish("poison", max_attempts=10)
    task = await engine.submit()
    deaths = 0
    while await engine.state(task, "poison") == "enqueued":
        worker = await engine.session()
        [grant] = await worker.claim(may_be_alone=True)
        await worker.beat(grant)
        await worker.end(is_loss=True)
        deaths += 1
    step = await engine.step(task, "poison")
    assert deaths == 4
    assert (step["state"], step["losses"], step["tries"]) == ("error", 3, 0)
    assert step["error"]["error_type"] == "worker_lost"
    assert await engine.state(task) == "error"


async def test_a_suspect_that_had_not_started_is_not_to_blame(engine: Engine) -> None:
    """A worker that dies before it has begun a suspect says nothing about it."""
    await engine.publish("a", max_attempts=10)
    task = await engine.submit()
    for _ in range(6):
        worker = await engine.session()
        assert len(await worker.claim(may_be_alone=True)) == 1
        await worker.end(is_loss=True)
    step = await engine.step(task, "a")
    assert (step["state"], step["losses"]) == ("enqueued", 0)


async def test_a_suspect_that_ends_is_cleared(engine: Engine) -> None:
    """Once a suspect has run to its end, well or badly, it is a step like any other."""
    await engine.publish("a", max_attempts=5, backoff="none")
    task = await engine.submit()
    first, second = await engine.session(), await engine.session()
    await first.claim()
    await first.end(is_loss=True)
    [suspect] = await second.claim(may_be_alone=True)
    await second.retry(suspect)
    assert not (await engine.step(task, "a"))["is_suspect"]
    [again] = await second.claim()
    assert not again.is_alone


async def test_a_suspect_handed_back_stays_one(engine: Engine) -> None:
    """A worker that drains before it could run a suspect leaves it a suspect."""
    await engine.publish("a")
    await engine.submit()
    first, second = await engine.session(), await engine.session()
    await first.claim()
    await first.end(is_loss=True)
    await second.release(*await second.claim(may_be_alone=True))
    assert await second.claim() == []
    [again] = await second.claim(may_be_alone=True)
    assert again.is_alone


async def test_a_suspect_is_claimed_alone(engine: Engine) -> None:
    """A claim that grants a suspect grants nothing else, however much waits."""
    await engine.publish("a")
    first, second = await engine.session(), await engine.session()
    await engine.submit_many(2)
    await first.claim()
    await first.end(is_loss=True)
    await engine.submit_many(10)
    grants = await second.claim(may_be_alone=True)
    assert [grant.is_alone for grant in grants] == [True]
    assert not any(grant.is_alone for grant in await second.claim())


async def test_a_suspect_is_not_taken_with_others_after_a_pause(engine: Engine) -> None:
    """Pausing and resuming lays a step in line a second time; as a suspect it is still only granted alone."""
    await engine.publish("a")
    task = await engine.submit()
    await engine.act("pause", task)
    await engine.act("resume", task)
    assert await engine.count("ready") == 2
    first, second = await engine.session(), await engine.session()
    assert len(await first.claim(1)) == 1
    await first.end(is_loss=True)
    await engine.submit_many(3)
    assert not any(grant.is_alone for grant in await second.claim())
    [suspect] = await second.claim(may_be_alone=True)
    assert (suspect.task_id, suspect.is_alone) == (task, True)


async def test_a_step_that_may_run_once_is_not_run_again_after_a_loss(engine: Engine) -> None:
    """`max_attempts: 1` means that a payment whose worker was lost is not paid again by itself."""
    await engine.publish("pay -> ship", max_attempts=1)
    task = await engine.submit()
    worker = await engine.session()
    await worker.claim()
    await worker.end(is_loss=True)
    step = await engine.step(task, "pay")
    assert (step["state"], step["error"]["error_type"]) == ("error", "worker_lost")
    assert await engine.state(task) == "error"
    await engine.act("retry", task, "pay")
    other = await engine.session()
    await other.work_off()
    assert await engine.state(task) == "complete"


async def test_an_operator_clears_the_record(engine: Engine) -> None:
    """A step retried by hand begins without losses and without suspicion."""
    await engine.publish("poison", max_attempts=10)
    task = await engine.submit()
    while await engine.state(task, "poison") == "enqueued":
        worker = await engine.session()
        [grant] = await worker.claim(may_be_alone=True)
        await worker.beat(grant)
        await worker.end(is_loss=True)
    await engine.act("retry", task, "poison")
    step = await engine.step(task, "poison")
    assert (step["losses"], step["tries"], step["is_suspect"]) == (0, 0, False)
    worker = await engine.session()
    [grant] = await worker.claim()
    assert grant.attempt == 5


async def test_how_many_losses_are_too_many_is_a_setting(engine: Engine) -> None:
    """`tasker.worker_losses_max` of the database bounds how many workers a step may take with it."""
    await engine.publish("poison", max_attempts=10)
    task = await engine.submit()
    await engine.connection.execute("set tasker.worker_losses_max = 1")
    for _ in range(2):
        worker = await engine.session()
        [grant] = await worker.claim(may_be_alone=True)
        await worker.beat(grant)
        await worker.end(is_loss=True)
    assert await engine.state(task) == "error"


@pytest.mark.parametrize("forgiven", [0, 1])
async def test_a_hundred_poison_steps_condemn_no_good_one(engine: Engine, forgiven: int) -> None:
    """Workers that hold fifty steps each and die with any poison among them: exactly the poison ends in error."""
    await engine.forgive(forgiven)
    await engine.publish("a", max_attempts=10)
    tasks = await engine.submit_many(120, contexts=[{"poison": n % 24 == 0} for n in range(120)])
    poison = set(tasks[::24])
    for _ in range(500):
        worker = await engine.session(slots=50)
        while grants := await worker.claim(may_be_alone=True):
            await worker.beat(*grants)
            if any(grant.task_id in poison for grant in grants):
                await worker.end(is_loss=True)
                break
            await worker.succeed(*grants)
        else:
            break
    states = {task: await engine.state(task) for task in tasks}
    assert {task for task in tasks if states[task] == "error"} == poison
    assert {states[task] for task in tasks if task not in poison} == {"complete"}
