"""Short ways to write templates in tests."""

from __future__ import annotations

import json

from tasker.model.template import Template
from tasker.templates import load_text

HEAD = "tasker: 1\nnamespace_name: shop\nname: order\nversion: 1.0.0\n"
LOOSE_HEAD = HEAD.removeprefix("tasker: 1\n")


def text_of(graph: str, **top: object) -> str:
    """`a -> b, c -> d`: each step depends on all the steps before the arrow. `top` are further keys of the template."""
    steps: list[dict[str, object]] = []
    parents: list[str] = []
    for group in graph.split("->"):
        names = [name.strip() for name in group.split(",")]
        steps += [{"name": name, "handler": name, "dependencies": parents} for name in names]
        parents = names
    head = {"tasker": 1, "namespace_name": "shop", "name": "order", "version": "1.0.0"}
    return json.dumps({**head, "steps": steps, **top})


def template(graph: str, **top: object) -> Template:
    """The template of `text_of`."""
    return load_text(text_of(graph, **top)).template


def with_steps(steps: str, top: str = "", head: str = HEAD) -> str:
    """A template's text: its head, further keys, and the steps from line 6 on where `top` is empty."""
    return f"{head}{top}steps:\n{steps}"


def step(keys: str, head: str = HEAD, top: str = "") -> str:
    """A template's text with one step `a` that has further keys, given in flow style."""
    return with_steps(f"- {{name: a, handler: h{', ' if keys else ''}{keys}}}\n", top, head)
