"""What must hold of batches, worked out from the states of their members.

Member `index` of batch `number` is the step `number << 16 | index`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

from support.snapshot import Plan, Row, Snapshot

FIRST_MEMBER = 65_536
_DONE = {"complete", "resolved_manually"}
_HELD = {"enqueued", "in_progress", "waiting_for_retry"}


def plan_of(number: int, plans: dict[int, Plan]) -> Plan:
    """What the template says of a step; a member is as its batch, and has no children."""
    return plans[number] if number < FIRST_MEMBER else replace(plans[number >> 16], children=(), type="member")


def is_isolated(taken: Snapshot, task_id: UUID, number: int, step: Row) -> bool:
    """True for a failed member whose failure counts for nobody."""
    batch = taken.batches.get((task_id, number >> 16))
    return batch is not None and step["state"] == "error" and batch["failure_strategy"] == "isolate"


def waits_for_members(taken: Snapshot, task_id: UUID, number: int, step: Row) -> bool:
    """True for a batch whose members have not all ended."""
    return (task_id, number) in taken.batches and step["state"] not in _DONE


def check_batches(taken: Snapshot, task_id: UUID, steps: dict[int, Row]) -> Iterator[str]:
    """What is wrong with the batches of a task that was not cancelled."""
    for (owner, number), batch in taken.batches.items():
        if owner == task_id:
            members = {one: step for one, step in steps.items() if one >> 16 == number}
            yield from _check(taken, (task_id, number), batch, steps[number], members)
    for number in steps:
        if number >= FIRST_MEMBER and (task_id, number >> 16) not in taken.batches:
            yield f"batches: {task_id} has member {number} of no batch"


def _check(taken: Snapshot, key: tuple[UUID, int], batch: Row, step: Row, members: dict[int, Row]) -> Iterator[str]:
    first = key[1] << 16
    expected = {first} if set(members) == {first} else {first + index for index in range(1, batch["total"] + 1)}
    if set(members) != expected or not set(members) <= taken.items[key[0]]:
        yield f"batches: {key} of {batch['total']} has members {sorted(members)}"
    counted = {
        "running": sum(_is_running(one) for one in members.values()),
        "succeeded": sum(one["state"] in _DONE for one in members.values()),
        "failed": sum(one["state"] == "error" for one in members.values()),
    }
    noted = {name: batch[name] for name in counted}
    if noted != counted:
        yield f"batches: {key} notes {noted}, its members say {counted}"
    left = batch["total"] - counted["succeeded"] - counted["failed"]
    is_failed = batch["failure_strategy"] == "fail_fast" and counted["failed"] > 0
    state = "error" if is_failed else "pending" if left else "complete"
    by_hand = any(move["detail"].get("action") for move in taken.history[key])
    if step["state"] != state and not (by_hand and step["state"] in _DONE):
        yield f"batches: {key} is {step['state']}, its members say {state}"
    revived = sum(
        move["detail"].get("action") == "retry" for number in members for move in taken.history[key[0], number]
    )
    if not is_failed and not min(batch["parallelism"], left) <= counted["running"] <= batch["parallelism"] + revived:
        yield f"batches: {key} runs {counted['running']} of {left}, {batch['parallelism']} at once are allowed"


def _is_running(step: Row) -> bool:
    return step["state"] in _HELD or (step["state"] == "pending" and step["waiting"] == 0)
