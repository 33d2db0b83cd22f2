"""From what the verbs answered to what workers on the network are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import orjson

from tasker.operations import worker_words as words
from tasker.store.replies import Reply, Verdict


def taken(reply: Reply, *, superseded: bool) -> words.TurnTaken:
    """What became of a turn."""
    return words.TurnTaken(
        session_ended=reply.session_ended,
        superseded=superseded,
        grants=[
            words.Granted(
                task_uuid=one.task_id,
                number=one.number,
                attempt=one.attempt,
                tries=one.tries,
                template_id=one.template_id,
                is_alone=one.is_alone,
                is_unchecked=one.is_unchecked,
            )
            for one in reply.grants
        ],
        contexts=contexts(reply),
        results=results(reply),
        items=items(reply),
        verdicts=verdicts(reply.verdicts),
        gone=gone(reply),
        ended=[words.EndedTask(task_uuid=task_id, state=state) for task_id, state in reply.ended],
        next_due_s=reply.next_due_s,
    )


def contexts(reply: Reply) -> list[words.TaskContext]:
    """Inputs of tasks."""
    ids = reply.correlation_ids
    return [
        words.TaskContext(task_uuid=task_id, correlation_id=ids.get(task_id), context=orjson.loads(text))
        for task_id, text in reply.inputs.items()
    ]


def results(reply: Reply) -> list[words.StepResult]:
    """Results of steps."""
    return [
        words.StepResult(task_uuid=task_id, number=number, result=orjson.loads(text))
        for task_id, results in reply.results.items()
        for number, text in results.items()
    ]


def items(reply: Reply) -> list[words.MemberItem]:
    """What members of batches work on."""
    return [
        words.MemberItem(task_uuid=task_id, number=number, batch_id=batch_id, item=as_json(text))
        for (task_id, number), (batch_id, text) in reply.items.items()
    ]


def verdicts(said: Sequence[Verdict]) -> list[words.OutcomeVerdict]:
    """What the engine said of outcomes, or of checkpoints."""
    return [
        words.OutcomeVerdict(
            task_uuid=one.task_id, number=one.number, attempt=one.attempt, verdict=cast("Any", one.verdict)
        )
        for one in said
    ]


def batch_members(key: tuple[UUID, int], found: Sequence[tuple[str, str | None, str | None]]) -> words.BatchMembers:
    """How the members of a batch ended."""
    members = [
        words.BatchMember(batch_id=batch_id, result=as_json(result), error=as_json(error))
        for batch_id, result, error in found
    ]
    return words.BatchMembers(task_uuid=key[0], number=key[1], members=members)


def gone(reply: Reply) -> list[words.LostAttempt]:
    """Attempts that are held in vain."""
    return [words.LostAttempt(task_uuid=one[0], number=one[1], attempt=one[2]) for one in reply.gone]


def as_json(text: str | None) -> Any:
    """What a text of the database says; None where there is none."""
    return None if text is None else orjson.loads(text)
