"""What happens inside a worker process of a row: acknowledgements are noted, and it dies where it is told to.

Nothing of this ships: the module of the handlers imports it, and it wraps the verbs of its own process. The environment
says what is to happen:

- TASKER_CHAOS_CRASH=VERB.PHASE.COUNT: at the COUNTth call of that verb the process kills itself. PHASE is `before` (it
  was not sent), `sent` (it was sent, and the database has had time to commit; nobody reads the reply) or `after` (the
  reply was read, and nothing was done with it). `handler.start.N` and `handler.end.N` are places in handlers.
- TASKER_CHAOS_SKEW_S: the process's wall clock is off by so much, forward and back in turns of a second.
- TASKER_CHAOS_DEAF: it hears no NOTIFY.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import asyncpg

from chaos.ledger import append
from tasker.remote.verbs import GatewayVerbs
from tasker.store.replies import Reply
from tasker.store.verbs import Report, Verbs

CRASH, SKEW, STACKS = "TASKER_CHAOS_CRASH", "TASKER_CHAOS_SKEW_S", "TASKER_CHAOS_STACKS"
DEAF = "TASKER_CHAOS_DEAF"
PHASES = ("before", "sent", "after")
_COMMITS_WITHIN_S = 0.02
_SUCCESSES = {"succeeded", "decided", "batched"}


class _Plan:
    """Where this process is to die, and how often it has been there."""

    def __init__(self) -> None:
        self.point, _, count = os.environ.get(CRASH, "").rpartition(".")
        self.left = int(count or 0)


_plan = _Plan()


def reached(point: str) -> None:
    """The process is at this point; it may be its last."""
    if point == _plan.point:
        _plan.left -= 1
        if _plan.left == 0:
            append("crash", ("-", 0, 0, point))
            os.kill(os.getpid(), signal.SIGKILL)


def is_next(point: str) -> bool:
    """Whether it would be its last."""
    return point == _plan.point and _plan.left == 1


def begin() -> None:
    """Wraps this process's verbs."""
    if stacks := os.environ.get(STACKS):
        faulthandler.register(signal.SIGUSR1, open(stacks, "a"), all_threads=True)  # noqa: SIM115 - until it ends
    if skew := os.environ.get(SKEW):
        _skew(float(skew))
    if os.environ.get(DEAF):
        asyncpg.Connection.add_listener = _unheard  # type: ignore[method-assign]
    for kind in (Verbs, GatewayVerbs):
        if "report" in vars(kind):
            kind.report = _acknowledged(kind.report)  # type: ignore[method-assign]
    verb = _plan.point.rpartition(".")[0]
    if verb and verb != "handler":
        for kind in (Verbs, GatewayVerbs):
            if verb in vars(kind):
                setattr(kind, verb, _deadly(verb, getattr(kind, verb)))


async def _unheard(*_: object) -> None:
    """In place of LISTEN."""


def _skew(by_s: float) -> None:
    append("skew", ("-", 0, 0, by_s))
    true_time, true_ns = time.time, time.time_ns

    def off() -> float:
        return by_s if int(true_time()) % 2 else -by_s

    time.time = lambda: true_time() + off()
    time.time_ns = lambda: true_ns() + int(off() * 1e9)


def _acknowledged(report: Callable[..., Any]) -> Callable[..., Any]:
    """A report that notes which successes were answered as recorded, before anything is done with the answer."""

    async def reporting(self: Any, connection: Any, session: int, said: Report, *args: Any, **options: Any) -> Reply:
        reply = await report(self, connection, session, said, *args, **options)
        refused = {(one.task_id, one.number) for one in reply.verdicts if one.verdict != "already"}
        fences = zip(said.task_ids, said.numbers, said.attempts, said.kinds, strict=True)
        rows = [(*fence, None) for *fence, kind in fences if kind in _SUCCESSES and tuple(fence[:2]) not in refused]
        if rows:
            append("acked", *rows)  # type: ignore[arg-type]
        return reply

    return reporting


def _deadly(verb: str, call: Callable[..., Any]) -> Callable[..., Any]:
    async def dying(self: Any, *args: Any, **options: Any) -> Any:
        reached(f"{verb}.before")
        if is_next(f"{verb}.sent"):
            asyncio.ensure_future(call(self, *args, **options))  # noqa: RUF006 - the process ends before it does
            for _ in range(3):
                await asyncio.sleep(0)
            time.sleep(_COMMITS_WITHIN_S)  # noqa: ASYNC251 - so that the loop does not read the reply
        reached(f"{verb}.sent")
        answer = await call(self, *args, **options)
        reached(f"{verb}.after")
        return answer

    return dying
