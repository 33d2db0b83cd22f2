"""Decisions: what is chosen runs, what is not is as if it were not there, and a convergence waits for what will run."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from uuid import UUID

import pytest
from support.engine import Engine
from support.session import Session
from support.templates import template

from tasker.model.outcome import Outcome, decided
from tasker.model.template import HandlerRef, Step, StepType, Template
from tasker.store.reads import Reads
from tasker.store.replies import Grant, Reply
from tasker.templates.graph import children


def choice(*names: str) -> Outcome:
    """A decision for these steps, or for none."""
    outcome = {"type": "create_steps", "step_names": names} if names else {"type": "no_branches"}
    return decided(json.dumps({"decision_point_outcome": outcome}))


DECISION = {"type": "decision"}
CONVERGENCE = {"type": "deferred_convergence"}


class Play:
    """One task that is played by hand: each step succeeds, and decisions choose as they are told."""

    def __init__(self, engine: Engine, worker: Session, task: UUID) -> None:
        self.engine, self.worker, self.task = engine, worker, task
        self.ran: list[str] = []

    async def go(self, choices: dict[str, Sequence[str]]) -> list[str]:
        """Runs all that can run, step by step in the order of their names; answers what ran."""
        await self.worker.claim()
        while self.worker.held:
            names = {await self.name(grant): grant for grant in self.worker.held.values()}
            name = min(names)
            self.ran.append(name)
            outcome = choice(*choices[name]) if name in choices else Outcome("succeeded", "{}")
            await self.worker.report((names[name], outcome))
            await self.worker.claim()
        return self.ran

    async def name(self, grant: Grant) -> str:
        """The name of a granted step."""
        query = """select p.name from tasker_engine.tasks t join tasker_engine.template_steps p using (template_id)
            where t.task_id = $1 and p.number = $2"""
        return await self.engine.value(query, grant.task_id, grant.number)


async def _play(engine: Engine, graph: str, **steps: dict[str, object]) -> Play:
    await engine.publish(template(graph, **steps))
    worker = await engine.session()
    return Play(engine, worker, await engine.submit())


APPROVAL = "check -> route -> auto, manager, finance -> close"
APPROVAL_TYPES = {"route": DECISION, "close": CONVERGENCE}


@pytest.mark.parametrize(
    ("chosen", "ran"),
    [
        (["auto"], ["check", "route", "auto", "close"]),
        (["manager", "finance"], ["check", "route", "finance", "manager", "close"]),
        ([], ["check", "route", "close"]),
    ],
)
async def test_what_is_chosen_runs_and_then_the_convergence(engine: Engine, chosen: list[str], ran: list[str]) -> None:
    """Three routes, and none: the convergence runs once, after all that will run, and the task is complete."""
    play = await _play(engine, APPROVAL, **APPROVAL_TYPES)
    assert await play.go({"route": chosen}) == ran
    assert await engine.state(play.task) == "complete"
    assert await engine.counters(play.task) == (0, 0, 0, 0)
    assert await engine.count("steps") == len(ran)


async def test_steps_below_what_was_not_chosen_are_not_taken(engine: Engine) -> None:
    """A branch that was not chosen goes with all that follows only from it."""
    play = await _play(engine, "d -> a -> a2 -> a3; d -> b; a3, b -> end", d=DECISION, end=CONVERGENCE)
    assert await play.go({"d": ["b"]}) == ["d", "b", "end"]
    assert await engine.state(play.task) == "complete"


async def test_a_step_with_a_parent_that_runs_runs(engine: Engine) -> None:
    """An ordinary step below two branches waits for the one that runs, and runs."""
    play = await _play(engine, "d -> a, b; a, b -> both", d=DECISION)
    assert await play.go({"d": ["a"]}) == ["d", "a", "both"]


async def test_a_step_that_its_only_decision_declined_does_not_run(engine: Engine) -> None:
    """Also if another parent of it runs: the decision has the word."""
    play = await _play(engine, "x -> c; d -> c, other", d=DECISION)
    assert await play.go({"d": ["other"]}) == ["d", "other", "x"]
    assert await engine.state(play.task) == "complete"


@pytest.mark.parametrize(
    ("first", "second", "ran"),
    [
        (["a"], ["b"], ["a", "b"]),
        ([], ["b"], ["b"]),
        ([], [], []),
    ],
)
async def test_two_decisions_above_one_convergence_fire_it_once_after_both(
    engine: Engine, first: list[str], second: list[str], ran: list[str]
) -> None:
    """A branch that ends before the other decision has spoken does not fire it."""
    play = await _play(engine, "d1 -> a; d2 -> b; a, b -> end", d1=DECISION, d2=DECISION, end=CONVERGENCE)
    went = await play.go({"d1": first, "d2": second})
    assert sorted(went) == sorted([*ran, "d1", "d2", "end"])
    assert went[-1] == "end"
    assert await engine.state(play.task) == "complete"


@pytest.mark.parametrize(
    ("choices", "ran"),
    [
        ({"d1": ["left"], "d2": ["x"]}, ["d1", "left", "d2", "x", "inner", "outer"]),
        ({"d1": ["left"], "d2": []}, ["d1", "left", "d2", "inner", "outer"]),
        ({"d1": ["right"]}, ["d1", "right", "outer"]),
        ({"d1": []}, ["d1", "outer"]),
    ],
)
async def test_nested_decisions(engine: Engine, choices: dict[str, Sequence[str]], ran: list[str]) -> None:
    """A convergence runs without branches if its own decision ran, and not if that was not taken itself."""
    graph = "d1 -> left, right; left -> d2 -> x, y; x, y -> inner; inner, right -> outer"
    play = await _play(engine, graph, d1=DECISION, d2=DECISION, inner=CONVERGENCE, outer=CONVERGENCE)
    assert await play.go(choices) == ran
    assert await engine.state(play.task) == "complete"


async def test_a_convergence_of_one_branch_goes_with_it(engine: Engine) -> None:
    """Where the other branch ends by itself, nothing is left to converge."""
    play = await _play(engine, "d -> a, reject; a -> end", d=DECISION, end=CONVERGENCE)
    assert await play.go({"d": ["reject"]}) == ["d", "reject"]
    assert await engine.state(play.task) == "complete"


async def test_a_step_is_declined_by_a_decision_that_is_not_taken(engine: Engine) -> None:
    """One decision declined it, the other was not taken: nobody chose it, whatever else it depends on."""
    graph = "x -> c; d1 -> c, other; d0 -> d2, side; d2 -> c"
    play = await _play(engine, graph, d0=DECISION, d1=DECISION, d2=DECISION)
    assert "c" not in await play.go({"d0": ["side"], "d1": ["other"]})
    assert await engine.state(play.task) == "complete"


async def _decided(engine: Engine, outcome: Outcome) -> tuple[Play, Reply]:
    play = await _play(engine, "d -> a -> a2; d -> b", d=DECISION)
    [grant] = await play.worker.claim()
    return play, await play.worker.report((grant, outcome))


async def test_a_name_that_does_not_depend_on_it_fails_the_decision(engine: Engine) -> None:
    """For good, and saying what there is to choose from; nothing is recorded of the choice."""
    play, _ = await _decided(engine, choice("a", "a2"))
    step = await engine.step(play.task, "d")
    assert step["state"] == "error"
    assert step["error"]["message"] == 'decision "d" chose "a2"; steps that depend on it: a, b'
    assert await engine.state(play.task) == "error"
    assert await engine.count("steps") == 4


async def test_a_decision_without_a_choice_fails(engine: Engine) -> None:
    """A result that says nothing of branches is no decision."""
    play, _ = await _decided(engine, decided('{"total": 3}'))
    assert "holds no decision_point_outcome" in (await engine.step(play.task, "d"))["error"]["message"]


async def test_an_ordinary_step_cannot_decide(engine: Engine) -> None:
    """Only the template says which steps are decisions."""
    play = await _play(engine, "d -> a")
    [grant] = await play.worker.claim()
    await play.worker.report((grant, choice("a")))
    assert "its type is standard" in (await engine.step(play.task, "d"))["error"]["message"]


async def test_a_decision_reported_twice_decides_once(engine: Engine) -> None:
    """The repeat answers `already`."""
    play = await _play(engine, "d -> a, b", d=DECISION)
    [grant] = await play.worker.claim()
    await play.worker.report((grant, choice("a")))
    reply = await play.worker.report((grant, choice("b")))
    assert [verdict.verdict for verdict in reply.verdicts] == ["already"]
    assert await play.go({}) == ["a"]


async def test_the_chosen_step_is_handed_over_in_the_same_call(engine: Engine) -> None:
    """As any other successor."""
    play, reply = await _decided(engine, choice("b"))
    assert [await play.name(grant) for grant in reply.grants] == ["b"]


async def test_reads_say_what_was_not_taken(engine: Engine) -> None:
    """A step that no decision chose stands in the task's steps as `not_taken`."""
    play = await _play(engine, APPROVAL, **APPROVAL_TYPES)
    await play.go({"route": ["auto"]})
    view = await Reads().task_view(engine.connection, play.task)
    assert {step.name: step.status for step in view.steps} == {
        "check": "complete",
        "route": "complete",
        "auto": "complete",
        "close": "complete",
        "manager": "not_taken",
        "finance": "not_taken",
    }
    [context] = await Reads().execution_contexts(engine.connection, [play.task])
    assert (context.total, context.completion_percentage) == (4, 100)


@pytest.mark.parametrize(
    ("action", "result", "ran"),
    [
        ("resolve", None, ["close"]),
        ("complete", {"decision_point_outcome": {"type": "create_steps", "step_names": ["auto"]}}, ["auto", "close"]),
    ],
)
async def test_an_operator_decides(
    engine: Engine, action: str, result: dict[str, object] | None, ran: list[str]
) -> None:
    """Completed by hand a decision chooses what its result says; resolved, it chooses nothing."""
    play = await _play(engine, APPROVAL, **APPROVAL_TYPES)
    [grant] = await play.worker.claim()
    reply = await play.worker.succeed(grant)
    await play.worker.fail(*reply.grants)
    await engine.act(action, play.task, "route", result=result)
    assert await play.go({}) == ran
    assert await engine.state(play.task) == "complete"


async def test_random_graphs_of_decisions_end(engine: Engine) -> None:
    """Whatever is chosen in whatever graph, the task completes, and exactly what was excluded did not run.

    What is excluded is worked out by the checker, which looks at every task of every test.
    """
    chance = random.Random(20261121)
    for number in range(60):
        made = _random_template(chance, f"random_{number}")
        await engine.publish(made)
        play = Play(engine, await engine.session(), await engine.submit(name=made.name))
        below = children(made)
        decisions = [step.name for step in made.steps if step.type == "decision"]
        choices = {name: chance.sample(below[name], chance.randint(0, len(below[name]))) for name in decisions}
        ran = await play.go(choices)
        assert await engine.state(play.task) == "complete", (made, choices, ran)
        await play.worker.end()


def _random_template(chance: random.Random, name: str) -> Template:
    """Up to 12 steps, each below up to three others; those with children may decide, those with parents converge."""
    count = chance.randint(3, 12)
    parents = [chance.sample(range(number), min(number, chance.randint(0, 3))) for number in range(count)]
    has_children = {parent for above in parents for parent in above}
    steps: list[Step] = []
    for number, above in enumerate(parents):
        types: list[StepType] = ["standard"]
        types += ["decision"] * (2 if number in has_children else 0)
        types += ["deferred_convergence"] * (2 if len(above) > 1 else 0)
        dependencies = tuple(f"s{parent:02}" for parent in above)
        handler = HandlerRef(callable=f"h{number}")
        steps.append(Step(name=f"s{number:02}", handler=handler, type=chance.choice(types), dependencies=dependencies))
    return Template(namespace="tests", name=name, version="1.0.0", steps=tuple(steps))
