"""The engine and the model side by side: each call goes to both, and what they say must agree.

The engine may choose which ready steps a claim grants and which freed steps it hands over; the model checks that the
choice is allowed and follows it. All else is exact: states, attempts, tries, losses, due times, counters, histories.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Coroutine, Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from support import model
from support.checker import check
from support.databases import Databases
from support.engine import Engine
from support.session import Session
from tasker.model.errors import ActionForbidden
from tasker.model.outcome import Outcome
from tasker.model.template import Template
from tasker.store.replies import Grant, Reply

_STEPS = """
  select s.task_id, s.number, s.state::text, s.attempt, s.tries, s.losses, s.is_suspect, s.waiting, s.moves, d.due_at
  from tasker_engine.steps s
  left join tasker_engine.due d on d.task_id = s.task_id and d.number = s.number and d.attempt = s.attempt
    and s.state in ('pending', 'waiting_for_retry')"""
_TASKS = """
  select task_id, state::text, paused_at is not null, open, live, due, failed, moves from tasker_engine.tasks"""
_HISTORIES = """
  select task_id, number, from_state::text, to_state::text from tasker_engine.transitions
  order by task_id, number, seq"""


class Twin:
    """One database, one model, and a few workers. `seen` counts what happened."""

    def __init__(self, databases: Databases, templates: Iterable[Template], seen: Counter[str]) -> None:
        self.seen = seen
        self._cleanup = contextlib.ExitStack()
        self.dsn = self._cleanup.enter_context(databases.migrated())
        self._runner = self._cleanup.enter_context(asyncio.Runner())
        self.engine = Engine(self.dsn)
        self.model = model.Model()
        self.workers: list[Session] = []
        self.grants: list[tuple[Session, Grant]] = []
        self.acts: list[tuple[UUID, str, UUID, int | None, dict[str, Any]]] = []
        self.run(self.engine.open())
        for made in templates:
            self.run(self.engine.publish(made))

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Runs a call to its end."""
        return self._runner.run(call)

    def close(self) -> None:
        """Drops the database."""
        self.run(self.engine.close())
        self._cleanup.close()

    def living(self) -> list[Session]:
        """Workers whose session has not ended."""
        return [worker for worker in self.workers if not self.model.sessions[worker.number].is_ended]

    # Calls ------------------------------------------------------------------------------------------------------------

    def submit(self, name: str, delay_s: float = 0, priority: int = 0) -> None:
        """A task comes."""
        task = self.run(self.engine.submit(name=name, delay_s=delay_s, priority=priority))
        self.model.submit(task, self.engine.templates[name], self.engine.clock.now, delay_s)

    def submit_here(self, worker: Session, name: str, room: int, delay_s: float = 0, *, is_lost: bool = False) -> None:
        """A worker that submits starts what it has room for; if the reply is lost, it does not learn what it got."""
        now, task = self.engine.clock.now, self.engine.clock.uuid7()
        option = json.dumps({"delay_s": delay_s})
        reply = self._call(worker, worker.submit_here(task, name=name, option=option, room=room), is_lost)
        self.model.submit(task, self.engine.templates[name], now, delay_s)
        assert [(made.task_id, made.is_duplicate) for made in reply.submitted] == [(task, False)]
        ready = {key for key in self.model.available(suspects=False) if key[0] == task}
        granted, is_ended = _granted(reply), self.model.sessions[worker.number].is_ended
        assert reply.session_ended == is_ended
        assert granted <= ready
        assert len(granted) == (0 if is_ended else min(room, len(ready)))
        self.model.begin(worker.number, now, granted)
        self.seen["started by the submitter"] += len(granted)
        self.seen["session ended in a turn"] += is_ended

    def open_session(self, lease_s: float) -> Session:
        """A worker starts."""
        worker = self.run(self.engine.session(lease_s=lease_s))
        self.workers.append(worker)
        self.model.sessions[worker.number] = model.Session(worker.number, lease_s, self.engine.clock.now)
        return worker

    def claim(self, worker: Session, room: int, *, may_be_alone: bool, is_lost: bool = False) -> None:
        """A worker asks for work; if the reply is lost, it does not learn what it got."""
        now = self.engine.clock.now
        reply = self._call(worker, worker.claim_reply(room, may_be_alone=may_be_alone), is_lost)
        if self.model.sessions[worker.number].is_ended:
            assert reply.session_ended
            assert not reply.grants
            self.seen["session ended in a turn"] += 1
            return
        self.model.promote(now, now - timedelta(seconds=model.LOOKBACK_S))
        granted = _granted(reply)
        suspects = self.model.available(suspects=True)
        if may_be_alone and granted & suspects:
            assert len(granted) == 1
            self.seen["suspect granted"] += 1
        else:
            assert granted <= self.model.available(suspects=False)
            assert len(granted) <= room
        self.model.claim(worker.number, now, granted)

    def report(
        self, worker: Session, outcomes: list[tuple[Grant, Outcome]], room: int, *, is_lost: bool = False
    ) -> None:
        """A worker reports; if the reply is lost, it still holds what it reported."""
        now, number = self.engine.clock.now, worker.number
        expected = {_key(grant): self.model.verdict(number, _key(grant), grant.attempt) for grant, _ in outcomes}
        reply = self._call(worker, worker.report(*outcomes, room=room), is_lost)
        verdicts = {(verdict.task_id, verdict.number): verdict.verdict for verdict in reply.verdicts}
        wanted = {key: verdict for key, verdict in expected.items() if verdict != "recorded"}
        assert verdicts == wanted, f"engine: {verdicts}, model: {wanted}"
        recorded = [(_key(grant), outcome) for grant, outcome in outcomes if expected[_key(grant)] == "recorded"]
        before = {key[0]: self.model.tasks[key[0]].state for key, _ in recorded}
        for key, outcome in recorded:
            self.model.record(number, key, outcome.kind, outcome.retry_after_s, now)
        self._hand_over(reply, worker, room, [key for key, outcome in recorded if outcome.kind == "succeeded"])
        self.model.settle(before)
        after = {(task, self.model.tasks[task].state) for task in before} - set(before.items())
        ended = {(task, state) for task, state in after if state in ("complete", "error")}
        assert set(reply.ended) == ended
        assert reply.session_ended == self.model.sessions[number].is_ended
        self.seen.update(expected.values())
        self.seen.update(f"ended: {state}" for _, state in ended)

    def _hand_over(self, reply: Reply, worker: Session, room: int, done: list[model.Key]) -> None:
        freed = self.model.freed(done)
        granted = _granted(reply)
        free = {key for key in freed if not self.model.tasks[key[0]].is_paused}
        assert granted <= free
        assert len(granted) <= room
        if self.model.sessions[worker.number].is_ended:
            assert not granted
        elif not self.model.available(suspects=False):
            assert len(granted) == min(room, len(free))
        self.seen["handed over"] += len(granted)
        self.model.place(freed, granted, worker.number, self.engine.clock.now)

    def regrant(self, worker: Session) -> None:
        """A worker names what it holds."""
        held = {_key(grant): grant.attempt for grant in worker.held.values()}
        owned = {(task.task_id, step.number): step.attempt for task, step in self.model.held_by(worker.number)}
        is_ended = self.model.sessions[worker.number].is_ended
        reply = self._call(worker, worker.regrant(), is_lost=False)
        in_vain = {key: attempt for key, attempt in held.items() if owned.get(key) != attempt}
        assert {(task, number): attempt for task, number, attempt in reply.gone} == in_vain
        lost = {key: attempt for key, attempt in owned.items() if held.get(key) != attempt and not is_ended}
        assert {_key(grant): grant.attempt for grant in reply.grants} == lost
        assert reply.session_ended == is_ended
        self.seen["regranted"] += len(lost)
        self.seen["gone"] += len(in_vain)

    def beat(self, worker: Session, *, has_begun: bool = True) -> None:
        """A worker says that it lives, and that all it holds has started just now."""
        held = list(worker.held.values()) if has_begun else []
        reply: Reply = self.run(worker.beat(*held))
        started = [(_key(grant), grant.attempt) for grant in held]
        assert self.model.beat(worker.number, self.engine.clock.now, started) == (not reply.session_ended)

    def end(self, worker: Session, *, is_loss: bool) -> None:
        """A session ends."""
        self.run(worker.end(is_loss=is_loss))
        self.model.end(worker.number, is_loss=is_loss)

    def sweep(self) -> None:
        """Somebody sweeps."""
        swept = self.run(self.engine.sweep())
        living = len(self.living())
        self.model.sweep(self.engine.clock.now)
        self.seen["fresh leases"] += "fresh_leases" in swept
        self.seen["session expired"] += living - len(self.living())
        self.seen["overdue"] += swept.get("overdue", 0)

    def act(self, action: str, task_id: UUID, number: int | None) -> None:
        """An operator acts; what the state forbids is refused and changes nothing."""
        task, act_id = self.model.tasks[task_id], uuid4()
        call = self.engine.act(action, task_id, number, act_id=act_id)
        if not self.model.allows(action, task_id, number):
            with pytest.raises(ActionForbidden):
                self.run(call)
            self.seen["act refused"] += 1
            return
        answer = self.run(call)
        self.model.act(action, task_id, number, self.engine.clock.now)
        assert (answer["task_state"], answer["is_paused"]) == (task.state, task.is_paused)
        self.acts.append((act_id, action, task_id, number, answer))
        self.seen[f"act: {action}"] += 1

    def act_again(self, place: int) -> None:
        """An action is repeated after a lost reply: it answers the same and changes nothing."""
        act_id, action, task_id, number, answer = self.acts[place]
        assert self.run(self.engine.act(action, task_id, number, act_id=act_id)) == answer
        self.seen["act repeated"] += 1

    def _call(self, worker: Session, call: Coroutine[Any, Any, Reply], is_lost: bool) -> Reply:
        before = worker.remember()
        reply: Reply = self.run(call)
        reply.grants.sort(key=_key)
        worker.held = dict(sorted(worker.held.items()))
        self.grants += [(worker, grant) for grant in reply.grants]
        if is_lost:
            worker.recall(before)
        return reply

    # Agreement --------------------------------------------------------------------------------------------------------

    def compare(self) -> None:
        """Every step and task is as the model says."""
        self.run(self._compare())

    async def _compare(self) -> None:
        fetch = self.engine.connection.raw.fetch
        steps = {(row[0], row[1]): tuple(row)[2:] for row in await fetch(_STEPS)}
        assert steps == {(task.task_id, step.number): _facts(task, step) for task, step in self.model.all_steps()}
        tasks = {row[0]: tuple(row)[1:] for row in await fetch(_TASKS)}
        assert tasks == {
            task.task_id: (task.state, task.is_paused, *task.counters(), len(task.history))
            for task in self.model.tasks.values()
        }

    def finish(self) -> None:
        """Histories agree, the checker finds nothing, and what is left comes to its end."""
        self.run(self._compare_histories())
        assert check(self.dsn) == []
        self.seen["worker lost for good"] += sum(s.losses >= model.LOSSES_MAX for _, s in self.model.all_steps())
        self.run(self._let_all_end())
        assert check(self.dsn) == []

    async def _compare_histories(self) -> None:
        histories: dict[tuple[UUID, int], list[tuple[str | None, str]]] = {}
        for row in await self.engine.connection.raw.fetch(_HISTORIES):
            histories.setdefault((row[0], row[1]), []).append((row[2], row[3]))
        expected = {(task.task_id, step.number): step.history for task, step in self.model.all_steps() if step.history}
        assert histories == expected | {(task_id, 0): task.history for task_id, task in self.model.tasks.items()}

    async def _let_all_end(self) -> None:
        """The workers leave, one good one comes."""
        for worker in self.workers:
            await worker.end()
        paused = "select task_id from tasker_engine.tasks where paused_at is not null and state <> 'error'"
        for row in await self.engine.rows(paused):  # a step that may run once has ended with its worker
            await self.engine.act("resume", row["task_id"])
        worker = await self.engine.session(lease_s=10_000)
        for _ in range(4):
            self.engine.advance(60)
            await self.engine.sweep_all()
            await worker.work_off()
        query = "select count(*) from tasker_engine.tasks where state not in ('complete', 'error', 'cancelled')"
        assert await self.engine.value(query) == 0


def _key(grant: Grant) -> model.Key:
    return grant.task_id, grant.number


def _granted(reply: Reply) -> set[model.Key]:
    granted = {_key(grant) for grant in reply.grants}
    assert len(granted) == len(reply.grants)
    return granted


def _facts(task: model.Task, step: model.Step) -> tuple[Any, ...]:
    numbers = (step.attempt, step.tries, step.losses, step.is_suspect)
    return (step.state, *numbers, task.waiting(step), len(step.history), step.due_at)
