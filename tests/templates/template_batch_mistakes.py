"""Mistakes with steps that run many times, and what they are told."""

from __future__ import annotations

from template_texts import step, with_steps

BATCH_MISTAKES = {
    "a batchable step without a worker": (
        with_steps("- {name: a, type: batchable, handler: h}\n"),
        "f:6:10 steps[0].name: a batchable step cuts work for a batch_worker that depends on it, and none does",
    ),
    "a batchable step with two workers": (
        with_steps(
            "- {name: a, type: batchable, handler: h}\n"
            "- {name: b, type: batch_worker, handler: h, dependencies: [a]}\n"
            "- {name: c, type: batch_worker, handler: h, dependencies: [a]}\n"
        ),
        'f:6:10 steps[0].name: a batchable step has one batch_worker that depends on it, and here are "b", "c"',
    ),
    "a worker without a batchable step": (
        with_steps("- {name: a, handler: h}\n- {name: b, type: batch_worker, handler: h, dependencies: [a]}\n"),
        "f:7:10 steps[1].name: a batch_worker depends on one step of type batchable, which cuts its work; here: none",
    ),
    "another worker's name": (
        with_steps(
            "- {name: a, type: batchable, handler: h}\n"
            "- {name: b, type: batch_worker, handler: h, dependencies: [a], batch_config: {worker_template: w}}\n"
        ),
        'f:7:78 steps[1].batch_config: worker_template names the step itself, "b": write that, or nothing',
    ),
    "a batch configuration of an ordinary step": (
        step("batch_config: {parallelism: 3}"),
        "f:6:39 steps[0].batch_config: only a batch_worker or a step with for_each has a batch_config: put it there",
    ),
    "a list of no step": (
        with_steps("- {name: load, handler: h}\n- {name: b, handler: h, for_each: laod.x, dependencies: [load]}\n"),
        'f:7:35 steps[1].for_each: "laod.x" must begin with the name of a step before this one; did you mean "load"?',
    ),
    "a list of a step that is not before": (
        with_steps("- {name: load, handler: h}\n- {name: b, handler: h, for_each: load.x}\n"),
        'f:7:35 steps[1].for_each: "load.x" must begin with the name of a step before this one',
    ),
    "an expression": (
        with_steps("- {name: a, handler: h}\n- {name: b, handler: h, for_each: 'a.x[*]', dependencies: [a]}\n"),
        'f:7:35 steps[1].for_each: "x[*]" cannot stand in a path: write step.key.key, with names and indexes only',
    ),
    "a size of items": (
        with_steps(
            "- {name: a, handler: h}\n"
            "- {name: b, handler: h, for_each: a.x, dependencies: [a], batch_config: {batch_size: 5}}\n"
        ),
        'f:7:73 steps[1].batch_config: "batch_size" is for a batch_worker, and this step has for_each: remove it',
    ),
    "a decision for each": (
        with_steps(
            "- {name: a, handler: h}\n"
            "- {name: b, type: decision, handler: h, for_each: a.x, dependencies: [a]}\n"
            "- {name: c, handler: h, dependencies: [b]}\n"
        ),
        "f:7:51 steps[1].for_each: a step of type decision runs once: remove for_each",
    ),
    "a step named like a member": (
        with_steps(
            "- {name: a, handler: h}\n- {name: b, handler: h, for_each: a.x, dependencies: [a]}\n"
            "- {name: b_007, handler: h}\n"
        ),
        'f:7:10 steps[1].name: its members are called "b_001" and so on: rename "b_007"',
    ),
}
"""Of the names and edges of steps that run many times: an editor's schema does not see them."""
