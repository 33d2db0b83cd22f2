"""Hypothesis drives the verbs on a real PostgreSQL against the model of `support.model`, and they agree each time."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from support.databases import Databases
from support.session import Session, hand_back, lasting_fault, passing_fault, success
from support.templates import template
from support.twin import Twin
from tasker.model.outcome import Outcome

_LONG = "a -> b -> c; x -> c"
TEMPLATES = (
    template("a -> b, c -> d", name="diamond", jitter=0.0),
    template("a", name="once", max_attempts=1),
    template("a, b -> c -> d; e", name="timed", max_attempts=2, backoff="linear", timeout_seconds=4, jitter=0.0),
    template(_LONG, name="long", max_attempts=4, backoff="fibonacci", jitter=0.0, b={"retryable": False}),
)
NAMES = [made.name for made in TEMPLATES]
OUTCOMES = st.one_of(
    st.just(success({"ok": True})),
    st.just(success({"ok": True})),
    st.just(lasting_fault()),
    st.sampled_from([None, 0.0, 3.0, 40.0]).map(passing_fault),
    st.sampled_from([None, 5.0]).map(hand_back),
)
TO_BE_SEEN = frozenset(
    """recorded, already, stale, handed over, regranted, gone, suspect granted, session ended in a turn, fresh leases,
    session expired, overdue, worker lost for good, act refused, act repeated, act: cancel, act: pause, act: resume,
    act: retry, act: resolve, act: complete, ended: complete, ended: error,
    started by the submitter""".replace("\n    ", " ").split(", ")
)


class Stories(RuleBasedStateMachine):
    """What clients, workers, operators and time may do."""

    def __init__(self, databases: Databases, seen: Counter[str]) -> None:
        super().__init__()
        self.twin = Twin(databases, TEMPLATES, seen)

    @initialize()
    def begin(self) -> None:
        """Two workers, a task of each kind, and a sweep of just now."""
        for name in NAMES:
            self.twin.submit(name)
        for lease_s in (6, 20):
            self.twin.open_session(lease_s)
        self.twin.sweep()

    def worker(self, data: st.DataObject) -> Session:
        """Mostly one that lives."""
        twin = self.twin
        is_any = data.draw(st.integers(0, 9)) == 9
        return data.draw(st.sampled_from(twin.workers if is_any else twin.living() or twin.workers), label="worker")

    # Clients and workers ----------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), delay_s=st.sampled_from([0, 0, 0, 8, 30]), priority=st.integers(-1, 1))
    def submit(self, name: str, delay_s: float, priority: int) -> None:
        """A task comes."""
        self.twin.submit(name, delay_s, priority)

    @rule(data=st.data(), name=st.sampled_from(NAMES), delay_s=st.sampled_from([0, 0, 8]), room=st.integers(0, 2))
    def submit_here(self, data: st.DataObject, name: str, delay_s: float, room: int) -> None:
        """A worker submits, starts what it has room for, and may never hear the answer."""
        is_lost = data.draw(st.integers(0, 4), label="fate") == 4
        self.twin.submit_here(self.worker(data), name, room, delay_s, is_lost=is_lost)

    @precondition(lambda self: len(self.twin.living()) < 3)
    @rule(lease_s=st.sampled_from([6, 20]))
    def open_session(self, lease_s: float) -> None:
        """A worker starts."""
        self.twin.open_session(lease_s)

    @rule(data=st.data(), room=st.integers(1, 5), may_be_alone=st.booleans(), fate=st.integers(0, 5))
    def claim(self, data: st.DataObject, room: int, may_be_alone: bool, fate: int) -> None:
        """A worker asks for work, and may never hear the answer."""
        self.twin.claim(self.worker(data), room, may_be_alone=may_be_alone, is_lost=fate == 5)

    @precondition(lambda self: self.twin.living())
    @rule(data=st.data(), rounds=st.integers(1, 4), room=st.integers(1, 5))
    def work(self, data: st.DataObject, rounds: int, room: int) -> None:
        """A worker turns some times: it takes work, starts it, and reports all that it holds."""
        worker = data.draw(st.sampled_from(self.twin.living()), label="worker")
        for _ in range(rounds):
            self.twin.claim(worker, room, may_be_alone=True)
            self.twin.beat(worker)
            if worker.held:
                self.twin.report(worker, [(grant, data.draw(OUTCOMES)) for grant in worker.held.values()], room)

    @precondition(lambda self: any(worker.held for worker in self.twin.workers))
    @rule(data=st.data(), room=st.integers(0, 3), fate=st.integers(0, 3))
    def report(self, data: st.DataObject, room: int, fate: int) -> None:
        """A worker reports some of what it holds, and may never hear the answer."""
        holders = [worker for worker in self.twin.workers if worker.held]
        worker = data.draw(st.sampled_from(holders), label="worker")
        held = sorted(worker.held.values(), key=lambda grant: (grant.task_id, grant.number))
        some = data.draw(st.lists(st.sampled_from(held), min_size=1, unique_by=id), label="of")
        self.twin.report(worker, [(grant, data.draw(OUTCOMES)) for grant in some], room, is_lost=fate == 3)

    @precondition(lambda self: self.twin.grants)
    @rule(data=st.data(), outcome=OUTCOMES)
    def report_what_was_granted_once(self, data: st.DataObject, outcome: Outcome) -> None:
        """Any attempt ever granted is reported, by its own session or by another: late, twice, or by a thief."""
        owner, grant = data.draw(st.sampled_from(self.twin.grants), label="grant")
        worker = data.draw(st.sampled_from([owner, owner, *self.twin.workers]), label="worker")
        self.twin.report(worker, [(grant, outcome)], 1, is_lost=True)

    @rule(data=st.data())
    def regrant(self, data: st.DataObject) -> None:
        """A worker names what it holds: it learns what it holds in vain, and gets what it has without knowing."""
        self.twin.regrant(self.worker(data))

    @precondition(lambda self: self.twin.living())
    @rule(data=st.data(), room=st.integers(1, 5))
    def lose_replies(self, data: st.DataObject, room: int) -> None:
        """A worker's connection is cut in a claim and in a report; it asks what became of it, and reports again."""
        worker = data.draw(st.sampled_from(self.twin.living()), label="worker")
        self.twin.claim(worker, room, may_be_alone=False, is_lost=True)
        self.twin.regrant(worker)
        outcomes = [(grant, data.draw(OUTCOMES)) for grant in worker.held.values()]
        if outcomes:
            self.twin.report(worker, outcomes, room, is_lost=True)
            self.twin.regrant(worker)
            self.twin.report(worker, outcomes, room)

    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        """A worker says that it lives, and that all it holds has started."""
        self.twin.beat(self.worker(data))

    @rule(data=st.data(), is_loss=st.booleans())
    def end_session(self, data: st.DataObject, is_loss: bool) -> None:
        """A worker leaves, or dies under its parent's eyes."""
        self.twin.end(self.worker(data), is_loss=is_loss)

    @rule(deaths=st.integers(1, 5))
    def workers_die(self, deaths: int) -> None:
        """One worker after the other takes a step, starts it, and is killed."""
        for _ in range(deaths):
            worker = self.twin.open_session(20)
            self.twin.claim(worker, 1, may_be_alone=True)
            self.twin.beat(worker)
            self.twin.end(worker, is_loss=True)

    # Time and the sweep -----------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 1, 2, 4, 60]))
    def time_passes(self, seconds: float) -> None:
        """The clock moves, and nobody beats or sweeps."""
        self.twin.engine.advance(seconds)

    @rule()
    def sweep(self) -> None:
        """Somebody sweeps."""
        self.twin.sweep()

    @rule(data=st.data(), rounds=st.integers(1, 6))
    def seconds_pass(self, data: st.DataObject, rounds: int) -> None:
        """Some seconds in which sweeps are drawn, and all workers beat but perhaps one."""
        self.let_pass(rounds, data.draw(st.sampled_from([None, *self.twin.living()]), label="silent"))

    @precondition(lambda self: self.twin.living())
    @rule(data=st.data(), room=st.integers(1, 5))
    def run_too_long(self, data: st.DataObject, room: int) -> None:
        """A worker takes steps, starts them, and says nothing of them for longer than their timeout."""
        worker = data.draw(st.sampled_from(self.twin.living()), label="worker")
        self.twin.submit("timed", priority=2)
        self.twin.claim(worker, room, may_be_alone=False)
        self.twin.beat(worker)
        self.twin.sweep()
        self.let_pass(6, None)

    def let_pass(self, rounds: int, silent: Session | None) -> None:
        """Two seconds a round, with a sweep at the end of each."""
        for _ in range(rounds):
            self.twin.engine.advance(2)
            for worker in self.twin.living():
                if worker is not silent:
                    self.twin.beat(worker, has_begun=False)
            self.twin.sweep()

    # Operators --------------------------------------------------------------------------------------------------------

    @rule(data=st.data(), action=st.sampled_from(["cancel", "pause", "resume", "retry", "resolve", "complete"]))
    def act(self, data: st.DataObject, action: str) -> None:
        """An operator acts on any task or step."""
        task = data.draw(st.sampled_from(list(self.twin.model.tasks.values())), label="task")
        is_of_step = action in ("retry", "resolve", "complete")
        number = data.draw(st.sampled_from(sorted(task.steps)), label="step") if is_of_step else None
        self.twin.act(action, task.task_id, number)

    @rule(data=st.data(), action=st.sampled_from(["retry", "resolve", "complete"]))
    def repair(self, data: st.DataObject, action: str) -> None:
        """An operator looks for a step that can be helped, and helps."""
        found = [
            (task.task_id, step.number)
            for task, step in self.twin.model.all_steps()
            if step.state in ("error", "waiting_for_retry")
        ]
        if found:
            self.twin.act(action, *data.draw(st.sampled_from(found), label="step"))

    @precondition(lambda self: self.twin.acts)
    @rule(data=st.data())
    def act_again(self, data: st.DataObject) -> None:
        """An action is repeated."""
        self.twin.act_again(data.draw(st.integers(0, len(self.twin.acts) - 1), label="act"))

    @invariant()
    def states_agree(self) -> None:
        """Every step and task is as the model says."""
        self.twin.compare()

    def teardown(self) -> None:
        """Histories agree too, the checker finds nothing, and everything comes to its end."""
        try:
            self.twin.finish()
        finally:
            self.twin.close()


def play(
    databases: Databases, *, stories: int, calls: int, by: int | None = None, shrinks: bool = False
) -> Counter[str]:
    """So many stories of so many calls each, in which engine and model agree after every call, and everything ends; how
    often each event was met (TO_BE_SEEN has those that a run should meet). `by` is a seed; without one the stories are
    the same each time. A story that fails is made shorter if it `shrinks`, which takes minutes."""
    seen: Counter[str] = Counter()

    def begin() -> Stories:
        seen["stories"] += 1
        return Stories(databases, seen)

    run_state_machine_as_test(
        begin if by is None else seed(by)(begin),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        settings=settings(
            max_examples=stories,
            stateful_step_count=calls,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
            report_multiple_bugs=False,
            derandomize=by is None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
    return seen
