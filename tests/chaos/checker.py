"""The invariants I1 to I16, each one function over the evidence. It shares no code with the engine.

What the tables alone must satisfy (I3, I5, I8 to I10, and parts of I2 and I7) is `support.checker`, which shares none
either; here its findings get their numbers. Each violation is a line that begins with the number. I17, whether the run
showed anything at all, is judged by the report, which knows what was planned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

from support import checker as of_tables

from chaos.evidence import FIRST_MEMBER, Evidence, Row

TERMINAL = {"complete", "error", "cancelled"}
MEMBERS = "part_"
"""What the names of the members of batches begin with."""
_SUMMING = {"chaos_plain", "chaos_thread"}
_NUMBERS = {
    "moves": "I3", "identity": "I2", "fence": "I5", "attempts": "I7", "order": "I8", "witness": "I9",
    "counters": "I10", "state": "I10", "routes": "I10", "batches": "I10", "breakers": "I10", "guard": "I10",
}  # fmt: skip
Judge = Callable[[Evidence], Iterator[str]]


def check(evidence: Evidence) -> list[str]:
    """Every violation; none where all is well."""
    found = [f"{number}: {line}" for number, judge in INVARIANTS.items() for line in judge(evidence)]
    return [*found, *check_tables(evidence.dsn)]


def check_tables(dsn: str) -> list[str]:
    """Those that the tables show by themselves, at any moment: work may go on meanwhile."""
    return [f"{_NUMBERS[line.partition(':')[0]]}: {line}" for line in of_tables.check(dsn)]


def _nothing_acknowledged_is_lost(seen: Evidence) -> Iterator[str]:
    for key, tasks in seen.told.items():
        for task in tasks:
            if task not in seen.tasks:
                yield f"{task} was acknowledged for {key}, and does not exist"
            elif (was := seen.asked[key][1].get("n")) != (has := seen.inputs[task]["context"].get("n")):
                yield f"{task} was asked for with n={was}, and has n={has}"
    for task, row in seen.tasks.items():
        if row["state"] not in TERMINAL:
            yield f"{task} is {row['state']} in the end"
    yield from seen.wrong


def is_ill(said: Row) -> bool:
    """Whether a task's input says that it cannot end well."""
    return any(said.get(what) for what in ("doomed", "broken"))


def _ends_as_it_should(seen: Evidence) -> Iterator[str]:
    """A task fails for what its input says, or because it lost its workers; no other way."""
    for task, row in seen.tasks.items():
        said = seen.inputs[task]["context"]
        is_doomed = is_ill(said)
        if row["state"] == "complete" and is_doomed and not _branch_avoids(seen, task, said):
            yield f"{task} is complete, and one of its steps cannot be done"
        if row["state"] == "error" and not is_doomed and task not in seen.outcasts:
            errors = {
                str(step["error"]) for key, step in seen.steps.items() if key[0] == task and step["state"] == "error"
            }
            yield f"{task} is in error for nothing that its input says: {errors}"


def _branch_avoids(seen: Evidence, task: str, said: dict[str, int]) -> bool:
    return (task, said.get("doomed") or said.get("broken") or 0) not in seen.steps


def _one_task_a_key(seen: Evidence) -> Iterator[str]:
    for key, tasks in seen.told.items():
        if len(tasks) > 1:
            yield f"{key} was answered with {sorted(tasks)}"
    holders = Counter(row["idempotency_key"] for row in seen.tables["inputs"] if row["idempotency_key"])
    yield from (f"{key} has {count} tasks" for key, count in holders.items() if count > 1)


def _one_success_that_stays(seen: Evidence) -> Iterator[str]:
    for key, moves in seen.history.items():
        if (count := sum(move["to_state"] == "complete" for move in moves)) > 1:
            yield f"{key} succeeded {count} times"
    for key, digest in seen.samples.items():
        if key not in seen.steps or seen.steps[key]["digest"] != digest:
            yield f"the result of {key} has changed since it was recorded"
    said = {(e.task, e.number, e.attempt): e.value for e in seen.entries if e.moment == "end"}
    for (task, number), step in seen.steps.items():
        if step["state"] != "complete" or seen.plan(task, number)["handler"] not in _SUMMING:
            continue
        if (was := said.get((task, number, step["attempt"]))) is None:
            yield f"{task}/{number} is complete on attempt {step['attempt']}, which never ended"
        elif len({step["total"], int(was), right := _expected(seen, task, number)}) > 1:
            yield f"{task}/{number} has {step['total']}, its handler said {was}, and {right} is right"


def _expected(seen: Evidence, task: str, number: int) -> int:
    parents = (seen.steps.get((task, parent), {}).get("total") or 0 for parent in seen.plan(task, number)["parents"])
    return number + seen.inputs[task]["context"]["n"] + sum(parents)


def _the_last_fence_wins(seen: Evidence) -> Iterator[str]:
    for key, moves in seen.history.items():
        granted = 0
        for move in moves:
            if move["to_state"] == "in_progress":
                granted = max(granted, move["attempt"] or 0)
            elif move["to_state"] == "complete" and move["session_id"] is not None and move["attempt"] != granted:
                yield f"{key} took the result of attempt {move['attempt']} when {granted} was granted"


def _leases_do_not_overlap(seen: Evidence) -> Iterator[str]:
    for key, moves in seen.history.items():
        for before, after in pairwise(moves):
            if key[1] and before["to_state"] == "in_progress" == after["to_state"]:
                yield f"{key} was granted as {after['attempt']} while {before['attempt']} was held"
            elif key[1] and after["to_state"] == "in_progress" and after["at"] < before["at"]:
                yield f"{key} was granted at {after['at']}, before it was free at {before['at']}"


def _starts_are_granted(seen: Evidence) -> Iterator[str]:
    granted = {
        (*key, move["attempt"])
        for key, moves in seen.history.items()
        for move in moves
        if move["to_state"] == "in_progress"
    }
    starts = Counter((e.task, e.number, e.attempt) for e in seen.entries if e.moment == "start")
    for start, count in starts.items():
        if count > 1:
            yield f"{start} was started {count} times"
        if start not in granted:
            yield f"{start} was started, and never granted"
    for (task, number), step in seen.steps.items():
        if step["tries"] > (most := seen.plan(task, number)["max_attempts"]):
            yield f"{task}/{number} was tried {step['tries']} times of {most}"


def _children_start_after_parents(seen: Evidence) -> Iterator[str]:
    ends = {(e.task, e.number, e.attempt): e.at for e in seen.entries if e.moment == "end"}
    first: dict[tuple[str, int], float] = {}
    for entry in seen.entries:
        if entry.moment == "start":
            first.setdefault((entry.task, entry.number), entry.at)
    for (task, number), began in first.items():
        if task not in seen.tasks:
            continue
        for parent in seen.plan(task, number)["parents"]:
            step = seen.steps.get((task, parent))
            ended = step and ends.get((task, parent, step["attempt"]))
            if ended and began < ended:
                yield f"{task}/{number} began {ended - began:.6f} s before its parent {parent} ended"


def _messages_are_gone(seen: Evidence) -> Iterator[str]:
    if left := seen.tables["messages"]:
        yield f"{len(left)} messages lie in the outbox, the first is {left[0]}"


def _the_dead_letter_queue_is_exact(seen: Evidence) -> Iterator[str]:
    entries = Counter(row["task_id"] for row in seen.tables["dlq"] if row["reason"] != "staleness_timeout")
    wanted = {task for (task, number), step in seen.steps.items() if _needs_somebody(seen, task, number)}
    for task in wanted | entries.keys():
        if entries[task] != (task in wanted):
            state = seen.tasks[task]["state"] if task in seen.tasks else "unknown"
            yield f"{task} is {state}, and has {entries[task]} entries in the dead letter queue"


def _needs_somebody(seen: Evidence, task: str, number: int) -> bool:
    step, plan = seen.steps[task, number], seen.plan(task, number)
    error = step["error"] or {}
    if step["state"] != "error":
        return False
    if error.get("error_type") in ("worker_lost", "handler_not_found"):
        return True
    return error.get("retryable", True) and (step["tries"] >= plan["max_attempts"] or not plan["is_retryable"])


def _acknowledged_results_are_recorded(seen: Evidence) -> Iterator[str]:
    for entry in seen.entries:
        if entry.moment != "acked":
            continue
        step = seen.steps.get((entry.task, entry.number))
        recorded = any(
            move["from_state"] == "in_progress"
            and move["attempt"] == entry.attempt
            and move["to_state"] in ("complete", "pending")
            for move in seen.history.get((entry.task, entry.number), [])
        )
        if step is None or not recorded:
            yield f"{entry.task}/{entry.number} attempt {entry.attempt} was acknowledged, and is not recorded"


def _history_and_rows_are_of_one_moment(seen: Evidence) -> Iterator[str]:
    for key, step in seen.steps.items():
        moves = seen.history.get(key, [])
        grants = [move for move in moves if move["to_state"] == "in_progress"]
        if step["moves"] != len(moves):
            yield f"{key} has moved {step['moves']} times, its history knows {len(moves)}"
        if grants and grants[-1]["at"] != step["granted_at"]:
            yield f"{key} was granted at {step['granted_at']}, its history says {grants[-1]['at']}"
    for task, row in seen.tasks.items():
        moves = seen.history.get((task, 0), [])
        if row["state"] in ("complete", "error") and (not moves or moves[-1]["at"] != row["finished_at"]):
            yield f"{task} ended at {row['finished_at']}, its history does not know it"


def _faces_agree(seen: Evidence) -> Iterator[str]:
    for task, faces in seen.views.items():
        own = {key[1]: step["state"] for key, step in seen.steps.items() if key[0] == task and key[1] < FIRST_MEMBER}
        steps = {seen.plan(task, number)["name"]: state for number, state in own.items()}
        truth = {"status": seen.tasks[task]["state"], "steps": steps}
        for face, view in faces.items():
            shown = {name: state for name, state in view["steps"].items() if not name.startswith(MEMBERS)}
            if {**view, "steps": shown} != truth:
                yield f"{face} shows {task} as {view}, the tables have {truth}"


def _nothing_is_left(seen: Evidence) -> Iterator[str]:
    for what, rows in seen.leaks.items():
        if rows:
            yield f"{len(rows)} {what} are left when everybody has gone: {rows[:5]}"


INVARIANTS: dict[str, Judge] = {
    "I1": lambda seen: (line for judge in (_nothing_acknowledged_is_lost, _ends_as_it_should) for line in judge(seen)),
    "I2": _one_task_a_key,
    "I4": _one_success_that_stays,
    "I5": _the_last_fence_wins,
    "I6": _leases_do_not_overlap,
    "I7": _starts_are_granted,
    "I8": _children_start_after_parents,
    "I11": _messages_are_gone,
    "I12": _the_dead_letter_queue_is_exact,
    "I13": _acknowledged_results_are_recorded,
    "I14": _history_and_rows_are_of_one_moment,
    "I15": _faces_agree,
    "I16": _nothing_is_left,
}
