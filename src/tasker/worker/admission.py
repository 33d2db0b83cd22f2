"""Admission: from the rows of a reply to steps that can start, with their inputs and the results that they need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from tasker.handlers import Handler, outcome_of_error
from tasker.handlers.batch import is_members_json, members_json
from tasker.model.errors import RetryableError, TemplateError
from tasker.model.ids import FIRST_MEMBER, plan_number
from tasker.model.outcome import expanded, released
from tasker.store.connection import Connection
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError
from tasker.store.replies import Grant, Reply
from tasker.store.verbs import Verbs
from tasker.templates import from_definition
from tasker.worker.held import POOLS, Held, Member
from tasker.worker.log import log
from tasker.worker.plans import Plan, make_plan, unreadable_plan

LOAD_MAX = 50
UNREADABLE_DELAY_S = 5.0
ReadDefinition = Callable[[Connection, int], Awaitable[dict[str, Any]]]
"""Answers the template of a grant."""


class Admission:
    """Knows the templates that this worker has met, and completes what grants carry.

    What cannot be made ready to run gets an outcome at once.
    """

    def __init__(self, verbs: Verbs, handlers: Mapping[str, Handler], read_definition: ReadDefinition) -> None:
        self._verbs = verbs
        self._handlers = handlers
        self._read_definition = read_definition
        self._plans: dict[int, Plan] = {}

    async def admit(self, connection: Connection, reply: Reply, batch: Sequence[Held]) -> list[Held]:
        """The granted steps of a reply. `batch` is what the same call reported: their successors inherit from them."""
        for template_id in {grant.template_id for grant in reply.grants} - self._plans.keys():
            await self._learn(connection, template_id)
        parents: dict[UUID, list[Held]] = {}
        for held in batch:
            if held.outcome is not None and held.outcome.is_success:
                parents.setdefault(held.task_id, []).append(held)
        admitted = [self._held(grant, reply, parents.get(grant.task_id, ())) for grant in reply.grants]
        incomplete = [
            held
            for held in admitted
            if not held.inputs
            or not held.plan.needs <= held.results.keys()
            or (held.plan.is_grown and not _is_whole(held))
        ]
        if incomplete:
            await self._complete(connection, [held for held in incomplete if held.outcome is None])
        if again := [held for held in admitted if held.attempt > 1]:
            keys = [held.task_id for held in again], [held.number for held in again]
            found = await self._verbs.read_checkpoints(connection, *keys)
            for held in again:
                held.checkpoint = found.get(held.key)
        return admitted

    async def _learn(self, connection: Connection, template_id: int) -> None:
        definition = await self._read_definition(connection, template_id)
        try:
            self._plans[template_id] = make_plan(from_definition(definition), self._handlers)
        except TemplateError as error:
            # A newer version published it: its steps are for the workers of that version.
            log.error("cannot read a template; its steps are handed back", template_id=template_id, error=str(error))

    def _held(self, grant: Grant, reply: Reply, parents: Sequence[Held]) -> Held:
        plan = self._plans.get(grant.template_id)
        if plan is None:
            return _unreadable(grant)
        number = grant.number
        step = plan.steps[number if number < FIRST_MEMBER else plan_number(number)]
        inputs = reply.inputs.get(grant.task_id, "")
        correlation_id = reply.correlation_ids.get(grant.task_id)
        is_unchecked = grant.is_unchecked
        results = {plan.steps[number].step.name: text for number, text in reply.results.get(grant.task_id, {}).items()}
        for parent in parents:
            inputs, correlation_id = inputs or parent.inputs, correlation_id or parent.correlation_id
            is_unchecked = is_unchecked or parent.is_unchecked
            results.update(parent.results)
            outcome = parent.outcome
            # What a batchable step returned is kept without its cursors, and a member's result is not its batch's.
            if outcome is None or outcome.payload is None or outcome.kind == "batched" or parent.plan.is_batch:
                continue
            results[parent.plan.step.name] = outcome.payload
        held = Held(
            grant.task_id,
            grant.number,
            grant.attempt,
            grant.tries,
            grant.grant_no,
            step,
            inputs,
            {name: results[name] for name in step.needs if name in results} if len(parents) != 1 else results,
            correlation_id,
            grant.is_alone,
            is_unchecked,
            0 if step.handler is None else POOLS.index(step.handler.pool),
        )
        if step.is_batch and number < FIRST_MEMBER:
            held.outcome = expanded()
        elif step.is_batch and (item := reply.items.get(held.key)):
            held.member = Member(*item)
        return held

    async def _complete(self, connection: Connection, incomplete: Sequence[Held]) -> None:
        """Loads what the grants did not carry: large inputs and results, and further ancestors."""
        wanted: dict[tuple[UUID, int], None] = {}
        for held in incomplete:
            if not held.inputs:
                wanted[held.task_id, 0] = None
            if held.number >= FIRST_MEMBER and held.member is None:
                wanted[held.task_id, -held.number] = None
            for name in held.plan.needs - held.results.keys():
                wanted[held.task_id, held.plan.numbers[name]] = None
        loaded, missing = await self._load(connection, list(wanted))
        for held in incomplete:
            held.inputs = held.inputs or loaded.inputs.get(held.task_id, "{}")
            held.correlation_id = held.correlation_id or loaded.correlation_ids.get(held.task_id)
            if item := loaded.items.get(held.key):
                held.member = Member(*item)
            results = loaded.results.get(held.task_id, {})
            for name in held.plan.needs - held.results.keys():
                text = results.get(held.plan.numbers[name])
                if text is not None:
                    held.results[name] = text
            if held.task_id in missing:
                held.outcome = outcome_of_error(missing[held.task_id])
        if joining := [held for held in incomplete if held.plan.batches and held.outcome is None]:
            await self._join(connection, joining)

    async def _join(self, connection: Connection, joining: Sequence[Held]) -> None:
        """Puts what the members of batches returned in the place of their count."""
        wanted = {
            (held.task_id, held.plan.numbers[name]): held.results.get(name)
            for held in joining
            for name in held.plan.batches
            if not is_members_json(held.results.get(name, ""))
        }
        members = await self._verbs.load_members(connection, [key[0] for key in wanted], [key[1] for key in wanted])
        texts = {
            key: members_json(counts, members.get(key, ())) for key, counts in wanted.items() if counts is not None
        }
        for held in joining:
            for name in held.plan.batches:
                if text := texts.get((held.task_id, held.plan.numbers[name])):
                    held.results[name] = text

    async def _load(
        self, connection: Connection, wanted: Sequence[tuple[UUID, int]]
    ) -> tuple[Reply, dict[UUID, RetryableError]]:
        """What is wanted, so much at a time; where the database cannot, what of it can be had, and why not the rest."""
        whole, missing = Reply(), dict[UUID, RetryableError]()
        parts = [wanted[start : start + LOAD_MAX] for start in range(0, len(wanted), LOAD_MAX)]
        while parts:
            part = parts.pop()
            try:
                reply = await self._verbs.load(connection, [key[0] for key in part], [key[1] for key in part])
            except CONNECTION_ERRORS:
                raise
            except DatabaseError as error:
                if len(part) > 1:
                    parts += [part[: len(part) // 2], part[len(part) // 2 :]]
                else:
                    missing[part[0][0]] = RetryableError(f"what the step needs could not be loaded: {error}")
                continue
            whole.inputs |= reply.inputs
            whole.correlation_ids |= reply.correlation_ids
            whole.items |= reply.items
            for task_id, results in reply.results.items():
                whole.results.setdefault(task_id, {}).update(results)
        return whole, missing


def _is_whole(held: Held) -> bool:
    """True when a member knows its part, and the results of batches are there with those of their members."""
    if held.number >= FIRST_MEMBER and held.member is None:
        return False
    return all(is_members_json(held.results[name]) for name in held.plan.batches)


def _unreadable(grant: Grant) -> Held:
    held = Held(
        grant.task_id,
        grant.number,
        grant.attempt,
        grant.tries,
        grant.grant_no,
        unreadable_plan(grant.template_id, grant.number),
        "{}",
        {},
        None,
        is_alone=False,
        is_unchecked=False,
        pool=0,
    )
    held.outcome = released(UNREADABLE_DELAY_S)
    return held
