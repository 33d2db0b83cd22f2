"""Whatever happens to a batch, in whatever order, its counters are right and it comes to its end.

TASKER_TEST_SCALE=full plays ten times as many.
"""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from support.batch_play import Run, parts
from support.checker import check
from support.engine import Engine
from support.session import hand_back, lasting_fault, passing_fault, success
from support.templates import template

from tasker.model.errors import ActionForbidden
from tasker.model.outcome import expanded
from tasker.model.template import BatchConfig, FailureStrategy

IS_FULL = os.environ.get("TASKER_TEST_SCALE") == "full"
BATCHES, MOVES = (50 if IS_FULL else 5), 40
PATIENCE_S = 100_000


async def _work(run: Run, chance: random.Random) -> None:
    """Takes some of what may run, and reports some of what is held, each with its own outcome."""
    await run.worker.claim(chance.randint(1, 4), may_be_alone=True)
    held = list(run.worker.held.values())
    batches = [grant for grant in held if grant.number == 2]
    await run.worker.report(*((grant, expanded()) for grant in batches))
    members = [grant for grant in held if grant.number != 2]
    outcomes = [success({"rows": 1}), passing_fault(chance.randint(0, 3)), lasting_fault(), hand_back(), success()]
    reported = chance.sample(members, chance.randint(0, len(members)))
    for grant in reported:
        outcome = parts(chance.randint(0, 6)) if grant.number == 1 else chance.choice(outcomes)
        await run.worker.report((grant, outcome))


async def _lose(run: Run, chance: random.Random) -> None:
    await run.worker.end(is_loss=chance.random() < 0.5)
    run.worker = await run.engine.session(lease_s=PATIENCE_S)


async def _wait(run: Run, chance: random.Random) -> None:
    run.engine.advance(chance.randint(1, 5))
    await run.engine.sweep()


async def _act(run: Run, chance: random.Random) -> None:
    """An operator does something to the task, to the batch, to a member or to another step; it may be refused."""
    action = chance.choice(["retry", "resolve", "complete", "retry", "pause", "resume"])
    try:
        if action in ("pause", "resume"):
            await run.engine.act(action, run.task)
            return
        members = len(await run.engine.members(run.task, "work"))
        number = chance.choice([2, 3, *(2 << 16 | chance.randint(1, members) for _ in range(4 if members else 0))])
        await run.engine.act(action, run.task, number, result={"by": "hand"} if action == "complete" else None)
    except ActionForbidden:
        pass
    except Exception as error:
        if "has no step" not in str(error):  # the one member of a batch without work has another number
            raise


async def _settle(run: Run) -> None:
    """Everything that can still run succeeds; what has failed is resolved."""
    with suppress(ActionForbidden):
        await run.engine.act("resume", run.task)
    for _ in range(200):
        run.engine.advance(10)
        await run.engine.sweep_all()
        await run.worker.claim(may_be_alone=True)
        for grant in list(run.worker.held.values()):
            outcome = parts(3) if grant.number == 1 else expanded() if grant.number == 2 else success()
            await run.worker.report((grant, outcome))
        state = await run.engine.state(run.task)
        if state == "complete":
            return
        if state == "error":
            query = """select number from tasker_engine.steps where task_id = $1 and state = 'error'
                       order by number desc limit 1"""
            await run.engine.act("resolve", run.task, await run.engine.value(query, run.task))
    raise AssertionError(f"task {run.task} is {await run.engine.state(run.task)}: {await run.engine.states(run.task)}")


@pytest.mark.parametrize("strategy", ["continue_on_failure", "fail_fast", "isolate"])
async def test_a_batch_comes_to_its_end(engine: Engine, strategy: FailureStrategy) -> None:
    """Workers report and die, operators act, time passes: the tables agree after every move, and the task completes."""
    chance = random.Random(f"batches {strategy}")
    moves: list[Callable[[Run, random.Random], Awaitable[None]]] = [
        _work,
        _work,
        _work,
        _work,
        _lose,
        _wait,
        _act,
        _act,
    ]
    for number in range(BATCHES):
        config = BatchConfig(parallelism=chance.randint(1, 4), failure_strategy=strategy)
        made = template(
            "cut -> work -> gather",
            name=f"flow_{number}",
            backoff="none",
            cut={"type": "batchable"},
            work={"type": "batch_worker", "batch_config": config},
            gather={"type": "deferred_convergence"},
        )
        await engine.publish(made)
        run = Run(engine, await engine.session(lease_s=PATIENCE_S), await engine.submit(name=made.name))
        done: list[str] = []
        for _ in range(MOVES):
            move = chance.choice(moves)
            done.append(move.__name__)
            await move(run, chance)
            assert check(engine.dsn) == [], done
        await _settle(run)
        await run.worker.end()
