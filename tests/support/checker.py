"""The invariants of the engine, recomputed from its tables by a program that shares no code with it.

Each violation is one line that begins with the name of the invariant:

- `moves`: a history has no gaps, each move begins where the one before it ended, and docs/lifecycle.md knows it
- `identity`: a key belongs to one task, and that task exists
- `fence`: every outcome of a worker is of the attempt and the session that were granted last; one success a step
- `attempts`: grants are numbered without gaps; executions are counted, and never more than the step's limit
- `order`: a step starts only when each of its parents satisfies it
- `witness`: every step that can move is where somebody will find it
- `counters`: what a step waits for, what a task has open, live, due and failed
- `state`: the state of a task is what its steps say
- `routes`: exactly the steps that decisions excluded have no row
- `batches`: a batch has its members, counts them, starts as many as it may, and is over when they are
- `breakers`: a breaker is where its history ends; closed it has counted less than opens it, and has no probes; half
  open no more probes run than may
- `guard`: what was granted behind a breaker after it opened, and runs, is one of its probes
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import psycopg

from support import lifecycle
from support.members import FIRST_MEMBER, check_batches, is_isolated, plan_of, waits_for_members
from support.routes import excluded
from support.snapshot import Key, Plan, Row, Snapshot, read, read_on

SATISFYING = {"complete", "resolved_manually"}
_FINAL = {"complete", "resolved_manually", "cancelled"}
_BEGUN = ("enqueued", "in_progress")
_MOVABLE = {"enqueued", "in_progress", "waiting_for_retry"}
_FAILURES_MAX, _PROBES_MAX = 5, 1
_UNDER_WAY = timedelta(seconds=2)
"""A claim that is under way when a breaker opens may still grant what lies behind it."""


def check(dsn: str, schema: str = "tasker_engine") -> list[str]:
    """What is wrong in a database; empty where all is well."""
    return _check(read(dsn, schema))


def check_on(connection: psycopg.Connection[Row]) -> list[str]:
    """The same in a transaction that has just begun."""
    return _check(read_on(connection))


def _check(taken: Snapshot) -> list[str]:
    found = [*_identities(taken), *_breakers(taken)]
    for task_id, task in taken.tasks.items():
        found += _task(taken, task_id, task)
    return found


def _task(taken: Snapshot, task_id: UUID, task: Row) -> Iterator[str]:
    every, plans = taken.steps[task_id], taken.plans[task["template_id"]]
    steps = {number: step for number, step in every.items() if number < FIRST_MEMBER}
    ready = {number for number in steps if any(move["to_state"] in _BEGUN for move in taken.history[task_id, number])}
    missing = excluded(steps, plans, ready)
    if steps.keys() != plans.keys() - missing:
        yield f"routes: task {task_id} has steps {sorted(steps)} of {sorted(plans)}, excluded are {sorted(missing)}"
        return
    if task_id not in taken.inputs:
        yield f"state: task {task_id} has no input"
    yield from _moves(taken, task_id, 0, task, lifecycle.task_moves())
    if task["state"] != "cancelled":
        yield from check_batches(taken, task_id, every)
    counting = {number: step for number, step in every.items() if not is_isolated(taken, task_id, number, step)}
    yield from _task_counters(task_id, task, counting, plans)
    yield from _task_state(taken, task_id, task, counting, plans)
    for number, step in every.items():
        plan = plan_of(number, plans)
        yield from _moves(taken, task_id, number, step, lifecycle.step_moves())
        yield from _fence(taken, (task_id, number))
        yield from _attempts(taken, (task_id, number), step, plan)
        yield from _order(taken, (task_id, number), steps, plan)
        yield from _step_counters(taken, (task_id, number), step, steps, plan)
        yield from _witness(taken, (task_id, number), task, step, plan)
        yield from _guard(taken, (task_id, number), step, plan)


def _moves(taken: Snapshot, task_id: UUID, number: int, row: Row, known: frozenset[lifecycle.Move]) -> Iterator[str]:
    where = f"{task_id}/{number}"
    history = taken.history.get((task_id, number), [])
    if [move["seq"] for move in history] != list(range(1, len(history) + 1)):
        yield f"moves: {where} is numbered {[move['seq'] for move in history]}"
    if row["moves"] != len(history):
        yield f"moves: {where} says {row['moves']} moves, its history has {len(history)}"
    state = None if number == 0 else "pending"
    for move in history:
        if move["from_state"] != state:
            yield f"moves: {where} moved from {move['from_state']} while it was {state}"
        if (move["from_state"], move["to_state"]) not in known:
            yield f"moves: lifecycle.md does not know that {where} may move {move['from_state']} -> {move['to_state']}"
        state = move["to_state"]
    if state != row["state"]:
        yield f"moves: {where} is {row['state']}, its history ends with {state}"


def _identities(taken: Snapshot) -> Iterator[str]:
    for row in taken.identities:
        task = taken.tasks.get(row["task_id"])
        if task is None:
            yield f"identity: {row['key']} belongs to {row['task_id']}, which does not exist"
        elif row["key"].startswith("key:") and row["key"] != f"key:{row['idempotency_key']}":
            yield f"identity: {row['key']} belongs to {row['task_id']}, whose key is {row['idempotency_key']}"
    holders = [(row["namespace_id"], row["template"], row["task_id"]) for row in taken.identities]
    if len(holders) != len(set(holders)):
        yield "identity: one task holds two keys"


def _fence(taken: Snapshot, key: Key) -> Iterator[str]:
    granted: Row | None = None
    for move in taken.history.get(key, []):
        holder = granted and (granted["attempt"], granted["session_id"])
        if move["to_state"] == "in_progress":
            granted = move
        elif _is_outcome(move) and (move["attempt"], move["session_id"]) != holder:
            yield f"fence: {key} took an outcome of attempt {move['attempt']}, session {move['session_id']}"
    successes = sum(move["to_state"] == "complete" for move in taken.history.get(key, []))
    if successes > 1:
        yield f"fence: {key} succeeded {successes} times"


def _attempts(taken: Snapshot, key: Key, step: Row, plan: Plan) -> Iterator[str]:
    history = taken.history.get(key, [])
    grants = [move["attempt"] for move in history if move["to_state"] == "in_progress"]
    if grants != list(range(1, len(grants) + 1)) or step["attempt"] != len(grants):
        yield f"attempts: {key} was granted as {grants}, and is on attempt {step['attempt']}"
    tries = 0
    for move in history:
        if move["detail"].get("action") == "retry":
            tries = 0
        elif _is_execution(move):
            tries += 1
        if tries > plan.max_attempts:
            yield f"attempts: {key} was executed {tries} times of {plan.max_attempts}"
    if tries != step["tries"]:
        yield f"attempts: {key} was executed {tries} times, and counts {step['tries']}"


def _is_outcome(move: Row) -> bool:
    """What a worker reported, or what was decided about the attempt that it held."""
    return move["from_state"] == "in_progress" and move["session_id"] is not None


def _is_execution(move: Row) -> bool:
    """An end that a worker reported, or that the sweep declared at the timeout."""
    detail = move["detail"]
    return _is_outcome(move) and not detail.get("released") and detail.get("error_type") != "worker_lost"


def _order(taken: Snapshot, key: Key, steps: dict[int, Row], plan: Plan) -> Iterator[str]:
    starts = [move for move in taken.history.get(key, []) if move["to_state"] in ("enqueued", "in_progress")]
    if not starts:
        return
    for parent in plan.parents:
        if parent not in steps:
            continue
        settled = [move for move in taken.history.get((key[0], parent), []) if move["to_state"] in SATISFYING]
        if steps[parent]["state"] not in SATISFYING or not settled:
            yield f"order: {key} started, its parent {parent} is {steps[parent]['state']}"
        elif settled[0]["at"] > starts[0]["at"]:
            yield f"order: {key} started at {starts[0]['at']}, before its parent {parent} at {settled[0]['at']}"


def _step_counters(taken: Snapshot, key: Key, step: Row, steps: dict[int, Row], plan: Plan) -> Iterator[str]:
    waiting = sum(steps[parent]["state"] not in SATISFYING for parent in plan.parents if parent in steps)
    waiting += waits_for_members(taken, *key, step)
    if key[1] >= FIRST_MEMBER and step["state"] in ("pending", "cancelled"):
        waiting = min(step["waiting"], 1)  # it waits for its turn or not: see the invariant `batches`
    if step["waiting"] != waiting:
        yield f"counters: {key} waits for {step['waiting']} parents, and {waiting} do not satisfy it"
    if step["result_size"] is not None and step["result_bytes"] is None:
        yield f"counters: {key} has a result of {step['result_size']} bytes, and no size is noted"


def _is_movable(step: Row) -> bool:
    return step["state"] in _MOVABLE or (step["state"] == "pending" and step["waiting"] == 0)


def _is_due(step: Row, plan: Plan) -> bool:
    return step["state"] == "waiting_for_retry" or (step["state"] == "pending" and not plan.parents)


def _task_counters(task_id: UUID, task: Row, steps: dict[int, Row], plans: dict[int, Plan]) -> Iterator[str]:
    expected = {
        "open": sum(step["state"] not in _FINAL for step in steps.values()),
        "live": sum(_is_movable(step) for step in steps.values()),
        "due": sum(_is_due(step, plan_of(number, plans)) for number, step in steps.items()),
        "failed": sum(step["state"] == "error" for step in steps.values()),
    }
    noted = {name: task[name] for name in expected}
    if noted != expected:
        yield f"counters: task {task_id} notes {noted}, its steps say {expected}"


def _task_state(
    taken: Snapshot, task_id: UUID, task: Row, steps: dict[int, Row], plans: dict[int, Plan]
) -> Iterator[str]:
    ended = (
        move["from_state"] == "in_progress" for number in steps for move in taken.history.get((task_id, number), [])
    )
    expected = _expected_states(steps, plans, has_run=any(ended))
    if task["state"] not in expected:
        yield f"state: task {task_id} is {task['state']}, its steps are {[step['state'] for step in steps.values()]}"
    if (task["state"] in ("complete", "error", "cancelled")) != (task["finished_at"] is not None):
        yield f"state: task {task_id} is {task['state']} and finished at {task['finished_at']}"


def _expected_states(steps: dict[int, Row], plans: dict[int, Plan], *, has_run: bool) -> set[str]:
    """What the state of a task may be; until a step has run it may be pending: a busy row notes its start later."""
    states = {step["state"] for step in steps.values()}
    if "cancelled" in states:
        return {"cancelled"} if states <= _FINAL else set()
    if states <= SATISFYING:
        return {"complete"}
    movable = {number: step for number, step in steps.items() if _is_movable(step)}
    if not movable:
        return {"error"}
    if "error" in states:
        return {"blocked_by_failures"}
    waits = all(_is_due(step, plan_of(number, plans)) for number, step in movable.items())
    begun = "waiting_for_retry" if waits else "steps_in_process"
    return {begun} if has_run else {begun, "pending"}


def _witness(taken: Snapshot, key: Key, task: Row, step: Row, plan: Plan) -> Iterator[str]:
    state, is_paused = step["state"], task["paused_at"] is not None
    if state == "in_progress":
        session = taken.sessions.get(step["session_id"])
        if session is None or step["session_id"] not in taken.grants.get(key, set()):
            yield f"witness: {key} runs under session {step['session_id']}, which no grant names"
    elif step["session_id"] is not None and state == "enqueued" and step["granted_at"] is None:
        yield f"witness: {key} was never granted, and belongs to session {step['session_id']}"
    elif state == "enqueued" and not is_paused:
        lanes = taken.ready.get(key, set())
        kinds = {2} if step["is_suspect"] else {0, 1}
        if not lanes & {plan.channel * 16 + kind * 5 + task["class"] for kind in kinds}:
            yield f"witness: {key} is enqueued, and lies in lanes {lanes} of channel {plan.channel}"
    elif state == "waiting_for_retry" or (state == "pending" and not plan.parents):
        if step["attempt"] not in taken.due.get(key, {}):
            yield f"witness: {key} is {state} on attempt {step['attempt']}, due are {taken.due.get(key)}"
    elif state == "pending" and step["waiting"] == 0 and not is_paused:
        yield f"witness: {key} waits for nobody, and is pending"


def _breakers(taken: Snapshot) -> Iterator[str]:
    for breaker in taken.breakers.values():
        name, state, history = breaker["name"], breaker["state"], breaker["history"]
        if [move["seq"] for move in history] != list(range(1, breaker["moves"] + 1)):
            yield f"breakers: {name} says {breaker['moves']} moves, numbered {[move['seq'] for move in history]}"
        was = "closed"
        for move in history:
            if move["from_state"] != was:
                yield f"breakers: {name} moved from {move['from_state']} while it was {was}"
            was = move["to_state"]
        if was != state:
            yield f"breakers: {name} is {state}, its history ends with {was}"
        if state == "closed" and breaker["failures"] >= (breaker["failure_threshold"] or _FAILURES_MAX):
            yield f"breakers: {name} is closed after {breaker['failures']} failures in a row"
        if state == "closed" and breaker["probing"]:
            yield f"breakers: {name} is closed, and has probes {breaker['probing']}"
        running = [key for key in breaker["probing"] if _runs(taken, key)]
        if state == "half_open" and len(running) > (breaker["probes"] or _PROBES_MAX):
            yield f"breakers: {name} is half open, and {len(running)} probes run"


def _runs(taken: Snapshot, probe: tuple[UUID, int, int]) -> bool:
    step = taken.steps.get(probe[0], {}).get(probe[1])
    return step is not None and step["state"] == "in_progress" and step["attempt"] == probe[2]


def _guard(taken: Snapshot, key: Key, step: Row, plan: Plan) -> Iterator[str]:
    breaker = taken.breakers.get(taken.guards.get(plan.channel, 0))
    if breaker is None or breaker["state"] == "closed" or step["state"] != "in_progress":
        return
    opened = next(move["at"] for move in reversed(breaker["history"]) if move["from_state"] == "closed")
    if step["granted_at"] > opened + _UNDER_WAY and (*key, step["attempt"]) not in breaker["probing"]:
        yield f"guard: {key} was granted at {step['granted_at']}, breaker {breaker['name']} opened at {opened}"
