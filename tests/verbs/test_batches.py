"""Batches: a member for each part, so many at once, and what a failure of one means for the others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.batch_play import MANY, fails, parts, start
from support.engine import Engine
from support.session import passing_fault, success
from support.templates import template

from tasker.model.errors import ActionForbidden, InvalidInput
from tasker.model.outcome import Outcome, batched, expanded
from tasker.model.template import BatchConfig, FailureStrategy
from tasker.store.replies import Grant


async def test_each_part_has_a_member_and_then_the_convergence_runs(engine: Engine) -> None:
    """Members run side by side; the batch is complete with their counts when all are, and frees what waits for it."""
    run = await start(engine, 3)
    assert await engine.members(run.task, "work") == dict.fromkeys(("001", "002", "003"), "enqueued")
    assert await engine.counters(run.task) == (5, 3, 0, 0)
    assert await run.all_at_once() == 3
    assert (await engine.step(run.task, "work"))["result"] == {"total": 3, "succeeded": 3, "failed": 0, "items": 30}
    assert [grant.number for grant in run.worker.held.values()] == [3]
    assert await run.all_at_once() == 1
    assert await engine.state(run.task) == "complete"


async def test_each_member_is_handed_its_own_cursor_and_nobody_all_of_them(engine: Engine) -> None:
    """The result that is kept of the step that cut the work has no list of cursors."""
    run = await start(engine, 3)
    reply = await run.worker.claim_reply()
    cursors = {
        number & 0xFFFF: json.loads(cursor or "")["start_cursor"] for (_, number), (_, cursor) in reply.items.items()
    }
    assert cursors == {1: 0, 2: 10, 3: 20}
    kept = (await engine.step(run.task, "cut"))["result"]
    assert kept == {"file": "a.csv", "batch_processing_outcome": {"type": "create_batches", "worker_count": 3}}


async def test_what_a_grant_cannot_carry_is_loaded(engine: Engine) -> None:
    """Cursors past the size of a grant come by load, under the member's number negated."""
    config = BatchConfig(parallelism=MANY)
    await engine.publish(template("list -> each", each={"for_each": "list", "batch_config": config}))
    task, worker = await engine.submit(), await engine.session(slots=MANY)
    [grant] = await worker.claim()
    [each] = (await worker.report((grant, success([str(n) * 9_000 for n in range(10)])))).grants
    await worker.report((each, expanded()))
    reply = await worker.claim_reply()
    late = sorted({grant.number for grant in reply.grants} - {number for _, number in reply.items})
    assert len(reply.grants) == 10
    assert late
    loaded = await engine.verbs.load(engine.connection, [task] * len(late), [-number for number in late])
    assert {number for _, number in loaded.items} == set(late)
    assert loaded.items[task, late[-1]] == ("010", json.dumps("9" * 9_000))


async def test_no_more_than_so_many_at_once(engine: Engine) -> None:
    """`parallelism` members run; when one ends, the next has its turn, in their order."""
    run = await start(engine, 7, parallelism=3)
    ended: list[int] = []
    for _ in range(7):
        await run.worker.claim()
        indexes = sorted(grant.number & 0xFFFF for grant in run.members)
        assert indexes == list(range(len(ended) + 1, min(len(ended) + 3, 7) + 1))
        ended.append(indexes[0])
        await run.worker.succeed(next(grant for grant in run.members if grant.number & 0xFFFF == indexes[0]))
    assert ended == [1, 2, 3, 4, 5, 6, 7]
    assert await engine.state(run.task, "work") == "complete"


async def test_a_member_that_is_tried_again_keeps_its_place(engine: Engine) -> None:
    """A passing fault of a member frees no turn; it runs again when it is due, as any step."""
    run = await start(engine, 3, parallelism=1, backoff="none")
    [grant] = await run.worker.claim()
    await run.worker.report((grant, passing_fault(7)))
    assert await engine.members(run.task, "work") == {"001": "waiting_for_retry", "002": "pending", "003": "pending"}
    assert await run.worker.claim() == []
    engine.advance(7)
    assert [grant.number & 0xFFFF for grant in await run.worker.claim()] == [1]


@pytest.mark.parametrize(("strategy", "ended"), [("continue_on_failure", "error"), ("isolate", "complete")])
async def test_the_others_go_on_after_a_failure(engine: Engine, strategy: FailureStrategy, ended: str) -> None:
    """What follows runs too and sees the counts. The task ends in error, unless failures are isolated."""
    run = await start(engine, 4, strategy, parallelism=2)
    while await run.all_at_once(fails(2)):
        pass
    assert (await engine.step(run.task, "work"))["result"] == {"total": 4, "succeeded": 3, "failed": 1, "items": 40}
    assert await engine.state(run.task, "gather") == "complete"
    assert await engine.state(run.task) == ended
    members = await engine.verbs.load_members(engine.connection, [run.task], [2])
    assert [(id, result is not None, error is not None) for id, result, error in members[run.task, 2]] == [
        ("001", True, False),
        ("002", False, True),
        ("003", True, False),
        ("004", True, False),
    ]


async def test_after_a_failure_nothing_more_is_started(engine: Engine) -> None:
    """Under fail_fast what runs is finished, what was only ready waits again, and the batch is in error."""
    run = await start(engine, 6, "fail_fast", parallelism=4)
    first, second = await run.worker.claim(2)
    await run.worker.fail(first)
    assert await engine.state(run.task, "work") == "error"
    states = await engine.members(run.task, "work")
    assert states == {"001": "error", "002": "in_progress", **dict.fromkeys(("003", "004", "005", "006"), "pending")}
    assert await run.worker.claim() == []
    await run.worker.succeed(second)
    assert await engine.state(run.task) == "error"
    assert await engine.state(run.task, "gather") == "pending"


@pytest.mark.parametrize("step", ["work", "member"])
@pytest.mark.parametrize("action", ["retry", "resolve"])
async def test_a_batch_that_failed_goes_on_when_its_member_is_mended(engine: Engine, step: str, action: str) -> None:
    """To retry the batch is to retry the members that failed; to resolve it is to settle what has not ended."""
    run = await start(engine, 6, "fail_fast", parallelism=2)
    await run.all_at_once(fails(1))
    await engine.act(action, run.task, "work" if step == "work" else 2 << 16 | 1)
    while await run.all_at_once():
        pass
    assert await engine.state(run.task) == "complete"
    states = set((await engine.members(run.task, "work")).values())
    assert states == {"complete"} | ({"resolved_manually"} if action == "resolve" else set())


async def test_an_operator_settles_a_batch_while_it_runs(engine: Engine) -> None:
    """What its members still do is stale then, and what follows goes on."""
    run = await start(engine, 5, parallelism=3)
    [done, *running] = await run.worker.claim()
    await run.worker.succeed(done)
    await engine.act("complete", run.task, "work", result={"by": "hand"})
    reply = await run.worker.report(*((grant, success()) for grant in running))
    assert {verdict.verdict for verdict in reply.verdicts} == {"stale"}
    assert await run.all_at_once() == 1
    assert await engine.state(run.task) == "complete"


async def test_a_member_of_a_batch_that_is_over_is_not_tried_again(engine: Engine) -> None:
    """What follows has gone on without it; it can be resolved, and then the task is complete."""
    run = await start(engine, 2)
    while await run.all_at_once(fails(2)):
        pass
    assert await engine.state(run.task) == "error"
    with pytest.raises(ActionForbidden, match='step "work_002" belongs to a batch that is over'):
        await engine.act("retry", run.task, 2 << 16 | 2)
    await engine.act("resolve", run.task, 2 << 16 | 2)
    assert await engine.state(run.task) == "complete"


async def test_nothing_to_do_is_one_member_that_is_told_so(engine: Engine) -> None:
    """`no_batches` makes the member 000, without a cursor."""
    run = await start(engine, 0)
    reply = await run.worker.claim_reply()
    assert reply.items == {(run.task, 2 << 16): ("000", None)}
    await run.worker.succeed(*reply.grants)
    assert (await engine.step(run.task, "work"))["result"] == {"total": 1, "succeeded": 1, "failed": 0, "items": 0}


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (batched("{}"), "holds no batch_processing_outcome of type create_batches or no_batches"),
        (batched('{"batch_processing_outcome": {"type": "create_batches"}}'), "gives no list cursor_configs"),
        (
            batched('{"batch_processing_outcome": {"type": "create_batches", "cursor_configs": []}}'),
            "with nothing to do its outcome is no_batches",
        ),
        (
            batched(
                '{"batch_processing_outcome": {"type": "create_batches", "cursor_configs": [{"start_cursor": 1}]}}'
            ),
            "each cursor config needs a batch_id of 1 to 64 characters",
        ),
        (parts(2, cursor_configs=[{"batch_id": "a"}, {"batch_id": "a"}]), 'gives two cursor configs the batch_id "a"'),
        (
            parts(2, worker_template_name="other"),
            'makes workers of "other"; the batch_worker that depends on it is "work"',
        ),
        (parts(10_001), "makes 10001 workers, and at most 10000 are allowed"),
    ],
)
async def test_batches_that_cannot_be_are_a_permanent_error(engine: Engine, outcome: Outcome, message: str) -> None:
    """The step that said so fails, with a message that says what is wrong."""
    await engine.publish(template("cut -> work", cut={"type": "batchable"}, work={"type": "batch_worker"}))
    task, worker = await engine.submit(), await engine.session()
    await worker.report((*await worker.claim(), outcome))
    step = await engine.step(task, "cut")
    assert (step["state"], step["error"]["error_type"]) == ("error", "invalid_batch")
    assert message in step["error"]["message"]


async def test_an_ordinary_step_makes_no_batches(engine: Engine) -> None:
    """Neither says one that cuts work, nor asks for members."""
    await engine.publish(template("a, b"))
    task, worker = await engine.submit(), await engine.session()
    a, b = await worker.claim()
    await worker.report((a, parts(2)), (b, expanded()))
    assert "its type is standard" in (await engine.step(task, "a"))["error"]["message"]
    assert "is no batch" in (await engine.step(task, "b"))["error"]["message"]


async def test_a_batch_is_expanded_once(engine: Engine) -> None:
    """A repeat of the report after a lost reply answers `already`; another session's is stale."""
    run = await start(engine, 3)
    made = Grant(run.task, 2, 1, 0, 1, 0)
    assert (await run.worker.report((made, expanded()))).verdicts[0].verdict == "already"
    stranger = await engine.session()
    assert (await stranger.report((made, expanded()))).verdicts[0].verdict == "stale"
    assert len(await engine.members(run.task, "work")) == 3


async def test_a_member_dies_with_its_worker_and_runs_elsewhere(engine: Engine) -> None:
    """A member that was lost too often ends in error, and is counted so."""
    run = await start(engine, 2, "isolate", max_attempts=1)
    await run.worker.claim(1)
    await run.worker.end(is_loss=True)
    assert await engine.members(run.task, "work") == {"001": "error", "002": "enqueued"}
    run.worker = await engine.session()
    while await run.all_at_once():
        pass
    assert await engine.state(run.task) == "complete"


async def test_a_member_that_nobody_can_run_fails(engine: Engine) -> None:
    """After the time for missing handlers, as any other step; the batch goes on without it."""
    run = await start(engine, 2, "isolate")
    other = await engine.session(["cut", "gather"], lease_s=10_000)
    await run.worker.end()
    engine.advance(10_000 / 2)
    await engine.sweep_all()
    assert await engine.members(run.task, "work") == {"001": "error", "002": "error"}
    assert (await engine.step(run.task, "work"))["result"]["failed"] == 2
    await other.succeed(*await other.claim())
    assert await engine.state(run.task) == "complete"


async def test_a_member_past_its_timeout_is_taken_away(engine: Engine) -> None:
    """Its batch counts it as failed when it has no tries left."""
    run = await start(engine, 1, "isolate", timeout_seconds=1, max_attempts=1)
    [grant] = await run.worker.claim()
    await run.worker.beat(grant)
    engine.advance(10)
    await engine.sweep_all()
    assert await engine.members(run.task, "work") == {"001": "error"}
    assert await engine.state(run.task, "work") == "complete"


async def test_a_paused_task_hands_out_no_members(engine: Engine) -> None:
    """What has its turn while the task is paused becomes ready when it is resumed."""
    run = await start(engine, 4, parallelism=2)
    running = await run.worker.claim()
    await engine.act("pause", run.task)
    await run.worker.succeed(*running)
    assert await run.worker.claim() == []
    await engine.act("resume", run.task)
    assert len(await run.worker.claim()) == 2


async def test_a_cancelled_task_takes_its_batch_with_it(engine: Engine) -> None:
    """Nothing of it runs any more."""
    run = await start(engine, 4, parallelism=2)
    await engine.act("cancel", run.task)
    assert set((await engine.members(run.task, "work")).values()) == {"cancelled"}
    assert await run.worker.claim() == []


async def test_a_step_runs_for_each_item(engine: Engine) -> None:
    """The items lie at a path in the result of any step before it; each member is handed one."""
    made = template("load -> other -> each -> sum", each={"for_each": "load.orders.0", "batch_config": BatchConfig()})
    await engine.publish(made)
    task, worker = await engine.submit(), await engine.session()
    [load] = await worker.claim()
    [other] = (await worker.report((load, success({"orders": [[{"id": 7}, None, "x"]]})))).grants
    [each] = (await worker.report((other, success()))).grants
    await worker.report((each, expanded()))
    reply = await worker.claim_reply()
    assert {number & 0xFFFF: item for (_, number), item in reply.items.items()} == {
        1: ("001", '{"id": 7}'),
        2: ("002", "null"),
        3: ("003", '"x"'),
    }
    await worker.succeed(*reply.grants)
    assert await engine.state(task, "each") == "complete"


async def test_an_empty_list_has_no_members(engine: Engine) -> None:
    """The step is complete at once, and what follows runs."""
    await engine.publish(template("load -> each -> sum", each={"for_each": "load"}))
    task, worker = await engine.submit(), await engine.session()
    [each] = (await worker.report((*await worker.claim(), success([])))).grants
    reply = await worker.report((each, expanded()))
    assert [grant.number for grant in reply.grants] == [3]
    assert (await engine.step(task, "each"))["result"] == {"total": 0, "succeeded": 0, "failed": 0, "items": 0}


@pytest.mark.parametrize(
    ("result", "found"), [({"orders": {"a": 1}}, "a value of type object"), ({}, "nothing"), (None, "nothing")]
)
async def test_what_is_no_list_is_a_permanent_error(engine: Engine, result: Any, found: str) -> None:
    """The message names the place, and what is there."""
    await engine.publish(template("load -> each", each={"for_each": "load.orders"}))
    task, worker = await engine.submit(), await engine.session()
    [each] = (await worker.report((*await worker.claim(), success(result)))).grants
    await worker.report((each, expanded()))
    step = await engine.step(task, "each")
    assert step["state"] == "error"
    assert step["error"]["message"] == f'step "each" runs for each item of the list load.orders, and there is {found}'


async def test_an_operator_cuts_the_work(engine: Engine) -> None:
    """Completed by hand, a batchable step gives its cursors in the result; without them it is refused."""
    made = template("cut -> work", cut={"type": "batchable"}, work={"type": "batch_worker"})
    await engine.publish(made)
    task, worker = await engine.submit(), await engine.session()
    await worker.fail(*await worker.claim())
    with pytest.raises(InvalidInput, match="holds no batch_processing_outcome"):
        await engine.act("complete", task, "cut", result={})
    await engine.act("complete", task, "cut", result=json.loads(parts(2).payload or ""))
    await worker.report((*await worker.claim(), expanded()))
    assert len(await engine.members(task, "work")) == 2


async def test_the_branch_of_a_decision_may_be_a_batch(engine: Engine) -> None:
    """A batch that was not chosen is not taken, with its members; the convergence of both runs once."""
    choice = {"type": "decision"}
    made = template(
        "route -> cut, other; cut -> work -> join; other -> join",
        route=choice,
        cut={"type": "batchable"},
        work={"type": "batch_worker"},
        join={"type": "deferred_convergence"},
    )
    await engine.publish(made)
    worker = await engine.session()
    for chosen in ("cut", "other"):
        task = await engine.submit()
        outcome = {"decision_point_outcome": {"type": "create_steps", "step_names": [chosen]}}
        [grant] = (await worker.report((*await worker.claim(), Outcome("decided", json.dumps(outcome))))).grants
        if chosen == "cut":
            [work] = (await worker.report((grant, parts(2)))).grants
            await worker.report((work, expanded()))
            await worker.succeed(*await worker.claim())
        else:
            await worker.succeed(grant)
        await worker.succeed(*list(worker.held.values()))
        assert await engine.state(task) == "complete"
        assert ("work" in await engine.states(task)) == (chosen == "cut")
