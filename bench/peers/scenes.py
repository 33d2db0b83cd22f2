"""What is measured, written once for all peers. Standard library only: each peer's interpreter runs it.

A scene warms up, says `ready`, waits for `go`, and says `done` with its figures: times in ms, rates a second. Rates end
when the peer's own store calls the last task complete, not when its handler has run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import killing
from graphs import graph
from ledger import BEGUN, Ledger
from scene_tools import PATIENCE_S, Measured, finish, percentiles, ready, run_some, until_finished, warm_up
from stage import Peer, Plan, ask

_LOOK_S = 0.005
_ALONE_MIN = 3
_BULK = 500
_BULK_SHARE = 0.25


async def alone(peer: Peer, plan: Plan) -> None:
    """S1, S3: one task at a time, submit until the submitter knows that it is complete."""
    run = await warm_up(peer, plan)
    ms: list[float] = []
    until = time.perf_counter() + plan.seconds
    while (time.perf_counter() < until or len(ms) < _ALONE_MIN) and len(ms) < plan.tasks_max:
        began = time.perf_counter()
        [handle] = await peer.submit([run.next()])
        await peer.wait(handle)
        ms.append((time.perf_counter() - began) * 1e3)
    await until_finished(peer, run)
    rate = len(ms) * len(graph(plan.shape)) / sum(ms) * 1e3
    finish(run, {**percentiles(ms), "steps_per_second": rate})


async def saturated(peer: Peer, plan: Plan) -> None:
    """S2, S10, S11: so many tasks at once as saturate it, from the first submit until the last is complete."""
    run = await warm_up(peer, plan)
    began = time.perf_counter()
    await _flood(peer, plan, run, began + plan.seconds)
    await until_finished(peer, run)
    steps = run.submitted * len(graph(plan.shape))
    finish(run, {"steps_per_second": steps / (time.perf_counter() - began), "window": peer.WINDOW})


async def crowded(peer: Peer, plan: Plan) -> None:
    """S9: the same several times over, in tables filled with copies of a task of the warm-up.

    Counting a million rows takes a while: the clock stops when the last handler has ended, and the peer's store is
    asked once afterwards.
    """
    tasks = await run_some(peer, plan)
    await until_finished(peer, Measured(plan, tasks, 0))
    await ask("fill")
    run = await ready(plan, tasks)
    before = await peer.finished()
    rates: list[float] = []
    for _ in range(plan.floods):
        first, began = run.submitted, time.perf_counter()
        await _flood(peer, plan, run, began + plan.seconds)
        await _until_handled(plan, run)
        if run.submitted > first:
            rates.append((run.submitted - first) * len(graph(plan.shape)) / (time.perf_counter() - began))
    await until_finished(peer, run, before + run.submitted)
    finish(run, {"steps_per_second": rates})


async def _until_handled(plan: Plan, run: Measured) -> None:
    """Returns when all handlers have ended."""
    ledger, wanted = Ledger(plan.ledger), run.submitted * len(graph(plan.shape))
    async with asyncio.timeout(PATIENCE_S):
        while ledger.size() - run.first_entry < wanted:  # noqa: ASYNC110 - other processes write it
            await asyncio.sleep(_LOOK_S)


async def soak(peer: Peer, plan: Plan) -> None:
    """S7: the same while somebody holds a snapshot open: the last third's rate as a share of the first's."""
    run = await warm_up(peer, plan)
    await ask("hold_snapshot")
    began = time.monotonic_ns()
    await _flood(peer, plan, run, time.perf_counter() + plan.seconds)
    ended = time.monotonic_ns()
    await until_finished(peer, run)
    await ask("release_snapshot")
    at = [entry.at_ns for entry in Ledger(plan.ledger).entries(run.first_entry)]
    third = (ended - began) / 3
    first = sum(1 for one in at if one < began + third)
    last = sum(1 for one in at if ended - third <= one < ended)
    finish(run, {"retention": last / max(1, first), "steps_per_second": first / third * 1e9})


async def _flood(peer: Peer, plan: Plan, run: Measured, until: float) -> None:
    """Keeps the peer's window full until then."""
    steps = len(graph(plan.shape))
    ledger = Ledger(plan.ledger)
    while time.perf_counter() < until and run.submitted < plan.tasks_max:
        done = (ledger.size() - run.first_entry) // steps
        room = min(peer.WINDOW - (run.submitted - done), plan.tasks_max - run.submitted, _BULK)
        if room >= max(1, peer.WINDOW * _BULK_SHARE) or room >= _BULK or done >= run.submitted:
            await peer.submit([run.next() for _ in range(room)])
        else:
            await asyncio.sleep(_LOOK_S)


async def submit(peer: Peer, plan: Plan) -> None:
    """S4: tasks accepted, one by one and then in bulk, while nobody works on them."""
    await peer.submit([0])
    run = await ready(plan, already=1)
    ms: list[float] = []
    began = time.perf_counter()
    while time.perf_counter() < began + plan.seconds / 2:
        at = time.perf_counter()
        await peer.submit([run.next()])
        ms.append((time.perf_counter() - at) * 1e3)
    single = len(ms) / (time.perf_counter() - began)
    before, began = run.submitted, time.perf_counter()
    while time.perf_counter() < began + plan.seconds / 2:
        await peer.submit([run.next() for _ in range(_BULK)])
    bulk = (run.submitted - before) / (time.perf_counter() - began)
    finish(run, {**percentiles(ms), "tasks_per_second": single, "bulk_tasks_per_second": bulk})


async def pick_up(peer: Peer, plan: Plan) -> None:
    """S5: from the call of submit to the begin of the handler, in a worker that has nothing to do."""
    run = await warm_up(peer, plan)
    sent: dict[int, int] = {}
    until = time.perf_counter() + plan.seconds
    while time.perf_counter() < until or len(sent) < _ALONE_MIN:
        number = run.next()
        sent[number] = time.monotonic_ns()
        [handle] = await peer.submit([number])
        await peer.wait(handle)
        await asyncio.sleep(0.05)
    await until_finished(peer, run)
    entries = Ledger(plan.ledger).entries(run.first_entry)
    begun = {entry.task: entry.at_ns for entry in entries if entry.kind == BEGUN}
    finish(run, percentiles([(begun[number] - at) / 1e6 for number, at in sent.items()]))


async def offered(peer: Peer, plan: Plan) -> None:
    """S6: tasks come at a share of what the peer has just shown that it can do, whether it keeps up or not."""
    run = await warm_up(peer, plan)
    began = time.perf_counter()
    await _flood(peer, plan, run, began + plan.seconds / 2)
    await until_finished(peer, run)
    most = run.submitted / (time.perf_counter() - began)
    figures = {"steps_per_second": most * len(graph(plan.shape))}
    for percent in plan.percents:
        ms = await _offer(peer, plan, run, most * percent / 100)
        figures |= {f"{name}_at_{percent}": value for name, value in percentiles(ms).items()}
    finish(run, figures)


async def _offer(peer: Peer, plan: Plan, run: Measured, rate: float) -> list[float]:
    """Submits so many tasks a second; how long each took from the moment at which it was due, in ms."""
    due: dict[int, int] = {}
    ledger = Ledger(plan.ledger)
    first_entry, first = ledger.size(), time.monotonic_ns()
    gap_ns = 1e9 / rate
    while (spent := time.monotonic_ns() - first) < plan.seconds * 1e9 or len(due) < _ALONE_MIN:
        numbers = [run.next() for _ in range(int(spent / gap_ns) - len(due))]
        for number in numbers:
            due[number] = first + round(len(due) * gap_ns)
        if numbers:
            await peer.submit(numbers)
        await asyncio.sleep(_LOOK_S)
    await until_finished(peer, run)
    ended = {entry.task: entry.at_ns for entry in ledger.entries(first_entry)}
    return [(ended[number] - at) / 1e6 for number, at in due.items()]


Scene = Callable[[Peer, Plan], Awaitable[None]]
SCENES: Mapping[str, Scene] = {
    "alone": alone,
    "saturated": saturated,
    "crowded": crowded,
    "soak": soak,
    "submit": submit,
    "pick_up": pick_up,
    "offered": offered,
    "killed": killing.killed,
    "restarted": killing.restarted,
}
