"""Admission: from the rows of a reply to steps that can start, with their inputs and the results that they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from tasker import sql
from tasker.handlers import Handler
from tasker.store.connection import Connection
from tasker.store.definitions import read_definition
from tasker.store.verbs import Grant, Reply, Verbs
from tasker.templates import from_definition
from tasker.worker.held import POOLS, Held
from tasker.worker.plans import Plan, StepPlan, make_plan


class Admission:
    """Knows the templates that this worker has met, and completes what grants carry."""

    def __init__(self, verbs: Verbs, handlers: Mapping[str, Handler], schema: str = sql.DEFAULT_SCHEMA) -> None:
        self._verbs = verbs
        self._handlers = handlers
        self._schema = schema
        self._plans: dict[int, Plan] = {}

    async def admit(self, connection: Connection, reply: Reply, batch: Sequence[Held]) -> list[Held]:
        """The granted steps of a reply. `batch` is what the same call reported: their successors inherit from them."""
        for template_id in {grant.template_id for grant in reply.grants} - self._plans.keys():
            definition = await read_definition(connection, template_id, self._schema)
            self._plans[template_id] = make_plan(from_definition(definition), self._handlers)
        parents: dict[UUID, list[Held]] = {}
        for held in batch:
            if held.outcome is not None and held.outcome.kind == "succeeded":
                parents.setdefault(held.task_id, []).append(held)
        admitted = [self._held(grant, reply, parents.get(grant.task_id, ())) for grant in reply.grants]
        incomplete = [held for held in admitted if not held.inputs or not held.plan.needs <= held.results.keys()]
        if incomplete:
            await self._complete(connection, incomplete)
        return admitted

    def _held(self, grant: Grant, reply: Reply, parents: Sequence[Held]) -> Held:
        plan = self._plans[grant.template_id]
        step = plan.steps[grant.number]
        inputs = reply.inputs.get(grant.task_id, "")
        correlation_id = reply.correlation_ids.get(grant.task_id)
        is_unchecked = grant.is_unchecked
        results = {plan.steps[number].step.name: text for number, text in reply.results.get(grant.task_id, {}).items()}
        for parent in parents:
            inputs, correlation_id = inputs or parent.inputs, correlation_id or parent.correlation_id
            is_unchecked = is_unchecked or parent.is_unchecked
            results.update(parent.results)
            if parent.outcome is not None and parent.outcome.payload is not None:
                results[parent.plan.step.name] = parent.outcome.payload
        return Held(
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

    async def _complete(self, connection: Connection, incomplete: Sequence[Held]) -> None:
        """Loads what the grants did not carry: large inputs and results, and further ancestors."""
        wanted: dict[tuple[UUID, int], None] = {}
        for held in incomplete:
            if not held.inputs:
                wanted[held.task_id, 0] = None
            for name in held.plan.needs - held.results.keys():
                wanted[held.task_id, self._number(held.plan, name)] = None
        reply = await self._verbs.load(connection, [key[0] for key in wanted], [key[1] for key in wanted])
        for held in incomplete:
            held.inputs = held.inputs or reply.inputs.get(held.task_id, "{}")
            held.correlation_id = held.correlation_id or reply.correlation_ids.get(held.task_id)
            for name in held.plan.needs - held.results.keys():
                text = reply.results.get(held.task_id, {}).get(self._number(held.plan, name))
                if text is not None:
                    held.results[name] = text

    def _number(self, plan: StepPlan, name: str) -> int:
        return next(number for number, step in enumerate(plan.template.steps, 1) if step.name == name)
