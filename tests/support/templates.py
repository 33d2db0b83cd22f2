"""A builder of templates: `template("a -> b, c -> d")` is a diamond."""

from __future__ import annotations

from typing import Any

from tasker.model.template import HandlerRef, RetryPolicy, Step, Template

_RETRY = {"retryable", "max_attempts", "backoff", "backoff_base_ms", "max_backoff_ms", "jitter"}


def template(
    graph: str, *, name: str = "flow", namespace: str = "tests", version: str = "1.0.0", **options: Any
) -> Template:
    """A template of the graph.

    Arrows join levels, commas the steps of a level, semicolons separate parts that may share steps. A step's handler
    has its name. Options that name a step are a dict for that step alone, others are for all steps: fields of the retry
    policy, `timeout_seconds`, `queue`, `handler`; `identity_strategy` is the template's.
    """
    identity = options.pop("identity_strategy", "always_unique")
    parents = _parents(graph)
    own = {step: options.pop(step) for step in parents if step in options}
    steps = tuple(_step(step, parents[step], {**options, **own.get(step, {})}) for step in parents)
    return Template(namespace=namespace, name=name, version=version, steps=steps, identity_strategy=identity)


def _parents(graph: str) -> dict[str, list[str]]:
    """Each step with its parents, in the order in which the text names them."""
    parents: dict[str, list[str]] = {}
    for part in graph.split(";"):
        above: list[str] = []
        for level in part.split("->"):
            here = [word.strip() for word in level.split(",") if word.strip()]
            for step in here:
                known = parents.setdefault(step, [])
                known.extend(parent for parent in above if parent not in known)
            above = here
    return parents


def _step(name: str, parents: list[str], options: dict[str, Any]) -> Step:
    retry = {key: value for key, value in options.items() if key in _RETRY}
    rest = {key: value for key, value in options.items() if key not in _RETRY and key != "handler"}
    handler = HandlerRef(callable=options.get("handler", name))
    return Step(name=name, handler=handler, dependencies=tuple(parents), retry=RetryPolicy(**retry), **rest)
