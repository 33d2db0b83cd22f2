"""Random work by a seed: templates of any shape, and the inputs of tasks."""

from __future__ import annotations

import random
from typing import Any

from tasker.model.template import BatchConfig, HandlerRef, RetryPolicy, Step, Template

NAMESPACE = "chaos"
STEPS_MAX, STEPS_MEAN, PARENTS_MAX = 20, 5, 3
RETRY = RetryPolicy(max_attempts=5, backoff_base_ms=20, max_backoff_ms=200)


def step(name: str, handler: str, parents: tuple[str, ...] = (), **more: Any) -> Step:
    """One step."""
    return Step(name=name, handler=HandlerRef(callable=handler), dependencies=parents, **{"retry": RETRY, **more})


def template(name: str, *steps: Step) -> Template:
    """A template of these."""
    return Template(namespace=NAMESPACE, name=name, version="1.0.0", steps=steps)


def chain(name: str, length: int, handler: str = "chaos_plain", **more: Any) -> Template:
    """Steps one after the other."""
    parents = [()] + [(f"s{n}",) for n in range(length - 1)]
    return template(name, *(step(f"s{n}", handler, parents[n], **more) for n in range(length)))


def fan(name: str, width: int) -> Template:
    """One step, many beside each other, one again."""
    middle = [step(f"m{n}", "chaos_plain", ("first",)) for n in range(width)]
    return template(
        name, step("first", "chaos_plain"), *middle, step("last", "chaos_plain", tuple(m.name for m in middle))
    )


def random_templates(chance: random.Random, count: int) -> list[Template]:
    """Templates of 1 to 20 steps; some of them decide, some cut work into parts."""
    return [_random_template(chance, f"shape{n}", n) for n in range(count)]


def _random_template(chance: random.Random, name: str, place: int) -> Template:
    size = min(STEPS_MAX, 1 + int(chance.expovariate(1 / (STEPS_MEAN - 1))))
    names = [f"s{n}" for n in range(size)]
    steps = [
        step(
            one,
            chance.choice(("chaos_plain", "chaos_plain", "chaos_thread")),
            tuple(chance.sample(names[:at], chance.randint(0, min(at, PARENTS_MAX)))),
        )
        for at, one in enumerate(names)
    ]
    if place % 4 == 1:
        steps += [
            step("choose", "chaos_choose", (names[-1],), type="decision"),
            *(step(branch, "chaos_plain", ("choose",)) for branch in ("left", "right")),
            step("meet", "chaos_plain", ("left", "right"), type="deferred_convergence"),
        ]
    elif place % 4 == 3:
        steps += [
            step("cut", "chaos_cut", (names[-1],), type="batchable"),
            step("part", "chaos_part", ("cut",), type="batch_worker", batch_config=BatchConfig(parallelism=2)),
            step("after", "chaos_plain", ("part",)),
        ]
    return template(name, *steps)


def context(chance: random.Random, template: Template, n: int, *, pause_s: float = 0.05) -> dict[str, Any]:
    """The input of a task: executions may fail; one task of forty has a step that fails each time."""
    said: dict[str, Any] = {"n": n, "pause_s": pause_s, "may_fail": True}
    if chance.random() < 0.025:
        plain = [
            at for at, one in enumerate(template.steps, 1) if one.handler.callable in ("chaos_plain", "chaos_thread")
        ]
        said[chance.choice(("doomed", "broken"))] = chance.choice(plain)
    return said
