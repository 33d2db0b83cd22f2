"""A system that is down: worker processes stop calling it together, and go on together when it is back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet, all_ended, ask, flow, violations
from support.until import until

pytestmark = pytest.mark.any_postgres

TASKS, CONCURRENCY = 60, 3
FAILURES, PROBES = 5, 2


async def test_two_workers_stop_calling_a_system_that_is_down(fleet: Fleet, client: Callable[..., Any]) -> None:
    """While it is down nobody calls it but probes, no more at a time than may, and what waits spends no attempt; when
    it is back everything completes. One of the workers dies meanwhile."""
    _say(fleet, is_down=True)
    tasker = await client(fleet.dsn, [flow("charge", "walk", "call_gateway", max_attempts=1000)])
    fleet.start(2, TASKER_CONCURRENCY=str(CONCURRENCY))
    await fleet.ready(2)
    await tasker.act_on_breaker("set", "gateway", probes=PROBES, reset_s=0.3, reset_max_s=0.3)
    submitted = [await tasker.submit("charge", namespace="tests", context={"n": n}) for n in range(TASKS)]
    tasks = [task.task_uuid for task in submitted]
    await until(lambda: _opened(fleet) >= 5, "it has opened again and again", within_s=60)
    await fleet.kill(fleet.workers[0])
    await until(lambda: _opened(fleet) >= 8, "and goes on so with one worker", within_s=60)
    calls = [entry for entry in fleet.ledger.entries("start") if entry.step == "s1"]
    half_open = ask(fleet.dsn, "select count(*) from tasker_engine.breaker_moves where to_state = 'half_open'")[0][0]
    # Those that open it, with what runs beside them; then in each half-open time the probes, and one in place of each
    # that said nothing: those of the worker that died.
    assert len(calls) <= FAILURES + 2 * CONCURRENCY + (half_open + 1) * PROBES + PROBES
    assert len({entry.pid for entry in calls}) == 2
    _say(fleet, is_down=False)
    fleet.start(1, TASKER_CONCURRENCY=str(CONCURRENCY))
    await all_ended(fleet.dsn, tasks, within_s=60)
    assert violations(fleet.dsn, fleet.ledger, tasks) == []
    [found] = await tasker.breakers("gateway")
    assert (found.state, found.waiting, found.handlers) == ("closed", 0, ("call_gateway",))
    spent = "select sum(attempt) - sum(tries) from tasker_engine.steps where number = 2"
    assert 0 <= ask(fleet.dsn, spent)[0][0] <= 2 * CONCURRENCY, "only what was lost with the worker was granted in vain"


def _say(fleet: Fleet, *, is_down: bool) -> None:
    """See `call_gateway`."""
    sign = Path(f"{fleet.ledger.path}.down")
    sign.touch() if is_down else sign.unlink()


def _opened(fleet: Fleet) -> int:
    return ask(fleet.dsn, "select count(*) from tasker_engine.breaker_moves where to_state = 'open'")[0][0]
