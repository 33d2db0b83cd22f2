"""A task of `cut -> work -> gather`, whose work is a batch, played by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from support.engine import Engine
from support.session import Session, lasting_fault, success
from support.templates import template
from tasker.model.outcome import Outcome, batched, expanded
from tasker.model.template import BatchConfig, FailureStrategy
from tasker.store.replies import Grant

MANY = 1_000


def parts(count: int, **more: Any) -> Outcome:
    """What a batchable step says that cuts its work into so many parts of ten rows."""
    cursors = [
        {"batch_id": f"{n:03}", "start_cursor": n * 10 - 10, "end_cursor": n * 10, "batch_size": 10}
        for n in range(1, count + 1)
    ]
    outcome = {"type": "create_batches", "cursor_configs": cursors} if cursors else {"type": "no_batches"}
    return batched(json.dumps({"batch_processing_outcome": {**outcome, **more}, "file": "a.csv"}))


class Run:
    """One task of `cut -> work -> gather`, played by hand."""

    def __init__(self, engine: Engine, worker: Session, task: UUID) -> None:
        self.engine, self.worker, self.task = engine, worker, task

    async def cut(self, outcome: Outcome) -> None:
        """The first step says what there is to do; the batch is expanded."""
        [grant] = await self.worker.claim()
        reply = await self.worker.report((grant, outcome))
        for grant in reply.grants:
            await self.worker.report((grant, expanded()))

    async def all_at_once(self, outcome: Callable[[Grant], Outcome] = lambda _: success({"rows": 10})) -> int:
        """Claims and reports all members that may run now; how many those were."""
        await self.worker.claim()
        grants = list(self.worker.held.values())
        await self.worker.report(*((grant, outcome(grant)) for grant in grants))
        return len(grants)

    @property
    def members(self) -> list[Grant]:
        """Members held now."""
        return [grant for grant in self.worker.held.values() if grant.number >= 65_536]


async def start(
    engine: Engine, count: int, strategy: FailureStrategy = "continue_on_failure", parallelism: int = MANY, **work: Any
) -> Run:
    """A task whose batch of `count` members has begun."""
    config = BatchConfig(parallelism=parallelism, failure_strategy=strategy)
    made = template(
        "cut -> work -> gather",
        cut={"type": "batchable"},
        work={"type": "batch_worker", "batch_config": config, **work},
        gather={"type": "deferred_convergence"},
    )
    await engine.publish(made)
    run = Run(engine, await engine.session(slots=MANY), await engine.submit())
    await run.cut(parts(count))
    return run


def fails(*indexes: int) -> Callable[[Grant], Outcome]:
    """These members fail for good."""
    return lambda grant: lasting_fault() if grant.number & 0xFFFF in indexes else success({"rows": 10})
